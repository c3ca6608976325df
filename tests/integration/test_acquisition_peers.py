"""The real acquisition against servers that share no code with it: pymodbus and libmodbus; and what
mbpoll, another master, decodes of the same registers. Expected numbers come from Python's struct
module."""
import json
import os
import re
import socket
import struct
import subprocess
import sys
import unittest

from pymodbus.constants import Endian
from pymodbus.payload import BinaryPayloadBuilder

from acquiring import ACQUIRE, Acquiring
from harness import BINARY, DEADLINE_S, Sim, free_ports, wait_for

LIBMODBUS_SERVER = os.path.join(BINARY, "tests", "integration", "libmodbus_server")

PYMODBUS_SERVER = """
import json, sys
from pymodbus.datastore import ModbusSequentialDataBlock, ModbusServerContext, ModbusSlaveContext
from pymodbus.server import StartTcpServer
from pymodbus.transaction import ModbusRtuFramer, ModbusSocketFramer
port, registers, units = int(sys.argv[1]), json.loads(sys.argv[2]), json.loads(sys.argv[3])
def block(table):
    values = [0] * 65536
    for name, at, value in registers:
        if name == table:
            values[at] = value
    return ModbusSequentialDataBlock(0, values)
slave = ModbusSlaveContext(co=block("coil"), di=block("discrete"), hr=block("holding"),
                           ir=block("input"), zero_mode=True)
context = ModbusServerContext(slaves={unit: slave for unit in units}, single=False)
framer = {"rtu": ModbusRtuFramer, "tcp": ModbusSocketFramer}[sys.argv[4]]
StartTcpServer(context=context, address=("127.0.0.1", port), framer=framer, allow_reuse_address=True)
"""

ORDERS = {"ABCD": (0, 1, 2, 3), "CDAB": (2, 3, 0, 1), "BADC": (1, 0, 3, 2), "DCBA": (3, 2, 1, 0)}
FORMATS = {"int16": ">h", "uint16": ">H", "int32": ">i", "uint32": ">I", "float32": ">f"}
NUMBERS = {"int16": (-32768, -1, 0, 12345), "uint16": (0, 1, 40000, 65535),
           "int32": (-2147483648, -2, 70000, 2147483647), "uint32": (0, 1, 3000000000, 4294967295),
           "float32": (0.0, -1.5, 3.4028234663852886e38, 1e-40)}


class Case:
    """Registers and points with the value that must come out of them."""

    def __init__(self):
        self.registers, self.points, self.values = [], [], []

    def add(self, table, at, kind, order, number, scale=1.0, offset=0.0, unit=1, sentinel=None,
            status="ok"):
        wire = struct.pack(FORMATS[kind], number)
        if len(wire) == 2:
            wire = wire if order in ("ABCD", "CDAB") else wire[::-1]
        else:
            wire = bytes(wire[i] for i in ORDERS[order])
        for i in range(0, len(wire), 2):
            self.registers.append((table, at + i // 2, wire[i] * 256 + wire[i + 1]))
        point = f"{unit}:{table}:{at}:{kind}:{order}:{scale:g}:{offset:g}"
        self.points.append(point if sentinel is None else f"{point}:{sentinel}")
        exact = struct.unpack(FORMATS[kind], struct.pack(FORMATS[kind], number))[0]
        self.values.append((status, exact * scale + offset if status == "ok" else None))

    def words(self, table, at, registers, kind, order, value, status="ok", unit=1):
        self.registers += [(table, at + i, int(word)) for i, word in enumerate(registers)]
        self.points.append(f"{unit}:{table}:{at}:{kind}:{order}:1:0")
        self.values.append((status, value))


def everything():
    """Every type in every order, in both tables, gaps between, addresses 0 and 65535 included."""
    case = Case()
    for table in ("holding", "input"):
        at = 0
        for kind, numbers in NUMBERS.items():
            for order in ORDERS:
                for number in numbers:
                    case.add(table, at, kind, order, number)
                    at += 1 if kind.endswith("16") else 2
                at += 1  # a gap
        case.add(table, 65535, "uint16", "ABCD", 4711)
        case.add(table, 65533, "float32", "CDAB", 12.5, scale=0.5, offset=-100.0)
        case.add(table, 1000, "float32", "ABCD", float("nan"), status="not_a_number")
        case.add(table, 1002, "float32", "ABCD", float("-inf"), status="not_a_number")
        case.add(table, 1004, "int16", "ABCD", -32768, sentinel=-32768, status="sentinel")
    return case


def full_block():
    """125 registers in one request."""
    case = Case()
    for i in range(125):
        case.add("holding", 300 + i, "uint16", "ABCD", 1000 + i)
    return case


def every_width():
    """The other types, as pymodbus's own builder lays them out where it knows them, else as struct
    does; any permutation; bits and bytes that share a register; coils and discrete inputs."""
    case = Case()
    builder = BinaryPayloadBuilder(byteorder=Endian.Big, wordorder=Endian.Big)
    swapped = BinaryPayloadBuilder(byteorder=Endian.Big, wordorder=Endian.Little)
    at = 0
    for kind, number in (("int64", -5_000_000_000), ("uint64", 2**53 - 1), ("float64", -1e-300),
                         ("float32", 2.5), ("float16", -0.15625)):
        add = {"int64": "add_64bit_int", "uint64": "add_64bit_uint", "float64": "add_64bit_float",
               "float32": "add_32bit_float", "float16": "add_16bit_float"}[kind]
        for order, payload in (("ABCD", builder), ("CDAB", swapped)):
            payload.reset()
            getattr(payload, add)(number)
            case.words("holding", at, payload.to_registers(), kind, order, number)
            at += 4
    wire = struct.pack(">d", 1234.5678)
    letters = "EBGDAFCH"
    moved = bytes(wire["ABCDEFGH".index(letter)] for letter in letters)
    case.words("holding", 60, struct.unpack(">4H", moved), "float64", letters, 1234.5678)
    case.words("holding", 70, struct.unpack(">4H", b"\xff" * 8), "uint64", "ABCD", None,
               "not_a_number")
    case.words("input", 0, (0x8A7F,), "int8_high", "ABCD", -118)
    case.words("input", 0, (0x8A7F,), "int8_low", "ABCD", 127)
    case.words("input", 1, (0x8A7F,), "uint8_low", "BA", 138)
    case.words("input", 1, (0x8A7F,), "uint8_high", "BA", 127)
    case.words("input", 2, (0x9876,), "bcd16", "ABCD", 9876)
    case.words("input", 3, (0x5432, 0x0091), "bcd32", "CDAB", 915432)
    case.words("input", 5, (0x98A6,), "bcd16", "ABCD", None, "not_a_number")
    for bit in range(16):
        case.words("input", 6, (0xA5C3,), f"bit@{bit}", "ABCD", 0xA5C3 >> bit & 1)
    case.words("input", 7, (0xA5C3,), "bits@4@9", "ABCD", 0xA5C3 >> 4 & 0x1FF)
    for i in range(20):
        case.words("coil", i, (i % 3 == 0,), "bit", "ABCD", int(i % 3 == 0))
        case.words("discrete", 100 + i, (i % 7 < 2,), "bit", "ABCD", int(i % 7 < 2))
    case.words("coil", 65535, (1,), "bit", "ABCD", 1)
    return case


class Server:
    """Of a command that takes a port; a free one unless it is given."""

    def __init__(self, command, port=None):
        for _ in range(1 if port is not None else 5):  # a free port may be taken before it is used
            self.port = port if port is not None else free_ports(1)[0]
            self.process = subprocess.Popen(command(str(self.port)), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                                            text=True)
            try:
                wait_for(lambda: self.process.poll() is not None or self.answers(), "the server listens")
            except AssertionError:
                self.__exit__()
                raise
            if self.process.poll() is None:
                return
            self.process.communicate()
        raise AssertionError(f"the server ended: {command(str(self.port))}")

    def answers(self):
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.communicate()


def libmodbus(case):
    return Server(lambda port: [LIBMODBUS_SERVER, port] + [f"{t}:{a}:{v}" for t, a, v in case.registers])


def pymodbus(case, units=(1,), port=None, framing="tcp"):
    return Server(lambda port: [sys.executable, "-c", PYMODBUS_SERVER, port, json.dumps(case.registers),
                                json.dumps(list(units)), framing], port)


def acquire(port, case, rounds=3, timeout_ms=30000, framing="tcp"):
    done = subprocess.run([ACQUIRE] + ["rtu"] * (framing == "rtu") +
                          ["127.0.0.1", str(port), str(rounds), str(timeout_ms)] +
                          case.points, capture_output=True, text=True, timeout=2 * DEADLINE_S,
                          check=False)
    readings = [json.loads(line) for line in done.stdout.splitlines()]
    if done.returncode != 0:
        raise AssertionError(f"acquire ended with {done.returncode}: {done.stderr}{done.stdout}")
    return readings


def mbpoll(port, table, at, count=1, kind="", order="CDAB"):
    """What mbpoll prints of `count` values from `at` on; the unsigned of the two that it tells of 16
    bits."""
    number = {"coil": "0", "discrete": "1", "input": "3", "holding": "4"}[table]
    done = subprocess.run(["mbpoll", "-0", "-1", "-o", "10", "-t", number + kind, "-r", str(at), "-c",
                           str(count), "-p", str(port)] + ["-B"] * (order == "ABCD") + ["127.0.0.1"],
                          capture_output=True, text=True, timeout=DEADLINE_S, check=False)
    rows = re.findall(r"^\[(\d+)\]:\s+(\S+)", done.stdout, re.MULTILINE)
    if done.returncode != 0 or len(rows) != count:
        raise AssertionError(f"mbpoll ended with {done.returncode}: {done.stdout}{done.stderr}")
    return [value for _, value in rows]


def sim_scenario():
    """The third counterpart: the simulator, whose encoder is written on its own. Every type that it
    has in every order, addresses 0 and 65535, 125 registers in one request, coils."""
    numbers = {"int16": -1234, "uint16": 54321, "int32": -70000, "uint32": 3000000000,
               "float32": -0.15625}
    case, points, signals = Case(), [], {}

    def put(table, at, kind, order, number):
        name = f"p{len(points)}"
        points.append(f"    - {{point: {name}, table: {table}, address: {at}, type: {kind}"
                      + (f", order: {order}}}" if kind != "bit" else "}"))
        signals[name] = number
        case.points.append(f"1:{table}:{at}:{kind}:{order}:1:0")
        case.values.append(("ok", number))

    for table in ("holding", "input"):
        at = 0
        for kind, number in numbers.items():
            for order in ORDERS:
                put(table, at, kind, order, number)
                at += 1 if kind.endswith("16") else 2
        put(table, 65535, "uint16", "ABCD", 4711)
        put(table, 65533, "float32", "CDAB", 12.5)
    for i in range(125):
        put("holding", 1000 + i, "uint16", "ABCD", 1000 + i)
    for i in range(20):
        put("coils", i, "bit", "ABCD", int(i % 3 == 0))
        put("discrete", i, "bit", "ABCD", int(i % 7 < 2))
    case.points = [p.replace(":coils:", ":coil:") for p in case.points]
    text = "\n".join(["scenario: types", "start: 2025-01-01T00:00:00Z", "maps:", "  all:", *points,
                      "stations:", "  - {id: all, port: 0, map: all, signals: {"
                      + ", ".join(f"{name}: {value}" for name, value in signals.items()) + "}}"])
    return case, text + "\n"


class Peers(unittest.TestCase):
    def judge(self, case, readings, rounds=3):
        self.assertEqual([r["seq"] for r in readings], list(range(1, len(readings) + 1)))
        counts = [0] * len(case.points)
        for reading in readings:
            status, value = case.values[reading["point"]]
            if reading["status"] == "skipped":  # a slow machine; nothing wrong is said
                continue
            counts[reading["point"]] += 1
            self.assertEqual((reading["status"], reading["value"]), (status, value),
                             case.points[reading["point"]])
        # The time limit of a busy machine may cost slots, but not all.
        self.assertTrue(all(count >= 1 for count in counts))

    def test_libmodbus_every_type_and_order(self):
        case = everything()
        with libmodbus(case) as server:
            self.judge(case, acquire(server.port, case))

    def test_pymodbus_every_type_and_order(self):
        case = everything()
        with pymodbus(case) as server:
            self.judge(case, acquire(server.port, case))

    def test_pymodbus_every_width_bits_and_coils(self):
        case = every_width()
        with pymodbus(case) as server:
            self.judge(case, acquire(server.port, case))

    def test_pymodbus_rtu_over_tcp(self):
        case = every_width()
        with pymodbus(case, framing="rtu") as server:
            self.judge(case, acquire(server.port, case, framing="rtu"))

    def test_simulator_every_type_and_order(self):
        case, text = sim_scenario()
        with Sim(text=text) as sim:
            self.judge(case, acquire(sim.ports["all"][1], case))

    def test_mbpoll_decodes_the_same(self):
        """Every type and order that mbpoll knows, addresses 0 and 65535, 125 registers, coils."""
        case, text = sim_scenario()
        kinds = {"int16": "", "uint16": "", "int32": ":int", "uint32": ":int", "float32": ":float",
                 "bit": ""}
        compared = set()
        with Sim(text=text) as sim:
            port = sim.ports["all"][1]
            ours = {case.points[r["point"]]: r["value"] for r in acquire(port, case)
                    if r["status"] == "ok"}
            self.assertEqual(len(ours), len(case.points))
            for point, value in ours.items():
                _, table, at, kind, order, _, _ = point.split(":")
                if order not in ("ABCD", "CDAB") or (table == "holding" and 1000 <= int(at) < 1125):
                    continue
                theirs = float(mbpoll(port, table, int(at), 1, kinds[kind], order)[0])
                bits = 16 if kind.endswith("16") else 32 if kind != "float32" else None
                if bits is None:
                    self.assertEqual(theirs, value, point)
                else:
                    self.assertEqual(int(theirs) % 2**bits, int(value) % 2**bits, point)
                compared.add((table, kind, order, int(at) if int(at) in (0, 65535) else None))
            self.assertEqual([int(word) for word in mbpoll(port, "holding", 1000, 125)],
                             [ours[f"1:holding:{1000 + i}:uint16:ABCD:1:0"] for i in range(125)])
        for table in ("holding", "input"):
            for kind in NUMBERS:
                for order in ("ABCD", "CDAB"):
                    at = 0 if (kind, order) == ("int16", "ABCD") else None
                    self.assertIn((table, kind, order, at), compared)
            self.assertIn((table, "uint16", "ABCD", 65535), compared)
        for table in ("coil", "discrete"):
            self.assertIn((table, "bit", "ABCD", 0), compared)

    def test_125_registers_in_one_request(self):
        case = full_block()
        with libmodbus(case) as server:
            self.judge(case, acquire(server.port, case))
        with pymodbus(case) as server:
            self.judge(case, acquire(server.port, case))

    def test_units_are_kept_apart(self):
        """pymodbus answers units 1 and 2, and is silent for 3 or refuses it."""
        case = Case()
        case.add("holding", 10, "uint16", "ABCD", 111, unit=1)
        case.add("holding", 11, "uint16", "ABCD", 222, unit=2)
        case.add("holding", 12, "uint16", "ABCD", 333, unit=3)
        with pymodbus(case, units=(1, 2)) as server:
            readings = acquire(server.port, case, rounds=4, timeout_ms=3000)
        for reading in readings:
            if reading["point"] == 2:
                self.assertIn(reading["status"], ("timeout", "exception", "skipped", "no_connection"))
                self.assertIsNone(reading["value"])
        for point in (0, 1):
            values = [r["value"] for r in readings if r["point"] == point and r["status"] == "ok"]
            self.assertTrue(values and all(v == case.values[point][1] for v in values), readings)

    def test_a_server_that_is_not_there(self):
        case = full_block()
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))  # bound, not listening: refused, and nobody else gets it
            readings = acquire(free.getsockname()[1], case)
        self.assertEqual({r["status"] for r in readings} - {"skipped"}, {"no_connection"})
        self.assertEqual({r["value"] for r in readings}, {None})

    def test_a_server_that_dies_and_comes_back(self):
        case = full_block()
        with libmodbus(case) as first:
            port = first.port
            with Acquiring([], ("127.0.0.1", port), 500, case.points) as acquiring:
                wait_for(lambda: "ok" in acquiring.statuses(), "values come")
                first.process.kill()
                wait_for(lambda: "no_connection" in acquiring.statuses(), "the loss is told")
                since = len(acquiring.readings)
                with pymodbus(case, port=port):  # another make at the same address
                    wait_for(lambda: "ok" in acquiring.statuses(since), "values come again")


if __name__ == "__main__":
    unittest.main()

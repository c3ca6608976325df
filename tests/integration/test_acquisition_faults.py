"""Every scripted fault of canhbao-sim as the real acquisition reports it: the status that the fault
deserves, and never a value that was not in a good reply. Then what a script cannot say, by a device
of this file: every exception code, and a connection that ends behind each byte of a reply."""
import json
import os
import socket
import struct
import subprocess
import threading
import unittest

import harness

ACQUIRE = os.path.join(harness.BINARY, "tests", "integration", "acquire")
SCENARIO = """
scenario: faults
start: 2025-01-01T00:00:00Z
maps:
  two:
    - {point: stage, table: holding, address: 0, type: float32}
    - {point: count, table: holding, address: 2, type: uint16, nan: 65535}
stations:
  - {id: bad, port: 0, map: two, signals: {stage: 12.375, count: 7}}
faults:
  - {station: bad, FAULT}
"""
POINTS = ["1:holding:0:float32:ABCD:1:0", "1:holding:2:uint16:ABCD:1:0:65535"]
VALUES = [12.375, 7]
SHORT_MS, LONG_MS = 300, 30000  # a time limit that is what is tested, and one that a busy machine keeps
# What may stand besides: slots left out because the unit counts as dead, or because the line was
# busy waiting.
BESIDES = {"skipped"}


class Faults(unittest.TestCase):
    def play(self, fault, expected, rounds=4, timeout_ms=None):
        timeout_ms = timeout_ms or (SHORT_MS if "timeout" in expected else LONG_MS)
        with harness.Sim(text=SCENARIO.replace("FAULT", fault)) as sim:
            host, port, unit = sim.ports["bad"]
            self.assertEqual(unit, 1)
            done = subprocess.run([ACQUIRE, host, str(port), str(rounds), str(timeout_ms)] + POINTS,
                                  capture_output=True, text=True, timeout=harness.DEADLINE_S, check=False)
        self.assertEqual(done.returncode, 0, done.stderr)
        readings = [json.loads(line) for line in done.stdout.splitlines()]
        self.assertEqual([r["seq"] for r in readings], list(range(1, len(readings) + 1)))
        for reading in readings:
            if reading["status"] == "ok":
                self.assertEqual(reading["value"], VALUES[reading["point"]])
            else:
                self.assertIsNone(reading["value"])
        seen = {r["status"] for r in readings}
        self.assertTrue(seen & expected, f"{fault}: {seen}")
        self.assertTrue(seen <= expected | BESIDES, f"{fault}: {seen}")
        return readings

    def test_no_fault(self):
        self.play("kind: silence, from: +1 h", {"ok"})

    def test_silence(self):
        self.play("kind: silence", {"timeout"})

    def test_dribble(self):
        self.play("kind: dribble, delay_ms: 1000", {"timeout"})

    def test_late(self):
        self.play("kind: late, delay_ms: 5000", {"timeout"})

    def test_wrong_transaction(self):
        # The right one may still come: told at the end of the time.
        self.play("kind: wrong-transaction", {"bad_reply"}, timeout_ms=3000)

    def test_wrong_unit(self):
        self.play("kind: wrong-unit", {"bad_reply"})

    def test_wrong_protocol(self):
        self.play("kind: wrong-protocol", {"bad_reply"})

    def test_wrong_length(self):
        # A length that promises more than comes is only known as wrong when the time is over.
        self.play("kind: wrong-length", {"bad_reply", "timeout"})

    def test_wrong_function(self):
        self.play("kind: wrong-function", {"bad_reply"})

    def test_wrong_byte_count(self):
        self.play("kind: wrong-byte-count", {"bad_reply"})

    def test_short(self):
        self.play("kind: short", {"bad_reply", "timeout"})

    def test_surplus(self):
        # Bytes behind a good frame: the frame counts, what follows it never does.
        self.play("kind: surplus", {"ok", "bad_reply"})

    def test_exception(self):
        readings = self.play("kind: exception, code: 4", {"exception"})
        self.assertEqual({r["exception"] for r in readings if r["status"] == "exception"}, {4})

    def test_reset(self):
        self.play("kind: reset", {"no_connection"})

    def test_fin(self):
        self.play("kind: fin", {"no_connection"})

    def test_refuse(self):
        self.play("kind: refuse", {"no_connection"})

    def test_nan(self):
        readings = self.play('kind: nan, point: "*"', {"not_a_number", "sentinel"})
        self.assertEqual({(r["point"], r["status"]) for r in readings if r["status"] != "skipped"},
                         {(0, "not_a_number"), (1, "sentinel")})


def acquire(port, rounds, points, *words):
    done = subprocess.run([ACQUIRE, *words, "127.0.0.1", str(port), str(rounds), str(LONG_MS),
                           *points], capture_output=True, text=True, timeout=harness.DEADLINE_S, check=False)
    if done.returncode != 0:
        raise AssertionError(f"acquire ended with {done.returncode}: {done.stderr}")
    return [json.loads(line) for line in done.stdout.splitlines()]


class Device:
    """One connection after the other; reply(request, number) makes the bytes that go out, and tells
    how the connection ends behind them: None (it goes on), "fin" or "rst"."""

    def __init__(self, reply):
        self.reply, self.number = reply, 0
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.run, daemon=True).start()

    def run(self):
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            with connection:
                try:
                    self.serve(connection)
                except (OSError, EOFError):
                    pass

    def serve(self, connection):
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        end = None
        while end is None:
            request = harness.read_exactly(connection, 12)
            answer, end = self.reply(request, self.number)
            self.number += 1
            connection.sendall(answer)
        if end == "rst":
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.listener.close()


def good_reply(request, value):
    """Each register: the number asked for, so that a value in the wrong place is seen."""
    transaction, _, _, unit, function, start, count = struct.unpack(">HHHBBHH", request)
    words = [(value + start + i) & 0xFFFF for i in range(count)]
    return struct.pack(f">HHHBBB{count}H", transaction, 0, 3 + 2 * count, unit, function, 2 * count,
                       *words)


class OwnDevice(unittest.TestCase):
    CODES = (1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 127, 200)
    GOOD_UNIT = 240

    def test_every_exception(self):
        """Unit N answers everything with exception N; one unit between them keeps its values."""
        def reply(request, _):
            unit = request[6]
            if unit == self.GOOD_UNIT:
                return good_reply(request, 1000), None
            return request[:4] + bytes((0, 3, unit, request[7] | 0x80, unit)), None

        points = [f"{unit}:holding:{at}:uint16:ABCD:1:0" for unit in self.CODES + (self.GOOD_UNIT,)
                  for at in (0, 1)]
        with Device(reply) as device:
            readings = acquire(device.port, 4, points)
        for reading in readings:
            unit = int(points[reading["point"]].split(":")[0])
            if unit == self.GOOD_UNIT:
                self.assertIn(reading["status"], ("ok", "skipped"))  # skipped: a slow machine
                self.assertEqual(reading["value"], None if reading["status"] == "skipped"
                                 else 1000 + reading["point"] % 2)
                continue
            self.assertIsNone(reading["value"])
            self.assertIn(reading["status"], ("exception", "skipped"), unit)
            if reading["status"] == "exception":
                self.assertEqual(reading["exception"], unit)
        told = {r["point"] for r in readings if r["status"] in ("exception", "ok")}
        self.assertEqual(told, set(range(len(points))))

    def cut_at_each_byte(self, end):
        """Every other reply is cut: behind byte 0, 1, 2, ... of it, so that every byte had its turn;
        what was in it never counts, and what follows is as good as ever."""
        size = len(good_reply(struct.pack(">HHHBBHH", 0, 0, 6, 1, 3, 0, 3), 0))
        cuts = []

        def reply(request, number):
            whole = good_reply(request, number * 16)
            if number % 2 == 0:
                return whole, None
            cuts.append(len(cuts) % size)
            return whole[:cuts[-1]], end

        points = [f"1:holding:{at}:uint16:ABCD:1:0" for at in range(3)]
        readings = []
        with Device(reply) as device:
            for _ in range(10):  # a slow machine leaves slots out
                readings += acquire(device.port, 3 * size, points, "period=40")
                if len(cuts) > size:
                    break
        self.assertEqual(set(cuts), set(range(size)))
        for reading in readings:
            if reading["status"] == "ok":
                self.assertEqual(reading["value"] % 16, reading["point"])
                self.assertEqual(reading["value"] // 16 % 2, 0)  # of a reply that was whole
            else:
                self.assertIsNone(reading["value"])
                self.assertIn(reading["status"], ("no_connection", "skipped"))
        self.assertTrue({"ok", "no_connection"} <= {r["status"] for r in readings})

    def test_fin_at_each_byte(self):
        self.cut_at_each_byte("fin")

    def test_reset_at_each_byte(self):
        self.cut_at_each_byte("rst")


if __name__ == "__main__":
    unittest.main()

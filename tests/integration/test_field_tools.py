"""The technician's tools of canhbaoctl, run as a person would run them. Expected numbers are those of
Python's struct module."""
import json
import os
import shutil
import signal
import socket
import struct
import subprocess
import tempfile
import threading
import unittest

import harness
import test_acquisition_peers as peers

CTL = os.path.join(harness.BINARY, "daemon", "canhbaoctl")
DAEMON = os.path.join(harness.BINARY, "daemon", "canhbaod")
MINIMAL = os.path.join(harness.SOURCE, "tests", "data", "sites", "minimal")


def run(*arguments, program=CTL):
    if {"probe", "scan"} & set(arguments) and "--timeout" not in arguments:
        arguments += ("--timeout", "20 s")  # a busy machine must not cost an answer
    return subprocess.run([program, *arguments], capture_output=True, text=True, timeout=harness.DEADLINE_S,
                          check=False)


def numbers(place):
    return {(n["type"], n["order"]): n for n in place["numbers"]}


class Tools(unittest.TestCase):
    def test_decode(self):
        wire = struct.pack(">f", 12.5)
        done = run("--json", "decode", wire.hex())
        self.assertEqual(done.returncode, 0, done.stderr)
        places = json.loads(done.stdout)
        self.assertEqual([p["raw"] for p in places], ["41 48", "00 00"])
        found = numbers(places[0])
        self.assertEqual(found["float32", "ABCD"]["value"], 12.5)
        self.assertTrue(found["float32", "ABCD"]["plausible"])
        self.assertEqual(found["float32", "BADC"]["value"],
                         struct.unpack(">f", bytes((0x48, 0x41, 0, 0)))[0])
        self.assertEqual(found["uint32", "CDAB"]["value"], 0x4148)
        self.assertEqual(found["int16", "BADC"]["value"], 0x4841)
        self.assertNotIn(("float64", "ABCD"), found)
        text = run("decode", "0x4148", "00:00").stdout
        self.assertRegex(text, r"float32 +ABCD 12\.5 \*")
        swapped = run("decode", wire[2:].hex(), wire[:2].hex()).stdout
        self.assertRegex(swapped, r"CDAB 12\.5 \*")

    def test_decode_refuses_what_is_no_register(self):
        for arguments in ([], ["4"], ["414"], ["4148", "0"], ["zz00"], ["41480"], ["00" * 252]):
            done = run("decode", *arguments)
            self.assertEqual((done.returncode, done.stdout), (2, ""), arguments)
            self.assertIn("expected 1 to 125 registers", done.stderr)

    def test_decode_string(self):
        swapped = "4e53 302d 3430 0032"
        done = run("-j", "decode", swapped, "--string", "swapped")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(json.loads(done.stdout),
                         {"raw": "4E 53 30 2D 34 30 00 32", "swapped": True, "text": "SN-0042",
                          "fault": None})
        plain = run("-j", "decode", swapped, "--string", "plain")
        self.assertEqual(plain.returncode, 1)
        answer = json.loads(plain.stdout)
        self.assertEqual((answer["text"], answer["fault"]), (None, "bytes behind a NUL"))
        person = run("decode", swapped, "--string", "plain")
        self.assertEqual(person.returncode, 1)
        self.assertIn("no text: bytes behind a NUL", person.stderr)
        self.assertEqual(run("decode", swapped, "--string", "BADC").returncode, 2)

    def test_plan(self):
        done = run("--json", "plan", "--config", MINIMAL, "alpha")
        self.assertEqual(done.returncode, 0, done.stderr)
        plan = json.loads(done.stdout)
        self.assertEqual([(r["table"], r["start"], r["count"], r["thrown_away"], r["period_s"])
                          for r in plan["requests"]],
                         [("holding", 0, 2, 0, 60), ("input", 0, 2, 0, 60)])
        self.assertAlmostEqual(plan["endpoint_load_percent"], 100 * 2 / 60)
        self.assertEqual(plan["worst_case_s"], 2)
        self.assertIn("3.3 %", run("plan", "-c", MINIMAL, "alpha").stdout)
        self.assertEqual(run("plan", "--config", MINIMAL, "beta").returncode, 1)
        self.assertEqual(run("plan", "alpha").returncode, 2)
        self.assertEqual(run("plan", "--config", "/nonexistent", "alpha").returncode, 1)

    def test_the_daemon_warns_of_a_full_endpoint(self):
        with tempfile.TemporaryDirectory() as folder:
            site = shutil.copytree(MINIMAL, os.path.join(folder, "site"))
            good = run("--config", site, "--check", program=DAEMON)
            self.assertEqual(good.returncode, 0, good.stderr)
            self.assertNotIn("warning", good.stdout)
            path = os.path.join(site, "stations", "alpha.yaml")
            with open(path, encoding="utf-8") as file:
                text = file.read()
            with open(path, "w", encoding="utf-8") as file:
                file.write(text.replace("port: 15900", "port: 15900\n  request_timeout: 25 s"))
            full = run("--config", site, "--check", program=DAEMON)
            self.assertEqual(full.returncode, 0, full.stderr)
            self.assertRegex(full.stdout, r"warning: endpoint alpha .*2 requests .* 83 %")
            with open(path, "w", encoding="utf-8") as file:
                file.write(text.replace("host: 127.0.0.1\n  port: 15900", "device: /dev/ttyUSB3"))
            serial = run("--config", site, "--check", program=DAEMON)
            self.assertRegex(serial.stdout, r"warning: endpoint alpha: /dev/ttyUSB3 may have another")
            plan = run("plan", "--config", site, "alpha")
            self.assertIn("alpha at /dev/ttyUSB3", plan.stdout)


SCENARIO = """
scenario: tools
start: 2025-01-01T00:00:00Z
maps:
  mixed:
    - {point: stage, table: holding, address: 0, type: float32, order: CDAB}
    - {point: count, table: holding, address: 2, type: uint16}
    - {point: flow, table: input, address: 7, type: float32}
    - {point: door, table: coils, address: 3, type: bit}
  inputs:
    - {point: flow, table: input, address: 7, type: float32}
stations:
  - {id: three, port: PORT, unit: 3, map: mixed, signals: {stage: 12.375, count: 7, flow: -2.5, door: 1}}
  - {id: nine, port: PORT, unit: 9, map: inputs, signals: {flow: 1}}
"""


class Device:
    """A Modbus TCP server of its own: `answers` are the registers, as bytes, of one reading after
    the other, the last one again and again; None: an exception 6 (busy)."""

    def __init__(self, *answers):
        self.answers = list(answers)
        self.listener = socket.socket()
        self.listener.bind(("127.0.0.1", 0))
        self.listener.listen()
        self.place = f"127.0.0.1:{self.listener.getsockname()[1]}"
        self.thread = threading.Thread(target=self.serve, daemon=True)

    def serve(self):
        while True:
            try:
                peer, _ = self.listener.accept()
            except OSError:
                return
            with peer:
                while request := peer.recv(12):
                    transaction, _, _, unit, function, start, count = struct.unpack(">HHHBBHH",
                                                                                    request)
                    data = self.answers[0]
                    if len(self.answers) > 1:
                        del self.answers[0]
                    pdu = bytes((function | 0x80, 6))
                    if data is not None:
                        part = data[2 * start:2 * (start + count)]
                        pdu = bytes((function, len(part))) + part
                    peer.sendall(struct.pack(">HHHB", transaction, 0, len(pdu) + 1, unit) + pdu)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        self.thread.join(10)


class OwnDevice(unittest.TestCase):
    SWAPPED = struct.pack(">6H", *struct.unpack("<6H", "Trạm-7".encode().ljust(12, b"\0")))

    def test_a_device_with_swapped_strings(self):
        with Device(self.SWAPPED) as device:
            ask = ("-j", "probe", device.place, "1", "--count", "6", "--string")
            good = run(*ask, "swapped")
            self.assertEqual(good.returncode, 0, good.stderr)
            self.assertEqual(json.loads(good.stdout)["string"]["text"], "Trạm-7")
            bad = run(*ask, "plain")
            self.assertEqual(bad.returncode, 1)
            self.assertEqual(json.loads(bad.stdout)["string"]["fault"], "no well-formed UTF-8")
            self.assertEqual(run("probe", device.place, "1", "--table", "coil", "--string",
                                 "plain").returncode, 2)

    def test_watch_marks_what_changed(self):
        first, second = struct.pack(">2H", 5, 6), struct.pack(">2H", 5, 7)
        with Device(first, first, None, second) as device:
            done = run("-j", "probe", device.place, "1", "--count", "2", "--watch=10ms",
                       "--limit", "5")
        self.assertEqual(done.returncode, 0, done.stderr)
        rounds = [json.loads(line) for line in done.stdout.splitlines()]
        self.assertEqual([r["round"] for r in rounds], [1, 2, 3, 4, 5])
        self.assertIn("exception 6", rounds[2].pop("error"))
        self.assertNotIn("registers", rounds[2])
        self.assertEqual([[p.get("changed") for p in r["registers"]]
                          for r in rounds if "registers" in r],
                         [[None, None], [False, False], [False, True], [False, False]])
        with Device(first, second) as device:
            text = run("probe", device.place, "1", "--count", "2", "--watch=10ms", "-n", "2").stdout
        marked = [line for line in text.splitlines() if line.startswith(">")]
        self.assertEqual(len(marked), 1, text)
        self.assertIn("00 07", marked[0])

    def test_watch_ends_with_its_last_round(self):
        with Device(struct.pack(">H", 1), None) as device:
            done = run("probe", device.place, "1", "--count", "1", "--watch=10ms", "-n", "2")
        self.assertEqual(done.returncode, 1)

    def test_watch_stops_cleanly(self):
        for number in (signal.SIGINT, signal.SIGTERM):
            with Device(struct.pack(">H", 1)) as device, \
                    subprocess.Popen([CTL, "-j", "probe", device.place, "1", "--count", "1",
                                      "--timeout=20s", "--watch=1h"], stdout=subprocess.PIPE, text=True) as watch:
                self.assertEqual(json.loads(watch.stdout.readline())["round"], 1)
                watch.send_signal(number)
                self.assertEqual((watch.stdout.read(), watch.wait(harness.DEADLINE_S)), ("", 0))


class OnTheWire(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        port, = harness.free_ports(1)
        cls.sim = harness.Sim(text=SCENARIO.replace("PORT", str(port)))
        cls.sim.__enter__()
        cls.place = f"127.0.0.1:{port}"

    @classmethod
    def tearDownClass(cls):
        cls.sim.__exit__(None, None, None)

    def test_probe(self):
        done = run("--json", "probe", self.place, "3", "--count", "3")
        self.assertEqual(done.returncode, 0, done.stderr)
        answer = json.loads(done.stdout)
        self.assertEqual((answer["unit"], answer["table"]), (3, "holding"))
        wire = struct.pack(">f", 12.375)
        self.assertEqual(answer["registers"][1]["raw"], wire[:2].hex(" ").upper())
        found = numbers(answer["registers"][0])
        self.assertEqual(found["float32", "CDAB"], {"type": "float32", "order": "CDAB",
                                                    "value": 12.375, "plausible": True})
        self.assertIn(7, [n["value"] for n in answer["registers"][2]["numbers"]])
        text = run("probe", self.place, "3", "--table", "input", "--from", "7", "--count", "2")
        self.assertRegex(text.stdout, r"float32 +ABCD -2\.5 \*")
        bits = json.loads(run("-j", "probe", self.place, "3", "--table", "coil", "--from", "3",
                              "--count", "1").stdout)
        self.assertEqual(bits["bits"], [{"address": 3, "value": 1}])

    def test_watch(self):
        done = run("--json", "probe", self.place, "3", "--count", "3", "--watch=10ms",
                   "--limit", "4")
        self.assertEqual(done.returncode, 0, done.stderr)
        rounds = [json.loads(line) for line in done.stdout.splitlines()]
        self.assertEqual([r["round"] for r in rounds], [1, 2, 3, 4])
        for answer in rounds:
            found = numbers(answer["registers"][0])
            self.assertEqual(found["float32", "CDAB"]["value"], 12.375)
        self.assertFalse(any(p["changed"] for p in rounds[3]["registers"]))

    def test_probe_tells_why_not(self):
        refused = run("probe", self.place, "3", "--from", "50", "--count", "1")
        self.assertEqual((refused.returncode, refused.stdout), (1, ""))
        self.assertIn("exception 2: illegal data address", refused.stderr)
        told = run("--json", "probe", self.place, "3", "--from", "50", "--count", "1")
        self.assertEqual((told.returncode, json.loads(told.stdout)),
                         (1, {"unit": 3, "error": "exception 2: illegal data address"}))
        vietnamese = run("--lang", "vi", "probe", self.place, "3", "--from", "50", "--count", "1")
        self.assertIn("ngoại lệ 2: máy không có địa chỉ này", vietnamese.stderr)
        with socket.socket() as nobody:
            nobody.bind(("127.0.0.1", 0))
            port = nobody.getsockname()[1]
            absent = run("probe", f"127.0.0.1:{port}", "1")
            self.assertEqual(absent.returncode, 1)
            self.assertIn("Connection refused", absent.stderr)
            nobody.listen()
            silent = run("probe", f"127.0.0.1:{port}", "1", "--timeout", "50ms")
            self.assertEqual(silent.returncode, 1)
            self.assertIn("no reply in time", silent.stderr)
        for wrong in (["probe", self.place], ["probe", self.place, "256"],
                      ["probe", self.place, "1", "--count", "126"],
                      ["probe", self.place, "1", "--from", "65535", "--count", "2"],
                      ["probe", self.place, "1", "--table", "coils"],
                      ["probe", self.place, "1", "--framing", "ascii"],
                      ["probe", self.place, "1", "--timeout", "1"],
                      ["probe", self.place, "1", "--string", "swap"],
                      ["probe", self.place, "1", "--watch=1ms"],
                      ["probe", self.place, "1", "--watch", "--limit", "0"],
                      ["probe", "127.0.0.1:0", "1"], ["probe", ":502", "1"],
                      ["scan"], ["scan", self.place, "--units", "5-2"],
                      ["scan", self.place, "--units", "0-256"]):
            self.assertEqual(run(*wrong).returncode, 2, wrong)

    def test_rtu_over_tcp_of_another_make(self):
        case = peers.Case()
        case.add("holding", 4, "float32", "ABCD", 21.25, unit=5)
        with peers.pymodbus(case, units=(5,), framing="rtu") as server:
            place = f"127.0.0.1:{server.port}"
            done = run("-j", "probe", place, "5", "--framing", "rtu", "--from", "4", "--count", "2")
            self.assertEqual(done.returncode, 0, done.stderr)
            found = numbers(json.loads(done.stdout)["registers"][0])
            self.assertEqual(found["float32", "ABCD"]["value"], 21.25)
            other = run("probe", place, "5", "--timeout", "200ms")  # the wrong framing
            self.assertEqual((other.returncode, other.stdout), (1, ""))

    def test_scan(self):
        done = run("--json", "scan", self.place, "--units", "1-12")
        self.assertEqual(done.returncode, 0, done.stderr)
        found = json.loads(done.stdout)
        self.assertEqual([(f["unit"], f["answer"]) for f in found],
                         [(3, "holding register 0"), (9, "exception 2: illegal data address")])
        self.assertIn("2 units answer", done.stderr)
        none = run("scan", self.place, "--units", "4-5")
        self.assertEqual((none.returncode, none.stdout), (1, ""))


if __name__ == "__main__":
    unittest.main()

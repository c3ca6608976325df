"""Serial lines over pseudo-terminals: the real acquisition against RTU units of our own making and
against libmodbus's. Values are coded with unit and address, so that one that reaches the wrong
point is seen."""
import json
import os
import struct
import subprocess
import tempfile
import threading
import unittest

import rtu_peer
from acquiring import ACQUIRE, Acquiring
from harness import BINARY, DEADLINE_S, Sim, wait_for

LIBMODBUS_SERVER = os.path.join(BINARY, "tests", "integration", "libmodbus_server")
CTL = os.path.join(BINARY, "daemon", "canhbaoctl")
TIMEOUT_MS = 20000  # a busy machine must not cost an answer
SHORT_MS = 100  # where the time limit is what is tested
MIDDLE_MS = 400  # where some replies never come whole
SCENARIO = """
scenario: line
start: 2025-01-01T00:00:00Z
maps:
  two:
    - {point: stage, table: holding, address: 0, type: float32}
    - {point: count, table: holding, address: 2, type: uint16}
stations:
  - {id: first, device: LINK, unit: 3, map: two, signals: {stage: 12.375, count: 7}}
  - {id: second, device: LINK, unit: 9, map: two, signals: {stage: 2.5, count: 8}}
FAULTS
"""


def point(unit, address):
    return f"{unit}:holding:{address}:uint16:ABCD:1:0"


class Serial(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory(prefix="canhbao-serial-")
        self.addCleanup(self.folder.cleanup)
        self.link = os.path.join(self.folder.name, "line")
        self.places = [(1, 0), (1, 3), (2, 0), (2, 7)]

    def start(self, rounds, words=(), timeout_ms=TIMEOUT_MS, places=None):
        points = [point(*place) for place in places or self.places]
        return subprocess.Popen(
            [ACQUIRE, "period=60", *words, self.link, "115200", str(rounds), str(timeout_ms),
             *points],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def endless(self, words=(), timeout_ms=TIMEOUT_MS):
        return Acquiring(["period=60", *words], (self.link, 115200), timeout_ms, [point(*p) for p in self.places])

    def readings(self, process, places=None):
        out, errors = process.communicate(timeout=DEADLINE_S)
        self.assertEqual((process.returncode, errors), (0, ""))
        return self.judge([json.loads(line) for line in out.splitlines()], places)

    def judge(self, readings, places=None):
        """No value is one of another place."""
        places = places or self.places
        self.assertEqual([r["seq"] for r in readings], list(range(1, len(readings) + 1)))
        for reading in readings:
            if reading["status"] == "ok":
                self.assertEqual(reading["value"], rtu_peer.coded(*places[reading["point"]]))
            else:
                self.assertIsNone(reading["value"])
        return readings

    def play(self, fault, rounds=6, words=(), timeout_ms=TIMEOUT_MS):
        with rtu_peer.Line(self.link, (1, 2), fault):
            return self.readings(self.start(rounds, words, timeout_ms))

    def statuses(self, readings):
        """All but slots that a busy machine left out, or that a dead unit cost."""
        return {r["status"] for r in readings} - {"skipped"}

    def test_two_units(self):
        self.assertEqual(self.statuses(self.play(None)), {"ok"})

    def test_crc_errors(self):
        def fault(line, request, reply):
            spoilt = reply[:-1] + bytes([reply[-1] ^ 1])
            line.send(spoilt if len(line.requests) % 3 == 0 else reply)
        self.assertEqual(self.statuses(self.play(fault)), {"ok", "bad_reply"})

    def test_noise(self):
        def fault(line, request, reply):
            turn = len(line.requests) % 4
            line.send(b"\x00\xff\x7f" + reply if turn == 0 else reply + b"\xaa\x55" if turn == 1
                      else os.urandom(20) if turn == 2 else reply)
        self.assertTrue({"ok", "bad_reply"} <= self.statuses(self.play(fault, 10, (), MIDDLE_MS)))

    def test_every_byte_missing_in_turn(self):
        def fault(line, request, reply):
            turn, spoilt = divmod(len(line.requests), 2)
            at = turn % len(reply)
            line.send(reply[:at] + reply[at + 1:] if spoilt else reply)
        seen = self.statuses(self.play(fault, 40, ["period=20"], SHORT_MS))
        self.assertTrue({"ok"} <= seen <= {"ok", "bad_reply", "timeout"}, seen)

    def test_dribble_in_time(self):
        def fault(line, request, reply):
            for byte in reply:
                line.send(bytes([byte]))
        self.assertEqual(self.statuses(self.play(fault)), {"ok"})

    def test_dribble_beyond_the_deadline(self):
        stop = threading.Event()

        def fault(line, request, reply):
            for byte in reply:
                line.send(bytes([byte]))
                stop.wait(0.3)
        seen = self.statuses(self.play(fault, 4, (), SHORT_MS))
        self.assertFalse("ok" in seen, seen)
        self.assertTrue("timeout" in seen)

    def test_a_late_answer_reaches_no_other_request(self):
        # Unit 1 answers its first request of three only after the deadline, with its own registers;
        # the next request to the same unit asks for the other block of the same length.
        self.places = [(1, 0), (1, 500), (2, 0), (2, 500)]
        timers = []

        def fault(line, request, reply):
            if len(line.requests) % 3 == 1:
                timers.append(threading.Timer(SHORT_MS / 1000 * 1.4, line.send, [reply]))
                timers[-1].start()
            else:
                line.send(reply)
        with rtu_peer.Line(self.link, (1, 2), fault):
            readings = self.readings(self.start(12, (), SHORT_MS))
            for timer in timers:
                timer.join()
        self.assertTrue({"ok", "timeout"} <= self.statuses(readings))

    def test_another_units_answer_is_waited_out(self):
        def fault(line, request, reply):
            other = rtu_peer.answer(rtu_peer.frame(bytes([3 - request[0]]) + request[1:6]))
            line.send(other + reply)
        self.assertEqual(self.statuses(self.play(fault)), {"ok"})

    def test_echo(self):
        def fault(line, request, reply):
            line.send(request + reply)
        self.assertEqual(self.statuses(self.play(fault, words=["echo"])), {"ok"})
        self.assertFalse("ok" in self.statuses(self.play(fault, 3, (), SHORT_MS)))

    def test_echo_that_does_not_come(self):
        seen = self.statuses(self.play(None, 3, ["echo"], MIDDLE_MS))
        self.assertTrue("bad_reply" in seen and "ok" not in seen, seen)

    def test_one_dead_unit_of_ten(self):
        """Each of the living gets its twenty values, and the dead one is asked for far less often meanwhile."""
        self.places = [(unit, 0) for unit in range(1, 11)]
        living = set(range(1, 11)) - {4}
        with rtu_peer.Line(self.link, living) as line, self.endless(["period=200"], SHORT_MS) as acquiring:
            def good():
                counts = dict.fromkeys(range(1, 11), 0)
                for reading in list(acquiring.readings):
                    counts[self.places[reading["point"]][0]] += reading["status"] == "ok"
                return counts
            wait_for(lambda: all(good()[unit] >= 20 for unit in living), "twenty values of each of the living")
            readings = self.judge(acquiring.end())
            asked = [request[0] for _, request in line.requests]
        seen = {r["status"] for r in readings if self.places[r["point"]][0] == 4}
        self.assertTrue("timeout" in seen and "ok" not in seen, seen)
        self.assertLess(3 * asked.count(4), min(asked.count(unit) for unit in living))

    def test_silent_interval(self):
        with rtu_peer.Line(self.link, (1, 2)) as line:
            self.readings(self.start(4, ["request-pause=30"]))
            times = [at for at, _ in line.requests]
        # From reply to request; the reply is sent after the request came, so this is a lower bound.
        self.assertGreaterEqual(min(b - a for a, b in zip(times, times[1:])), 0.03)

    def test_unplugged_and_back_under_another_name(self):
        with rtu_peer.Line(self.link, (1, 2)) as line, self.endless(timeout_ms=MIDDLE_MS) as acquiring:
            wait_for(lambda: len(line.requests) >= 4, "the line is asked")
            name = line.name
            keep, other = os.openpty()  # takes the old number, so that the new one differs
            line.unplug()
            line.requests.clear()
            line.plug_in()
            self.addCleanup(os.close, keep)
            self.addCleanup(os.close, other)
            self.assertNotEqual(line.name, name)
            since = len(acquiring.readings)
            wait_for(lambda: len(line.requests) >= 4, "the line is asked under its new name")
            wait_for(lambda: acquiring.statuses(since)[-8:].count("ok") == 8, "values as before")
            self.judge(acquiring.end())

    def test_no_port(self):
        seen = self.statuses(self.readings(self.start(3)))
        self.assertEqual(seen, {"no_connection"})

    def test_a_port_in_use(self):
        with rtu_peer.Line(self.link, (1, 2)) as line:
            with self.endless() as first:
                wait_for(lambda: line.requests, "the first program has the line")
                second = self.readings(self.start(3))
                self.assertEqual(self.statuses(second), {"no_connection"})
                wait_for(lambda: first.statuses(), "values of the first")
                self.assertEqual(self.statuses(self.judge(first.end())), {"ok"})

    def test_libmodbus(self):
        far = os.path.join(self.folder.name, "far")
        pair = subprocess.Popen(["socat", f"pty,rawer,link={self.link}", f"pty,rawer,link={far}"])
        registers = [f"holding:{address}:{rtu_peer.coded(1, address)}" for address in (0, 3, 65535)]
        registers += [f"holding:{300 + i}:{1000 + i}" for i in range(125)]
        try:
            wait_for(lambda: os.path.exists(self.link) and os.path.exists(far), "the pair is there")
            server = subprocess.Popen([LIBMODBUS_SERVER, far, "1", *registers],
                                      stdout=subprocess.PIPE, text=True)
            try:
                self.assertEqual(server.stdout.readline(), "ready\n")
                points = [point(1, 0), point(1, 3), point(1, 65535)]
                points += [point(1, 300 + i) for i in range(125)]
                done = subprocess.run([ACQUIRE, "period=60", self.link, "115200", "3", str(TIMEOUT_MS), *points],
                                      capture_output=True, text=True, timeout=DEADLINE_S,
                                      check=False)
            finally:
                server.kill()
                server.communicate()
        finally:
            pair.terminate()
            pair.wait()
        self.assertEqual(done.returncode, 0, done.stderr)
        expected = [rtu_peer.coded(1, a) % 65536 for a in (0, 3)]
        expected += [struct.unpack(">H", struct.pack(">I", rtu_peer.coded(1, 65535))[2:])[0]]
        expected += [1000 + i for i in range(125)]
        readings = [json.loads(line) for line in done.stdout.splitlines()]
        good = [reading for reading in readings if reading["status"] != "skipped"]
        self.assertEqual({reading["status"] for reading in good}, {"ok"})
        self.assertEqual({reading["point"] for reading in good}, set(range(len(points))))
        for reading in good:
            self.assertEqual(reading["value"], expected[reading["point"]])


class SimulatedLine(unittest.TestCase):
    """The simulator's serial lines, with the acquisition and the technician's tools."""
    VALUES = [12.375, 7, 2.5, 8]

    def setUp(self):
        self.folder = tempfile.TemporaryDirectory(prefix="canhbao-serial-")
        self.addCleanup(self.folder.cleanup)
        self.link = os.path.join(self.folder.name, "line")

    def sim(self, fault=None):
        faults = f"faults:\n  - {{station: second, {fault}}}" if fault else ""
        return Sim(text=SCENARIO.replace("LINK", self.link).replace("FAULTS", faults))

    def play(self, fault, timeout_ms):
        points = [f"{unit}:holding:{place}:1:0" for unit in (3, 9)
                  for place in ("0:float32:ABCD", "2:uint16:ABCD")]
        with self.sim(fault):
            done = subprocess.run([ACQUIRE, "period=500", self.link, "115200", "4", str(timeout_ms), *points],
                                  capture_output=True, text=True, timeout=DEADLINE_S, check=False)
        self.assertEqual(done.returncode, 0, done.stderr)
        readings = [json.loads(line) for line in done.stdout.splitlines()]
        for reading in readings:
            if reading["status"] == "ok":
                self.assertEqual(reading["value"], self.VALUES[reading["point"]])
        first = {r["status"] for r in readings if r["point"] < 2}
        self.assertTrue("ok" in first and first <= {"ok", "skipped"}, first)
        return {r["status"] for r in readings if r["point"] >= 2}

    def test_faults(self):
        for fault, expected in ((None, "ok"), ("kind: silence", "timeout"),
                                ("kind: late, delay_ms: 5000", "timeout"),
                                ("kind: wrong-unit", "timeout"), ("kind: surplus", "ok"),
                                ("kind: wrong-byte-count", "bad_reply"),
                                ("kind: exception, code: 4", "exception")):
            seen = self.play(fault, 2000 if expected == "timeout" else TIMEOUT_MS)
            self.assertTrue(expected in seen and ("ok" in seen) == (expected == "ok"),
                            f"{fault}: {seen}")

    def ctl(self, *arguments):
        return subprocess.run([CTL, *arguments], capture_output=True, text=True,
                              timeout=DEADLINE_S, check=False)

    def test_scan(self):
        with self.sim():
            done = self.ctl("--json", "--baud", "115200", "--parity", "none", "--timeout", "1 s",
                            "--units", "3-9", "scan", self.link)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual([found["unit"] for found in json.loads(done.stdout)], [3, 9])

    def test_probe(self):
        with self.sim():
            done = self.ctl("--json", "--baud", "115200", "--parity", "none", "--count", "3",
                            "probe", self.link, "9")
            refused = self.ctl("probe", self.link, "9", "--from", "100", "--baud", "115200",
                               "--parity", "none")
        self.assertEqual(done.returncode, 0, done.stderr)
        registers = json.loads(done.stdout)["registers"]
        self.assertEqual(len(registers), 3)
        self.assertIn("2.5", json.dumps(registers))
        self.assertEqual(refused.returncode, 1)
        self.assertIn("illegal data address", refused.stderr)

    def test_wrong_use(self):
        for arguments in (["scan", self.link, "--baud", "9601"], ["scan", self.link, "--parity", "x"],
                          ["scan", self.link, "--stop-bits", "3"]):
            self.assertEqual(self.ctl(*arguments).returncode, 2)
        gone = self.ctl("scan", self.link)
        self.assertEqual(gone.returncode, 1)
        self.assertIn("cannot open the port", gone.stderr)


if __name__ == "__main__":
    unittest.main()

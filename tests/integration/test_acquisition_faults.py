"""Every scripted fault of canhbao-sim as the real acquisition reports it: the status that the fault
deserves, and never a value that was not in a good reply."""
import json
import os
import subprocess
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
TIMEOUT_MS = 300
# What may stand besides: slots left out because the unit counts as dead, or because the line was
# busy waiting.
BESIDES = {"skipped"}


class Faults(unittest.TestCase):
    def play(self, fault, expected, rounds=4):
        with harness.Sim(text=SCENARIO.replace("FAULT", fault)) as sim:
            host, port, unit = sim.ports["bad"]
            self.assertEqual(unit, 1)
            done = subprocess.run([ACQUIRE, host, str(port), str(rounds), str(TIMEOUT_MS)] + POINTS,
                                  capture_output=True, text=True, timeout=90, check=False)
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
        self.play("kind: dribble, delay_ms: 100", {"timeout"})

    def test_late(self):
        self.play("kind: late, delay_ms: 450", {"timeout"})

    def test_wrong_transaction(self):
        self.play("kind: wrong-transaction", {"bad_reply"})

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


if __name__ == "__main__":
    unittest.main()

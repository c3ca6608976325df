"""Every scripted fault of canhbao-sim, seen from a bare socket, and its line in the fault log."""
import socket
import struct
import time
import unittest

import harness

HEAD = """
scenario: faults
start: 2025-01-01T00:00:00Z
maps:
  two:
    - {point: stage, table: holding, address: 0, type: float32}
    - {point: count, table: holding, address: 2, type: uint16, nan: 65535}
stations:
  - {id: good, port: 0, map: two, signals: {stage: 12.375, count: 7}}
  - {id: bad, port: 0, map: two, signals: {stage: [{noise: {sigma: 1, every: 1 ms}}], count: 7}}
faults:
"""
RIGHT = struct.pack(">HHHBBBHHH", 0x0102, 0, 9, 1, 3, 6, 0x4146, 0, 7)


def ask(connection, transaction=0x0102):
    connection.sendall(harness.request(transaction, 1, 3, 0, 3))


class Faults(unittest.TestCase):
    def play(self, fault):
        """A simulator whose station `bad` has the fault from the start, and `good` none."""
        port, = harness.free_ports(1)  # one that nobody takes while it is refused
        head = HEAD.replace("id: bad, port: 0", f"id: bad, port: {port}")
        sim = harness.Sim(text=head + "  - {station: bad, " + fault + "}\n")
        self.addCleanup(sim.__exit__, None, None, None)
        self.sim = sim
        return harness.connect(sim.ports["bad"])

    def applied(self, kind, count=1):
        harness.wait_for(
            lambda: sum(line["event"] == "applied" and line["fault"] == kind and
                        line["station"] == "bad" for line in self.sim.lines("faults")) == count,
            f"{count} lines of {kind}")
        with harness.connect(self.sim.ports["good"]) as other:  # the neighbour never suffers
            ask(other)
            self.assertEqual(harness.read_exactly(other, 15), RIGHT)

    def reply(self, fault, length):
        with self.play(fault) as connection:
            ask(connection)
            return harness.read_exactly(connection, length)

    def test_no_fault(self):
        self.assertEqual(self.reply("kind: silence, from: +1 h", 15)[:9], RIGHT[:9])
        self.assertEqual(self.sim.lines("faults"), [])

    def test_silence(self):
        with self.play("kind: silence, to: +8 s") as connection:
            ask(connection)
            self.applied("silence")
            connection.settimeout(0.3)
            with self.assertRaises(socket.timeout):
                connection.recv(1)
            connection.settimeout(harness.DEADLINE_S)
            harness.wait_for(lambda: any(line["event"] == "end"
                                         for line in self.sim.lines("faults")), "the end is logged")
            ask(connection, 0x0103)  # the swallowed request is never answered
            self.assertEqual(harness.read_exactly(connection, 15)[:2], b"\x01\x03")

    def test_dribble(self):
        with self.play("kind: dribble, delay_ms: 20") as connection:
            begin = time.monotonic()
            ask(connection)
            pieces = [harness.read_exactly(connection, 1) for _ in range(15)]
            self.assertGreaterEqual(time.monotonic() - begin, 15 * 0.02 - 0.005)
            self.assertEqual(b"".join(pieces)[:9], RIGHT[:9])
            self.applied("dribble")

    def test_late(self):
        with self.play("kind: late, delay_ms: 300") as connection:
            begin = time.monotonic()
            ask(connection)
            ask(connection, 0x0999)
            self.assertEqual(harness.read_exactly(connection, 15)[:9], RIGHT[:9])
            self.assertGreaterEqual(time.monotonic() - begin, 0.295)
            self.assertEqual(harness.read_exactly(connection, 15)[:2], b"\x09\x99")
            self.applied("late", 2)

    def test_wrong_fields(self):
        cases = {
            "wrong-transaction": struct.pack(">HHHBBB", 0x0103, 0, 9, 1, 3, 6),
            "wrong-unit": struct.pack(">HHHBBB", 0x0102, 0, 9, 2, 3, 6),
            "wrong-protocol": struct.pack(">HHHBBB", 0x0102, 1, 9, 1, 3, 6),
            "wrong-length": struct.pack(">HHHBBB", 0x0102, 0, 10, 1, 3, 6),
            "wrong-function": struct.pack(">HHHBBB", 0x0102, 0, 9, 1, 4, 6),
            "wrong-byte-count": struct.pack(">HHHBBB", 0x0102, 0, 9, 1, 3, 4),
        }
        for kind, head in cases.items():
            with self.subTest(kind):
                self.assertEqual(self.reply(f"kind: {kind}", 15)[:9], head)
                self.applied(kind)

    def test_short_by_one_register(self):
        with self.play("kind: short") as connection:
            ask(connection)
            self.assertEqual(harness.read_exactly(connection, 9),
                             struct.pack(">HHHBBB", 0x0102, 0, 7, 1, 3, 4))
            harness.read_exactly(connection, 4)
            ask(connection, 0x0555)  # the next reply follows at once: nothing was left over
            self.assertEqual(harness.read_exactly(connection, 2), b"\x05\x55")

    def test_surplus(self):
        self.assertEqual(self.reply("kind: surplus", 19)[15:], b"\xa5" * 4)
        self.applied("surplus")

    def test_exception(self):
        self.assertEqual(self.reply("kind: exception, code: 6", 9),
                         struct.pack(">HHHBBB", 0x0102, 0, 3, 1, 0x83, 6))
        self.applied("exception")

    def test_reset(self):
        with self.play("kind: reset") as connection:
            ask(connection)
            with self.assertRaises(ConnectionResetError):
                connection.recv(1)
            self.applied("reset")

    def test_fin_in_the_middle(self):
        with self.play("kind: fin") as connection:
            ask(connection)
            self.assertEqual(harness.read_exactly(connection, 7), RIGHT[:7])
            self.assertEqual(connection.recv(1), b"")
            self.applied("fin")

    def test_refuse(self):
        with self.play("kind: refuse, from: +4 s, to: +10 s") as connection:
            ask(connection)
            harness.read_exactly(connection, 15)
            with self.assertRaises(ConnectionResetError):  # open connections are cut
                connection.recv(1)
            with self.assertRaises(ConnectionRefusedError):
                harness.connect(self.sim.ports["bad"])

        def back():
            try:
                with harness.connect(self.sim.ports["bad"]) as again:
                    ask(again)
                    return harness.read_exactly(again, 15)[:9] == RIGHT[:9]
            except ConnectionRefusedError:
                return False
        harness.wait_for(back, "the port listens again")
        harness.wait_for(lambda: [line["event"] for line in self.sim.lines("faults")] == ["begin", "end"],
                         "begin and end are logged")

    def test_nan(self):
        reply = self.reply("kind: nan, point: '*'", 15)
        self.assertEqual(reply[9:], struct.pack(">HHH", 0x7FC0, 0, 65535))
        truth = self.sim.lines("truth")
        self.assertEqual([(t["value"], t["stored"], t["fault"]) for t in truth],
                         [(None, None, "nan")] * 2)

    def test_stuck(self):
        with self.play("kind: stuck, point: stage, to: +8 s") as connection:
            seen = set()
            for n in range(20):
                ask(connection, n)
                seen.add(harness.read_exactly(connection, 15)[9:13])
            self.assertEqual(len(seen), 1)

            def moves():
                ask(connection)
                return harness.read_exactly(connection, 15)[9:13] not in seen
            harness.wait_for(moves, "the value moves again after the window")

    def test_add(self):
        self.assertEqual(self.reply("kind: add, point: count, add: 40", 15)[13:], b"\x00\x2f")

    def test_share(self):
        with self.play("kind: exception, share: 0.25") as connection:
            struck = 0
            for n in range(400):
                ask(connection, n)
                head = harness.read_exactly(connection, 9)
                if head[7] == 0x83:
                    struck += 1
                else:
                    harness.read_exactly(connection, 6)
            # 400 draws with 0.25: mean 100, standard deviation 8.7; seeded, so always the same
            self.assertTrue(60 <= struck <= 140, struck)
            self.applied("exception", struck)

    def test_pattern_hits_only_what_it_names(self):
        with self.play("kind: silence, from: +1 h") as connection:
            ask(connection)
            harness.read_exactly(connection, 15)
        result = harness.run_sim("--check", self.sim.path("scenario.yaml"))
        self.assertEqual(result.returncode, 0)


if __name__ == "__main__":
    unittest.main()

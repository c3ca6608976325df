"""What canhbao-sim serves, read back with pymodbus and with sockets. Expected registers are written
by hand from the IEEE 754 and Modbus encodings (12.375 is 0x41460000)."""
import datetime
import math
import os
import struct
import tempfile
import unittest

from pymodbus.client import ModbusTcpClient

import harness


class Types(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.sim = harness.Sim(os.path.join(harness.SCENARIOS, "test", "types.yaml"))
        host, port, cls.unit = cls.sim.ports["types"]
        cls.client = ModbusTcpClient(host, port=port)
        assert cls.client.connect()

    @classmethod
    def tearDownClass(cls):
        cls.client.close()
        cls.sim.__exit__(None, None, None)

    def holding(self, address, count):
        return self.client.read_holding_registers(address, count, slave=self.unit).registers

    def test_float32_in_four_orders(self):
        self.assertEqual(self.holding(0, 8), [0x4146, 0x0000, 0x0000, 0x4146,
                                              0x4641, 0x0000, 0x0000, 0x4641])

    def test_uint32_in_four_orders(self):
        self.assertEqual(self.holding(8, 8), [0x1234, 0x5678, 0x5678, 0x1234,
                                              0x3412, 0x7856, 0x7856, 0x3412])

    def test_integers_scaled(self):
        # -2; 0x1234; 0x1234 swapped; -12.5 / 0.1 = -125; (22.5 + 40) / 0.5 = 125
        self.assertEqual(self.holding(16, 6), [0xFFFF, 0xFFFE, 0x1234, 0x3412, 0xFF83, 125])

    def test_too_large_saturates_or_wraps(self):
        self.assertEqual(self.holding(22, 2), [65535, 2])

    def test_part_of_a_value(self):
        self.assertEqual(self.holding(9, 1), [0x5678])

    def test_input_registers_and_bits(self):
        self.assertEqual(
            self.client.read_input_registers(100, 1, slave=self.unit).registers, [75])
        self.assertEqual(self.client.read_coils(3, 2, slave=self.unit).bits[:2], [True, False])
        self.assertEqual(self.client.read_discrete_inputs(0, 1, slave=self.unit).bits[0], True)

    def exception(self, unit, function, address, count):
        with harness.connect(self.sim.ports["types"]) as connection:
            connection.sendall(harness.request(0x5151, unit, function, address, count))
            reply = harness.read_exactly(connection, 9)
        self.assertEqual(reply[:8], struct.pack(">HHHBB", 0x5151, 0, 3, unit, function | 0x80))
        return reply[8]

    def test_exceptions(self):
        self.assertEqual(self.exception(7, 3, 24, 1), 2, "an address that nobody has")
        self.assertEqual(self.exception(7, 3, 20, 5), 2, "a range that runs out of the map")
        self.assertEqual(self.exception(7, 4, 0, 1), 2, "the other table")
        self.assertEqual(self.exception(7, 3, 65535, 2), 2, "beyond the last address")
        self.assertEqual(self.exception(7, 3, 0, 0), 3, "no register")
        self.assertEqual(self.exception(7, 3, 0, 126), 3, "more than a reply holds")
        self.assertEqual(self.exception(7, 6, 0, 1), 1, "a writing function")
        self.assertEqual(self.exception(8, 3, 0, 1), 0x0B, "a unit that nobody has")

    def test_pipelined_and_cut_requests_are_answered_in_order(self):
        stream = b"".join(harness.request(n, 7, 3, 18, 1) for n in range(1, 6))
        with harness.connect(self.sim.ports["types"]) as connection:
            for at in range(0, len(stream), 7):
                connection.sendall(stream[at:at + 7])
            for n in range(1, 6):
                self.assertEqual(harness.read_exactly(connection, 11),
                                 struct.pack(">HHHBBBH", n, 0, 5, 7, 3, 2, 0x1234))

    def test_what_is_no_modbus_closes_the_connection(self):
        for bad in (b"GET / HTTP/1.1\r\n\r\n", struct.pack(">HHHBB", 1, 0, 255, 7, 3)):
            with harness.connect(self.sim.ports["types"]) as connection:
                connection.sendall(bad)
                try:
                    self.assertEqual(connection.recv(1), b"")
                except ConnectionResetError:
                    pass  # closed with unread bytes: also closed


SIGNALS = """
scenario: signals
start: 2025-01-01T00:00:00Z
speed: {speed}
seed: {seed}
maps:
  all:
    - {{point: ramp, table: holding, address: 0, type: float32}}
    - {{point: step, table: holding, address: 2, type: float32}}
    - {{point: table, table: holding, address: 4, type: float32}}
    - {{point: csv, table: holding, address: 6, type: float32}}
    - {{point: sine, table: holding, address: 8, type: float32}}
    - {{point: pulse, table: holding, address: 10, type: float32}}
    - {{point: noise, table: holding, address: 12, type: float32}}
    - {{point: walk, table: holding, address: 14, type: float32}}
    - {{point: rate, table: holding, address: 16, type: float32}}
    - {{point: tips, table: holding, address: 18, type: uint32}}
    - {{point: dose, table: holding, address: 20, type: float32}}
    - {{point: clamped, table: holding, address: 22, type: float32}}
stations:
  - id: one
    port: 0
    map: all
    signals:
      ramp: [{{ramp: {{from: +1 h, to: +2 h, rise: 10}}}}]
      step: [{{step: {{at: +1 h, until: +2 h, height: 3}}}}]
      table: [{{points: [[+0 s, 1], [+2 h, 3]]}}]
      csv: [{{series: {{file: CSV, column: stage_m, interpolate: step}}}}]
      sine: [{{sine: {{amplitude: 2, period: 4 h}}}}]
      pulse: [{{pulse: {{at: +1 h, half_width: 30 min, height: 8}}}}]
      noise: [{{noise: {{sigma: 1, every: 1 min}}}}]
      walk: [{{walk: {{sigma: 1, every: 1 min, limit: 3}}}}]
      rate: [{{constant: 36}}]
      tips: [{{count: {{of: rate, per_tip_mm: 0.2, initial: 100}}}}]
      dose: [{{constant: 100}}, {{washout: {{of: rate, rise_per_mm: 6, half_life: 30 min}}}}]
      clamped: [{{constant: 5}}, {{max: 4}}, {{constant: 1}}, {{min: 7}}]
"""


class Signals(unittest.TestCase):
    """The formulas of the manual page, evaluated here on their own at the time that the truth log
    gives for each value served."""

    def served(self, seed=3, speed=3600, hours=1.2):
        """Truth log of reads over more than so many scenario hours."""
        with tempfile.NamedTemporaryFile("w", suffix=".csv", encoding="utf-8") as csv:
            csv.write("# comment\ntime,other,stage_m\n2025-01-01T00:00:00Z,0,4.5\n+1 h,0,6.25\n")
            csv.flush()
            text = SIGNALS.format(speed=speed, seed=seed).replace("CSV", csv.name)
            with harness.Sim(text=text) as sim, harness.connect(sim.ports["one"]) as connection:
                def late_enough():
                    connection.sendall(harness.request(1, 1, 3, 0, 24))
                    harness.read_exactly(connection, 9 + 48)
                    return self.hours(sim.lines("truth")[-1]) > hours
                harness.wait_for(late_enough, f"{hours} scenario hours passed")
                return sim.lines("truth")

    @staticmethod
    def hours(line):
        clock = line["time"].split("T")[1].rstrip("Z").split(":")
        return int(clock[0]) + int(clock[1]) / 60 + float(clock[2]) / 3600

    def test_formulas(self):
        lines = self.served()
        checked = set()
        for line in lines:
            t = self.hours(line)
            value = line["value"]
            rain_mm = 36.0 * t
            decay = math.log(2) / 0.5
            expected = {
                "ramp": (min(max(t - 1, 0), 1) * 10, 1e-6),
                "step": (3.0 if 1 <= t < 2 else 0.0, 0),
                "table": (1 + min(t, 2), 1e-6),
                "csv": (6.25 if t >= 1 else 4.5, 0),
                "sine": (2 * math.sin(2 * math.pi * t / 4), 1e-6),  # 1970 is a whole number of 4 h
                "pulse": (8 * 2 ** -(((t - 1) / 0.5) ** 2), 1e-6),
                "rate": (36, 0),
                "tips": (100 + rain_mm / 0.2, 1.5),  # whole tips, steps of 10 s (0.5 tips)
                "dose": (100 + 6 * 36 / decay * (1 - math.exp(-decay * t)), 1.5),
                "clamped": (7, 0),
            }.get(line["point"])
            if expected is not None:
                checked.add(line["point"])
                self.assertLessEqual(abs(value - expected[0]), expected[1], line)
        self.assertEqual(len(checked), 10)
        self.assertGreater(self.hours(lines[-1]), 1.2)

    def test_noise_is_seeded(self):
        def by_minute(lines, point):
            return {line["time"][:16]: line["value"] for line in lines if line["point"] == point}
        # Slow enough that each run reads (nearly) every minute, also where reading takes its time.
        first, again, other = (self.served(seed, 120, 0.1) for seed in (3, 3, 4))
        for point in ("noise", "walk"):
            a, b, c = by_minute(first, point), by_minute(again, point), by_minute(other, point)
            common = a.keys() & b.keys() & c.keys()
            self.assertGreater(len(common), 0)
            self.assertTrue(all(a[key] == b[key] for key in common), point)
            self.assertTrue(any(a[key] != c[key] for key in common), point)
        self.assertTrue(all(abs(v) <= 3 for v in by_minute(first, "walk").values()))


class Clock(unittest.TestCase):
    def test_start_anchor_and_speed_define_the_time(self):
        text = SIGNALS.replace("{{series: {{file: CSV, column: stage_m, interpolate: step}}}}",
                               "{{constant: 1}}").format(speed=1, seed=1)
        start = datetime.datetime(2025, 11, 18, tzinfo=datetime.timezone.utc)
        anchor = datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(minutes=1)
        options = ("--speed", "360", "--start", start.strftime("%Y-%m-%dT%H:%M:%SZ"), "--anchor",
                   anchor.strftime("%Y-%m-%dT%H:%M:%S.%fZ"))
        for _ in range(2):  # whenever it is started, it reads the same time
            with harness.Sim(text=text, options=options) as sim:
                with harness.connect(sim.ports["one"]) as connection:
                    before = datetime.datetime.now(datetime.timezone.utc)
                    connection.sendall(harness.request(1, 1, 3, 0, 2))
                    harness.read_exactly(connection, 13)
                    after = datetime.datetime.now(datetime.timezone.utc)
                read = datetime.datetime.fromisoformat(
                    sim.lines("truth")[-1]["time"].replace("Z", "+00:00"))
            slack = datetime.timedelta(seconds=360 * 0.005)  # two clocks read 5 ms apart at most
            self.assertGreaterEqual(read, start + 360 * (before - anchor) - slack)
            self.assertLessEqual(read, start + 360 * (after - anchor) + slack)


if __name__ == "__main__":
    unittest.main()

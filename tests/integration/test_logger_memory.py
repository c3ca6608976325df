"""A logger's clock, identity and memory, through the real programs: a hole in the readings is filled with the
records' own times; a crossing inside it is told once and raises nothing; a restart in the middle of a fill leaves
neither doubles nor holes; a wrong clock and a wrong device are told, and their data neither taken nor believed."""
import json
import os
import signal
import socket
import socketserver
import struct
import subprocess
import tempfile
import threading
import time
import unittest
from datetime import datetime, timezone

from daemon import CTL, DAEMON, Daemon, Site
from harness import DEADLINE_S, Sim, connect, read_exactly, request, wait_for

STATION = """id: tram
name: {{vi: Trạm thử, en: Test station}}
kind: stage
alarm_levels: {{scale: flood_alarm, unit: m, level_1: 6 m, level_2: 7 m, level_3: 8 m, source: made up}}
connection:
  host: 127.0.0.1
  port: {port}
  request_timeout: 300 ms
  reconnect_min: 50 ms
  reconnect_max: 200 ms
  probe_min: 100 ms
  probe_max: 200 ms
  string_bytes_swapped: {swapped}
identity: {{address: 80, length: 6, expected: HV-2210, period: 2 s}}
clock: {{address: 90, form: {clock_form}, utc_offset_min: 420, period: 1 s, limit: 5 s}}
memory:
  index: {index}
  index_address: 98
  address: 200
  record_registers: 6
  capacity: {capacity}
  interval: 1 s
  stamp_form: unix32
  values:
    - {{point: stage, offset: 2}}
    - {{point: tips, offset: 4}}
points:
  - id: stage
    quantity: stage
    unit: m
    period: {period}
    stale_after: 10 s
    register: {{table: holding, address: 0, type: float32}}
    quality: {{hard_min: -2 m, hard_max: 20 m}}
  - id: tips
    quantity: rain
    unit: mm
    kind: counter
    period: {period}
    stale_after: 10 s
    counter_step_max: 300 mm
    register: {{table: holding, address: 2, type: uint32, scale: 0.2}}
    quality: {{hard_min: 0 mm, hard_max: 1e6 mm}}
"""
SCENARIO = """scenario: memory
start: now
maps:
  logger:
    - {{point: stage, table: holding, address: 0, type: float32}}
    - {{point: tips, table: holding, address: 2, type: uint32, scale: 0.2}}
stations:
  - id: tram
    port: {port}
    map: logger
    signals:
      stage: [{{constant: 5}}, {{step: {{at: "{high}", until: "{low}", height: 2.5}}}}]
      tips: [{{constant: 100}}, {{ramp: {{from: "{begin}", to: "{end}", rise: 60}}}}]
    clock: {{address: 90, form: ymdhms, utc_offset_min: 420}}
    text: {{address: 80, registers: 6, text: HV-2210, swapped: true}}
    memory:
      index: next
      index_address: 98
      address: 200
      record_registers: 6
      capacity: 300
      interval: 1 s
      history: 5 min
      stamp_form: unix32
      values:
        - {{point: stage, offset: 2}}
        - {{point: tips, offset: 4}}
"""


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def text_of(seconds):
    return datetime.fromtimestamp(seconds, timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


def write_station(site, port, **more):
    values = {"port": port, "swapped": "true", "clock_form": "ymdhms", "index": "next", "capacity": 300,
              "period": "500 ms", **more}
    site.write("stations/tram.yaml", STATION.format(**values))


class Case(unittest.TestCase):
    def logger(self):
        return self.daemon.ctl("stations", "tram")[0]["logger"]

    def conditions(self):
        return {condition["class"]: condition["text"] for condition in self.daemon.ctl("status")["conditions"]}

    def newest(self, point="stage"):
        points = self.daemon.ctl("stations", "tram")[0]["points"]
        return next(entry for entry in points if entry["id"] == point)

    def late_events(self):
        return [event["alert"] for event in self.daemon.ctl("events") if event["alert"]["event"] == "late"]


class WithTheSimulator(Case):
    def scenario(self, high, low):
        # Stage 7.5 m (level 2) between high and low, whole seconds; a tip a second.
        return SCENARIO.format(port=self.port, high=text_of(high), low=text_of(low), begin=text_of(self.begin),
                               end=text_of(self.begin + 300))

    def test_a_crossing_inside_the_hole(self):
        self.port = free_port()
        self.begin = int(time.time()) - 60
        with Site({}) as site:
            write_station(site, self.port)
            self.daemon = Daemon(site.folder)
            with self.daemon:
                with Sim(text=self.scenario(self.begin + 1000, self.begin + 1001)):
                    wait_for(lambda: self.newest()["quality"] == "good", "the station is known to be the right one")
                    wait_for(lambda: self.logger()["clock"]["offset_s"] is not None, "the clock was read")
                cut = int(time.time()) + 1
                wait_for(lambda: time.time() > cut + 7, "the hole is long enough")
                with Sim(text=self.scenario(cut + 2, cut + 4)) as sim:
                    wait_for(lambda: self.logger()["memory"]["state"] == "idle"
                             and self.logger()["memory"]["records"] >= 6, "the hole is filled")
                    wait_for(lambda: self.late_events(), "the crossing is told")
                    self.assertEqual(self.newest()["value"], 5.0)
                    self.assertEqual(self.daemon.level("tram"), 0)
                    logger = self.logger()
                    self.assertLess(abs(logger["clock"]["offset_s"]), 5)
                    self.assertEqual(logger["identity"], {"state": "right", "expected": "HV-2210", "found": "HV-2210"})
                    self.assertEqual(set(logger["memory"]["refused"].values()), {0})
                    truth = {(line["time"], line["point"]): line["stored"] for line in sim.lines("truth")
                             if line.get("fault") == "memory"}
                    late = self.late_events()
                    alarms = [event["alert"]["event"] for event in self.daemon.ctl("events")]
                # Exactly one event, and nothing was raised.
                self.assertEqual([(event["late"]["level"], event["late"]["time"], event["late"]["value"])
                                  for event in late], [(2, text_of(cut + 2), 7.5)])
                self.assertNotIn("raised", alarms)
                self.assertEqual(self.daemon.stop(), 0)
                rows = self.daemon.query("select p.point, r.received_us, r.status, r.value from readings r join points p on "
                                         "p.handle = r.point where r.received_us % 1000000 = 0 order by 1, 2")
                inside = [(point, us // 1000000, value) for point, us, status, value in rows
                          if cut <= us // 1000000 < cut + 7 and status == 0]
                self.assertEqual([row[1] for row in inside if row[0] == "stage"], list(range(cut, cut + 7)))
                self.assertEqual([row[1] for row in inside if row[0] == "tips"], list(range(cut, cut + 7)))
                for point, second, value in inside:  # by the scenario, and by what the simulator says it served
                    expected = (7.5 if cut + 2 <= second < cut + 4 else 5.0) if point == "stage" else \
                        100 + (second - self.begin) * 0.2
                    self.assertAlmostEqual(value, expected, places=9)
                    self.assertAlmostEqual(value, truth[(text_of(second), point)], places=9)
                # The sum of the rain over the hole is exact: record by record, and across it.
                totals = [value for point, _, value in inside if point == "tips"]
                self.assertAlmostEqual(sum(after - before for before, after in zip(totals, totals[1:])), 6 * 0.2, places=9)


if __name__ == "__main__":
    signal.alarm(110)
    unittest.main()

"""A logger's clock, identity and memory, through the real programs: a hole in the readings is filled with the
records' own times; a crossing inside it is told once and raises nothing; a restart in the middle of a fill leaves
neither doubles nor holes; a wrong clock and a wrong device are told, and their data neither taken nor believed."""
import json
import signal
import socket
import socketserver
import struct
import subprocess
import threading
import time
import unittest
import urllib.request
from datetime import datetime, timezone

from daemon import CTL, Daemon, Site
from harness import DEADLINE_S, Sim, free_ports, read_exactly, wait_for

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
  registers_max: {registers_max}
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
    stale_after: 60 s
    register: {{table: holding, address: 0, type: float32}}
    quality: {{hard_min: -2 m, hard_max: 20 m}}
  - id: tips
    quantity: rain
    unit: mm
    kind: counter
    period: {period}
    stale_after: 60 s
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

CAPACITY = 90


def text_of(seconds):
    return datetime.fromtimestamp(seconds, timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


def write_station(site, port, **more):
    values = {"port": port, "swapped": "true", "clock_form": "ymdhms", "index": "next", "capacity": 300,
              "period": "500 ms", "registers_max": 125, **more}
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
        self.port, = free_ports(1)  # it is left and taken again
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
                # What waits for Kafka says so: late, with the record's time and numbers that rise.
                late = [(body["station"], reading["point"], reading["time"], reading["seq"]) for body in
                        (json.loads(row[0]) for row in self.daemon.query("select body from outbox order by row"))
                        for reading in body.get("readings", []) if reading.get("late")]
                self.assertEqual({entry[:3] for entry in late if text_of(cut) <= entry[2] < text_of(cut + 7)},
                                 {("tram", point, text_of(second)) for point, second, _ in inside})
                self.assertEqual([entry[3] for entry in late], sorted({entry[3] for entry in late}))
                # The sum of the rain over the hole is exact: record by record, and across it.
                totals = [value for point, _, value in inside if point == "tips"]
                self.assertAlmostEqual(sum(after - before for before, after in zip(totals, totals[1:])), 6 * 0.2, places=9)

    def test_on_a_serial_line(self):
        self.port, self.begin = 0, int(time.time()) - 60
        with Site({}) as site:
            write_station(site, 1, period="2 s")
            device = site.path("line")
            with open(site.path("stations/tram.yaml"), encoding="utf-8") as file:
                text = file.read().replace("  host: 127.0.0.1\n  port: 1\n", f"  device: {device}\n")
            site.write("stations/tram.yaml", text)
            scenario = self.scenario(self.begin, self.begin + 1).replace("    port: 0\n", f"    device: {device}\n")
            with Sim(text=scenario):
                self.daemon = Daemon(site.folder)
                with self.daemon:
                    wait_for(lambda: self.logger()["identity"]["state"] == "right", "the identity is read")
                    wait_for(lambda: self.logger()["clock"]["offset_s"] is not None, "the clock is read")
                    wait_for(lambda: self.newest()["quality"] == "good", "its readings are good")


class Device(socketserver.ThreadingTCPServer):
    """A logger whose memory the test writes: registers as in STATION, clock in UTC+7 as unix32, plain text."""
    allow_reuse_address = True
    daemon_threads = True

    def __init__(self):
        self.stage, self.tips, self.text, self.clock_offset_s = 5.0, 500, "HV-2210", 0
        self.records, self.index = [], None  # (second, stage, tips), the oldest first; a wrong index
        self.down = False
        self.blocks, self.blocks_max = 0, None  # requests for records, and how many are answered
        self.lost_every = None  # of these requests
        self.opened = set()
        super().__init__(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def cut(self):
        self.down = True
        for connection in list(self.opened):
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:  # gone already
                pass

    def registers(self, start, count):
        """None: there are none."""
        if start == 80:
            return self.text.encode().ljust(12, b"\0")[:2 * count]
        if start == 90:
            return struct.pack(">I", int(time.time() + self.clock_offset_s) + 7 * 3600)
        if start == 98:
            return struct.pack(">H", self.index if self.index is not None else len(self.records) % CAPACITY)
        if start >= 200:
            slots = [b"\0" * 12] * CAPACITY
            for number, (second, stage, tips) in enumerate(self.records):
                slots[number % CAPACITY] = struct.pack(">IfI", second + 7 * 3600, stage, tips)
            return b"".join(slots)[2 * (start - 200):2 * (start - 200 + count)]
        return struct.pack(">fI", self.stage, self.tips)[2 * start:2 * (start + count)]


class Handler(socketserver.BaseRequestHandler):
    def handle(self):
        device = self.server
        device.opened.add(self.request)
        try:
            while not device.down:
                frame = read_exactly(self.request, 12)
                transaction, _, _, unit, function, start, count = struct.unpack(">HHHBBHH", frame)
                if start >= 200 and count > 2:
                    device.blocks += 1
                    if device.blocks_max is not None and device.blocks > device.blocks_max:
                        continue
                    if device.lost_every is not None and device.blocks % device.lost_every == 0:
                        continue
                data = device.registers(start, count)
                self.request.sendall(
                    struct.pack(">HHHBBB", transaction, 0, 3 + len(data), unit, function, len(data)) + data)
        except (EOFError, ConnectionError):  # the daemon's end, or our own
            pass
        finally:
            device.opened.discard(self.request)


class WithADevice(Case):
    def setUp(self):
        self.device = Device()
        self.site = Site({})
        self.addCleanup(self.site.__exit__)
        write_station(self.site, self.device.server_address[1], swapped="false", clock_form="unix32",
                      capacity=CAPACITY, registers_max=6)
        self.daemon = Daemon(self.site.folder).start()
        self.addCleanup(self.daemon.__exit__, None, None, None)
        wait_for(lambda: self.newest()["quality"] == "good", "the station is known to be the right one")
        wait_for(lambda: self.logger()["clock"]["offset_s"] is not None, "the clock was read")

    def tearDown(self):
        self.device.shutdown()
        self.device.server_close()

    def make_hole(self, seconds):
        """Cuts the link; returns the seconds that lie inside for certain, in each of which a record is logged."""
        self.device.cut()
        first = int(time.time()) + 2
        wait_for(lambda: time.time() > first + seconds + 0.5, "the hole is long enough")
        for second in range(first, first + seconds):
            self.device.tips += 1
            self.device.records.append((second, self.device.stage + 0.01 * (second - first), self.device.tips))
        self.device.down = False
        return list(range(first, first + seconds))

    def stored(self, seconds):
        """What the store has at these seconds: {second: [(point, value), ...]}."""
        rows = self.daemon.query("select r.received_us / 1000000, p.point, r.value from readings r join points p on "
                                 "p.handle = r.point where r.received_us % 1000000 = 0 and r.status = 0 order by 1, 2")
        return {second: [(point, value) for at, point, value in rows if at == second] for second in seconds}

    def expected(self, seconds):
        known = {second: [("stage", struct.unpack(">f", struct.pack(">f", stage))[0]), ("tips", tips * 0.2)]
                 for second, stage, tips in self.device.records}
        return {second: known[second] for second in seconds}

    def test_a_restart_in_the_middle_of_a_fill(self):
        self.device.records = [(int(time.time()) - 100 + n, 1.0, 1) for n in range(60)]  # older ones
        self.device.blocks_max = 5  # of one record each, the first before the hole
        inside = self.make_hole(5)
        wait_for(lambda: inside[0] in {int(datetime.fromisoformat(row["time"].replace("Z", "+00:00")).timestamp())
                                       for row in self.daemon.ctl("readings", "tram", "stage", "--limit", "500")
                                       if "." not in row["time"]},
                 "the first record is in the store")
        self.daemon.kill()
        some = self.stored(inside)
        self.assertTrue(0 < sum(len(values) for values in some.values()) < 2 * len(inside), some)
        self.device.blocks_max = None
        self.device.index = CAPACITY  # no such slot: refused, and asked again later
        self.daemon.start()
        wait_for(lambda: self.logger()["memory"]["refused"]["wrong_index"] > 0, "a wrong index is refused")
        self.assertEqual(self.logger()["memory"]["state"], "waiting")
        self.device.index = None
        wait_for(lambda: self.logger()["memory"]["state"] == "idle", "the rest is read")
        self.assertEqual(self.logger()["memory"]["holes"], [])
        self.assertEqual(self.daemon.stop(), 0)
        self.assertEqual(self.stored(inside), self.expected(inside))
        # The numbers of the station are given once each.
        doubles = self.daemon.query("select r.seq, count(*) from readings r group by r.seq having count(*) > 1")
        self.assertEqual(doubles, [])

    def test_a_line_that_loses_requests(self):
        """The fill takes some fifty requests; each fourth of them gets no answer."""
        self.device.lost_every = 4
        inside = self.make_hole(3)
        wait_for(lambda: self.logger()["memory"]["records"] >= 3 and self.logger()["memory"]["state"] == "idle",
                 "the hole is filled")
        self.assertEqual(self.daemon.stop(), 0)
        self.assertEqual(self.stored(inside), self.expected(inside))

    def test_a_wrong_clock(self):
        self.device.clock_offset_s = 3600
        wait_for(lambda: "station-clock" in self.conditions(), "the clock is told")
        self.assertIn("off by +36", self.conditions()["station-clock"])
        inside = self.make_hole(3)
        wait_for(lambda: self.logger()["memory"]["state"] == "waiting", "the hole is seen")
        wait_for(lambda: self.newest()["quality"] == "good", "points are read as ever")
        self.assertTrue(self.logger()["clock"]["wrong"])
        self.assertAlmostEqual(self.logger()["clock"]["offset_s"], 3600, delta=5)
        with urllib.request.urlopen(f"http://{self.daemon.web()}/metrics", timeout=DEADLINE_S) as answer:
            offset = [line for line in answer.read().decode().splitlines()
                      if line.startswith('canhbao_station_clock_offset_seconds{station="tram"} 3')]
        self.assertEqual(len(offset), 1)
        self.device.clock_offset_s = -7  # a little beyond the limit, so that its stamps could lie in the hole
        wait_for(lambda: self.logger()["clock"]["offset_s"] < 0, "another wrong time")
        self.assertEqual(self.device.blocks, 0)
        self.device.clock_offset_s = 0
        wait_for(lambda: self.logger()["memory"]["state"] == "idle", "the hole is read")
        wait_for(lambda: "station-clock" not in self.conditions(), "the clock is right again")
        self.assertEqual(self.logger()["memory"]["refused"]["wrong_clock"], 3)
        self.assertEqual(self.daemon.stop(), 0)
        self.assertEqual(self.stored(inside), {second: [] for second in inside})

    def test_reloads(self):
        self.assertEqual(self.daemon.ctl("reload")["endpoints_kept"], 1)
        self.assertEqual(self.logger()["identity"]["state"], "right")  # what was found holds on
        self.assertIsNotNone(self.logger()["clock"]["offset_s"])
        with open(self.site.path("stations/tram.yaml"), encoding="utf-8") as file:
            text = file.read()
        self.site.write("stations/tram.yaml", text.replace("HV-2210", "HV-0001"))
        self.assertEqual(self.daemon.ctl("reload")["endpoints_kept"], 1)
        wait_for(lambda: self.logger()["identity"]["state"] == "wrong", "another one is expected now")
        wait_for(lambda: self.newest()["quality"] == "suspect", "its readings are suspect")
        self.device.clock_offset_s = 3600
        wait_for(lambda: "station-clock" in self.conditions(), "the clock is told")
        self.site.write("stations/tram.yaml", text[:text.index("identity:")] + text[text.index("points:"):])
        self.assertEqual(self.daemon.ctl("reload")["endpoints_kept"], 1)
        self.assertIsNone(self.logger())
        self.assertFalse({"station-clock", "station-identity"} & set(self.conditions()))
        wait_for(lambda: self.newest()["quality"] == "good", "nobody asks who it is any more")

    def swap(self, text, stage):
        """Another device is put in its place."""
        self.device.cut()
        wait_for(lambda: self.logger()["identity"]["state"] != "right", "the silence is noticed")
        self.device.text, self.device.stage, self.device.down = text, stage, False

    def test_a_wrong_device(self):
        self.device.stage = 7.5
        wait_for(lambda: self.daemon.level("tram") == 2, "an alarm")
        self.swap("HV-9999", 1.0)  # another logger, at a quiet place
        wait_for(lambda: "station-identity" in self.conditions(), "the wrong device is told")
        self.assertIn("expected 'HV-2210', found 'HV-9999'", self.conditions()["station-identity"])
        entry = wait_for(lambda: (lambda point: point if point["value"] == 1.0 and point["quality"] == "suspect"
                                  else None)(self.newest()), "its readings are suspect")
        self.assertEqual(self.logger()["identity"]["found"], "HV-9999")
        diag = subprocess.run([CTL, "--socket", self.daemon.path("control"), "--lang", "vi", "diag", "tram"],
                              capture_output=True, text=True, timeout=DEADLINE_S, check=True).stdout
        self.assertIn("SAI MÁY; phải là 'HV-2210', tìm thấy 'HV-9999'", diag)
        self.assertEqual(entry["status"], "ok")
        self.assertEqual(self.daemon.level("tram"), 2)  # what a wrong device says lowers nothing
        self.device.stage = 8.5
        wait_for(lambda: self.daemon.level("tram") == 3, "but it may raise")
        self.swap("HV-2210", 1.0)
        wait_for(lambda: self.daemon.level("tram") == 0, "the right one lowers it")
        wait_for(lambda: "station-identity" not in self.conditions(), "it is the right one again")
        # A device that has no such text at all is a wrong one too.
        self.device.text = ""
        wait_for(lambda: "no text" in self.conditions().get("station-identity", ""), "no text is told")


if __name__ == "__main__":
    signal.alarm(590)  # a wait that never ends shows where it stands
    unittest.main()

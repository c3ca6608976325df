"""What a technician does at a station, through the real programs: maintenance, hand readings, calibration with
an as-of view and its revocation, a bucket test whose tips are no rain; over SIGKILL and by an exact replay."""
import json
import os
import pty
import signal
import socketserver
import struct
import subprocess
import threading
import time
import unittest
from datetime import datetime, timezone

from daemon import CTL, REPLAY, Daemon, Site
from harness import DEADLINE_S, wait_for

STATION = """id: tram
name: {{vi: Trạm thử, en: Test station}}
kind: stage
alarm_levels: {{scale: flood_alarm, unit: m, level_1: 6 m, level_2: 7 m, level_3: 8 m, source: made up}}
connection: {{host: 127.0.0.1, port: {port}, request_timeout: 5 s}}
points:
  - id: stage
    quantity: stage
    unit: m
    period: 200 ms
    stale_after: 60 s
    register: {{table: holding, address: 0, type: float32}}
    quality: {{hard_min: -2 m, hard_max: 20 m}}
  - id: tips
    quantity: rain
    unit: mm
    kind: counter
    period: 200 ms
    stale_after: 60 s
    counter_step_max: 30 mm
    register: {{table: holding, address: 2, type: uint32, scale: 0.2}}
    quality: {{hard_min: 0 mm, hard_max: 1e6 mm}}
"""
RAIN = """id: rain
hazard: heavy_rain
text: {vi: mưa một phút, en: rain of one minute}
source: made up
scale: flood_alarm
places: {stations: [tram]}
expires_after: 6 h
indicators:
  - {name: minute, kind: accumulation, point: tips, window: 1 min, min_completeness: 0.01}
levels:
  - {level: 1, when: {indicator: minute, at_least: 5 mm}}
"""


class Device(socketserver.ThreadingTCPServer):
    """Holding registers 0-1: stage as binary32; 2-3: tips."""
    allow_reuse_address = True
    daemon_threads = True

    def __init__(self):
        self.stage, self.tips = 5.0, 1000
        super().__init__(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.serve_forever, daemon=True).start()


class Handler(socketserver.BaseRequestHandler):
    def handle(self):
        while True:
            try:
                request = self.request.recv(12)
            except ConnectionResetError:  # the daemon was killed
                return
            if len(request) < 12:
                return
            transaction, _, _, unit, function, start, count = struct.unpack(">HHHBBHH", request)
            registers = struct.pack(">fI", self.server.stage, self.server.tips)
            data = registers[2 * start:2 * (start + count)]
            self.request.sendall(struct.pack(">HHHBBB", transaction, 0, 3 + len(data), unit, function, len(data)) + data)


def now():
    return datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


class StationWork(unittest.TestCase):
    def setUp(self):
        self.device = Device()
        self.site = Site({})
        self.addCleanup(self.site.__exit__)
        self.site.write("stations/tram.yaml", STATION.format(port=self.device.server_address[1]))
        self.site.write("rules/rain.yaml", RAIN)
        self.daemon = Daemon(self.site.folder).start()
        self.addCleanup(self.daemon.__exit__, None, None, None)
        wait_for(lambda: self.value("stage") is not None, "a first reading")

    def tearDown(self):
        self.device.shutdown()
        self.device.server_close()

    def station(self):
        return self.daemon.ctl("stations", "tram")[0]

    def point(self, name):
        return next(point for point in self.station()["points"] if point["id"] == name)

    def value(self, name):
        return self.point(name)["value"]

    def stored(self, point, *options):
        """The newest stored reading that has a value: a busy machine leaves slots out."""
        return wait_for(lambda: [r for r in self.daemon.ctl("readings", "tram", point, "--limit", "100", *options)
                                 if r["value"] is not None], "a stored value")[0]

    def fails(self, code, *arguments):
        done = self.daemon.ctl(*arguments, check=False)
        self.assertEqual(done.returncode, code, (arguments, done.stdout, done.stderr))
        return done

    def test_calibration_and_its_layers(self):
        record = self.daemon.ctl("calibrate", "tram", "stage", "1", "1.1", "3", "3.5", "--instrument", "staff gauge 2",
                                 "--reason", "yearly visit")["record"]
        # Gain 1.2, offset -0.1: 5 m is 5.9 m.
        wait_for(lambda: abs(self.value("stage") - 5.9) < 1e-6, "the calibration applies")
        self.assertEqual(self.point("stage")["uncalibrated"], 5.0)
        self.assertEqual(self.point("stage")["calibration"], record)
        known = now()
        time.sleep(1.1)  # the as-of view below tells whole seconds apart
        newest = self.stored("stage")
        self.assertAlmostEqual(newest["value"], 5.9)
        self.assertEqual((newest["uncalibrated"], newest["calibration"]), (5.0, record))
        # SIGKILL: it is in force afterwards.
        self.daemon.kill()
        self.daemon.start()
        wait_for(lambda: self.value("stage") is not None and abs(self.value("stage") - 5.9) < 1e-6, "after the kill")
        self.daemon.ctl("revoke", "tram", "stage", str(record), "--reason", "wrong gauge")
        self.fails(4, "revoke", "tram", "stage", str(record), "--reason", "again")
        self.fails(4, "revoke", "tram", "stage", "999999", "--reason", "no such record")
        wait_for(lambda: self.value("stage") == 5.0, "the calibration is taken back")
        self.assertEqual(self.stored("stage")["value"], 5.0)
        as_known = self.stored("stage", "--as-of", now_after(known))
        self.assertAlmostEqual(as_known["value"], 5.9)  # before it was revoked, that is what was known
        listed = self.daemon.ctl("records", "tram")
        self.assertEqual([entry["record"] for entry in listed], [record])
        self.assertEqual(listed[0]["instrument"], "staff gauge 2")
        self.assertEqual([point["shown"] for point in listed[0]["points"]], [1, 3])
        self.assertEqual(listed[0]["revoked"]["reason"], "wrong gauge")

    def test_spots(self):
        passed = self.daemon.ctl("spot", "tram", "stage", "5.01", "--instrument", "tape")
        for arguments, text in ((["spot", "tram", "stage"], "cách dùng: canhbaoctl spot STATION POINT VALUE"),
                                (["spot", "tram", "stage", "5,0"], "phải là số thập phân viết với dấu chấm, nhận được '5,0'"),
                                (["probe", "h", "300"], "UNIT: phải là số nguyên 0 - 255, nhận được '300'"),
                                (["spot", "-x"], "một mục có trong --help, nhận được '-x'")):
            wrong = self.fails(2, "--lang", "vi", *arguments)
            self.assertIn(text, wrong.stderr)
        helped = subprocess.run([CTL, "--lang", "vi", "--help"], capture_output=True, text=True, check=True).stdout
        self.assertIn("số lần lật so với lượng nước đổ; không tính là mưa", helped)
        self.assertTrue(passed["passed"])
        self.assertAlmostEqual(passed["difference"], -0.01)
        self.assertAlmostEqual(passed["tolerance"], 0.02)
        outside = json.loads(self.fails(1, "spot", "tram", "stage", "5.5").stdout)
        self.assertFalse(outside["passed"])
        nothing = json.loads(self.fails(1, "spot", "tram", "stage", "5", "--at", "2020-01-01T00:00:00Z").stdout)
        self.assertIsNone(nothing["logged"])
        self.assertIsNone(nothing["passed"])  # neither: there is nothing to compare with
        self.assertIn("there is no station 'nobody'", self.fails(1, "watch", "nobody").stderr)
        self.fails(2, "spot", "tram", "tips", "5")  # rain has no tolerance of its own
        self.fails(1, "spot", "tram", "level", "5")
        self.fails(2, "spot", "tram", "stage", "5,5")
        self.assertEqual(len(self.daemon.ctl("records", "tram")), 3)
        below = self.daemon.ctl("spot", "tram", "stage", "-0.25", "--tolerance", "9")  # a number, no option
        self.assertAlmostEqual(below["difference"], 5.25)

    def test_bucket_test(self):
        wait_for(lambda: self.value("tips") == 200.0, "the bucket is read")
        test = subprocess.Popen(
            [CTL, "--socket", self.daemon.path("control"), "--json", "bucket-test", "tram", "tips", "--volume", "640",
             "--area", "200", "--tip", "0.2", "--instrument", "burette"], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, text=True)
        wait_for(lambda: self.station()["bucket_test"] is not None, "the test runs")
        self.device.tips += 156  # 31.2 mm of 32 mm: -2.5 %
        wait_for(lambda: abs((self.station()["bucket_test"]["counted_mm"] or 0) - 31.2) < 1e-9, "the tips are counted")
        stdout, stderr = test.communicate("\n", timeout=DEADLINE_S)
        self.assertEqual(test.returncode, 0, stderr)
        result = json.loads(stdout)
        self.assertAlmostEqual(result["poured_mm"], 32)
        self.assertAlmostEqual(result["counted_mm"], 31.2)
        self.assertAlmostEqual(result["error"], -0.025)
        self.assertAlmostEqual(result["estimated_tip_mm"], 32 / 156)
        self.assertTrue(result["passed"])
        self.assertIsNone(self.station()["bucket_test"])
        # Two tips after the test are the only rain; the raw record has the others.
        baseline = self.point("tips")["asked"]
        wait_for(lambda: self.point("tips")["asked"] > baseline, "a reading after the test")
        self.device.tips += 2
        wait_for(lambda: self.minute() is not None and abs(self.minute() - 0.4) < 1e-9, "0.4 mm of rain")
        self.assertIn(self.daemon.alarms()[("rain", "tram")]["level"]["value"], (0, None))
        values = [reading["uncalibrated"] for reading in self.daemon.ctl("readings", "tram", "tips", "--limit", "500")]
        self.assertIn(231.2, [round(value, 6) for value in values if value is not None])

    def minute(self):
        return self.daemon.alarms()[("rain", "tram")]["evidence"][0]["value"]

    def test_a_test_can_be_given_up(self):
        done = subprocess.run([CTL, "--socket", self.daemon.path("control"), "bucket-test", "tram", "tips", "--volume",
                               "100", "--area", "200", "--tip", "0.2"], stdin=subprocess.DEVNULL, capture_output=True,
                              text=True, timeout=DEADLINE_S, check=False)
        self.assertEqual(done.returncode, 1, done.stderr)
        self.assertIsNone(self.station()["bucket_test"])
        self.assertEqual(self.daemon.ctl("records", "tram"), [])

    def test_maintenance(self):
        self.fails(2, "maintenance", "on", "tram", "--for", "1 h")  # no reason
        self.fails(2, "maintenance", "on", "tram", "--reason", "visit")  # no end
        self.fails(4, "maintenance", "on", "nowhere", "--for", "1 h", "--reason", "visit")
        self.daemon.ctl("maintenance", "on", "tram", "--for", "1 h", "--reason", "visit")
        self.assertEqual(self.station()["maintenance"]["reason"], "visit")
        self.device.stage = 7.5
        wait_for(lambda: self.value("stage") == 7.5, "data are kept")
        self.assertEqual(self.point("stage")["quality"], "suspect")
        self.assertEqual(self.daemon.level("tram"), 0)
        self.daemon.ctl("maintenance", "off", "tram")
        wait_for(lambda: self.daemon.level("tram") == 2, "alarms after the work")
        self.fails(4, "maintenance", "off", "tram")
        # It ends by itself.
        self.daemon.ctl("maintenance", "on", "tram", "--for", "1 s", "--reason", "visit")
        wait_for(lambda: self.station()["maintenance"] is None, "it ends by itself")

    def test_replay_is_exact(self):
        self.daemon.ctl("calibrate", "tram", "stage", "0", "0", "1", "1.3", "--instrument", "tape", "--reason", "test")
        wait_for(lambda: self.daemon.level("tram") == 1, "6.5 m by the calibration")
        self.daemon.kill()
        self.daemon.start()
        self.assertEqual(self.daemon.stop(), 0)
        done = subprocess.run([REPLAY, self.site.folder, self.daemon.path("state")], capture_output=True, check=False)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(done.stdout.splitlines(), self.daemon.events())

    def test_a_hole_is_filled_with_original_times(self):
        rows = "time,value\n" + "".join(
            f"2020-01-01T00:{minute:02}:00Z,{7.5 if minute in (20, 21) else 5.0 if minute != 30 else ''}\n"
            for minute in range(60)) + "".join(f"2020-01-01T01:{minute:02}:00Z,5.0\n" for minute in range(60))
        self.site.write("memory.csv", rows)
        self.assertEqual(self.daemon.ctl("import", "tram", "stage", self.site.path("memory.csv"))["taken"], 120)
        late = [event["alert"] for event in self.daemon.ctl("events") if event["alert"]["event"] == "late"]
        self.assertEqual([(event["late"]["level"], event["late"]["time"], event["late"]["value"]) for event in late],
                         [(2, "2020-01-01T00:20:00Z", 7.5)])
        self.assertEqual(self.daemon.level("tram"), 0)
        wait_for(lambda: self.value("stage") == 5.0, "the newest value is of now")
        self.site.write("memory.csv", "time,value\n2020-01-01T00:00:00,5\n")
        self.fails(1, "import", "tram", "stage", self.site.path("memory.csv"))  # no zone
        self.site.write("memory.csv", "time,value\n2099-01-01T00:00:00Z,5\n")
        self.fails(4, "import", "tram", "stage", self.site.path("memory.csv"))  # not in the past

    def test_watch_fills_a_terminal(self):
        leader, follower = pty.openpty()
        watch = subprocess.Popen([CTL, "--socket", self.daemon.path("control"), "--lang", "vi", "watch", "tram"],
                                 stdin=follower, stdout=follower, stderr=follower)
        os.close(follower)
        seen = b""
        while b"stage" not in seen or "chất lượng".encode() not in seen:
            seen += os.read(leader, 4096)
        self.assertIn(b"\x1b[?1049h", seen)
        os.write(leader, b"q")
        while True:  # until the program closes its side
            try:
                piece = os.read(leader, 4096)
            except OSError:
                break
            seen += piece
        self.assertEqual(watch.wait(DEADLINE_S), 0)
        self.assertIn(b"\x1b[?1049l", seen)
        os.close(leader)
        plain = subprocess.run([CTL, "--socket", self.daemon.path("control"), "--lang", "en", "watch", "tram"],
                               capture_output=True, text=True, timeout=DEADLINE_S, check=True).stdout
        self.assertNotIn("\x1b", plain)
        self.assertIn("stage", plain)


def now_after(text):
    """The end of that second."""
    return text.replace("Z", ".999999Z")


if __name__ == "__main__":
    signal.alarm(590)  # a wait that never ends shows where it stands
    unittest.main()

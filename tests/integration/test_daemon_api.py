"""What people and programs ask of a running daemon: canhbaoctl, HTTP, roles, start and stop."""
import datetime
import json
import os
import re
import socket
import subprocess
import unittest
import urllib.error
import urllib.request

from daemon import CTL, DAEMON, Daemon, Site
from harness import DEADLINE_S, SOURCE, Sim, wait_for

SCENARIO = """scenario: api
about: one gauge above alarm level II, one below all
start: now
maps:
  stage: [{point: stage, table: holding, address: 0, type: float32}]
stations:
  - {id: high, port: 0, map: stage, signals: {stage: [{constant: 7.5}]}}
  - {id: low, port: 0, map: stage, signals: {stage: [{constant: 5.5}]}}
"""


def get(address, path):
    with urllib.request.urlopen(f"http://{address}{path}", timeout=DEADLINE_S) as answer:
        return answer.status, answer.headers["Content-Type"], answer.read().decode()


def read(path):
    with open(path, encoding="utf-8") as file:
        return file.read()


class Api(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.sim = Sim(text=SCENARIO)
        cls.site = Site(cls.sim.ports, period="200 ms")
        cls.daemon = Daemon(cls.site.folder).start()
        wait_for(lambda: cls.daemon.level("high") == 2 and cls.daemon.level("low") == 0, "both gauges are graded")

    @classmethod
    def tearDownClass(cls):
        cls.daemon.__exit__(None, None, None)
        cls.site.__exit__()
        cls.sim.__exit__(None, None, None)

    def refused(self, *arguments):
        done = self.daemon.ctl(*arguments, check=False)
        self.assertEqual(done.returncode, 4, arguments)
        return done.stderr

    def test_status_says_what_there_is(self):
        status = wait_for(lambda: [s for s in [self.daemon.ctl("status")]
                                   if "kafka-unreachable" in [c["class"] for c in s["conditions"]]],
                          "the missing broker is told")[0]
        self.assertEqual(status["status"], "Test")
        self.assertEqual(status["stations"], {"total": 2, "answering": 2, "provisional": 0})
        self.assertEqual(status["alarms"]["raised"], 1)
        text = subprocess.run([CTL, "-s", self.daemon.path("control"), "status"], capture_output=True, text=True,
                              check=True).stdout
        self.assertIn("kafka-unreachable", text)

    def test_stations_and_readings(self):
        station = wait_for(lambda: [s for s in self.daemon.ctl("stations", "high") if s["points"][0]["value"] is not None],
                           "a value")[0]
        self.assertEqual(station["state"], "answering")
        self.assertEqual(station["points"][0]["value"], 7.5)
        self.assertEqual(station["points"][0]["quality"], "good")
        def stored():
            readings = self.daemon.ctl("readings", "high", "stage", "--limit", "30")
            good = [r for r in readings if r["value"] is not None]  # a busy machine leaves slots out
            return (readings, good) if len(good) >= 3 else None
        readings, good = wait_for(stored, "three values are stored")
        self.assertEqual({r["value"] for r in good}, {7.5})
        self.assertEqual([r["seq"] for r in readings], sorted((r["seq"] for r in readings), reverse=True))
        self.assertIn("no station 'nowhere'", self.refused("stations", "nowhere"))
        page = subprocess.run([CTL, "-s", self.daemon.path("control"), "diag", "high"], capture_output=True,
                              text=True, check=True).stdout
        self.assertRegex(page, r"high \(.*\): answering\n  link +connected\n  last good reply +\d\d:\d\d ")
        self.assertRegex(page, r"  answered +[1-9]\d* \(\d+\.\d % of the requests\)\n  timeouts +0 \(0\.0 %")
        self.assertRegex(page, r"round trip, half below +\d+\.\d ms")
        self.assertIn("no point 'depth'", self.refused("readings", "high", "depth"))

    def test_acknowledge_shelve_and_the_record_of_it(self):
        self.assertIn("no alarm of rule flood at nowhere", self.refused("ack", "flood", "nowhere"))
        self.assertIn("nothing", self.refused("ack", "flood", "low"))
        revision = self.daemon.alarms()[("flood", "high")]["revision"]
        self.refused("ack", "flood", "high", "--revision", str(revision + 1))
        self.daemon.ctl("ack", "flood", "high", "--revision", str(revision), "--reason", "đã gọi")
        alarm = self.daemon.alarms()[("flood", "high")]
        self.assertEqual(alarm["annunciation"]["state"], "acknowledged")
        self.assertEqual(alarm["annunciation"]["acknowledged_level"]["value"], 2)
        self.assertTrue(alarm["annunciation"]["acknowledged_by"].startswith("unix:"))
        self.daemon.ctl("shelve", "flood", "high", "--for", "6 s", "--reason", "thử")
        self.assertEqual(self.daemon.alarms()[("flood", "high")]["override"]["state"], "shelved")
        wait_for(lambda: self.daemon.alarms()[("flood", "high")]["override"]["state"] == "none", "the shelving ends")
        kinds = [event["alert"]["event"] for event in self.daemon.ctl("events", "--limit", "100")
                 if event["alert"]["place"]["id"] == "high"]
        self.assertEqual([kind for kind in kinds if kind != "knowledge"][-3:], ["acknowledged", "shelved", "override_ended"])
        self.assertIn("24 h at most", self.refused("shelve", "flood", "high", "--for", "300 d", "--reason", "x"))

    def test_usage_errors_of_canhbaoctl(self):
        for arguments, code in ((["nonsense"], 2), ([], 2), (["ack", "flood"], 2), (["--nonsense", "status"], 2),
                                (["shelve", "a", "b", "--for", "2"], 2), (["events", "--limit", "x"], 2),
                                (["--help"], 0), (["--version"], 0)):
            done = subprocess.run([CTL, "-s", self.daemon.path("control"), *arguments], capture_output=True, check=False)
            self.assertEqual(done.returncode, code, arguments)
        done = subprocess.run([CTL, "-s", "/nonexistent", "status"], capture_output=True, text=True, check=False)
        self.assertEqual(done.returncode, 3)
        self.assertIn("no daemon answers", done.stderr)

    def test_follow_gets_each_new_event_once(self):
        follower = subprocess.Popen([CTL, "-s", self.daemon.path("control"), "--json", "events", "--follow", "--limit",
                                     "1"], stdout=subprocess.PIPE, text=True)
        try:
            last = json.loads(follower.stdout.readline())["number"]
            self.daemon.ctl("comment", "flood", "low", "--reason", "một")
            self.daemon.ctl("comment", "flood", "low", "--reason", "hai")
            new = [json.loads(follower.stdout.readline()) for _ in range(2)]
            self.assertEqual([event["number"] for event in new], [last + 1, last + 2])
            self.assertEqual([event["alert"]["comment"] for event in new], ["một", "hai"])
        finally:
            follower.kill()
            follower.communicate()

    def test_hostile_peers_of_the_control_socket(self):
        def say(data):
            with socket.socket(socket.AF_UNIX) as peer:
                peer.settimeout(DEADLINE_S)
                peer.connect(self.daemon.path("control"))
                peer.sendall(data)
                return peer.makefile("rb").readline()
        for line in (b"{}\n", b"nonsense\n", b"\xff\xfe\n", b'{"do":"ack\x00"}\n', b"[" * 4000 + b"\n", b"x" * 9000):
            answer = json.loads(say(line))
            self.assertFalse(answer["ok"], line[:20])
            self.assertTrue(answer["error"])
        idle = []
        for _ in range(40):  # more than clients_max
            peer = socket.socket(socket.AF_UNIX)
            peer.connect(self.daemon.path("control"))
            idle.append(peer)
        for peer in idle:
            peer.close()
        wait_for(lambda: self.daemon.ctl("status", check=False) and
                 isinstance(self.daemon.ctl("status", check=False), dict), "the socket serves again")

    @unittest.skipUnless(os.geteuid() == 0, "needs another user")
    def test_another_user_may_not_look(self):
        os.chmod(self.daemon.folder, 0o755)
        done = subprocess.run(["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups", CTL, "-s",
                               self.daemon.path("control"), "status"], capture_output=True, text=True, check=False)
        self.assertEqual(done.returncode, 4, done.stderr)
        self.assertIn("has the role none", done.stderr)

    def test_http(self):
        web = self.daemon.web()
        status, kind, body = get(web, "/healthz")
        self.assertEqual((status, kind), (200, "application/json"))
        self.assertEqual(json.loads(body)["state"], "ok")
        alarms = json.loads(get(web, "/api/v1/alarms")[2])
        self.assertEqual({a["place"]["id"]: a["level"]["value"] for a in alarms}, {"high": 2, "low": 0})
        self.assertTrue(all(a["level"]["scale"] == "flood_alarm" for a in alarms))
        stations = json.loads(get(web, "/api/v1/stations")[2])
        self.assertEqual([s["id"] for s in stations], ["high", "low"])
        self.assertEqual(len(json.loads(get(web, "/api/v1/stations?station=low")[2])), 1)
        self.assertEqual(len(json.loads(get(web, "/api/v1/events?limit=1")[2])), 1)
        self.assertIn("Báo động", get(web, "/")[2])
        for path, code in (("/nothing", 404), ("/api/v1/events?limit=0", 400), ("/api/v1/events?after=x", 400),
                           ("/api/v1/stations?station=nowhere", 404), ("/../etc/passwd", 404)):
            with self.assertRaises(urllib.error.HTTPError) as caught:
                get(web, path)
            self.assertEqual(caught.exception.code, code, path)
        request = urllib.request.Request(f"http://{web}/api/v1/alarms", data=b"x", method="POST")
        with self.assertRaises(urllib.error.HTTPError) as caught:
            urllib.request.urlopen(request, timeout=DEADLINE_S)
        self.assertEqual(caught.exception.code, 405)

    def test_metrics_are_prometheus_text(self):
        _, kind, body = get(self.daemon.web(), "/metrics")
        self.assertTrue(kind.startswith("text/plain; version=0.0.4"))
        families, seen = {}, set()
        for line in body.splitlines():
            if line.startswith("# TYPE "):
                name = line.split()[2]
                self.assertNotIn(name, families, "a family stands together")
                families[name] = line.split()[3]
                current = name
            elif not line.startswith("#"):
                match = re.fullmatch(r'([a-z_][a-z0-9_]*)(\{[^{}]*\})? (-?[0-9.e+-]+|NaN)', line)
                self.assertTrue(match, line)
                self.assertEqual(match[1], current, "samples stand below their family")
                self.assertNotIn((match[1], match[2]), seen)
                seen.add((match[1], match[2]))
                if families[current] == "counter":
                    self.assertTrue(current.endswith("_total"), current)
        self.assertIn(("canhbao_alarm_level", '{rule="flood",place="high",hazard="flood",scale="flood_alarm"}'), seen)


class Start(unittest.TestCase):
    def run_daemon(self, *arguments):
        return subprocess.run([DAEMON, *arguments], capture_output=True, text=True, timeout=DEADLINE_S, check=False)

    def test_check_and_print(self):
        site = os.path.join(SOURCE, "deploy", "sites", "binh-dinh")
        done = self.run_daemon("--config", site, "--check")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertRegex(done.stdout, r"(\d+) stations \(\1 provisional\)")  # the whole site is made up
        done = self.run_daemon("--config", site, "--print-config")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(self.run_daemon("--print-options").returncode, 0)

    def test_a_simulated_site_runs_only_as_an_exercise(self):
        site = os.path.join(SOURCE, "deploy", "sites", "binh-dinh")
        done = self.run_daemon("--config", site)
        self.assertEqual(done.returncode, 2)
        self.assertIn("--exercise", done.stderr)

    def test_a_bad_configuration_stops_the_start(self):
        with Site({"a": ("127.0.0.1", 1, 1)}) as site:
            site.write("rules/flood.yaml", read(site.path("rules/flood.yaml")).replace(
                "at_least: level 1, hysteresis: 0.1 m", 'at_least: "5,5 m", hysteresis: 0.1 m'))
            done = self.run_daemon("--config", site.folder)
            self.assertEqual(done.returncode, 2)
            self.assertRegex(done.stderr, r"rules/flood.yaml:\d+:\d+: .*5,5 m")

    def test_two_daemons_on_one_state(self):
        with Site({"a": ("127.0.0.1", 1, 1)}) as site, Daemon(site.folder) as first:
            second = self.run_daemon("--config", site.folder, "--state-dir", first.path("state"), "--control",
                                     first.path("control2"), "--web-port", "0", "--test")
            self.assertEqual(second.returncode, 1)
            self.assertIn("canhbao.db", second.stderr)

    def test_a_drill_waits_for_its_anchor_and_keeps_its_state_apart(self):
        anchor = (datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=2)).isoformat()
        options = ("--exercise", "--clock-scale", "100", "--clock-start", "2025-11-18T00:00:00Z", "--clock-anchor",
                   anchor.replace("+00:00", "Z"))
        with Sim(text=SCENARIO) as sim, Site(sim.ports, period="10 s", stale_after="2 h") as site, \
                Daemon(site.folder, options=options) as daemon:
            wait_for(lambda: daemon.level("high") == 2, "the gauge is graded")
            self.assertGreaterEqual(daemon.ctl("status")["started"], "2025-11-18T00:00:00")
            self.assertEqual(daemon.stop(), 0)
            first = daemon.query("select min(received_us) from readings")[0][0]
            self.assertGreaterEqual(first, 1763424000 * 1000000)
            live = self.run_daemon("--config", site.folder, "--state-dir", daemon.path("state"), "--control",
                                   daemon.path("control2"), "--web-port", "0")
            self.assertEqual(live.returncode, 1)
            self.assertIn("a run marked Exercise, this one is Actual", live.stderr)

    def test_a_rule_that_vanishes_leaves_a_tombstone_and_a_moved_threshold_is_seen(self):
        with Sim(text=SCENARIO) as sim, Site(sim.ports, period="200 ms") as site, Daemon(site.folder) as daemon:
            wait_for(lambda: daemon.level("high") == 2, "the gauge is graded")
            self.assertEqual(daemon.stop(), 0)
            text = read(site.path("stations/low.yaml"))
            site.write("stations/low.yaml", text.replace("level_1: 6 m", "level_1: 5 m"))
            os.remove(site.path("stations/high.yaml"))
            daemon.start()
            wait_for(lambda: daemon.level("low") == 1, "the lower threshold is taken")
            self.assertNotIn(("flood", "high"), daemon.alarms())
            self.assertEqual(daemon.stop(), 0)
            tombstones = daemon.query("select key from outbox where body is null")
            self.assertEqual(tombstones, [("high/flood",)])


if __name__ == "__main__":
    unittest.main()

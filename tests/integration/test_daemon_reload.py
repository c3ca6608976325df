"""A changed configuration under a running daemon: only what changed is touched, a bad one changes
nothing, what cannot be reloaded is refused by name, and decisions go on where they stood."""
import collections
import os
import signal
import subprocess
import unittest

from daemon import CTL, Daemon, Site, STATION
from harness import Sim, wait_for

SCENARIO = """
scenario: reload
start: 2025-01-01T00:00:00Z
maps:
  stage:
    - {point: stage, table: holding, address: 0, type: float32}
stations:
  - {id: high, port: 0, map: stage, signals: {stage: 7.5}}
  - {id: calm, port: 0, map: stage, signals: {stage: 1}}
  - {id: going, port: 0, map: stage, signals: {stage: 2}}
  - {id: coming, port: 0, map: stage, signals: {stage: 8.5}}
  - {id: failing, port: 0, map: stage, signals: {stage: 1}}
faults:
  - {station: failing, kind: exception, code: 4}
"""


class Reload(unittest.TestCase):
    def setUp(self):
        self.sim = self.enterContext(Sim(text=SCENARIO))
        ports = {name: place for name, place in self.sim.ports.items() if name not in ("coming", "failing")}
        self.site = self.enterContext(Site(ports, period="300 ms"))
        self.daemon = self.enterContext(Daemon(self.site.folder))
        wait_for(lambda: self.level("high") == 2, "the alarm is there")
        wait_for(lambda: all(self.newest(name) is not None for name in ports), "values come")

    def enterContext(self, manager):  # unittest has it from 3.11 on under this name
        value = manager.__enter__()
        self.addCleanup(manager.__exit__, None, None, None)
        return value

    def level(self, station):
        alarm = self.daemon.alarms().get(("flood", station))
        return alarm and alarm["level"]["value"]

    def station(self, name):
        return self.daemon.ctl("stations", name)[0]

    def newest(self, name):
        return self.station(name)["points"][0]["value"]

    def link(self, name):
        return self.station(name)["link"]

    def write_station(self, name, **changes):
        host, port, unit = self.sim.ports[name]
        options = {"id": name, "host": host, "port": port, "unit": unit, "period": "300 ms",
                   "stale_after": "60 s", "timeout": "5 s", "quality": "", **changes}
        self.site.write(f"stations/{name}.yaml", STATION.format(**options))

    def log_lines(self, event):
        return [line for line in self.daemon.log().splitlines() if event in line]

    def test_only_what_changed_is_touched(self):
        wait_for(lambda: self.link("calm")["polls"] >= 10, "some polls, so that beginning anew is seen")
        before = {name: self.link(name) for name in ("high", "calm")}
        since = self.daemon.alarms()[("flood", "high")]
        events = len(self.daemon.ctl("events"))
        self.write_station("calm", period="900 ms")
        self.write_station("coming")
        os.remove(self.site.path("stations/going.yaml"))
        result = self.daemon.ctl("reload")
        self.assertEqual((result["endpoints_kept"], result["endpoints_opened"],
                          result["endpoints_closed"], result["stations"]), (1, 2, 2, 3))
        # At once, before any new reading: the newest value is still known.
        self.assertEqual(self.newest("high"), 7.5)
        wait_for(lambda: self.level("coming") == 3, "the new station raises its alarm")
        wait_for(lambda: self.newest("calm") is not None, "the changed one is read again")
        self.assertEqual({s["id"] for s in self.daemon.ctl("stations")}, {"high", "calm", "coming"})
        calm = self.link("calm")["polls"]
        wait_for(lambda: self.link("high")["polls"] > before["high"]["polls"], "the old one goes on")
        after = self.link("high")
        self.assertEqual(after["connects"], before["high"]["connects"])
        # It began anew: at a third of the pace it cannot have more than the other had meanwhile.
        self.assertLessEqual(calm, after["polls"] - before["high"]["polls"] + 2)
        alarm = self.daemon.alarms()[("flood", "high")]
        self.assertEqual((alarm["level"], alarm["revision"]), (since["level"], since["revision"]))
        self.assertFalse(("flood", "going") in self.daemon.alarms())
        # No event but that of the new station.
        new = self.daemon.ctl("events")[events:]
        self.assertEqual({event["alert"]["place"]["id"] for event in new}, {"coming"})
        self.daemon.stop()
        self.check_sequences()
        tombstones = self.daemon.query("select key from outbox where type = "
                                       "'canhbao.alert-state.v1' and ifnull(length(body), 0) = 0")
        self.assertEqual(tombstones, [("going/flood",)])

    def check_sequences(self):
        """The numbers of each station go on without hole or double. (That the grid is kept is shown
        by unit.fleet, in virtual time.)"""
        rows = self.daemon.query("select p.station, r.seq from readings r join points p on "
                                 "p.handle = r.point order by r.seq")
        seqs = collections.defaultdict(list)
        for station, seq in rows:
            seqs[station].append(seq)
        self.assertEqual(set(seqs), {"high", "calm", "going", "coming"})
        for station, numbers in seqs.items():
            self.assertEqual(numbers, list(range(1, len(numbers) + 1)), station)

    def test_a_bad_configuration_keeps_the_old_one(self):
        polls = self.link("high")["polls"]
        self.write_station("coming", period="3,5 s")
        done = self.daemon.ctl("reload", check=False)
        self.assertEqual(done.returncode, 4)
        self.assertIn("the old one stays", done.stderr)
        self.assertIn("stations/coming.yaml:24:13", self.daemon.log())
        wait_for(lambda: self.link("high")["polls"] > polls + 2, "the old one goes on")
        self.assertEqual(self.link("high")["connects"], 1)
        self.assertEqual({s["id"] for s in self.daemon.ctl("stations")}, {"high", "calm", "going"})
        # Mended, by signal this time.
        self.write_station("coming")
        self.daemon.process.send_signal(signal.SIGHUP)
        wait_for(lambda: self.level("coming") == 3, "the mended one is taken")
        self.assertEqual(self.link("high")["connects"], 1)

    def test_a_failing_newcomer_is_diagnosed(self):
        self.write_station("failing")
        self.daemon.ctl("reload")
        codes = wait_for(lambda: self.link("failing")["exceptions_by_code"], "it fails")
        self.assertEqual(list(codes), ["4"])
        link = self.link("failing")
        self.assertEqual(sum(link["exceptions_by_code"].values()), link["exceptions"])
        text = subprocess.run([CTL, "--socket", self.daemon.path("control"), "diag", "failing"],
                              capture_output=True, text=True, check=True).stdout
        self.assertRegex(text, r"4 server device failure +\d+")

    def test_a_rule_without_its_point_keeps_the_old_one(self):
        with open(self.site.path("rules/flood.yaml"), encoding="utf-8") as file:
            rule = file.read()
        self.site.write("rules/flood.yaml", rule.replace("point: stage", "point: steam"))
        self.assertEqual(self.daemon.ctl("reload", check=False).returncode, 4)
        self.assertEqual(self.level("high"), 2)

    def test_what_cannot_be_reloaded_is_named(self):
        with open(self.site.path("canhbao.yaml"), encoding="utf-8") as file:
            text = file.read()
        self.site.write("canhbao.yaml", text.replace("id: test", "id: other").replace(
            "create_topics: true", "create_topics: false") + "store: {readings_keep: 3 d}\n")
        done = self.daemon.ctl("reload", check=False)
        self.assertEqual(done.returncode, 4)
        for name in ("site.id", "kafka.create_topics", "store.readings_keep"):
            self.assertIn(name, done.stderr)
        self.assertEqual(len(self.log_lines("reload_refused")), 1)
        self.assertEqual(self.level("high"), 2)

    def test_a_changed_rule_keeps_the_alarm(self):
        events = self.daemon.ctl("events")
        with open(self.site.path("rules/flood.yaml"), encoding="utf-8") as file:
            rule = file.read()
        self.site.write("rules/flood.yaml", rule.replace("hysteresis: 0.1 m", "hysteresis: 0.2 m"))
        result = self.daemon.ctl("reload")
        self.assertEqual((result["endpoints_kept"], result["endpoints_opened"]), (3, 0))
        self.assertEqual(self.level("high"), 2)
        polls = self.link("high")["polls"]
        wait_for(lambda: self.link("high")["polls"] > polls + 2, "readings meet the new rule")
        self.assertEqual(self.level("high"), 2)
        self.assertEqual(self.daemon.ctl("events"), events)

    def test_killed_behind_a_reload(self):
        self.write_station("coming")
        self.daemon.ctl("reload")
        wait_for(lambda: self.level("coming") == 3, "the new station's alarm")
        before = {key: a["level"]["value"] for key, a in self.daemon.alarms().items()}
        self.daemon.kill()
        self.daemon.start()
        after = {key: a["level"]["value"] for key, a in self.daemon.alarms().items()}
        self.assertEqual(after, before)


if __name__ == "__main__":
    unittest.main()

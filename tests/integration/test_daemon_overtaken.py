"""A slow run is overtaken by a newer frame: it is cancelled, the daemon says so, and what it would have said reaches no
rule. A run past its deadline: the frame is in quarantine, the level stays and ages. The model is a script."""
import json
import os
import shutil
import stat
import tempfile
import time
import unittest

from daemon import Daemon, Site
from harness import wait_for
from test_daemon_grids import AREA, EXTRA, RULE

# Stands in for canhbao-model: a frame is a text "MODE RATE TIME". What it does is written down, with its name.
FAKE = """#!/bin/sh
while [ "$1" != --in ]; do shift; done
read -r mode rate time < "$2"
note() {{ echo "$1 $(basename "$2")" >> {notes}; }}
note began "$2"
case $mode in
late) until [ -e {go} ]; do sleep 0.05; done ;;
hang) exec sleep 600 ;;
esac
note printed "$2"
echo '{{"model": "areal", "product": "radar", "reference_time": "'"$time"'", "manifest": {{}}, "manifest_sha256": "'"{hash}"'",
 "results": [{{"area": "basin", "variable": "rain_mean", "unit": "mm h-1", "window_s": 0, "lead_s": 0, "coverage": 1,
 "value": '"$rate"'}}]}}'
"""


class Overtaken(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="canhbao-overtaken-")
        self.addCleanup(shutil.rmtree, self.folder)
        self.notes_path, self.go = os.path.join(self.folder, "notes"), os.path.join(self.folder, "go")
        fake = os.path.join(self.folder, "fake")
        with open(fake, "w", encoding="utf-8") as file:
            file.write(FAKE.format(notes=self.notes_path, go=self.go, hash="0" * 64))
        os.chmod(fake, stat.S_IRWXU)
        site = Site({"silent": ("127.0.0.1", 1, 1)}, extra=EXTRA.replace("deadline: 30 s", "deadline: 10 s"))
        self.addCleanup(site.__exit__)
        site.write("areas/basin.geojson", AREA)
        site.write("rules/areal.yaml", RULE.replace("max_age: 90 min", "max_age: 25 s"))
        os.remove(site.path("rules/flood.yaml"))
        self.daemon = Daemon(site.folder, model=fake).start()
        self.addCleanup(self.daemon.__exit__, None, None, None)
        self.when = 0
        self.inbox = self.daemon.path("state/inbox/radar")
        wait_for(lambda: os.path.isdir(self.inbox), "the inbox")

    def notes(self):
        if not os.path.exists(self.notes_path):
            return []
        with open(self.notes_path, encoding="utf-8") as file:
            return file.read().splitlines()

    def drop(self, name, mode, rate):
        self.when = max(self.when + 1, int(time.time()))  # each frame is newer than the one before
        inside = os.path.join(self.inbox, "." + name)
        with open(inside, "w", encoding="utf-8") as file:
            file.write(f"{mode} {rate} {time.strftime('%Y-%m-%dT%H:%M:%SZ', time.gmtime(self.when))}\n")
        os.rename(inside, os.path.join(self.inbox, name))

    def ended(self, folder, name):
        wait_for(lambda: os.path.exists(os.path.join(self.inbox, folder, name)), f"{name} is in {folder}")

    def alarm(self):
        return self.daemon.alarms()[("areal", "basin")]

    def level(self):
        return self.alarm()["level"]["value"]

    def levels_told(self):
        """At the end: every level that was told, repetitions left out."""
        self.daemon.stop()
        levels = [json.loads(event)["level"]["value"] for event in self.daemon.events()]
        return [level for i, level in enumerate(levels) if i == 0 or level != levels[i - 1]]

    def test_a_newer_frame_does_not_wait_for_a_slow_run(self):
        self.drop("f0", "good", 8)
        wait_for(lambda: self.level() == 1, "level 1 from 8 mm/h")
        self.drop("f1", "late", 0)  # would lower it
        wait_for(lambda: "began f1" in self.notes(), "the slow run")
        self.drop("f2", "good", 25)
        wait_for(lambda: self.level() == 2, "level 2 from the newer frame")
        self.ended("done", "f1")  # history, not to blame for its run
        with open(self.go, "w", encoding="utf-8"):
            pass  # whatever is left of the slow run may go on now
        self.assertEqual(self.notes(), ["began f0", "printed f0", "began f1", "began f2", "printed f2"])
        self.assertRegex(self.daemon.log(), "the run on f1 was overtaken by f2 after [0-9]+ s and cancelled")
        wait_for(lambda: not self.daemon.ctl("status")["conditions"]
                 or "jobs-behind" not in {c["class"] for c in self.daemon.ctl("status")["conditions"]}, "the condition clears")
        self.drop("f3", "good", 26)
        self.ended("done", "f3")
        wait_for(lambda: [e["value"] for e in self.alarm()["evidence"]] == [26], "the next frame")
        self.assertEqual(self.notes()[5:], ["began f3", "printed f3"])
        self.assertEqual(self.levels_told(), [1, 2])

    def test_a_run_past_its_deadline_leaves_the_level_to_age(self):
        self.drop("f0", "good", 8)
        wait_for(lambda: self.level() == 1, "level 1 from 8 mm/h")
        self.drop("f1", "hang", 0)
        self.ended("quarantine", "f1.reason")
        wait_for(lambda: any(c["class"] == "worker-failed" and "f1: worker passed its deadline" in c["text"]
                             for c in self.daemon.ctl("status")["conditions"]), "it is said")
        self.assertEqual(self.level(), 1)
        # nothing newer: the level stays, and is no longer known to hold
        wait_for(lambda: self.alarm()["knowledge"]["state"] == "stale", "the evidence ages", 120)
        self.assertEqual((self.level(), self.alarm()["knowledge"]["cause"]), (1, "outdated_run"))
        self.drop("f2", "good", 0)
        wait_for(lambda: self.level() == 0, "a good frame lowers it")
        self.assertEqual(self.levels_told(), [1, 0])


if __name__ == "__main__":
    unittest.main()

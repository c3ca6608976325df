"""Sums over windows from radar by a product that keeps its frames: with half of the window missing the daemon raises on the
lower bound, it lowers on the whole window only, and the frames that it kept outlast a SIGKILL."""
import json
import os
import shutil
import tempfile
import time
import unittest

from daemon import Daemon, Site
from harness import wait_for
from test_daemon_grids import AREA, EXTRA, RULE, frame

STEP_S = 300
DAY = """  - id: day
    model: areal
    windows: [1 h]
    leads: [0 s]
    period: 5 min
    stale_after: 90 min
    deadline: 60 s
    keep: 2
    triggers: {products: [radar]}
    arguments:
      - "--in {frames:radar:1} --history={frames:radar:40} --areas {site:areas/basin.geojson} --newest {now}"
      - --step 5min --windows 1h --lead 0s --min-coverage 0.9
      - --state-in {?previous:state}
      - --state-out {out:state}
"""
SUM = RULE.replace("product: radar, variable: rain_mean, unit: mm h-1", "product: day, variable: rain_mean, unit: mm, window: 1 h").replace(
    "5 mm/h, hysteresis: 1 mm/h", "19 mm, hysteresis: 2 mm").replace("20 mm/h, hysteresis: 2 mm/h", "45 mm, hysteresis: 2 mm")


class DaemonWindows(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="canhbao-windows-")
        self.addCleanup(shutil.rmtree, self.folder)
        site = Site({"silent": ("127.0.0.1", 1, 1)}, extra=EXTRA + DAY)
        self.addCleanup(site.__exit__)
        site.write("areas/basin.geojson", AREA)
        site.write("rules/areal.yaml", SUM)
        os.remove(site.path("rules/flood.yaml"))
        self.daemon = Daemon(site.folder).start()
        self.addCleanup(self.daemon.__exit__, None, None, None)
        self.inbox = self.daemon.path("state/inbox/radar")
        wait_for(lambda: os.path.isdir(self.inbox), "the inbox")
        self.start = int(time.time()) // STEP_S * STEP_S - 17 * STEP_S  # the last frame is of now

    def newest_run(self):
        folder = self.daemon.path("state/products/day")
        runs = sorted(name for name in (os.listdir(folder) if os.path.isdir(folder) else []) if name.startswith("2"))
        path = os.path.join(folder, runs[-1], "output.json") if runs else ""
        if not os.path.exists(path):
            return None
        with open(path, encoding="utf-8") as file:
            return json.load(file)

    def drop(self, slot, rate):
        """A frame, and the sum of the window that ends with it."""
        when = self.start + STEP_S * slot
        name = f"f{slot:02}.nc"
        frame(os.path.join(self.inbox, "." + name), when, rate)
        os.rename(os.path.join(self.inbox, "." + name), os.path.join(self.inbox, name))
        stamp = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(when))

        def done():
            output = self.newest_run()
            return output if output is not None and output["reference_time"] == stamp else None

        output = wait_for(done, f"the run of {name}", 60)
        return next(r for r in output["results"] if (r["variable"], r["window_s"]) == ("rain_mean", 3600)), output["manifest"]

    def alarm(self):
        return self.daemon.alarms()[("areal", "basin")]

    def test_a_lower_bound_raises_and_a_whole_window_lowers(self):
        for slot in range(4):
            row, _ = self.drop(slot, 60.0)
            self.assertIsNone(row["value"])
            self.assertAlmostEqual(row["at_least"], 5.0 * (slot + 1), places=6)
        wait_for(lambda: self.alarm()["level"]["value"] == 1, "level 1 on 20 mm that fell for sure")
        evidence = self.alarm()["evidence"][0]
        self.assertTrue(evidence["lower_bound"])
        self.assertAlmostEqual(evidence["value"], 20.0, places=6)
        self.assertEqual(self.alarm()["knowledge"]["cause"], "incomplete_window")
        self.daemon.kill()
        self.daemon.start()
        wait_for(lambda: self.alarm()["level"]["value"] == 1, "the level after the restart")
        # two slots are missing for good: 8 of 12 frames at the end of the window
        for slot in range(6, 12):
            row, manifest = self.drop(slot, 0.0)
            self.assertIsNone(row["value"])
            self.assertAlmostEqual(row["at_least"], 20.0, places=6)
        self.assertEqual(len(manifest["inputs"]), 10)
        self.assertEqual(manifest["left_out"], [])  # the state of before fits
        self.assertEqual(self.alarm()["level"]["value"], 1)
        # the dry frames push the gap out of the window: nothing is missing then, and nothing fell
        for slot in range(12, 17):
            row, _ = self.drop(slot, 0.0)
        self.assertAlmostEqual(row["value"], 0.0, places=6)
        wait_for(lambda: self.alarm()["level"]["value"] == 0, "a whole window lowers")


if __name__ == "__main__":
    unittest.main()

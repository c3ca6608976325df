"""`areal --state-in/--state-out`: frames that a run has kept are not decoded again, and what it says is byte for byte
what it says without; a state that does not fit is named and changes nothing."""
import json
import os
import re
import shutil
import sys
import tempfile
import unittest

import netCDF4
import numpy

from test_daemon_grids import AREA, frame
from test_nowcast_inputs import MODEL, run

START, STEP_S, COUNT = 1763424000, 600, 30


class ArealState(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.path = lambda name: os.path.join(folder.name, name)
        with open(self.path("areas.geojson"), "w", encoding="utf-8") as file:
            file.write(AREA)
        chance = numpy.random.default_rng(5)
        for i in range(COUNT):
            frame(self.path(f"f{i:02}.nc"), START + STEP_S * i, 0.0)
            with netCDF4.Dataset(self.path(f"f{i:02}.nc"), "a") as data:
                rain = data["rainfall_rate"]
                rain.set_auto_maskandscale(False)
                rain[:] = numpy.where(chance.random(rain.shape) < 0.05, -32768, chance.integers(0, 3000, rain.shape))

    def areal(self, newest, *options, missing=()):
        """The frames up to `newest`, as the daemon names them: the newest is one of the history."""
        words = ["--in", self.path(f"f{newest:02}.nc")]
        for i in range(newest + 1):
            if i not in missing:
                words += ["--history", self.path(f"f{i:02}.nc")]
        done = run("areal", *words, "--areas", self.path("areas.geojson"), "--step", "10min", "--windows", "1h,3h",
                   "--lead", "20min", "--forecast", "nowcast", "--members", "3", *options)
        self.assertEqual(done.returncode, 0, done.stderr)
        kept = re.search(r"(\d+) frames were kept", done.stderr)
        return done.stdout, int(kept.group(1)) if kept else None

    def test_the_same_with_and_without(self):
        whole, kept = self.areal(COUNT - 2, "--state-out", self.path("s0"))
        self.assertIsNone(kept)
        self.assertEqual(whole, self.areal(COUNT - 2)[0])
        again, kept = self.areal(COUNT - 1, "--state-in", self.path("s0"), "--state-out", self.path("s1"))
        self.assertEqual(kept, 17)  # a slot each of 3 h, but for the newest
        self.assertEqual(again, self.areal(COUNT - 1)[0])
        # a hole in the windows is one with the state too
        some, kept = self.areal(COUNT - 1, "--state-in", self.path("s1"), missing=(25,))
        self.assertEqual((some, kept), (self.areal(COUNT - 1, missing=(25,))[0], 16))
        # as the daemon runs it: only the newest frame is read, and the state's folder is the run's own
        os.mkdir(self.path("run"))
        shutil.copy(self.path("s0"), self.path("run/before"))
        reads = [word for i in range(COUNT) for word in ("--read", self.path(f"f{i:02}.nc"))]
        words = ["--in", self.path(f"f{COUNT - 1:02}.nc")]
        for i in range(COUNT):
            words += ["--history", self.path(f"f{i:02}.nc")]
        done = run("--cage", self.path("run"), *reads, "--read", self.path("areas.geojson"), "areal", *words, "--areas",
                   self.path("areas.geojson"), "--step", "10min", "--windows", "1h,3h", "--lead", "20min", "--forecast",
                   "nowcast", "--members", "3", "--state-in", self.path("run/before"), "--state-out", self.path("run/after"))
        self.assertEqual((done.returncode, done.stdout), (0, again), done.stderr)
        with open(self.path("run/after"), "rb") as after, open(self.path("s1"), "rb") as wanted:
            self.assertEqual(after.read(), wanted.read())

    def test_more_files_than_the_cage_lets_be_open(self):
        """A day of ten-minute frames: they are opened one by one."""
        names = [self.path(f"g{i:03}.nc") for i in range(145)]
        for i, name in enumerate(names):
            os.symlink(self.path(f"f{i % (COUNT - 1):02}.nc"), name)  # times repeat: left out, but opened
        os.mkdir(self.path("run"))
        reads = [word for name in names + [self.path("areas.geojson")] for word in ("--read", name)]
        done = run("--cage", self.path("run"), *reads, "--read", self.path(f"f{COUNT - 1:02}.nc"), "areal",
                   "--in", self.path(f"f{COUNT - 1:02}.nc"), *(f"--history={name}" for name in names), "--areas", self.path("areas.geojson"), "--step", "10min",
                   "--windows", "3h", "--lead", "0s", "--quiet")
        self.assertEqual(done.returncode, 0, done.stderr)
        output = json.loads(done.stdout)
        self.assertEqual(len(output["manifest"]["inputs"]), COUNT)
        self.assertTrue(all("is repeated" in text for text in output["manifest"]["left_out"]))
        self.assertEqual(len(output["manifest"]["left_out"]), 145 - (COUNT - 1))

    def test_what_does_not_fit_is_named(self):
        self.areal(COUNT - 2, "--state-out", self.path("s0"))
        plain = json.loads(self.areal(COUNT - 1)[0])
        shutil.copy(self.path("s0"), self.path("other"))
        with open(self.path("s0"), "rb") as file:
            content = file.read()
        with open(self.path("cut"), "wb") as file:
            file.write(content[:-100])
        other = AREA.replace("108.8", "108.7")
        for name, says in (("cut", "does not match its hash"), ("nothing", "No such file"), ("f00.nc", "of this version")):
            output = json.loads(self.areal(COUNT - 1, "--state-in", self.path(name))[0])
            self.assertEqual(output["results"], plain["results"])
            self.assertEqual([says in text and name in text for text in output["manifest"]["left_out"]], [True])
        # a frame that was written anew is read anew
        frame(self.path("f20.nc"), START + STEP_S * 20, 50.0)
        changed, kept = self.areal(COUNT - 1, "--state-in", self.path("s0"))
        self.assertEqual((changed, kept), (self.areal(COUNT - 1)[0], 16))
        self.assertNotEqual(json.loads(changed)["results"], plain["results"])
        with open(self.path("areas.geojson"), "w", encoding="utf-8") as file:
            file.write(other)
        output = json.loads(self.areal(COUNT - 1, "--state-in", self.path("other"))[0])
        self.assertIn("of other areas", output["manifest"]["left_out"][0])

    def test_gaps_are_a_lower_bound_and_no_smaller_sum(self):
        """20 mm/h in 12 of the 18 frames of 3 h: 40 mm for sure, the sum itself unknown."""
        for i in range(COUNT):
            frame(self.path(f"f{i:02}.nc"), START + STEP_S * i, 20.0)
        for options in ((), ("--state-in", self.path("s"))):
            text, _ = self.areal(COUNT - 1, "--min-coverage", "0.9", "--state-out", self.path("s"), *options,
                                 missing=(15, 16, 17, 18, 19, 20))
            rows = {(r["variable"], r["window_s"], r["lead_s"], r.get("probability")): r for r in json.loads(text)["results"]}
            for variable in ("rain_mean", "rain_max"):
                row = rows[(variable, 10800, 0, None)]
                self.assertIsNone(row["value"])
                self.assertAlmostEqual(row["at_least"], 40.0, places=9)
                self.assertAlmostEqual(row["coverage"], 12 / 18, places=9)
                self.assertIn("coverage 0.667 below 0.900", row["cause"])
                whole = rows[(variable, 3600, 0, None)]
                self.assertAlmostEqual(whole["value"], 20.0, places=9)
                self.assertNotIn("at_least", whole)
        done = run("areal", "--in", self.path("f00.nc"), "--areas", self.path("areas.geojson"), "--worker", "--state-out", "x")
        self.assertEqual(done.returncode, 2)
        self.assertIn("no state", done.stderr)


if __name__ == "__main__":
    if not os.path.exists(MODEL):
        sys.exit(f"no {MODEL}: set CANHBAO_BINARY_DIR")
    unittest.main()

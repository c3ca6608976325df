"""Flash-flood guidance and landslide indicators run from rain as it comes (flashflood, slopes): states that continue as
if there had been one run, the same bits with any number of threads, ratios and classes computed again here, members and
probabilities, and what is missing, stale or broken."""
import glob
import os
import shutil
import subprocess
import tempfile
import unittest

import netCDF4
import numpy

import cells
from cells import COLUMNS, LAT, LON, ROWS, T0, WEST, field, flashflood, read, results, slopes


class Cells(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="canhbao-cells-")
        self.addCleanup(shutil.rmtree, self.folder)
        cells.areas(self.path("areas.geojson"))
        self.classes = cells.terrain(self.folder)
        self.random = numpy.random.default_rng(20251118)

    def path(self, name):
        return os.path.join(self.folder, name)

    def frames(self, hours, rate=lambda t: 4.0, step=600, lost=(), first=1):
        """One file each `step` seconds; rate(seconds since T0) times a pattern that does not change."""
        pattern = 0.5 + self.random.random((ROWS, COLUMNS))
        names = []
        for i in range(first, hours * 3600 // step + 1):
            if i * step in lost:
                continue
            names.append(f"r{i:05d}.nc")
            field(self.path(names[-1]), "rainfall_rate", (rate(i * step) * pattern)[None], [T0 + i * step])
        self.pattern = pattern
        return names

    def good(self, done, out="out.json"):
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        return results(self.path(out))


class FlashFlood(Cells):
    def ensemble(self, name, reference, rates, hours=2, step=600):
        times = [reference + step * (k + 1) for k in range(hours * 3600 // step)]
        values = numpy.stack([numpy.full((len(times), ROWS, COLUMNS), r) for r in rates])
        field(self.path(name), "rainfall_rate", values, times)

    def test_a_state_goes_on_as_one_run_would(self):
        frames = self.frames(14, lambda t: 3.0 if t < 36000 else 25.0)
        end = T0 + 14 * 3600
        self.ensemble("now.nc", end, [1.0, 20.0, 60.0])
        field(self.path("nwp.nc"), "rainfall_rate", numpy.full((24, ROWS, COLUMNS), 5.0),
              [end + 3600 * (k + 1) for k in range(24)])
        ahead = ["--nowcast", "now.nc", "--nwp", "nwp.nc", "--rain-log-sigma", "0.5"]
        whole, _ = self.good(flashflood(self.folder, end, frames, *ahead, "--out", "out.json", "--nc", "whole.nc"))
        for threads in ("2", "4"):
            again, _ = self.good(flashflood(self.folder, end, frames, *ahead, "--out", "out.json", "--threads",
                                            threads))
            self.assertEqual(again, whole)
        state = []
        for upto in (40, 41, 66, len(frames) - 3, len(frames)):  # also within a step and within an hour
            when = T0 + 600 * upto
            done = flashflood(self.folder, when, frames[max(0, upto - 45):upto], *ahead, *state, "--out", "out.json",
                              "--state-out", f"s{upto}.nc", "--nc", "parts.nc")
            parts, output = self.good(done)
            state = ["--state-in", f"s{upto}.nc"]
            for hours in (1, 3, 6):
                known = parts["west", "ffg_ratio", hours, 0, None]["value"] is not None
                self.assertEqual(known, upto >= 36 + 6 * hours, (upto, hours))  # 6 h of rain, then the window
        self.assertEqual(output["manifest"]["left_out"], [])
        self.assertEqual(parts, whole)
        for name in ("discharge_median", "probability_above_threshold", "ffg_3h", "ffg_ratio_6h", "soil_saturation"):
            numpy.testing.assert_array_equal(read(self.path("parts.nc"), name), read(self.path("whole.nc"), name))

    def test_guidance_and_ratio_are_those_of_the_model_by_hand(self):
        frames = self.frames(12, lambda t: 5.0 if t <= 11 * 3600 else 30.0)
        rows, _ = self.good(flashflood(self.folder, T0 + 12 * 3600, frames, "--out", "out.json"))
        _, _ = self.good(flashflood(self.folder, T0 + 11 * 3600, frames[:66], "--out", "o.json", "--nc", "before.nc"),
                         "o.json")
        # The program that runs whole series, from the same rain in half hours.
        half = [T0 + 1800 * (k + 1) for k in range(24)]
        rain = numpy.stack([self.pattern * (5.0 if t <= T0 + 11 * 3600 else 30.0) for t in half])
        field(self.path("forcing.nc"), "rain", rain, half)
        with netCDF4.Dataset(self.path("forcing.nc"), "a") as file:
            variable = file.createVariable("pet", "f8", ("time", "lat", "lon"))
            variable.units = "mm h-1"
            variable[:] = 3.0 / 24
        with open(self.path("outlets.csv"), "w", encoding="utf-8") as file:
            file.write(f"id,x,y\nmouth,{LON[4]},{LAT[-1]}\n")
        subprocess.run([cells.MODEL, "crest-grid", "--static", "terrain.nc", "--forcing", "forcing.nc", "--outlets",
                        "outlets.csv", "--wm", "120", "--b", "0.3", "--im", "0.1", "--ke", "1", "--fc", "4", "--step-h",
                        "0.5", "--nc", "hand.nc", "--threshold-unit", "3", "--guidance-at", cells.rfc(T0 + 11 * 3600),
                        "--out", "q.csv"], cwd=self.folder, check=True, capture_output=True)
        guidance = {}
        for hours in (1, 3, 6):
            guidance[hours] = read(self.path("before.nc"), f"ffg_{hours}h")
            hand = read(self.path("hand.nc"), f"ffg_{hours}h")
            hand = numpy.where(numpy.isnan(hand) & ~numpy.isnan(guidance[hours]), 300.0, hand)
            numpy.testing.assert_allclose(guidance[hours], hand, rtol=1e-4)
        ratio = 30.0 * self.pattern / numpy.maximum(guidance[1], 1)
        inside = ~numpy.isnan(ratio)
        for area, where in (("west", WEST), ("east", ~WEST)):
            row = rows[area, "ffg_ratio", 1, 0, None]
            self.assertAlmostEqual(row["value"] / ratio[:, where][inside[:, where]].max(), 1, places=4)
            share = (ratio[:, where][inside[:, where]] >= 1).mean()
            self.assertAlmostEqual(rows[area, "ffg_share", 1, 0, None]["value"], share, places=6)
            self.assertEqual(row["coverage"], 1)

    def test_members_give_probabilities_and_floors_stand_beside(self):
        frames = self.frames(12, lambda t: 2.0)
        end = T0 + 12 * 3600
        self.ensemble("now.nc", end, [0.0, 0.0, 0.0, 0.0, 120.0], hours=24)
        rows, output = self.good(flashflood(self.folder, end, frames, "--nowcast", "now.nc", "--out", "out.json",
                                            "--nc", "g.nc"))
        peak = {p: rows["east", "peak_unit_streamflow", 6, 6, p]["value"] for p in (0.2, 0.5, 0.8)}
        self.assertGreater(peak[0.2], 20)  # 120 mm/h are 33 m3/s/km2: one of five members
        self.assertLess(peak[0.5], 2)
        self.assertEqual(peak[0.5], peak[0.8])
        floors = [rows["east", "peak_unit_streamflow_" + name, 6, 6, None]["value"]
                  for name in ("zero_rain", "persistence")]
        self.assertAlmostEqual(floors[0], peak[0.5])
        self.assertLessEqual(floors[0], floors[1])
        self.assertGreaterEqual(rows["east", "ffg_ratio", 3, 3, 0.2]["value"], 1)
        self.assertLess(rows["east", "ffg_ratio", 3, 3, 0.5]["value"], 1)
        above = read(self.path("g.nc"), "probability_above_threshold")
        self.assertEqual(set(numpy.unique(above[5][~numpy.isnan(above[5])])), {numpy.float32(0.2)})
        self.assertEqual(output["details"]["members"], 5)
        worst = {a["area"]: a["worst"] for a in output["details"]["areas"]}
        self.assertTrue(cells.AREAS["east"][0] < worst["east"]["longitude_deg"] < cells.AREAS["east"][2])
        # Without a forecast nothing is foreseen but the floors.
        rows, _ = self.good(flashflood(self.folder, end, frames, "--out", "out.json"))
        row = rows["east", "peak_unit_streamflow", 6, 6, 0.5]
        self.assertEqual((row["value"], row["cause"]), (None, "no rain forecast"))
        self.assertAlmostEqual(rows["east", "peak_unit_streamflow_zero_rain", 6, 6, None]["value"], floors[0])

    def test_missing_rain_is_unknown_then_known_again(self):
        lost = range(9 * 3600 + 600, 11 * 3600, 600)
        frames = self.frames(20, lambda t: 12.0, lost=lost)
        rows, output = self.good(flashflood(self.folder, T0 + 11 * 3600, [f for f in frames if f <= "r00066.nc"],
                                            "--out", "out.json", "--state-out", "s.nc"))
        for variable in ("unit_streamflow", "ffg_ratio", "ffg_min"):
            row = [r for key, r in rows.items() if key[:2] == ("west", variable) and key[3] == 0][0]
            self.assertIsNone(row["value"], variable)
            self.assertIn("not known", row["cause"])
        self.assertIn("rain was missing, cells are unknown", output["details"]["warnings"])
        rows, _ = self.good(flashflood(self.folder, T0 + 20 * 3600, [f for f in frames if f > "r00066.nc"], "--out",
                                       "out.json", "--state-in", "s.nc"))
        self.assertIsNotNone(rows["west", "unit_streamflow", 0, 0, None]["value"])
        self.assertIsNotNone(rows["west", "ffg_ratio", 1, 0, None]["value"])
        # One lost frame is bridged by the next.
        for name in glob.glob(self.path("r*.nc")):
            os.remove(name)
        frames = self.frames(11, lambda t: 12.0, lost=[10 * 3600 + 600])
        rows, _ = self.good(flashflood(self.folder, T0 + 11 * 3600, frames, "--out", "out.json"))
        self.assertIsNotNone(rows["west", "unit_streamflow", 0, 0, None]["value"])

    def test_late_frames_still_count(self):
        frames = self.frames(14, lambda t: 12.0)
        late = ["r00076.nc", "r00077.nc", "r00078.nc", "r00079.nc"]  # of 12:40 to 13:10
        whole, _ = self.good(flashflood(self.folder, T0 + 14 * 3600, frames, "--out", "out.json"))
        rows, _ = self.good(flashflood(self.folder, T0 + 13 * 3600 + 1800,
                                       [f for f in frames if f <= "r00081.nc" and f not in late], "--out", "out.json",
                                       "--state-out", "s.nc"))
        self.assertIsNone(rows["west", "unit_streamflow", 0, 0, None]["value"])
        rows, _ = self.good(flashflood(self.folder, T0 + 14 * 3600, frames[-30:], "--state-in", "s.nc", "--out",
                                       "out.json"))
        self.assertEqual(rows, whole)

    def test_refusals(self):
        frames = self.frames(2)
        for words, code, says in ((["--evaporation", "1,2"], 2, ""),
                                  (["--step-min", "7"], 3, "does not divide an hour"),
                                  (["--product", "no id"], 2, "--product"),
                                  (["--state-in", "nothing.nc"], 1, "nothing.nc")):
            done = flashflood(self.folder, T0 + 7200, frames, "--out", "out.json", *words)
            self.assertEqual(done.returncode, code, done.stderr)
            self.assertTrue(says in done.stderr or code == 2, done.stderr)
        done = flashflood(self.folder, T0 + 7200 + 3700, frames, "--out", "out.json")
        self.assertEqual(done.returncode, 3)
        self.assertIn("61 min before the run", done.stderr)
        self.assertFalse(os.path.exists(self.path("out.json")))
        with open(self.path("bad.nc"), "wb") as file:
            file.write(b"CDF" + bytes(100))
        _, output = self.good(flashflood(self.folder, T0 + 7200, ["bad.nc"] + frames, "--nowcast", "bad.nc", "--out",
                                         "out.json", "--state-in", "bad.nc"))
        self.assertEqual(len(output["manifest"]["left_out"]), 3)
        done = flashflood(self.folder, T0 + 7200, ["bad.nc"], "--out", "out.json")
        self.assertEqual(done.returncode, 3)
        self.assertIn("no rain frame", done.stderr)

    def test_a_new_forecast_without_a_new_frame(self):
        frames = self.frames(12, lambda t: 2.0)
        end = T0 + 12 * 3600
        self.good(flashflood(self.folder, end, frames, "--out", "out.json", "--state-out", "s.nc"))
        self.ensemble("now.nc", end, [50.0], hours=24)
        rows, output = self.good(flashflood(self.folder, end + 1800, frames[-30:], "--state-in", "s.nc", "--nowcast",
                                            "now.nc", "--out", "out.json"))
        self.assertEqual(output["reference_time"], cells.rfc(end))
        self.assertGreater(rows["west", "peak_unit_streamflow", 6, 6, 0.5]["value"], 8)


def article_46(susceptibility, hourly):
    """Zone KV4, by hand from the clauses: (level, may be higher) of what is known; a class counts from its lower
    bounds on. hourly: the newest last."""
    def day(back):
        window = hourly[len(hourly) - back - 24:len(hourly) - back]
        return numpy.nansum(window), len(window) < 24 or bool(numpy.isnan(window).any())

    rain, open_ = day(0)
    days = 0
    while True:
        known, missing = day(24 * (days + 1)) if 24 * (days + 2) <= len(hourly) else (0.0, True)
        if known < 0.1:
            open_ = open_ or missing
            break
        days += 1
    level = 0
    if susceptibility >= 3 and rain >= 100 and days >= 1:
        level = 1
    if susceptibility == 4 and rain > 200 and days > 2:
        level = 2
    if susceptibility == 2 and rain > 400 and days > 2:
        level = 1
    if susceptibility >= 3 and rain > 400 and days > 2:
        level = 2
    return level, open_


class Slopes(Cells):
    def history(self, hours, rate):
        """Hourly frames of the days before T0: rate(hour) over the pattern 1."""
        times = [T0 - 3600 * (hours - 1 - k) for k in range(hours)]
        values = numpy.stack([numpy.full((ROWS, COLUMNS), rate(k)) for k in range(hours)])
        field(self.path("history.nc"), "rainfall_rate", values, times)

    def test_classes_are_those_of_the_clauses(self):
        dry_h, hours = 24, 24 * 8
        self.history(hours, lambda k: 0.0 if k < 60 + dry_h else 0.7)
        frames = self.frames(18, lambda t: 16.0 if t > 3 * 3600 else 0.0, step=3600)
        end = T0 + 18 * 3600
        times = [end + 3600 * (k + 1) for k in range(24)]
        values = numpy.stack([numpy.full((24, ROWS, COLUMNS), r) for r in (0.0, 0.0, 12.0, 30.0)])
        field(self.path("nwp.nc"), "rainfall_rate", values, times)
        rows, output = self.good(slopes(self.folder, end, frames, "--history", "history.nc", "--nwp", "nwp.nc",
                                        "--hold-min", "60", "--out", "out.json", "--nc", "g.nc"))
        self.assertEqual(output["reference_time"], cells.rfc(end))
        before = numpy.concatenate([numpy.where(numpy.arange(hours) < 60 + dry_h, 0.0, 0.7),
                                    numpy.where(numpy.arange(1, 19) > 3, 16.0, 0.0)])
        scale = numpy.concatenate([numpy.zeros(hours), numpy.ones(18)])
        for lead, members in ((0, [0.0]), (6, (0.0, 0.0, 12.0, 30.0)), (24, (0.0, 0.0, 12.0, 30.0))):
            levels = numpy.zeros((len(members), ROWS, COLUMNS), int)
            for m, rate in enumerate(members):
                for r in range(ROWS):
                    for c in range(COLUMNS):
                        fallen = numpy.where(scale > 0, before * self.pattern[r, c], before).astype("f4").astype("f8")
                        series = numpy.concatenate([fallen, numpy.full(lead, rate)])
                        levels[m, r, c], open_ = article_46(self.classes[r, c], series)
                        self.assertFalse(open_)
            for level in (1, 2, 3):
                for area, where in (("west", WEST), ("east", ~WEST)):
                    share = sorted((levels[:, :, where] >= level).mean(axis=(1, 2)), reverse=True)
                    any_cell = (levels[:, :, where] >= level).any(axis=(1, 2)).mean()
                    row = rows[area, f"probability_level_{level}", 0, lead, None]
                    self.assertAlmostEqual(row["value"], any_cell, msg=str((area, level, lead)))
                    if lead == 0:
                        self.assertAlmostEqual(rows[area, f"share_level_{level}", 0, 0, None]["value"], share[0])
                    else:
                        self.assertAlmostEqual(rows[area, f"share_level_{level}", 0, lead, 0.5]["value"], share[1])
            if lead == 0:
                self.assertTrue((levels == 1).any() and (levels == 2).any() and (levels == 0).any())
                numpy.testing.assert_array_equal(read(self.path("g.nc"), "article_46_level"), levels[0])

    def test_a_state_goes_on_as_one_run_would(self):
        frames = self.frames(30, lambda t: 9.0 if t > 20 * 3600 else 0.5)
        end = T0 + 30 * 3600
        self.history(72, lambda k: 0.3)
        whole, _ = self.good(slopes(self.folder, end, frames, "--history", "history.nc", "--out", "out.json"))
        state = ["--history", "history.nc"]
        for upto in (61, 62, 120, len(frames)):
            parts, output = self.good(slopes(self.folder, T0 + 600 * upto, frames[max(0, upto - 70):upto], *state,
                                             "--out", "out.json", "--state-out", f"s{upto}.nc"))
            state = ["--history", "history.nc", "--state-in", f"s{upto}.nc"]
        self.assertEqual(parts, whole)
        self.assertEqual(output["manifest"]["left_out"], [])
        self.assertIsNone(parts["west", "probability_level_1", 0, 24, None]["value"])  # no forecast

    def test_missing_rain_confirms_and_never_clears(self):
        lost = range(24 * 3600 + 600, 27 * 3600, 600)
        frames = self.frames(28, lambda t: 6.0, lost=lost)
        self.history(96, lambda k: 0.0 if k < 24 else 0.5)
        rows, _ = self.good(slopes(self.folder, T0 + 28 * 3600, frames, "--history", "history.nc", "--out", "out.json"))
        # Cells of class 3 and 4 have more than 100 mm even without the missing hours.
        self.assertEqual(rows["west", "probability_level_1", 0, 0, None]["value"], 1.0)
        row = rows["west", "probability_level_2", 0, 0, None]
        self.assertIsNone(row["value"])
        self.assertLess(row["coverage"], 0.8)
        # There is no class 3 in the zone, however much has fallen.
        self.assertEqual(rows["west", "probability_level_3", 0, 0, None]["value"], 0.0)

    def test_refusals(self):
        frames = self.frames(3)
        done = slopes(self.folder, T0 + 3 * 3600 + 91 * 60, frames, "--out", "out.json")
        self.assertEqual(done.returncode, 3)
        self.assertIn("91 min before the run", done.stderr)
        for words, code in ((["--api-factor", "2"], 2), (["--state-in", "nothing.nc"], 1)):
            self.assertEqual(slopes(self.folder, T0 + 3 * 3600, frames, "--out", "out.json", *words).returncode, code)
        field(self.path("susceptibility.nc"), "susceptibility", numpy.full((ROWS, COLUMNS), 5.0), units="1")
        done = slopes(self.folder, T0 + 3 * 3600, frames, "--out", "out.json")
        self.assertEqual(done.returncode, 3)
        self.assertIn("class 5; 1 to 4 expected", done.stderr)


if __name__ == "__main__":
    unittest.main()

"""canhbao-model washout by hand on a synthetic series: columns, units, what is refused."""
import csv
import math
import os
import random
import subprocess
import tempfile
import unittest

from daemon import MODEL

HEADER = "time,dose_rate_nSv_h,rain_mm_h\n"


def series(excess=lambda minute, rain: 0.0, rain=lambda minute: 0.0, minutes=2160, scale=1.0, dose="dose_rate_nSv_h"):
    noise = random.Random(7)
    lines = [f"time,{dose},rain_mm_h\n"]
    for i in range(minutes):
        mm_h = rain(i)
        text = "" if mm_h is None else f"{mm_h:.2f}"
        lines.append(f"2025-11-{18 + i // 1440:02d}T{i // 60 % 24:02d}:{i % 60:02d}:00Z,"
                     f"{scale * (80 + excess(i, mm_h) + noise.gauss(0, 2)):.4f},{text}\n")
    return "".join(lines)


class Washout(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory(prefix="canhbao-washout-")
        self.addCleanup(self.folder.cleanup)

    def run_model(self, text, *options):
        path, out = (os.path.join(self.folder.name, name) for name in ("series.csv", "out.csv"))
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        if os.path.exists(out):
            os.remove(out)
        done = subprocess.run([MODEL, "washout", "--series", path, "--out", out, *options], capture_output=True,
                              text=True, timeout=60, check=False)
        if done.returncode != 0:
            self.assertFalse(os.path.exists(out))
            return done
        with open(out, encoding="utf-8") as file:
            return list(csv.DictReader(file))

    def test_rain_is_no_alarm_and_an_added_step_is(self):
        left = [0.0]

        def natural(minute, rain):
            share = 2 ** (-1 / 35)
            left[0] = left[0] * share + 12 * math.sqrt(rain) * (1 - share)
            return left[0]

        shower = lambda minute: 16.0 if 1500 <= minute < 1560 else 0.0
        rows = self.run_model(series(natural, shower))
        self.assertEqual([r["alarm"] for r in rows if r["alarm"] == "1"], [])
        self.assertTrue(any(r["state"] == "rain" and r["why"] == "rain explains the rise" for r in rows))
        self.assertEqual(rows[0]["alarm"], "")  # no baseline yet: not known, and not 0
        left[0] = 0.0
        rows = self.run_model(series(lambda m, r: natural(m, r) + (100 if m >= 1530 else 0), shower))
        self.assertEqual(next(i for i, r in enumerate(rows) if r["alarm"] == "1"), 1530)
        self.assertTrue(all(r["alarm"] == "1" for r in rows[1530:]))

    def test_units(self):
        rise = lambda minute, rain: 100 if minute >= 2000 else 0
        nano = self.run_model(series(rise))
        micro = self.run_model(series(rise, scale=1e-3, dose="dose_rate_uSv_h"))
        self.assertEqual([r["alarm"] for r in nano], [r["alarm"] for r in micro])
        for text, says in ((series(scale=1e-3), "uSv/h"), (series(dose="dose_rate"), "dose_rate_nSv_h"),
                           (series(dose="dose_rate_mSv_h"), "dose_rate_nSv_h"),
                           (series().replace(HEADER, "time,dose_rate_nSv_h,dose_nSv_h\n"), "not both"),
                           (HEADER + "2025-11-18T00:00:00Z,80,0\n2025-11-18T00:00:00Z,80,0\n", "time"),
                           (HEADER + "2025-11-18T00:00:00Z,\"80,5\",0\n2025-11-18T00:01:00Z,80,0\n", "80,5"),
                           (HEADER + "2025-11-18T00:00:00Z,80,0\n", "two rows")):
            done = self.run_model(text)
            self.assertNotIsInstance(done, list, says)
            self.assertEqual(done.returncode, 3, done.stderr)
            self.assertIn(says, done.stderr)

    def test_missing_stays_missing(self):
        text = series(rain=lambda minute: None if minute > 1500 else 0.0).splitlines(keepends=True)
        text[2001] = text[2001].split(",")[0] + ",,\n"
        rows = self.run_model("".join(text))
        self.assertEqual((rows[2000]["alarm"], rows[2000]["state"], rows[2000]["residual_nSv_h"]), ("", "unknown", ""))
        self.assertEqual(rows[1999]["washout_nSv_h"], "")
        self.assertEqual(rows[1400]["state"], "normal")


if __name__ == "__main__":
    unittest.main()

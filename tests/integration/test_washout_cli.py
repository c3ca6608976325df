"""canhbao-model washout by hand on a synthetic series: columns, units, what is refused."""
import csv
import json
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
                              text=True, timeout=240, check=False)
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

    @staticmethod
    def puff(minute):
        """A cloud that passes in a shower and leaves a deposit that falls like radon progeny."""
        return 0.0 if minute < 1520 else 60 * min((minute - 1520) / 20, 1) * 2 ** (-max(minute - 1540, 0) / 35)

    def test_neighbours_downwind(self):
        """What falls like radon progeny after rain is held back, but not when a neighbour downwind rises too."""
        shower = lambda minute: 1.0 if 1500 <= minute < 1530 else 0.0
        lines = series(lambda minute, rain: self.puff(minute), shower).splitlines()
        why = {}
        for told in ("", "0", "1"):
            rows = self.run_model("\n".join([lines[0] + ",neighbours_up"] + [f"{line},{told}" for line in lines[1:]]) + "\n")
            why[told] = {r["why"] for r in rows[1590:1630]}
        self.assertEqual(why[""], why["0"])
        self.assertIn("falls as radon progeny do", why["0"])
        self.assertEqual(why["1"], {"neighbours rise too"})

    def live(self, neighbour_up, neighbours=None):
        noise = random.Random(3)
        stamp = lambda i: f"2025-11-{18 + i // 1440:02d}T{i // 60 % 24:02d}:{i % 60:02d}:00Z"
        minutes = range(1600)
        rows = [f"{stamp(i)},a,dose_rate,{80 + self.puff(i) + noise.gauss(0, 2):.3f},nSv/h,1" for i in minutes]
        rows += [f"{stamp(i)},a,rate,{1.0 if 1500 <= i < 1530 else 0.0},mm/h,1" for i in minutes]
        rows += [f"{stamp(i)},b,dose_rate,{90 + (60 if neighbour_up and i >= 1540 else 0) + noise.gauss(0, 2):.3f},nSv/h,1" for i in minutes]
        rows += [f"{stamp(i)},b,rate,0.0,mm/h,1" for i in minutes]
        rows += [f"{stamp(i)},met,from,265,degree,1" for i in range(1400, 1600, 10)]
        rows += [f"{stamp(i)},met,speed,6,m/s,1" for i in range(1400, 1600, 10)]
        path, out, near = (os.path.join(self.folder.name, name) for name in ("long.csv", "out.json", "near.json"))
        with open(path, "w", encoding="utf-8") as file:
            file.write("time,station,point,value,unit,flag\n" + "\n".join(rows) + "\n")
        with open(near, "w", encoding="utf-8") as file:
            json.dump(neighbours, file)
        done = subprocess.run([MODEL, "washout", "--product", "washout", "--reference", stamp(1599), "--series", path, "--out", out]
                              + (["--neighbours", near] if neighbours else []), capture_output=True, text=True, timeout=240, check=False)
        if done.returncode != 0:
            return done.returncode, done.stderr
        with open(out, encoding="utf-8") as file:
            told = json.load(file)
        count = {r["area"]: r["value"] for r in told["results"] if r["variable"] == "dose_neighbours"}
        return {s["station"]: (s["state"], s["why"]) for s in told["stations"]}, count

    def test_neighbours_of_a_site(self):
        near = {"kind": "dose-neighbours", "version": 1, "fan_deg": 45, "reach_km": 60,
                "wind": {"station": "met", "speed_point": "speed", "direction_point": "from"},
                "stations": [{"id": "a", "latitude_deg": 13.8, "longitude_deg": 109.0}, {"id": "b", "latitude_deg": 13.8, "longitude_deg": 109.2}]}
        self.assertEqual(self.live(True)[1], {"a": None, "b": None})  # not asked: not known
        states, count = self.live(False, near)
        self.assertEqual((states["a"][0], count["a"]), ("rain", 0))
        states, count = self.live(True, near)
        self.assertEqual((states["a"][0], count["a"]), ("alarm", 1))
        self.assertEqual((states["b"][0], count["b"]), ("alarm", None))  # nobody is downwind of it
        for key, value in (("fan_deg", "45"), ("reach_m", 60), ("stations", [{"id": "a"}]), ("kind", "release-site")):
            code, text = self.live(True, dict(near, **{key: value}))
            self.assertEqual(code, 3, text)
            self.assertIn("near.json", text)

    def test_missing_stays_missing(self):
        text = series(rain=lambda minute: None if minute > 1500 else 0.0).splitlines(keepends=True)
        text[2001] = text[2001].split(",")[0] + ",,\n"
        rows = self.run_model("".join(text))
        self.assertEqual((rows[2000]["alarm"], rows[2000]["state"], rows[2000]["residual_nSv_h"]), ("", "unknown", ""))
        self.assertEqual(rows[1999]["washout_nSv_h"], "")
        self.assertEqual(rows[1400]["state"], "normal")


if __name__ == "__main__":
    unittest.main()

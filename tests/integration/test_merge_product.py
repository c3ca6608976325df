"""canhbao-model merge as the daemon runs it: gauges out of its export, radar frames if there are fresh ones."""
import json
import os
import subprocess
import tempfile
import unittest

import netCDF4
import numpy

from harness import BINARY
from test_daemon_grids import frame

MODEL = os.path.join(BINARY, "models", "canhbao-model")
NOW_S = 1763449200  # 2025-11-18T07:00:00Z
NOW = "2025-11-18T07:00:00Z"
PLACES = {"a": (14.213, 108.213), "b": (14.413, 108.613), "c": (14.713, 108.413),
          "d": (14.313, 108.813), "e": (14.813, 108.813)}
RATES = {"a": 4.0, "b": 8.0, "c": 6.0, "d": 2.0, "e": 5.0}


def clock(seconds):
    return str(numpy.datetime64(seconds, "s")) + "Z"


class MergeProduct(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = folder.name
        self.site()

    def path(self, name):
        return os.path.join(self.folder, name)

    def write(self, name, text):
        with open(self.path(name), "w", encoding="utf-8") as file:
            file.write(text)

    def site(self, **more):
        gauges = [{"id": k, "latitude_deg": lat, "longitude_deg": lon} for k, (lat, lon) in PLACES.items()]
        self.write("site.json", json.dumps({"kind": "rain-gauges", "version": 1, "area": "basin", "point": "tips",
                                            "gauges": gauges, **more}))

    def series(self, change=lambda station, minute, value: (value, 1), unit="mm"):
        """Counters read each 5 min over two hours, at 100 mm and more."""
        rows = ["time,station,point,value,unit,flag,status"]
        for station, rate in RATES.items():
            for minute in range(-120, 1, 5):
                value, flag = change(station, minute, 100 + rate * (minute + 120) / 60)
                if flag is not None:
                    rows.append(f"{clock(NOW_S + 60 * minute)},{station},tips,{value},{unit},{flag},ok")
        self.write("series.csv", "\n".join(rows) + "\n")

    def frames(self, *minutes, rate=5.0):
        paths = []
        for minute in minutes:
            paths.append(self.path(f"f{1000 + minute}.nc"))
            frame(paths[-1], NOW_S + 60 * minute, rate)
        return ["--frames", *paths]

    def run_model(self, *options, code=0):
        done = subprocess.run([MODEL, "merge", "--product", "rain", "--series", self.path("series.csv"), "--site",
                               self.path("site.json"), "--reference", NOW, "--nc", self.path("out.nc"), "--out",
                               self.path("out.json"), *options],
                              capture_output=True, text=True, timeout=60, check=False)
        self.assertEqual(done.returncode, code, done.stderr)
        if code != 0:
            return done.stderr
        with open(self.path("out.json"), encoding="utf-8") as file:
            output = json.load(file)
        values = {r["variable"]: r["value"] for r in output["results"]}
        self.assertEqual({r["area"] for r in output["results"]}, {"basin"})
        self.assertTrue(all(r["value"] is not None or r["cause"] for r in output["results"]))
        return output, values

    def field(self):
        with netCDF4.Dataset(self.path("out.nc")) as data:
            return data["rainfall_rate"][:], data["rain_quality"][:], data["x"][:], data["y"][:]

    def check_gauges_met(self, used):
        rain, _, x, y = self.field()
        for name in used:
            lat, lon = PLACES[name]
            self.assertAlmostEqual(float(rain[numpy.abs(y - lat).argmin(), numpy.abs(x - lon).argmin()]), RATES[name],
                                   places=4)

    def test_radar_and_gauges(self):
        self.series()
        output, values = self.run_model(*self.frames(*range(-60, 1, 10)))
        self.assertEqual((values["radar_used"], values["gauges_used"], values["left_out_count"]), (1, 5, 5))
        self.assertEqual((output["merge"]["rests_on"], output["merge"]["method"], output["merge"]["left_out"]),
                         ("radar_and_gauges", "conditional", []))
        self.assertAlmostEqual(values["radar_mae"], 1.6, places=5)  # |4-5|, |8-5|, |6-5|, |2-5|, |5-5|
        errors = numpy.array([g["estimate_mm_h"] - RATES[g["id"]] for g in output["merge"]["gauges"]])
        self.assertAlmostEqual(values["left_out_rmse"], float(numpy.sqrt((errors ** 2).mean())), places=9)
        self.check_gauges_met(RATES)
        self.assertEqual(set(self.field()[1].compressed().tolist()), {0, 1})  # far from every gauge the radar alone
        self.assertEqual(len(output["manifest"]["inputs"]), 9)

    def test_without_fresh_radar_the_gauges_stand_alone(self):
        self.series()
        for options, why in (([], "no frames"), (self.frames(*range(-110, -39, 10)), "40 min old"),
                             (self.frames(-20, -10), "too little"), (["--frames", self.path("none.nc")], "none.nc")):
            with self.subTest(why):
                output, values = self.run_model(*options)
                self.assertEqual((values["radar_used"], values["gauges_used"], values["radar_factor"]), (0, 5, None))
                self.assertEqual((output["merge"]["rests_on"], output["merge"]["method"]), ("gauges_only", "kriging"))
                self.assertIn(why, output["merge"]["left_out"][0])
                self.assertEqual(set(self.field()[1].compressed().tolist()), {2})
                self.check_gauges_met(RATES)
                self.assertEqual(output["reference_time"][:16], NOW[:16])

    def test_a_gauge_without_a_known_interval_is_not_used(self):
        def change(station, minute, value):
            return {"a": (value, 1 if minute < -20 else None), "b": (value, 1 if minute > -40 else None),
                    "c": (value - (100 if minute > -30 else 0), 1), "d": (value, 4)}.get(station, (value, 1))

        self.series(change)
        output, values = self.run_model(*self.frames(*range(-60, 1, 10)))
        self.assertEqual(values["gauges_used"], 1)
        self.assertIsNone(values["left_out_rmse"] if values["left_out_count"] == 0 else None)
        self.assertEqual(output["merge"]["left_out"],
                         ["gauge a: no reading at the end", "gauge b: no reading at the begin",
                          "gauge c: the counter went back", "gauge d: no reading"])
        self.check_gauges_met(["e"])

    def test_bad_input(self):
        self.series(unit="in")
        self.assertIn("not mm", self.run_model(code=3))
        self.series()
        for more in ({"kind": "x"}, {"area": "no id!"}, {"gauges": []}, {"other": 1}, {"gauges": [{"id": "a"}]}):
            self.site(**more)
            self.assertIn("site.json", self.run_model(code=3))
        self.site()
        self.assertIn("--gauges", self.run_model("--gauges", "g.csv", code=2))
        self.series(lambda *_: (0, 9))
        self.assertIn("no gauge with a value", self.run_model(code=3))  # nothing known is no field of zeros


if __name__ == "__main__":
    unittest.main()

"""canhbao-model merge as the daemon runs it: gauges out of its export, radar frames if there are fresh ones; results
of areas. With files; the daemon itself is in test_daemon_merge.py."""
import json
import os
import subprocess
import tempfile
import unittest

import netCDF4
import numpy

from harness import BINARY
from test_daemon_grids import AREA, frame

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

    def site(self, change=lambda stations: None, point=None, **more):
        """The stations as the daemon writes them, and one area in the middle of the gauges."""
        stations = [{"id": k, "latitude_deg": lat, "longitude_deg": lon, "points": [
            {"id": "tips", "quantity": "rain", "unit": "mm", "kind": "counter", "period_s": 300, "counter_step_max": 60,
             "counter_memory": "kept", "counter_epoch": "none", **(point or {})}]} for k, (lat, lon) in PLACES.items()]
        change(stations)
        self.write("stations.json", json.dumps({"kind": "stations", "version": 1, "stations": stations, **more}))
        self.write("basin.geojson", AREA)

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
        done = subprocess.run([MODEL, "merge", "--product", "rain", "--series", self.path("series.csv"), "--stations",
                               self.path("stations.json"), "--areas", self.path("basin.geojson"), "--reference", NOW,
                               "--nc", self.path("out.nc"), "--out", self.path("out.json"), *options],
                              capture_output=True, text=True, timeout=300, check=False)
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
        self.assertEqual((values["radar_used"], values["gauges_used"], values["gauges_suspect"]), (1, 5, 0))
        self.assertEqual((output["merge"]["left_out_count"], output["merge"]["variogram"]["source"]), (5, "fallback"))
        self.assertEqual((output["merge"]["rests_on"], output["merge"]["method"], output["merge"]["left_out"]),
                         ("radar_and_gauges", "conditional", []))
        self.assertAlmostEqual(values["radar_mae"], 1.6, places=5)  # |4-5|, |8-5|, |6-5|, |2-5|, |5-5|
        errors = numpy.array([g["estimate_mm_h"] - RATES[g["id"]] for g in output["merge"]["gauges"]])
        self.assertAlmostEqual(values["left_out_rmse"], float(numpy.sqrt((errors ** 2).mean())), places=9)
        self.check_gauges_met(RATES)
        self.assertEqual(set(self.field()[1].compressed().tolist()), {0, 1})  # far from every gauge the radar alone
        self.assertEqual(len(output["manifest"]["inputs"]), 10)
        self.check_area(output)

    def check_area(self, output, doubtful=False):
        """Mean and highest of the cells whose centres lie in the square of the area, all of which are whole cells."""
        rain, quality, x, y = self.field()
        inside = numpy.ix_((y > 14.2) & (y < 14.8), (x > 108.2) & (x < 108.8))
        known = ~numpy.ma.getmaskarray(rain[inside])
        ground = numpy.cos(numpy.radians(y[(y > 14.2) & (y < 14.8)]))[:, None] * numpy.ones(known.shape)
        weight = ground * known
        results = {r["variable"]: r for r in output["results"]}
        mean = float((rain[inside].filled(0) * weight).sum() / weight.sum())
        # The ground area of an ellipsoid's cell against the sphere's cosine: a 1e-4 of the weights' small differences.
        self.assertAlmostEqual(results["rain_mean"]["value"], mean, delta=1e-4 * mean)
        self.assertAlmostEqual(results["rain_max"]["value"], float(rain[inside].max()), places=5)
        for name in ("rain_mean", "rain_max"):
            self.assertEqual((results[name]["window_s"], results[name]["unit"], results[name].get("doubtful", False)),
                             (3600, "mm", doubtful))
            self.assertAlmostEqual(results[name]["coverage"], float(weight.sum() / ground.sum()), places=4)
        share = float((weight * (quality[inside].filled(2) != 2)).sum() / weight.sum())
        self.assertAlmostEqual(results["radar_share"]["value"], share, places=4)

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
                self.check_area(output)
                self.assertEqual(output["reference_time"][:16], NOW[:16])

    def left_out(self, output):
        return {line.split(": ")[0].split()[-1]: line.split(": ", 1)[1] for line in output["merge"]["left_out"]}

    def test_a_gauge_that_is_not_known_well_enough_is_not_used(self):
        def change(station, minute, value):
            return {"a": (value, 1 if minute < -20 else None), "b": (value, 1 if minute > -40 else None),
                    "c": (value - (100 if minute > -30 else 0), 1 if minute < -30 or minute > -15 else None),
                    "d": (value, 4)}.get(station, (value, 1))

        self.series(change)
        output, values = self.run_model(*self.frames(*range(-60, 1, 10)))
        self.assertEqual((values["gauges_used"], values["gauges_suspect"]), (1, 1))
        self.assertIsNone(values["left_out_rmse"] if output["merge"]["left_out_count"] == 0 else None)
        self.assertEqual(self.left_out(output),
                         {"a": "no reading at the end", "b": "known for 35 of 60 min",
                          "c": "known for 35 of 60 min; the counter was set back or jumped",
                          "d": "its newest readings are suspect or failed"})
        self.check_gauges_met(["e"])

    def test_a_counter_that_went_round_or_was_set_back(self):
        """a: passed its modulus of 120 mm, exact. b: set back to 0, which is not exact, once: the other 55 min are. c:
        set back three times. e: misses readings, which its totals bridge exactly."""
        def change(station, minute, value):
            if station == "a":
                return (value + 14) % 120, 1  # passes 120 mm within the last hour
            if station in "bc":
                times = (-32,) if station == "b" else (-42, -32, -22)
                value -= sum(60 for time in times if minute > time) - 100
            return (value, 9 if station == "e" and -40 < minute < -20 else 1)

        self.series(change)
        self.site(lambda stations: stations[0]["points"][0].update(counter_modulus=120))
        output, values = self.run_model(*self.frames(*range(-60, 1, 10)))
        self.assertEqual(values["gauges_used"], 4)
        self.assertEqual(self.left_out(output), {"c": "known for 45 of 60 min; the counter was set back or jumped"})
        known = {g["id"]: round(g["known_min"], 6) for g in output["merge"]["gauges"]}
        self.assertEqual(known, {"a": 60, "b": 55, "c": 45, "d": 60, "e": 60})
        self.check_gauges_met("abde")

    def test_a_counter_of_a_device_that_forgets(self):
        """Without an epoch a restart could look like any small step; with one it is known."""
        def change(station, minute, value):
            return value - 100, 1

        self.series(change)
        self.site(point={"counter_memory": "lost"})
        self.assertIn("no gauge with a value", self.run_model(code=3))
        self.site(point={"counter_memory": "lost", "counter_epoch": "changes", "counter_epoch_point": "starts"})
        with open(self.path("series.csv"), encoding="utf-8") as file:
            rows = file.read().splitlines()
        starts = [r.replace(",tips,", ",starts,").split(",") for r in rows[1:]]
        for row in starts:
            late = row[1] == "a" and row[0] > "2025-11-18T06:30"
            row[3], row[4] = ("8" if late else "7"), "1"
        self.write("series.csv", "\n".join(rows + [",".join(row) for row in starts]) + "\n")
        output, values = self.run_model()
        self.assertEqual((values["gauges_used"], self.left_out(output)["radar"]), (5, "no frames"))
        self.assertEqual({g["id"]: g["known_min"] for g in output["merge"]["gauges"] if g["known_min"] < 60}, {"a": 55})

    def test_amounts_are_gauges_too(self):
        def change(station, minute, value):
            return RATES[station] / 12, 1 if (station, minute) != ("b", -30) else None

        self.series(change)
        self.site(point={"kind": "amount"})
        output, _ = self.run_model()
        self.assertEqual({g["id"]: g["known_min"] for g in output["merge"]["gauges"] if g["known_min"] < 60}, {"b": 55})
        self.check_gauges_met(RATES)

    def test_a_suspect_gauge_is_not_counted_as_good(self):
        """c is in the middle of the area and says ten times too much. d reads one suspect value, which makes a hole."""
        def change(station, minute, value):
            if station == "c":
                return 100 + 10 * (value - 100), 3 if minute > -90 else 1
            return value, 3 if (station, minute) == ("d", -30) else 1

        self.series(change)
        for options in (self.frames(*range(-60, 1, 10)), []):
            output, values = self.run_model(*options)
            self.assertEqual((values["gauges_used"], values["gauges_suspect"]), (4, 1))
            self.assertEqual(self.left_out(output)["c"], "its newest readings are suspect or failed")
            gauges = {g["id"]: g for g in output["merge"]["gauges"]}
            self.assertEqual((gauges["c"]["rain_mm_h"], gauges["c"]["doubted"]), (None, True))
            self.assertEqual((gauges["d"]["known_min"], gauges["d"]["doubted"]), (50, True))
            self.assertLess(values["rain_max"], 10)
            self.assertGreater(values["suspect_share"], 0.1)
            self.check_area(output, doubtful=True)

    def test_an_area_that_nothing_is_known_of(self):
        self.series()
        self.write("far.geojson", AREA.replace("basin", "far").replace("108.", "118."))
        with open(self.path("stations.json"), encoding="utf-8") as file:
            stations = json.load(file)
        stations["stations"].append({"id": "lost", "points": stations["stations"][0]["points"]})
        self.write("stations.json", json.dumps(stations))
        done = subprocess.run([MODEL, "merge", "--product", "rain", "--series", self.path("series.csv"), "--stations",
                               self.path("stations.json"), "--areas", self.path("far.geojson"), "--reference", NOW,
                               "--cell", "0.05", "--out", "-"], capture_output=True, text=True, timeout=300, check=True)
        output = json.loads(done.stdout)
        self.assertEqual(self.left_out(output)["lost"], "no position")
        results = {r["variable"]: r for r in output["results"]}
        self.assertEqual((results["rain_mean"]["value"], results["rain_mean"]["cause"], results["rain_mean"]["coverage"]),
                         (None, "coverage 0.000 below 0.800", 0))
        self.assertIsNone(results["radar_share"]["value"])

    def test_bad_input(self):
        self.series(unit="in")
        self.assertIn("not mm", self.run_model(code=3))
        self.series()
        for more in ({"kind": "x"}, {"version": 2}, {"stations": []}, {"stations": {}}, {"stations": [{"id": "a"}]}):
            self.site(**more)
            self.assertIn("stations.json", self.run_model(code=3))
        for point, says in (({"unit": "m"}, "no station has"), ({"kind": "x"}, "kind of a point"),
                            ({"period_s": 0}, "period_s"), ({"counter_step_max": None}, "counter_step_max"),
                            ({"counter_modulus": -1}, "counter_modulus"), ({"counter_memory": ""}, "counter_memory"),
                            ({"counter_epoch": "changes"}, "counter_epoch"), ({"id": "a b"}, "id of a point")):
            self.site(point=point)
            self.assertIn(says, self.run_model(code=3))
        self.site(lambda stations: stations[1]["points"].append(dict(stations[1]["points"][0], id="more")))
        self.assertIn("station 1, b: more than one total of rain", self.run_model(code=3))
        self.site(lambda stations: stations[2].update(latitude_deg=91))
        self.assertIn("station 2, c: position", self.run_model(code=3))
        self.site()
        self.write("basin.geojson", "{}")
        self.assertIn("basin.geojson", self.run_model(code=3))
        self.site()
        self.assertIn("--gauges", self.run_model("--gauges", "g.csv", code=2))
        self.series(lambda *_: (0, 9))
        self.assertIn("no gauge with a value", self.run_model(code=3))  # nothing known is no field of zeros


if __name__ == "__main__":
    unittest.main()

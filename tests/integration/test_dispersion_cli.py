"""canhbao-model plume and trace by hand: a plume against the formula written again here, what is refused, and a
source found again from readings that the plume made (a twin: it shows that the two fit together, no skill)."""
import csv
import json
import math
import os
import subprocess
import tempfile
import unittest

from daemon import MODEL

WEATHER = "wind_2m_m_s,wind_from_deg_2m,sigma_azimuth_deg,ustar_m_s,obukhov_L_m,z0_m\n3,270,8,0.25,-60,0.03\n"


class Dispersion(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory(prefix="canhbao-dispersion-")
        self.addCleanup(self.folder.cleanup)

    def write(self, name, text):
        path = os.path.join(self.folder.name, name)
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        return path

    def run_model(self, *arguments):
        return subprocess.run([MODEL, *arguments], capture_output=True, text=True, timeout=240, check=False)

    def plume(self, release, weather, receptors):
        out = os.path.join(self.folder.name, "out.csv")
        done = self.run_model("plume", "--release", self.write("r.yaml", release), "--weather",
                              self.write("w.csv", weather), "--receptors", self.write("p.csv", receptors), "--out", out)
        if done.returncode != 0:
            return done
        with open(out, encoding="utf-8") as file:
            return list(csv.DictReader(file))

    def test_plume_agrees_with_the_formula(self):
        rows = self.plume("release_height_m: 10\nQ_g_s: 5\ncurves: rural\nmethod: briggs\n",
                          "wind_m_s,wind_height_m,wind_from_deg,class\n4,10,270,D\n",
                          "x_east_m,y_north_m,z_m\n500,20,1.5\n")
        # Briggs, open country, class D; reflection at the ground
        sy = 0.08 * 500 / math.sqrt(1 + 0.0001 * 500)
        sz = 0.06 * 500 / math.sqrt(1 + 0.0015 * 500)
        vertical = math.exp(-(1.5 - 10) ** 2 / (2 * sz ** 2)) + math.exp(-(1.5 + 10) ** 2 / (2 * sz ** 2))
        expected = 5000 / (2 * math.pi * 4 * sy * sz) * math.exp(-20 ** 2 / (2 * sy ** 2)) * vertical
        self.assertAlmostEqual(float(rows[0]["conc_mg_m3"]), expected, delta=1e-9 * expected)

    def test_what_is_not_known_is_refused(self):
        good = ("Q_g_s: 5\nrelease_height_m: 1\n", "wind_m_s,wind_from_deg,class\n4,270,D\n", "x_east_m,y_north_m\n500,0\n")
        self.assertEqual(len(self.plume(*good)), 1)
        for release, weather, receptors, says in (
                (good[0], "wind_m_s,wind_from_deg,class\n,270,D\n", good[2], "wind"),
                (good[0], "wind_m_s,wind_from_deg,class\n0.1,270,D\n", good[2], "0.5"),
                (good[0], "wind_m_s,class\n4,D\n", good[2], "wind_from_deg"),
                ("release_height_m: 1\n", good[1], good[2], "Q_g_s"),
                ("Q_kg_s: 5\nrelease_height_m: 1\n", good[1], good[2], "Q_kg_s"),
                ("Q_g_s: 5,5\nrelease_height_m: 1\n", good[1], good[2], "5,5"),
                (good[0], good[1], "x_east_m\n500\n", "y_north_m")):
            done = self.plume(release, weather, receptors)
            self.assertNotIsInstance(done, list, says)
            self.assertEqual(done.returncode, 3, done.stderr)
            self.assertIn(says, done.stderr)

    def wind_field(self, east, north, extra=""):
        values = ",".join
        self.write("w.cdl", "netcdf w { dimensions: time = 2; y = 3; x = 3; variables: double time(time);"
                   ' time:units = "seconds since 2025-11-18T06:00:00Z"; time:standard_name = "time";'
                   ' double y(y); y:units = "m"; y:axis = "Y"; double x(x); x:units = "m"; x:axis = "X";'
                   ' float u10(time, y, x); u10:units = "km/h"; u10:standard_name = "eastward_wind";'
                   ' float v10(time, y, x); v10:units = "km/h"; v10:standard_name = "northward_wind"; ' + extra +
                   "data: time = 0, 7200; y = -20000, 0, 20000; x = -20000, 0, 20000; u10 = " +
                   values(str(3.6 * e) for e in east) + "; v10 = " + values(str(3.6 * n) for n in north) + "; }")
        path = os.path.join(self.folder.name, "w.nc")
        subprocess.run(["ncgen", "-o", path, os.path.join(self.folder.name, "w.cdl")], check=True)
        return path

    def wind_planes(self):
        """The same uniform 3 m/s from the west on 2-D longitude and latitude, turned by half a right angle."""
        lon = [[109.245 + 0.2 * (j - i) for j in (-1, 0, 1)] for i in (-1, 0, 1)]
        lat = [[13.775 + 0.2 * (j + i) for j in (-1, 0, 1)] for i in (-1, 0, 1)]
        text = lambda plane: ",".join(str(v) for row in plane for v in row)
        self.write("p.cdl", "netcdf p { dimensions: j = 3; i = 3; variables: double lat(j, i); lat:units = "
                   '"degrees_north"; double lon(j, i); lon:units = "degrees_east"; float u10(j, i); u10:units = "m/s";'
                   ' float v10(j, i); v10:units = "m/s"; u10:coordinates = "lat lon"; v10:coordinates = "lat lon";'
                   f" data: lat = {text(lat)}; lon = {text(lon)}; u10 = 3,3,3,3,3,3,3,3,3; v10 = 0,0,0,0,0,0,0,0,0; }}")
        path = os.path.join(self.folder.name, "p.nc")
        subprocess.run(["ncgen", "-o", path, os.path.join(self.folder.name, "p.cdl")], check=True)
        return path

    RELEASE = ("substance: Cl2\nlatitude_deg: 13.775\nlongitude_deg: 109.245\nrelease_height_m: 1\nmass_g: 500000\n"
               "duration_s: 600\nstart: 2025-11-18T06:10:00Z\n")

    def test_netcdf_wind_and_results(self):
        """A uniform field gives what a station with the same wind gives; a field that turns does not."""
        places = self.write("p.csv", "x_east_m,y_north_m\n600,10\n1500,-40\n")
        out = os.path.join(self.folder.name, "o.nc")
        station = self.plume(self.RELEASE, "wind_m_s,wind_from_deg,class\n3,270,D\n", "x_east_m,y_north_m\n600,10\n1500,-40\n")
        def conc(field, *options):
            done = self.run_model("plume", "--release", self.write("r.yaml", self.RELEASE), "--weather", field,
                                  "--receptors", places, "--out", out, *options)
            if done.returncode != 0:
                return done
            text = subprocess.run(["ncdump", "-p", "17", "-v", "tic_mg_s_m3", out], capture_output=True, text=True,
                                  check=True).stdout
            self.assertIn('featureType = "point"', text)
            return [float(v) for v in text.split("tic_mg_s_m3 =")[-1].split(";")[0].split(",")]
        planes = conc(self.wind_planes(), "--class", "D")
        for row, value in zip(station, planes):
            self.assertAlmostEqual(float(row["tic_mg_s_m3"]), value, delta=1e-6 * value)
        told = conc(self.wind_field([3] * 18, [0] * 18), "--class", "D")
        for row, value in zip(station, told):
            self.assertAlmostEqual(float(row["tic_mg_s_m3"]), value, delta=1e-6 * value)
        turned = conc(self.wind_field([3] * 18, [0, 0, 4] * 6), "--class", "D")
        self.assertNotAlmostEqual(turned[1], told[1], delta=1e-3 * told[1])
        for field, options, says in ((self.wind_field([3] * 18, [0] * 18), (), "no class"),
                                     (self.wind_field([3] * 17 + [9.9692099683868690e36 / 3.6], [0] * 18), ("--class", "X"),
                                      "--class"),
                                     (places + ".nc", ("--class", "D"), "p.csv.nc")):
            done = conc(field, *options)
            self.assertEqual(done.returncode, 3 if "csv.nc" not in says else done.returncode, done.stderr)
            self.assertIn(says, done.stderr)

    def test_particles_far_away(self):
        """Beyond 10 km a finite release in a wind field is told by particles, says so, and any number of threads gives
        the same bits; one method that is asked for holds everywhere; a steady plume of a station stays a plume."""
        places = self.write("p.csv", "x_east_m,y_north_m\n3000,0\n12000,0\n12000,600\n")
        field = self.wind_field([5] * 18, [0] * 18)
        outs = []
        for threads in ("1", "2", "4"):
            out = os.path.join(self.folder.name, "far%s.csv" % threads)
            done = self.run_model("plume", "--release", self.write("r.yaml", self.RELEASE), "--weather", field,
                                  "--receptors", places, "--class", "C", "--out", out, "--particle-count", "2000",
                                  "--threads", threads)
            self.assertEqual(done.returncode, 0, done.stderr)
            with open(out, encoding="utf-8") as file:
                outs.append(file.read())
        self.assertEqual(outs[0], outs[1])
        self.assertEqual(outs[0], outs[2])
        rows = list(csv.DictReader(outs[0].splitlines()))
        self.assertEqual([r["method"] for r in rows], ["puffs", "particles", "particles"])
        self.assertEqual(rows[0]["error_share"], "")
        self.assertTrue(all(0 < float(r["error_share"]) < 0.5 for r in rows[1:]), rows)
        self.assertTrue(all(float(r["tic_mg_s_m3"]) > 0 for r in rows), rows)
        # no particle is faster than the wind at 200 m: ln(200 / 0.03) / ln(10 / 0.03) < 2 times that at 10 m, when unstable less
        self.assertTrue(all(1100 < float(r["arrival_s"]) < 4000 for r in rows[1:]), rows)

        told = self.plume(self.RELEASE + "method: briggs\n", "wind_m_s,wind_from_deg,class\n5,270,C\n",
                          "x_east_m,y_north_m\n3000,0\n12000,0\n")
        self.assertEqual([r["method"] for r in told], ["puffs", "puffs"])
        # the two at 12 km, in the same weather
        ratio = float(rows[1]["tic_mg_s_m3"]) / float(told[1]["tic_mg_s_m3"])
        self.assertTrue(0.4 < ratio < 2.5, ratio)
        steady = self.plume("Q_g_s: 5\nrelease_height_m: 1\n", "wind_m_s,wind_from_deg,class\n5,270,C\n",
                            "x_east_m,y_north_m\n3000,0\n12000,0\n")
        self.assertEqual([r["method"] for r in steady], ["plume", "plume"])

        out = os.path.join(self.folder.name, "far.nc")
        done = self.run_model("plume", "--release", self.write("r.yaml", self.RELEASE), "--weather", field, "--receptors",
                              places, "--class", "C", "--out", out, "--particle-count", "500")
        self.assertEqual(done.returncode, 0, done.stderr)
        text = subprocess.run(["ncdump", "-p", "17", out], capture_output=True, text=True, check=True).stdout
        self.assertIn('flag_meanings = "plume puffs dense particles"', text)
        mass = {name: float(text.split(":particles_%s = " % name)[1].split(" ;")[0])
                for name in ("released", "in_air", "deposited", "decayed", "past_receptors", "left_wind")}
        self.assertAlmostEqual(mass.pop("released") / sum(mass.values()), 1, delta=1e-9)

        # the field ends before the receptor: not told, instead of too little
        done = self.run_model("plume", "--release", self.write("r.yaml", self.RELEASE), "--weather", field, "--receptors",
                              self.write("p.csv", "x_east_m,y_north_m\n30000,0\n"), "--class", "C", "--out", out,
                              "--particle-count", "200")
        self.assertEqual(done.returncode, 3, done.stderr)
        self.assertIn("does not reach far enough", done.stderr)

    def test_dense_gas_at_once(self):
        """A ton of cold chlorine within ten seconds is a dense cloud, in light wind; a gram in a strong one is none."""
        gas = ("release_height_m: 0\nduration_s: 10\ngas_density_kg_m3: 3.6\nair_density_kg_m3: 1.17\n"
               "gas_temperature_c: -34\nair_temperature_c: 30\n")
        weather, places = "wind_m_s,wind_from_deg,class\n3,270,D\n", "x_east_m,y_north_m,z_m\n200,0,0\n600,0,0\n-200,0,0\n"
        rows = self.plume("mass_g: 1e6\n" + gas, weather, places)
        self.assertEqual([r["method"] for r in rows], ["dense"] * 3)
        near, far, upwind = (float(r["conc_max_mg_m3"]) for r in rows)
        self.assertTrue(near > far > 0 and upwind == 0, rows)
        self.assertEqual(rows[2]["arrival_s"], "")
        # beyond the last curve (0.1 %) as X^-2: 277.8 m3, V^(1/3) = 6.52 m
        a = math.log10(math.sqrt(9.81 * (3.6 / 1.17 - 1) * 6.525) / 3)
        self.assertTrue(0.27 < a < 1)
        units = 10 ** (-0.27 * a + 2.05)
        share = 0.001 * (units / (600 / (1e3 / 3.6) ** (1 / 3))) ** 2
        cold = 239.15 / 303.15
        warmed = share / (share + (1 - share) * cold)
        self.assertGreater(600 / 6.525, units)
        self.assertAlmostEqual(far, warmed * 3.6e6 * cold, delta=0.01 * far)
        rows = self.plume("mass_g: 1\n" + gas, weather.replace("3,270", "12,270"), places)
        self.assertEqual({r["method"] for r in rows}, {"puffs"})

    def test_zones(self):
        levels = self.write("levels.csv", "level,name,conc_mg_m3\n1,khó chịu,1.45\n2,nguy hiểm,8.12\n3,chết người,60\n")
        communes = self.write("communes.geojson", json.dumps({"type": "FeatureCollection", "features": [
            {"type": "Feature", "id": "tay", "properties": {"people": 10000}, "geometry": {
                "type": "Polygon", "coordinates": [[[109.2, 13.7], [109.245, 13.7], [109.245, 13.85], [109.2, 13.85], [109.2, 13.7]]]}},
            {"type": "Feature", "id": "dong", "properties": {}, "geometry": {
                "type": "Polygon", "coordinates": [[[109.25, 13.7], [109.3, 13.7], [109.3, 13.85], [109.25, 13.85], [109.25, 13.7]]]}}]}))
        places = self.write("places.csv", "id,name,longitude_deg,latitude_deg\nbv,Bệnh viện,109.235,13.775\nxa,Xa,109.28,13.775\n")
        zones, grid = (os.path.join(self.folder.name, n) for n in ("zones.geojson", "grid.nc"))
        outputs = []
        for threads in ("1", "2", "4"):
            done = self.run_model("plume", "--release", self.write("r.yaml", self.RELEASE), "--weather",
                                  self.write("w.csv", "wind_m_s,wind_from_deg,class\n3,90,D\n"), "--receptors",
                                  self.write("p.csv", "x_east_m,y_north_m\n-600,10\n"), "--out",
                                  os.path.join(self.folder.name, "o.csv"), "--zones", zones, "--grid", grid, "--levels", levels,
                                  "--places", places, "--communes", communes, "--members", "4", "--reach-m", "4000", "--threads", threads)
            self.assertEqual(done.returncode, 0, done.stderr)
            with open(grid, "rb") as file:
                outputs.append(file.read())
        self.assertEqual(outputs[0], outputs[1])  # the same bits for 1, 2 and 4 threads
        self.assertEqual(outputs[0], outputs[2])
        with open(zones, encoding="utf-8") as file:
            told = json.load(file)
        areas = [f["properties"]["area_km2"] for f in told["features"]]
        self.assertTrue(areas[0] > areas[1] > areas[2] > 0, areas)
        hospital, far = told["places"]
        self.assertEqual((hospital["level"], far["level"]), (2, 0))
        self.assertTrue(200 < hospital["arrival_s"] < 1000)  # 1080 m downwind at 3 m/s
        self.assertIsNone(far["arrival_s"])
        self.assertEqual({c["id"] for c in told["communes"]}, {"tay"})
        self.assertTrue(all(0 < c["people"] < 10000 for c in told["communes"]))
        text = subprocess.run(["ncdump", "-v", "probability_level_1", grid], capture_output=True, text=True, check=True).stdout
        values = {round(float(v), 6) for v in text.split("probability_level_1 =")[-1].split(";")[0].split(",")}
        self.assertTrue(values <= {round(k / 4, 6) for k in range(5)} and len(values) > 3, values)

    def trace(self, readings, *options, refused=False):
        out = os.path.join(self.folder.name, "trace.json")
        done = self.run_model("trace", "--readings", self.write("readings.csv", readings), "--weather",
                              self.write("w.csv", WEATHER), "--out", out, "--source-height", "1", *options)
        if refused:
            self.assertEqual(done.returncode, 3, done.stderr)
            return done.stderr
        self.assertEqual(done.returncode, 0, done.stderr)
        with open(out, encoding="utf-8") as file:
            return json.load(file)

    def test_trace_finds_the_source_of_a_plume(self):
        sensors = [(x, y) for x in (250, 500, 800) for y in range(-160, 161, 40)]
        rows = self.plume("x_east_m: 40\ny_north_m: -30\nrelease_height_m: 1\nQ_g_s: 60\nmethod: similarity\n", WEATHER,
                          "x_east_m,y_north_m\n" + "".join(f"{x},{y}\n" for x, y in sensors))
        readings = "x_east_m,y_north_m,conc_mg_m3\n" + "".join(
            f"{r['x_east_m']},{r['y_north_m']},{r['conc_mg_m3']}\n" for r in rows)
        found = self.trace(readings)
        self.assertEqual(found["status"], "ok")
        self.assertLess(math.hypot(found["x_east_m"] - 40, found["y_north_m"] + 30), 60)
        self.assertTrue(found["Q_p05_g_s"] < 60 < found["Q_p95_g_s"])
        self.assertLess(found["region50"]["area_m2"], found["region90"]["area_m2"])
        self.assertEqual(self.trace(readings), found)  # the same input, the same answer

    def twin(self, unit="conc_mg_m3", factor=1.0):
        sensors = [(x, y) for x in (250, 500, 800) for y in range(-160, 161, 40)]
        rows = self.plume("x_east_m: 40\ny_north_m: -30\nrelease_height_m: 1\nQ_g_s: 60\nmethod: similarity\n", WEATHER,
                          "x_east_m,y_north_m\n" + "".join(f"{x},{y}\n" for x, y in sensors))
        return f"x_east_m,y_north_m,{unit}\n" + "".join(
            f"{r['x_east_m']},{r['y_north_m']},{float(r['conc_mg_m3']) * factor:.12g}\n" for r in rows)

    def test_trace_ranks_sites_and_says_where_to_measure(self):
        sites = self.write("sites.csv", "id,name,x_east_m,y_north_m\nfar,Xa,600,900\nplant,Nhà máy,42,-28\n")
        points = self.write("points.csv", "id,x_east_m,y_north_m,reachable,travel_min\n"
                            "beside,300,3000,yes,5\nroad,120,-30,yes,12\nsea,100,-30,no,\n")
        found = self.trace(self.twin(), "--catalogue", sites, "--points", points)
        self.assertEqual([c["id"] for c in found["candidates"]], ["plant", "far"])
        self.assertTrue(found["candidates"][0]["inside90"] and not found["candidates"][1]["inside90"])
        self.assertEqual([p["id"] for p in found["measure_next"]], ["road", "beside", "sea"])  # reachable ones first
        left = {p["id"]: p["expected_region_left"] for p in found["measure_next"]}
        self.assertTrue(0 < left["road"] < left["beside"] <= 1.01)
        self.assertEqual((found["source_count"], found["doubtful_sensors"], found["start"]), (1, [], None))

    def test_trace_in_ppm_needs_the_air(self):
        air = ("--substance", "Cl2", "--temperature-c", "30", "--pressure-hpa", "1005")
        factor = 70.906 * 1005e2 / (8.31446261815324 * 303.15) * 1e-3  # mg/m3 of a ppm: ideal gas
        mass, volume = self.trace(self.twin()), self.trace(self.twin("conc_ppm", 1 / factor), *air)
        self.assertAlmostEqual(mass["Q_g_s"], volume["Q_g_s"], delta=1e-3 * mass["Q_g_s"])
        for unit, options, says in (("conc_ppm", (), "--temperature-c"), ("conc", (), "conc_mg_m3"),
                                    ("dose_rate_nSv_h", (), "conc_mg_m3"), ("conc_ppb", air[:2], "--pressure-hpa"),
                                    ("conc_ppm", ("--substance", "Co", *air[2:]), "'Co'")):
            self.assertIn(says, self.trace(self.twin(unit), *options, refused=True))

    def test_far_readings(self):
        """Readings of a tracer experiment: counted by hand, and what is refused."""
        header = "start,duration_min,lat,lon,station,pmch_pg_m3\n"
        good = header + ("1994-10-23T15:00,180,50.1,1.8,a,0\n1994-10-23T18:00,180,50.1,1.8,a,40\n1994-10-23T18:00,60,48,2,b,\n"
                         "1994-10-23T21:00,60,48,2,b,10\n")
        stations = self.write("stations.csv", "station,lat,lon\na,50.1,1.8\nb,48.02,2\n")
        out, places = (os.path.join(self.folder.name, n) for n in ("far.json", "far.geojson"))
        def far(text, *words):
            return self.run_model("srs", "--readings", self.write("far.csv", text), "--out", out, "--map", places, *words)
        done = far(good, "--stations", stations)
        self.assertEqual(done.returncode, 0, done.stderr)
        with open(out, encoding="utf-8") as file:
            told = json.load(file)
        self.assertEqual((told["readings"], told["missing"], told["detections"], told["stations"], told["unit"]), (3, 1, 2, 2, "pg m-3"))
        self.assertEqual(told["by_station"][0]["dosage"], 120)  # 40 pg/m3 for 3 h
        self.assertEqual(told["by_station"][0]["first_seen"], "1994-10-23T18:00:00Z")
        self.assertEqual(told["inversion"]["status"], "not possible")
        with open(places, encoding="utf-8") as file:
            self.assertEqual([f["geometry"]["coordinates"] for f in json.load(file)["features"]], [[1.8, 50.1], [2, 48]])
        for text, words, says in ((good.replace("pmch_pg_m3", "pmch"), (), "unit"), (good.replace("48,2,b", "49,2,b"), ("--stations", stations), "'b'"),
                                  (good + "1994-10-23T21:00,60,48,2,b,11\n", (), "second reading"), (good.replace(",40", ",-40"), (), "-40"),
                                  (good.replace(",60,48", ",0,48"), (), "duration_min"), (good.replace("1994-10-23T21:00", "1994-10-23 x"), (), "time"),
                                  (good, ("--srs", "x.nc"), "--srs, or --readings")):
            done = far(text, *words)
            self.assertEqual(done.returncode, 3, (says, done.stderr))
            self.assertIn(says, done.stderr)

    def test_trace_tells_the_start(self):
        lines = self.twin().splitlines()
        text = "time," + lines[0] + "\n"
        for minute in range(12):
            for line in lines[1:]:
                x, y, value = line.split(",")
                seen = minute >= 2 + float(x) / 3 / 60  # 3 m/s, from minute 2 on
                text += f"2025-11-19T06:{minute:02d}:00Z,{x},{y},{value if seen else 0}\n"
        start = self.trace(text)["start"]
        self.assertRegex(start, "2025-11-19T06:0[0-4]:..Z")

    def test_trace_says_when_there_is_too_little(self):
        found = self.trace("x_east_m,y_north_m,conc_mg_m3\n300,0,5\n300,50,2\n300,100,0\n400,0,\n")
        self.assertEqual(found["status"], "not enough data")
        self.assertNotIn("x_east_m", found)


if __name__ == "__main__":
    unittest.main()

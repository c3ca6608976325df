"""canhbao-model release by hand: what each sensor's rise looks like, and that a label takes nothing away."""
import json
import math
import os
import re
import subprocess
import sys
import tempfile
import unittest
import unittest.mock
from datetime import datetime, timedelta, timezone

from daemon import MODEL

NOW = datetime(2025, 11, 18, 6, tzinfo=timezone.utc)
AEGL = ("substance,aegl_level,t10min_mg_m3,t30min_mg_m3,t60min_mg_m3,t4h_mg_m3,t8h_mg_m3\n"
        "Cl2,1,1.45,1.45,1.45,1.45,1.45\nCl2,2,8.12,8.12,5.8,2.9,2.06\nCl2,3,145,81.2,58,29,20.6\n")
# east of "here" by 500 m: a wind from the west carries there what passes "here"
STATIONS = {"here": 109.245, "east": 109.2496, "west": 109.2404}


def stamp(minutes):
    return (NOW + timedelta(minutes=minutes)).strftime("%Y-%m-%dT%H:%M:%SZ")


def place(identity, longitude):
    return {"id": identity, "name": identity, "latitude_deg": 13.775, "longitude_deg": longitude}


def commune(identity, name, west, south, east, north, **properties):
    return {"type": "Feature", "id": identity, "properties": dict(properties, name=name), "geometry": {
        "type": "Polygon", "coordinates": [[[west, south], [east, south], [east, north], [west, north], [west, south]]]}}


def share_above(limit_mg_m3, source, box):
    """Of a box of degrees: Gaussian plume to the east in 3 m/s, Briggs' open-country curves, class D; fine sampling."""
    west, south, east, north = box
    above = count = 0
    for k in range(60 * 400):
        lon = west + (east - west) * (k % 60 + 0.5) / 60
        lat = south + (north - south) * (k // 60 + 0.5) / 400
        x = (lon - 109.245) * 111_320 * math.cos(math.radians(13.775)) - source["x_east_m"]
        y = (lat - 13.775) * 110_630 - source["y_north_m"]
        count += 1
        if x > 0:
            sy, sz = 0.08 * x / math.sqrt(1 + 0.0001 * x), 0.06 * x / math.sqrt(1 + 0.0015 * x)
            vertical = math.exp(-0.5 * (0.5 / sz) ** 2) + math.exp(-0.5 * (2.5 / sz) ** 2)  # 1 m and 1.5 m
            g_m3 = source["Q_g_s"] / (2 * math.pi * 3 * sy * sz) * math.exp(-0.5 * (y / sy) ** 2) * vertical
            above += 1000 * g_m3 >= limit_mg_m3
    return above / count


SITE = {"kind": "release-site", "version": 1, "origin": {"latitude_deg": 13.775, "longitude_deg": 109.245},
        "utc_offset_min": 420, "source_height_m": 1,
        "wind": {"station": "met", "speed_point": "speed", "direction_point": "from", "temperature_point": "t",
                 "pressure_point": "p", "height_m": 10, "z0_m": 0.03, "class_day": "D", "class_night": "E"},
        "substances": [{"rule": "cl2", "point": "cl2", "substance": "Cl2", "detection_ppm": 0.1, "span_ppm": 10,
                        "ceiling_ppm": 50}],
        "stations": [place(name, longitude) for name, longitude in STATIONS.items()],
        "catalogue": [dict(place("store", 109.2425), substances=["Cl2"])], "points": [], "places": [place("school", 109.247)]}


class ReleaseByHand(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory(prefix="canhbao-release-")
        self.addCleanup(self.folder.cleanup)

    def path(self, name):
        return os.path.join(self.folder.name, name)

    def write(self, name, text):
        with open(self.path(name), "w", encoding="utf-8") as file:
            file.write(text)
        return self.path(name)

    def run_release(self, gas, site=None, units=("ppm", "degree", "hPa", "m/s", "degC"), options=()):
        """gas: station -> ppm of the minute before now (negative)"""
        rows = ["time,station,point,value,unit,flag"]
        for station in sorted(STATIONS):
            rows += [f"{stamp(-k)},{station},cl2,{gas(station, -k):.3f},{units[0]},1" for k in range(90, -1, -1)]
        for point, value, unit in (("from", 270, units[1]), ("p", 1010, units[2]), ("speed", 3, units[3]), ("t", 28, units[4])):
            rows += [f"{stamp(-k)},met,{point},{value},{unit},1" for k in range(20, -1, -1)]
        alarms = [{"rule": "cl2", "place": "here", "level": 2, "since": stamp(-5)}]
        return subprocess.run(
            [MODEL, "release", "--product", "release", "--site", self.write("site.json", json.dumps(site or SITE)),
             "--series", self.write("series.csv", "\n".join(rows) + "\n"),
             "--alarms", self.write("alarms.json", json.dumps(alarms)), "--levels", self.write("aegl.csv", AEGL),
             "--reference", stamp(0), "--trace", self.path("trace.json"), "--out", self.path("out.json"),
             *options],
            capture_output=True, text=True, timeout=240, check=False)

    def told(self, gas, site=None, options=()):
        done = self.run_release(gas, site, options=options)
        self.assertEqual(done.returncode, 0, done.stderr)
        with open(self.path("out.json"), encoding="utf-8") as file:
            output = json.load(file)
        return output, {s["id"]: s for s in output["release"]["sensors"]}

    def communes(self, *features):
        return "--communes", self.write("communes.geojson", json.dumps({"type": "FeatureCollection", "features": features}))

    def test_communes_and_people(self):
        def gas(station, minute):
            return 10.0 if station == "here" and minute > -12 else 0.0
        east, speck = (109.245, 13.775, 109.27, 13.79), (109.25, 13.77495, 109.25005, 13.775)
        options = self.communes(
            commune("dong", "Đông", *east, people=50000, code="21601"), commune("nho", "Nhỏ", *speck),
            commune("tay", "Tây", 109.2, 13.77, 109.241, 13.79, people=700), commune("xa", "Xa", 110, 14, 110.1, 14.1, people=9))
        output, _ = self.told(gas, options=options)
        release = output["release"]
        results = {(r["area"], r["variable"]): r["value"] for r in output["results"]}
        source, wanted = release["source"], {}
        for level, limit in ((1, 1.45), (2, 5.8), (3, 58)):  # of 60 min
            wanted[level] = share_above(limit, source, east)
        rows = {(c["id"], c["level"]): c for c in release["communes"]["list"]}
        for level in (1, 2):
            self.assertAlmostEqual(rows["dong", level]["share"], wanted[level], delta=0.06 * wanted[level])
            self.assertEqual(rows["dong", level]["people"], round(50000 * rows["dong", level]["share"]))
        self.assertGreater(rows["dong", 1]["share"], rows["dong", 2]["share"])
        self.assertAlmostEqual(rows["nho", 1]["share"], 1, delta=1e-6)  # smaller than a cell of the map
        self.assertIsNone(rows["nho", 1]["people"])
        self.assertEqual({c["id"] for c in release["communes"]["list"]}, {"dong", "nho"})
        self.assertIsNone(release["communes"]["people"])  # of one that is touched they are not told
        self.assertIn("not told", release["communes"]["why"])
        self.assertEqual(results["dong", "plume_level"], max(k[1] for k in rows if k[0] == "dong"))
        self.assertEqual(results["dong", "plume_people"], rows["dong", 1]["people"])
        self.assertEqual(results["dong", "plume_share"], rows["dong", 1]["share"])
        self.assertGreater(results["dong", "plume_conc"], 5.8)
        self.assertIsNone(results["nho", "plume_people"])
        for away in ("tay", "xa"):  # upwind, and beyond the map of a plume that ends on it
            self.assertEqual([results[away, f"plume_{v}"] for v in ("level", "share", "people")], [0, 0, 0])
        self.assertEqual({c["name"]: c["code"] for c in output["cap"][0]["communes"]}, {"Đông": "21601", "Nhỏ": ""})
        self.assertIn("Đông", output["cap"][0]["instruction"]["vi"])
        self.assertRegex(output["cap"][0]["instruction"]["en"], r"Communes within: .*Nhỏ")
        self.assertNotIn("people)", output["cap"][0]["instruction"]["en"])

    def test_people_in_the_text(self):
        output, _ = self.told(lambda station, minute: 10.0 if station == "here" and minute > -12 else 0.0,
                              options=self.communes(commune("all", "Cả vùng", 109.0, 13.6, 109.5, 13.9, people=1e6)))
        people = output["release"]["communes"]["people"]
        self.assertEqual(people, [c["people"] for c in output["release"]["communes"]["list"] if c["level"] == 1][0])
        told = int(re.search(r"about (\d+) people", output["release"]["text"]["en"]).group(1))
        self.assertAlmostEqual(told, people, delta=0.05 * people)
        self.assertIn(f"khoảng {told} người", output["release"]["text"]["vi"])

    def test_no_outlines_no_source(self):
        output, _ = self.told(lambda station, minute: 10.0 if station == "here" and minute > -12 else 0.0)
        self.assertEqual(output["release"]["communes"],
                         {"list": None, "why": "the site gives no outlines of communes", "people": None})
        self.assertEqual(output["cap"][0]["communes"], [])
        site = dict(SITE, catalogue=[])
        output, _ = self.told(lambda station, minute: 10.0 if station == "here" and minute > -12 else 0.0, site,
                              self.communes(commune("dong", "Đông", 109.24, 13.77, 109.27, 13.79, people=5)))
        self.assertEqual(output["release"]["communes"], {"list": None, "why": "no source is known", "people": None})

    def test_a_plume_that_leaves_the_first_map(self):
        output, _ = self.told(lambda station, minute: 400.0 if station == "here" and minute > -12 else 0.0,
                              options=self.communes(commune("xa", "Xa", 109.30, 13.76, 109.33, 13.79, people=100)))
        zones = output["release"]["zones"]
        self.assertGreater(zones[0]["reach_km"], 7.1)  # the corner of the first map
        results = {(r["area"], r["variable"]): r["value"] for r in output["results"]}
        self.assertGreaterEqual(results["xa", "plume_level"], 1)  # 6 to 9 km downwind
        self.assertGreater(results["xa", "plume_people"], 0)

    def test_communes_that_are_refused(self):
        good = commune("a", "A", 109.24, 13.77, 109.27, 13.79)
        for key, value, what in (("people", "12", "people"), ("people", -1, "people"), ("code", 5, "code"),
                                 ("code", "1" * 16, "code"), ("code", "1;2", "code"), ("name", "A;B", "';'")):
            bad = json.loads(json.dumps(good))
            bad["properties"][key] = value
            done = self.run_release(lambda station, minute: 10.0, options=self.communes(bad))
            self.assertEqual(done.returncode, 3, (key, value))
            self.assertIn(what, done.stderr)
            self.assertIn("communes.geojson", done.stderr)

    def test_a_substance_without_the_first_level(self):
        levels = AEGL.replace("Cl2,1,1.45,1.45,1.45,1.45,1.45\n", "Cl2,1,,,,,\n")
        with unittest.mock.patch.object(sys.modules[__name__], "AEGL", levels):
            output, _ = self.told(lambda station, minute: 10.0 if station == "here" and minute > -12 else 0.0)
        self.assertEqual([z["level"] for z in output["release"]["zones"]], [2, 3])
        self.assertEqual({p["id"]: p["level"] for p in output["release"]["places"]}, {"school": 2})

    def check_nothing_taken(self, output):
        """Plume, levels at places and the area of the public message are there whatever the sensor looks like."""
        self.assertEqual(output["release"]["status"], "assumed")
        self.assertGreater(output["release"]["source"]["Q_g_s"], 0)
        self.assertEqual([c["place"] for c in output["cap"]], ["here"])
        levels = [r for r in output["results"] if r["variable"] == "plume_level"]
        self.assertTrue(levels and all(r["value"] is not None for r in levels), levels)

    def test_test_gas(self):
        output, sensors = self.told(lambda station, minute: 10.0 if station == "here" and minute > -12 else 0.0)
        self.assertEqual((sensors["here"]["looks_like"], sensors["here"]["suspected"]), ("calibration gas", True))
        self.assertEqual((sensors["here"]["downwind"], sensors["here"]["downwind_up"]), (1, 0))
        self.assertLess(sensors["here"]["scatter"], 0.02)
        self.assertEqual(sensors["east"]["looks_like"], "no gas")
        results = {(r["area"], r["variable"]): r["value"] for r in output["results"]}
        self.assertEqual((results["here", "gas_suspect"], results["here", "gas_doubt"]), (1, 3))
        self.assertEqual(results["east", "gas_suspect"], 0)
        self.check_nothing_taken(output)
        with open(self.path("trace.json"), encoding="utf-8") as file:
            self.assertEqual(json.load(file)["status"], "assumed")

    def test_the_same_with_a_neighbour_downwind(self):
        output, sensors = self.told(lambda station, minute: {"here": 10.0, "east": 1.0, "west": 0.0}[station]
                                    if minute > -12 else 0.0)
        self.assertEqual((sensors["here"]["looks_like"], sensors["here"]["downwind_up"]), ("release", 1))
        self.check_nothing_taken(output)

    def test_at_the_ceiling(self):
        site = json.loads(json.dumps(SITE))
        site["substances"][0]["ceiling_ppm"] = 8
        done = self.run_release(lambda station, minute: 10.0 if station == "here" and minute > -12 else 0.0, site)
        self.assertEqual(done.returncode, 0, done.stderr)
        with open(self.path("out.json"), encoding="utf-8") as file:
            sensors = {s["id"]: s["looks_like"] for s in json.load(file)["release"]["sensors"]}
        self.assertEqual(sensors["here"], "release")

    def test_units_are_not_mixed_up(self):
        good = ("ppm", "degree", "hPa", "m/s", "degC")
        for i, wrong in ((0, "mg/m3"), (0, "ppb"), (0, "nSv/h"), (1, "rad"), (2, "Pa"), (3, "km/h"), (4, "K")):
            units = good[:i] + (wrong,) + good[i + 1:]
            done = self.run_release(lambda station, minute: 10.0, units=units)
            self.assertEqual(done.returncode, 3, done.stderr)
            self.assertIn(f"is in {wrong}, not {good[i]}", done.stderr)

    def test_refused_site(self):
        for key, value in (("span_ppm", "10"), ("ceiling_ppb", 5), ("cross", [{"point": "so2"}]), ("cross", {"point": "so2"})):
            site = json.loads(json.dumps(SITE))
            site["substances"][0][key] = value
            done = self.run_release(lambda station, minute: 0.0, site)
            self.assertEqual(done.returncode, 3, done.stderr)
            self.assertIn(key if key != "cross" else "cross", done.stderr)


if __name__ == "__main__":
    unittest.main()

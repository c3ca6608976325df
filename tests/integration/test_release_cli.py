"""canhbao-model release by hand: what each sensor's rise looks like, and that a label takes nothing away."""
import json
import os
import subprocess
import tempfile
import unittest
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


SITE = {"kind": "release-site", "version": 1, "origin": {"latitude_deg": 13.775, "longitude_deg": 109.245},
        "utc_offset_min": 420, "source_height_m": 1,
        "wind": {"station": "met", "speed_point": "speed", "direction_point": "from", "temperature_point": "t",
                 "pressure_point": "p", "height_m": 10, "z0_m": 0.03, "class_day": "D", "class_night": "E"},
        "substances": [{"rule": "cl2", "point": "cl2", "substance": "Cl2", "detection_ppm": 0.1, "span_ppm": 10,
                        "ceiling_ppm": 50}],
        "stations": [place(name, longitude) for name, longitude in STATIONS.items()],
        "catalogue": [dict(place("store", 109.2425), substances=["Cl2"])], "points": [], "places": [place("school", 109.25)]}


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

    def run_release(self, gas, site=None, units=("ppm", "degree", "hPa", "m/s", "degC")):
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
             "--reference", stamp(0), "--trace", self.path("trace.json"), "--out", self.path("out.json")],
            capture_output=True, text=True, timeout=240, check=False)

    def told(self, gas):
        done = self.run_release(gas)
        self.assertEqual(done.returncode, 0, done.stderr)
        with open(self.path("out.json"), encoding="utf-8") as file:
            output = json.load(file)
        return output, {s["id"]: s for s in output["release"]["sensors"]}

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

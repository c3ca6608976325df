"""Rain-rate grids that canhbao-sim drops, read with ncdump (NetCDF's own reader), and compared with
the documented formula evaluated here."""
import datetime
import math
import os
import re
import subprocess
import unittest

import harness

CELL = {"place": (13.9, 109.0), "time_h": 1.0, "peak": 60.0, "sigma_km": 12.0, "east": 5.0,
        "north": -3.0, "life_h": 4.0}
TEXT = """
scenario: files
start: 2025-01-01T00:00:00Z
speed: SPEED
seed: 5
maps:
  rain:
    - {point: rate, table: input, address: 0, type: float32}
rain_field:
  intensity: [[+0 s, 1], [+2 h, 0.5]]
  cells:
    - {place: [13.9, 109.0], time: +1 h, peak_mm_h: 60, sigma_km: 12, move_m_s: [5, -3], life: 4 h}
  random:
    - {per_hour: 0RANDOM, from: +0 s, to: +3 h, peak_mm_h: [5, 20], sigma_km: [3, 9],
       life_min: [30, 60], lat: [13.4, 14.8], lon: [108.4, 109.3], move_m_s: [-3, 0]}
frames:
  - product: degrees
    every: 30 min
    unit: UNIT
    resolution_mm_h: 0.05
    grid: {mapping: latitude_longitude, lat: [13.5, 14.3], lon: [108.6, 109.4], step_deg: 0.1}
    radars: [{lat: 13.9, lon: 109.0, range_km: 35}]
  - product: metres
    every: 1 h
    latency: 10 min
    grid: {mapping: polar_stereographic, x_m: [9220000, 9290000], y_m: [-1010000, -940000],
           step_m: 10000, lat_true_deg: 60, lon_0_deg: 25}
    bad: BAD
stations:
  - {id: gauge, port: 0, map: rain, lat: 13.85, lon: 109.05, signals: {rate: [{field: {gain: 1}}]}}
"""


def scenario(unit="mm h-1", bad="[]", random=0, speed=7200):
    text = TEXT.replace("UNIT", unit).replace("BAD", bad).replace("SPEED", str(speed))
    if random == 0:  # no random cells at all
        text = re.sub(r"  random:.*?\n(?=frames)", "", text, flags=re.S)
    return text.replace("0RANDOM", str(random))


def expected_mm_h(t_h, lat, lon):
    """rainfield.h, written again."""
    since_s = (t_h - CELL["time_h"]) * 3600
    if 2 * abs(since_s) >= CELL["life_h"] * 3600:
        return 0.0
    growth = math.cos(math.pi * (t_h - CELL["time_h"]) / CELL["life_h"]) ** 2
    lat_0 = CELL["place"][0] + CELL["north"] * since_s / 1000 / 111.195
    lon_0 = CELL["place"][1] + CELL["east"] * since_s / 1000 / (
        111.195 * math.cos(math.radians(CELL["place"][0])))
    north = (lat - lat_0) * 111.195
    east = (lon - lon_0) * 111.195 * math.cos(math.radians(lat_0))
    square = (north ** 2 + east ** 2) / CELL["sigma_km"] ** 2
    intensity = 1 - 0.25 * min(t_h, 2)
    return 0.0 if square > 16 else CELL["peak"] * growth * intensity * math.exp(-square / 2)


def ncdump(path, variable=None):
    arguments = ["ncdump", "-p", "9,17", "-v", variable, path] if variable else ["ncdump", "-h", path]
    return subprocess.run(arguments, capture_output=True, text=True, check=True).stdout


def numbers(path, variable):
    data = ncdump(path, variable).split("data:")[1]
    body = re.search(rf"{variable} =(.*?);", data, re.S).group(1)
    return [None if word.strip() == "_" else float(word) for word in body.split(",")]


def first_bytes(path):
    with open(path, "rb") as file:
        return file.read(4)


class Files(unittest.TestCase):
    def play(self, wanted, **how):
        """Runs until the files are there; returns (folder of copies' paths, truth, faults)."""
        # It begins a little later: frames that were due before it ran would be left out.
        anchor = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=3)
        sim = harness.Sim(text=scenario(**how), inbox=True,
                          options=("--anchor", anchor.strftime("%Y-%m-%dT%H:%M:%SZ")))
        self.addCleanup(sim.__exit__, None, None, None)
        paths = [os.path.join(sim.path("inbox"), name) for name in wanted]
        harness.wait_for(lambda: all(map(os.path.exists, paths)), f"files {wanted}")
        self.sim = sim
        return paths

    def test_values_follow_the_formula(self):
        for unit, per_mm_h in (("mm h-1", 1.0), ("m s-1", 1 / 3.6e6), ("kg m-2 s-1", 1 / 3600)):
            with self.subTest(unit):
                path, = self.play(["degrees/degrees_20250101T003000Z.nc"], unit=unit)
                head = ncdump(path)
                self.assertIn(f'rainfall_rate:units = "{unit}"', head)
                self.assertIn("short rainfall_rate(time, lat, lon)", head)
                self.assertIn("rainfall_rate:_FillValue = -32768s", head)
                self.assertIn(':Conventions = "CF-1.8"', head)
                scale = float(re.search(r"scale_factor = ([-0-9.e]+)", head).group(1))
                self.assertAlmostEqual(scale / (0.05 * per_mm_h), 1, places=9)
                self.assertEqual(numbers(path, "time"), [1735689600 + 1800])
                lats, lons = numbers(path, "lat"), numbers(path, "lon")
                self.assertEqual((len(lats), len(lons)), (8, 8))
                self.assertAlmostEqual(lats[0], 14.25)  # north first, centres of cells
                self.assertAlmostEqual(lons[0], 108.65)
                raw = numbers(path, "rainfall_rate")
                missing = 0
                for i, count in enumerate(raw):
                    lat, lon = lats[i // 8], lons[i % 8]
                    away = math.hypot((lat - 13.9) * 111.195,
                                      (lon - 109) * 111.195 * math.cos(math.radians(13.9)))
                    if away > 35:
                        missing += 1
                        self.assertIsNone(count)
                    else:
                        self.assertLessEqual(abs(count * 0.05 - expected_mm_h(0.5, lat, lon)),
                                             0.0251)
                self.assertGreater(missing, 0)
                self.assertLess(missing, 64)
                self.assertGreater(max(c for c in raw if c is not None), 200)

    def test_projected_grid(self):
        path, = self.play(["metres/metres_20250101T010000Z.nc"])
        head = ncdump(path)
        self.assertIn('grid_mapping_name = "polar_stereographic"', head)
        self.assertIn("straight_vertical_longitude_from_pole = 25.", head)
        self.assertIn("standard_parallel = 60.", head)
        x, y = numbers(path, "x"), numbers(path, "y")
        self.assertEqual((x[0], y[0], len(x), len(y)), (9225000, -945000, 7, 7))
        # PROJ's own inverse says where the cells are.
        places = subprocess.run(
            ["invproj", "-f", "%.9f", "+proj=stere", "+lat_0=90", "+lat_ts=60", "+lon_0=25",
             "+R=6371000"], input="\n".join(f"{a} {b}" for b in y for a in x),
            capture_output=True, text=True, check=True).stdout.splitlines()
        raw = numbers(path, "rainfall_rate")
        for count, place in zip(raw, places):
            lon, lat = map(float, place.split())
            self.assertLessEqual(abs(count * 0.1 - expected_mm_h(1.0, lat, lon)), 0.0501)
        self.assertGreater(max(raw), 200)
        self.assertEqual(len(places), 49)

    def test_gauge_and_grid_show_the_same_rain(self):
        self.play(["degrees/degrees_20250101T003000Z.nc"], speed=600)  # the cell is there for 3 h of the clock
        with harness.connect(self.sim.ports["gauge"]) as connection:
            connection.sendall(harness.request(1, 1, 4, 0, 2))
            harness.read_exactly(connection, 13)
        line = harness.wait_for(lambda: [t for t in self.sim.lines("truth") if t.get("point") == "rate"],
                                "the truth of it")[-1]
        clock = line["time"].split("T")[1].rstrip("Z").split(":")
        t_h = int(clock[0]) + int(clock[1]) / 60 + float(clock[2]) / 3600
        self.assertAlmostEqual(line["value"], expected_mm_h(t_h, 13.85, 109.05), places=5)

    def test_bad_files(self):
        kinds = ["empty", "garbage", "truncated", "wrong-unit", "missing-variable", "no-fill",
                 "no-time", "future-time", "repeated-time", "huge"]
        bad = "[" + ", ".join(f"{{at: +{n + 1} h, kind: {kind}}}"
                              for n, kind in enumerate(kinds)) + "]"
        names = [f"metres_20250101T{n:02}0000Z.nc" for n in range(12)]
        paths = self.play(["metres/" + name for name in names], bad=bad)
        at = dict(zip(["good"] + kinds + ["after"], paths))
        size = {kind: os.path.getsize(path) for kind, path in at.items()}
        self.assertEqual(size["empty"], 0)
        self.assertEqual(size["garbage"], 4096)
        self.assertNotEqual(first_bytes(at["garbage"]), b"\x89HDF")
        self.assertEqual(first_bytes(at["truncated"]), b"\x89HDF")
        self.assertLess(size["truncated"], size["good"] * 0.6)
        self.assertIn('rainfall_rate:units = "K"', ncdump(at["wrong-unit"]))
        self.assertNotIn("rainfall_rate(", ncdump(at["missing-variable"]))
        self.assertNotIn("_FillValue", ncdump(at["no-fill"]))
        self.assertNotIn("time(time)", ncdump(at["no-time"]))
        self.assertEqual(numbers(at["future-time"], "time"), [1735689600 + 8 * 3600 + 86400])
        self.assertEqual(numbers(at["repeated-time"], "time"), [1735689600 + 8 * 3600])
        self.assertIn("y = 60000", ncdump(at["huge"]))
        self.assertLess(size["huge"], 2_000_000)
        def good():
            return {line["file"] for line in self.sim.lines("truth")
                    if line.get("event") == "file" and "bad" not in line}
        # A file is there before its line is.
        harness.wait_for(lambda: {names[0], names[11]} <= good(), "the good ones are on record")
        logged = [(line["file"], line["bad"]) for line in self.sim.lines("faults")]
        self.assertEqual(logged, [(f"metres_20250101T{n + 1:02}0000Z.nc", kind)
                                  for n, kind in enumerate(kinds)])
        self.assertFalse({names[n] for n in range(1, 11)} & good())

    def test_random_cells_are_seeded(self):
        first, = self.play(["degrees/degrees_20250101T003000Z.nc"], random=40)
        again, = self.play(["degrees/degrees_20250101T003000Z.nc"], random=40)
        plain, = self.play(["degrees/degrees_20250101T003000Z.nc"])
        self.assertEqual(numbers(first, "rainfall_rate"), numbers(again, "rainfall_rate"))
        self.assertNotEqual(numbers(first, "rainfall_rate"), numbers(plain, "rainfall_rate"))

    def test_nothing_half_written_is_ever_visible(self):
        self.play(["degrees/degrees_20250101T020000Z.nc"])
        visible = os.listdir(os.path.join(self.sim.path("inbox"), "degrees"))
        for name in visible:
            if not name.startswith("."):
                self.assertRegex(name, r"^degrees_\d{8}T\d{6}Z\.nc$")
                ncdump(os.path.join(self.sim.path("inbox"), "degrees", name), "rainfall_rate")

    def test_no_inbox_is_said(self):
        path = os.path.join(harness.SCENARIOS, "flood-nov-2025.yaml")
        result = harness.run_sim("--seconds", "5", path)
        self.assertEqual(result.returncode, 2)
        self.assertIn("--inbox", result.stderr)
        self.assertNotIn("dropped", result.stdout)


if __name__ == "__main__":
    unittest.main()

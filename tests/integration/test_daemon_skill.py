"""Verification as it runs: every nowcast is scored against the frames that came, also when it came after them. The
pooled scores of the daemon are compared with scores computed here, with numpy, from the kept forecasts and the frames:
counts, absolute errors, fractions in boxes by cumulative sums, CRPS by its other form E|X - y| - E|X - X'| / 2.
A model that is worse than persistence says so on its own products."""
import glob
import json
import os
import time
import unittest
import urllib.error
import urllib.request

import netCDF4
import numpy

from daemon import Daemon, Site
from harness import DEADLINE_S, wait_for
from test_daemon_grids import AREA, EXTRA as GRIDS

EXTRA = """areas:
  - {id: basin, name: {vi: lưu vực, en: basin}, file: areas/basin.geojson}
products:
  - {id: radar, model: areal, inbox: inbox/radar, windows: [1 h], leads: [0 s, 10 min], period: 5 min,
     stale_after: 12 h, deadline: 30 s, skill_of: nowcast,
     arguments: ["--forecast nowcast --members 5", "--motion-in {?product:nowcast/motion.nc}"]}
  - id: nowcast
    model: nowcast
    period: 5 min
    stale_after: 12 h
    keep: 100
    triggers: {products: [radar]}
    arguments: ["--in {frames:radar:3} --step 300 --leads 3 --motion-out {out:motion.nc} --out {out:forecast.nc}"]
  - id: ensemble
    model: nowcast
    period: 5 min
    stale_after: 12 h
    keep: 100
    triggers: {products: [radar]}
    arguments: ["--in {frames:radar:3} --step 300 --leads 3 --members 7 --out {out:forecast.nc}"]
  - id: check
    model: verify
    period: 5 min
    stale_after: 12 h
    triggers: {products: [nowcast, ensemble]}
    arguments:
      - "--of nowcast --observed {frames:radar:12} --forecast {products:nowcast/forecast.nc}"
      - "--ensemble {?products:ensemble/forecast.nc}"
      - "--previous {?previous:output.json}"
"""
# Two frames only: rain that swings is then expected to go on, and turns instead.
WORSE = (GRIDS[:GRIDS.index("areas:")] + EXTRA).replace("{frames:radar:3}", "{frames:radar:2}").replace(
    "leads: [0 s, 10 min],", "leads: [0 s, 5 min], min_coverage: 0.3,")
AHEAD = """id: ahead
hazard: heavy_rain
text: {vi: mưa sắp tới, en: rain ahead}
source: made up
scale: areal_rain
places: {areas: [basin]}
indicators:
  - {name: ahead, kind: model, product: radar, variable: rain_max, unit: mm h-1, lead: 5 min, max_age: 9 h}
levels:
  - {level: 1, when: {indicator: ahead, at_least: 2 mm/h, hysteresis: 1 mm/h}, off_delay: 0 s}
"""
SIZE, FRAMES = 64, 10


def field(step):
    """Two cells that move east by 2 pixels a step; one grows."""
    y, x = numpy.mgrid[0:SIZE, 0:SIZE]
    rain = 12 * numpy.exp(-((x - 12 - 2 * step) ** 2 + (y - 20) ** 2) / 40)
    rain += (3 + step) * numpy.exp(-((x - 8 - 2 * step) ** 2 + (y - 44) ** 2) / 60)
    rain[:5, -7:] = numpy.nan  # out of the radar's sight
    return numpy.round(rain, 2)


def write(path, when, values):
    data = netCDF4.Dataset(path, "w", format="NETCDF4")
    for name in ("lat", "lon"):
        data.createDimension(name, SIZE)
    data.createDimension("time", 1)
    axis = data.createVariable("time", "f8", ("time",))
    axis.units, axis.calendar, axis.standard_name = "seconds since 1970-01-01 00:00:00", "standard", "time"
    axis[:] = when
    for name, low, unit, standard in (("lat", 14.0, "degrees_north", "latitude"),
                                      ("lon", 108.0, "degrees_east", "longitude")):
        axis = data.createVariable(name, "f8", (name,))
        axis.units, axis.standard_name = unit, standard
        axis[:] = low + (numpy.arange(SIZE) + 0.5) * 0.01
    rain = data.createVariable("rainfall_rate", "f4", ("time", "lat", "lon"), fill_value=-1.0)
    rain.units, rain.standard_name = "mm h-1", "rainfall_rate"
    rain[:] = values[numpy.newaxis]
    data.close()


def add(sums, key, **more):
    entry = sums.setdefault(key, dict.fromkeys(more, 0))
    for name, value in more.items():
        entry[name] = entry[name] + value


def fractions(yes, rains):
    """Sums of (Pf - Po)^2 and Pf^2 + Po^2 over boxes of 9 x 9 pixels of 1.1 km: the odd number next to 10 km."""
    side = 9
    shares = []
    for event in (yes, rains):
        total = numpy.pad(event.astype("i8"), side // 2).cumsum(0).cumsum(1)
        total = numpy.pad(total, ((1, 0), (1, 0)))
        shares.append((total[side:, side:] - total[:-side, side:] - total[side:, :-side] + total[:-side, :-side]) / side ** 2)
    return ((shares[0] - shares[1]) ** 2).sum(), (shares[0] ** 2 + shares[1] ** 2).sum()


class Skill(unittest.TestCase):
    def setUp(self):
        worse = self._testMethodName == "test_worse_than_persistence_says_so"
        self.site = Site({"silent": ("127.0.0.1", 1, 1)}, extra=WORSE if worse else EXTRA)
        self.site.write("areas/basin.geojson", AREA)
        if worse:
            self.site.write("rules/ahead.yaml", AHEAD)
        self.daemon = Daemon(self.site.folder).start()
        self.start = int(time.time()) // 300 * 300 - 3600

    def tearDown(self):
        self.daemon.__exit__(None, None, None)
        self.site.__exit__()

    def kept(self, product, name):
        return sorted(glob.glob(self.daemon.path(f"state/products/{product}/2*/{name}")))

    def newest(self, product, member):
        for path in self.kept(product, "output.json")[-1:]:
            with open(path, encoding="utf-8") as file:
                return json.load(file)[member]
        return None

    def time(self, step):
        return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(self.start + 300 * step))

    def forecasts(self, product):
        """(step of the reference time, lead in s, rates [.., y, x]) of every lead that has a frame."""
        for path in self.kept(product, "forecast.nc"):
            with netCDF4.Dataset(path) as data:
                reference = float(data["forecast_reference_time"][...])
                rates = numpy.ma.filled(data["rainfall_rate"][:].astype("f4"), numpy.nan)
                leads = [round(float(v)) for v in data["lead_time"][:]]
            start = round((reference - self.start) / 300)
            for i, lead in enumerate(leads):
                if start + lead // 300 < FRAMES:
                    yield start, lead, rates[..., i, :, :]

    def expected(self):
        """(system, lead in s) -> sums of all kept forecasts, by name, for the threshold 1 mm/h where it has one."""
        sums = {}
        for start, lead, rate in self.forecasts("nowcast"):
            fell, stays = field(start + lead // 300).astype("f4"), field(start).astype("f4")
            stays = numpy.where(numpy.isnan(rate), numpy.nan, numpy.nan_to_num(stays))
            for system, said in (("forecast", rate), ("persistence", stays)):
                seen = ~numpy.isnan(said) & ~numpy.isnan(fell)
                yes, rains = (said >= 1) & seen, (fell >= 1) & seen
                difference, both = fractions(yes, rains)
                add(sums, (system, lead), n=seen.sum(), hits=(yes & rains).sum(), misses=(rains & ~yes).sum(),
                    false_alarms=(yes & ~rains).sum(), difference=difference, both=both,
                    error=numpy.abs(said[seen].astype("f8") - fell[seen]).sum())
        for start, lead, members in self.forecasts("ensemble"):
            x = members[:, ::2, ::2].reshape(len(members), -1).astype("f8")
            y = field(start + lead // 300).astype("f4")[::2, ::2].ravel().astype("f8")
            seen = ~numpy.isnan(x).any(0) & ~numpy.isnan(y)
            x, y = x[:, seen], y[seen]
            crps = numpy.abs(x - y).mean(0) - numpy.abs(x[:, None] - x[None]).mean((0, 1)) / 2
            probability, rains = (x >= 1).mean(0), y >= 1
            add(sums, ("ensemble", lead), n=len(y), crps=crps.sum(), brier=((probability - rains) ** 2).sum(),
                **{f"bin{k}": numpy.array([b.sum(), rains[b].sum()]) for k in range(11)
                   for b in [numpy.floor(10 * probability + 0.5) == k]})
        return sums

    def test_pooled_scores_are_those_of_the_forecasts(self):
        inbox = self.daemon.path("state/inbox/radar")
        for i in range(FRAMES):
            write(os.path.join(inbox, f".f{i}.nc"), self.start + 300 * i, field(i))
            os.rename(os.path.join(inbox, f".f{i}.nc"), os.path.join(inbox, f"f{i}.nc"))
            # Nobody waits for nowcast and check: forecasts come after frames that they are about.
            wait_for(lambda i=i: len(self.kept("radar", "output.json")) == i + 1, f"frame {i} is used")
        for product in ("nowcast", "ensemble"):
            wait_for(lambda product=product: self.newest(product, "reference_time") == self.time(FRAMES - 1),
                     f"{product} of the last frame")

        def rows():
            found = self.daemon.ctl("skill", "nowcast")["skill"]
            expected = self.expected()
            by = {(r["system"], r["lead_s"], r["threshold"]): r for r in found}
            complete = expected and all(by.get((*key, None), {}).get("n") == sums["n"] for key, sums in expected.items())
            return (by, expected, found) if complete else None

        by, expected, found = wait_for(rows, "all scores are committed")
        self.assertEqual({key for key in expected if key[0] == "forecast"}, {("forecast", s) for s in (300, 600, 900)})
        self.compare(by, expected)
        for lead in (300, 600, 900):
            self.assertLess(by["forecast", lead, None]["mae"], by["persistence", lead, None]["mae"], "motion helps")
        self.assertNotIn("skill-low", [c["class"] for c in self.daemon.ctl("status")["conditions"]])
        self.http(found)
        # The newest motion of the nowcast, five minutes older, goes into the run on the next frame.
        self.drop("next.nc", self.start + 300 * FRAMES, field(FRAMES))
        wait_for(lambda: self.newest("radar", "reference_time") == self.time(FRAMES), "the next frame is used")
        parameters = self.newest("radar", "manifest")["parameters"]
        self.assertEqual(parameters["motion"], "tracked")
        self.assertIn("smoothed", parameters["motion_note"])

    def compare(self, by, expected):
        for (system, lead), sums in expected.items():
            every, one = by[system, lead, None], by[system, lead, 1]
            if system == "ensemble":
                self.assertAlmostEqual(every["crps"], sums["crps"] / sums["n"], places=9)
                self.assertAlmostEqual(one["brier"], sums["brier"] / sums["n"], places=12)
                curve = sum(n * (k / 10 - rains / n) ** 2
                            for k in range(11) for n, rains in [sums[f"bin{k}"]] if n > 0)
                self.assertAlmostEqual(one["reliability"], curve / sums["n"], places=12)
                continue
            self.assertAlmostEqual(every["mae"], sums["error"] / sums["n"], places=9)
            self.assertNotIn("mae", one)
            counts = [sums[name] for name in ("hits", "misses", "false_alarms")]
            self.assertEqual([one["hits"], one["misses"], one["false_alarms"]], counts)
            self.assertAlmostEqual(one["csi"], counts[0] / sum(counts), places=12)
            self.assertAlmostEqual(one["pod"], counts[0] / (counts[0] + counts[1]), places=12)
            self.assertAlmostEqual(one["far"], counts[2] / (counts[0] + counts[2]), places=12)
            self.assertAlmostEqual(one["fss"], 1 - sums["difference"] / sums["both"], places=9)

    def drop(self, name, when, values):
        inbox = self.daemon.path("state/inbox/radar")
        write(os.path.join(inbox, "." + name), when, values)
        os.rename(os.path.join(inbox, "." + name), os.path.join(inbox, name))

    def test_worse_than_persistence_says_so(self):
        """Rain that swings to and fro over more than three hours is not foreseen by motion."""
        def swings(step):
            y, x = numpy.mgrid[0:SIZE, 0:SIZE]
            return 12 * numpy.exp(-((x - 26 - 6 * (step % 2)) ** 2 + (y - 30) ** 2) / 40)

        def low():
            return [c for c in self.daemon.ctl("status")["conditions"] if c["class"] == "skill-low"]

        first = self.start - 4 * 3600
        for i in range(6):  # three in a row, four hours before three in a row
            when = first + 300 * (i % 3) + (i // 3) * 4 * 3600
            self.drop(f"s{i}.nc", when, swings(i % 3))
            stamp = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(when))
            wait_for(lambda s=stamp: self.newest("radar", "reference_time") == s, f"frame {i} is used")
            wait_for(lambda s=stamp: self.newest("nowcast", "reference_time") == s, f"nowcast {i}")
            wait_for(lambda s=stamp: self.newest("check", "scored_until") == s, f"frame {i} is scored")
        # What is committed is judged when the next scores come.
        self.drop("s6.nc", first + 900 + 4 * 3600, swings(3))
        condition = wait_for(low, "it says so")[0]
        self.assertEqual(condition["subject"], "nowcast")
        self.assertRegex(condition["text"], r"worse than persistence over the last day at \d of \d leads, 5 to \d+ min: "
                                            "rainfall_rate, mean absolute error ")
        row = next(r for r in self.daemon.ctl("skill", "nowcast")["skill"]
                   if (r["system"], r["lead_s"], r["threshold"]) == ("forecast", 300, None))
        self.assertGreater(row["mae_ratio"], 1)
        # The products that stand on it say so too: what they foresee is doubtful evidence.
        self.drop("s7.nc", first + 1200 + 4 * 3600, swings(4))

        def doubtful():
            alarm = self.daemon.alarms().get(("ahead", "basin"))
            return alarm if alarm and alarm["knowledge"]["state"] == "doubtful" else None
        alarm = wait_for(doubtful, "the areal forecast is doubtful")
        self.assertEqual(alarm["level"]["value"], 1)
        self.assertIn("worse_than_persistence", json.dumps(alarm))

    def http(self, found):
        def get(path):
            with urllib.request.urlopen(f"http://{self.daemon.web()}{path}", timeout=DEADLINE_S) as answer:
                return answer.read().decode()
        self.assertEqual(json.loads(get("/api/v1/skill?product=nowcast"))["skill"], found)
        self.assertRegex(get("/metrics"), r'canhbao_skill\{product="nowcast",system="forecast",place="",variable='
                                          r'"rainfall_rate",lead_s="300",threshold="1",measure="csi"\} 0\.\d')
        products = {p["id"]: p for p in json.loads(get("/api/v1/products"))}
        self.assertIn("forecast.nc", products["nowcast"]["files"])
        self.assertEqual(json.loads(get("/api/v1/products/check/output.json"))["model"], "verify")
        for path, code in (("/api/v1/products/nowcast/forecast.nc", 400), ("/api/v1/products/nowcast/x.json", 404),
                           ("/api/v1/products/../canhbao.json", 404), ("/api/v1/skill?product=nothing", 404),
                           ("/api/v1/products/nowcast/.run/x.json", 400)):
            with self.assertRaises(urllib.error.HTTPError) as refused:
                get(path)
            self.assertEqual(refused.exception.code, code, path)


if __name__ == "__main__":
    unittest.main()

"""Verification as it runs: every nowcast is scored against the frames that came. The pooled scores of the daemon are
compared with scores computed here, with numpy, from the kept forecasts and the frames."""
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
from harness import wait_for
from test_daemon_grids import AREA

EXTRA = """areas:
  - {id: basin, name: {vi: lưu vực, en: basin}, file: areas/basin.geojson}
products:
  - {id: radar, model: areal, inbox: inbox/radar, windows: [1 h], leads: [0 s, 10 min], period: 5 min,
     stale_after: 12 h, deadline: 30 s, arguments: [--forecast nowcast --members 5], skill_of: nowcast}
  - id: nowcast
    model: nowcast
    period: 5 min
    stale_after: 12 h
    keep: 100
    triggers: {products: [radar]}
    arguments: ["--in {frames:radar:3} --step 300 --leads 3 --out {out:forecast.nc}"]
  - id: check
    model: verify
    period: 5 min
    stale_after: 12 h
    triggers: {products: [nowcast]}
    arguments:
      - "--of nowcast --observed {frames:radar:12} --forecast {products:nowcast/forecast.nc}"
      - "--previous {?previous:output.json}"
"""
SIZE, FRAMES = 64, 10


def field(step):
    """Two cells that move east by 2 pixels a step; one grows."""
    y, x = numpy.mgrid[0:SIZE, 0:SIZE]
    rain = 12 * numpy.exp(-((x - 12 - 2 * step) ** 2 + (y - 20) ** 2) / 40)
    rain += (3 + step) * numpy.exp(-((x - 8 - 2 * step) ** 2 + (y - 44) ** 2) / 60)
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


class Skill(unittest.TestCase):
    def setUp(self):
        self.site = Site({"silent": ("127.0.0.1", 1, 1)}, extra=EXTRA)
        self.site.write("areas/basin.geojson", AREA)
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

    def expected(self):
        """(lead in s) -> pooled n, absolute error, and hits, misses, false alarms at 1 mm/h of the kept forecasts."""
        sums = {}
        for path in self.kept("nowcast", "forecast.nc"):
            with netCDF4.Dataset(path) as data:
                reference = float(data["forecast_reference_time"][...])
                rates = numpy.ma.filled(data["rainfall_rate"][:].astype("f4"), numpy.nan)
                ascending = data["lat"][1] > data["lat"][0] if "lat" in data.variables else True
                leads = [float(v) for v in data["lead_time"][:]]
            for lead, rate in zip(leads, rates):
                step = round((reference + lead - self.start) / 300)
                if step >= FRAMES:
                    continue
                fell = field(step).astype("f4")
                rate = rate if ascending else rate[::-1]
                seen = ~numpy.isnan(rate)
                said, did = rate[seen] >= 1, fell[seen] >= 1
                entry = sums.setdefault(round(lead), numpy.zeros(5))
                entry += [seen.sum(), numpy.abs(rate[seen].astype("f8") - fell[seen]).sum(), (said & did).sum(),
                          (~said & did).sum(), (said & ~did).sum()]
        return sums

    def test_pooled_scores_are_those_of_the_forecasts(self):
        inbox = self.daemon.path("state/inbox/radar")
        for i in range(FRAMES):
            write(os.path.join(inbox, f".f{i}.nc"), self.start + 300 * i, field(i))
            os.rename(os.path.join(inbox, f".f{i}.nc"), os.path.join(inbox, f"f{i}.nc"))
            wait_for(lambda i=i: len(self.kept("radar", "output.json")) == i + 1, f"frame {i} is used")
            # One after the other: a forecast that comes after its frame was scored is not scored any more.
            wait_for(lambda i=i: self.newest("nowcast", "reference_time") == self.time(i), f"nowcast {i}")
            wait_for(lambda i=i: self.newest("check", "scored_until") == self.time(i), f"frame {i} is scored")

        def rows():
            found = self.daemon.ctl("skill", "nowcast")["skill"]
            expected = self.expected()
            mae = {r["lead_s"]: r for r in found if r["system"] == "forecast" and r["threshold"] is None}
            return (mae, expected, found) if mae and sum(r["n"] for r in mae.values()) == sum(
                e[0] for e in expected.values()) else None

        mae, expected, found = wait_for(rows, "all scores are committed")
        self.assertEqual(set(mae), {300, 600, 900})
        for lead, sums in expected.items():
            self.assertEqual(mae[lead]["n"], sums[0])
            self.assertAlmostEqual(mae[lead]["mae"], sums[1] / sums[0], places=9)
            one = next(r for r in found if r["system"] == "forecast" and r["threshold"] == 1 and r["lead_s"] == lead)
            self.assertEqual([one["hits"], one["misses"], one["false_alarms"]], list(sums[2:]))
            self.assertAlmostEqual(one["csi"], sums[2] / sums[2:].sum(), places=12)
            self.assertNotIn("mae", one)
        stays = {r["lead_s"]: r for r in found if r["system"] == "persistence" and r["threshold"] is None}
        self.assertTrue(all(mae[lead]["mae"] < stays[lead]["mae"] for lead in stays), "moving rain: motion helps")
        self.assertNotIn("skill-low", [c["class"] for c in self.daemon.ctl("status")["conditions"]])
        self.http(found)

    def http(self, found):
        def get(path):
            with urllib.request.urlopen(f"http://{self.daemon.web()}{path}", timeout=10) as answer:
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

"""Grids in, areal indicators, rules, alerts out: good frames, and every kind of bad one.

A bad frame is rejected by name, quarantined with its reason, raises a condition, and leaves the daemon and the
last level alone; the next good frame clears the condition."""
import os
import shutil
import tempfile
import time
import unittest

import netCDF4
import numpy

from daemon import Daemon, Site
from harness import wait_for

AREA = """{"type": "Feature", "id": "basin", "properties": {"name": "basin"}, "geometry": {"type": "Polygon",
"coordinates": [[[108.2, 14.2], [108.8, 14.2], [108.8, 14.8], [108.2, 14.8], [108.2, 14.2]]]}}"""
EXTRA = """  - id: areal_rain
    kind: own
    name: {vi: mưa lưu vực, en: areal rain}
    levels:
      - {vi: chú ý, en: watch}
      - {vi: mưa lớn, en: heavy}
areas:
  - {id: basin, name: {vi: lưu vực, en: basin}, file: areas/basin.geojson}
products:
  - {id: radar, model: areal, inbox: inbox/radar, windows: [1 h], leads: [0 s, 1 h], period: 5 min, stale_after: 20 min,
     min_coverage: 0.8, deadline: 30 s}
"""
RULE = """id: areal
hazard: heavy_rain
text: {vi: mưa trung bình lưu vực, en: mean rain over the basin}
source: made up
scale: areal_rain
places: {areas: [basin]}
indicators:
  - {name: now, kind: model, product: radar, variable: rain_mean, unit: mm h-1, max_age: 90 min}
levels:
  - {level: 1, when: {indicator: now, at_least: 5 mm/h, hysteresis: 1 mm/h}, off_delay: 0 s}
  - {level: 2, when: {indicator: now, at_least: 20 mm/h, hysteresis: 2 mm/h}, off_delay: 0 s}
"""


def frame(path, when, rate, units="mm h-1", fill=True, missing=0.0, variable="rainfall_rate", size=40, kind="i2"):
    """A packed CF frame of one rate over 108..109 E, 14..15 N; `missing`: share of the columns without data."""
    data = netCDF4.Dataset(path, "w", format="NETCDF4")
    data.createDimension("time", 1)
    data.createDimension("lat", size)
    data.createDimension("lon", size)
    time_variable = data.createVariable("time", "f8", ("time",))
    time_variable.units, time_variable.calendar = "seconds since 1970-01-01 00:00:00", "standard"
    time_variable.standard_name = "time"
    time_variable[:] = when
    for name, low, unit, standard in (("lat", 14.0, "degrees_north", "latitude"),
                                      ("lon", 108.0, "degrees_east", "longitude")):
        axis = data.createVariable(name, "f8", (name,))
        axis.units, axis.standard_name = unit, standard
        axis[:] = low + (numpy.arange(size) + 0.5) / size
    rain = data.createVariable(variable, kind, ("time", "lat", "lon"), fill_value=-32768 if fill else False)
    rain.units = units
    if variable == "rainfall_rate":
        rain.standard_name = "rainfall_rate"
    rain.set_auto_maskandscale(False)
    rain.scale_factor, rain.add_offset = 0.01, 0.0
    values = numpy.full((1, size, size), round(rate * 100), dtype=kind)
    values[:, :, :int(missing * size)] = -32768
    rain[:] = values
    data.close()


class Grids(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="canhbao-frames-")
        self.site = Site({"silent": ("127.0.0.1", 1, 1)}, extra=EXTRA)
        self.site.write("areas/basin.geojson", AREA)
        self.site.write("rules/areal.yaml", RULE)
        os.remove(self.site.path("rules/flood.yaml"))
        self.daemon = Daemon(self.site.folder).start()
        self.inbox = self.daemon.path("state/inbox/radar")
        self.when = int(time.time()) - 3600
        self.number = 0

    def tearDown(self):
        self.daemon.__exit__(None, None, None)
        self.site.__exit__()
        shutil.rmtree(self.folder)

    def drop(self, path, name):
        """Complete files only: written elsewhere, then renamed in."""
        inside = os.path.join(self.inbox, "." + name)
        shutil.copy(path, inside)
        os.rename(inside, os.path.join(self.inbox, name))

    def good(self, rate, **more):
        self.when += 300
        self.number += 1
        name = f"good-{self.number:03}.nc"
        frame(os.path.join(self.folder, name), self.when, rate, **more)
        self.drop(os.path.join(self.folder, name), name)
        wait_for(lambda: os.path.exists(os.path.join(self.inbox, "done", name)), f"{name} is used")

    def alarm(self):
        return self.daemon.alarms()[("areal", "basin")]

    def level(self):
        return self.alarm()["level"]["value"]

    def conditions(self):
        return {c["class"]: c["text"] for c in self.daemon.ctl("status")["conditions"]}

    def bad(self, name, path, says):
        """One bad file: quarantined by name, the reason told, nothing else moved."""
        before = self.alarm()
        self.drop(path, name)
        reason = os.path.join(self.inbox, "quarantine", name + ".reason")

        def told():
            if not os.path.exists(reason):
                return None
            with open(reason, encoding="utf-8") as file:
                text = file.read()
            return text if text.endswith("\n") else None  # the file is there before its line is

        text = wait_for(told, f"{name} is in quarantine with its reason")
        self.assertRegex(text, says, name)
        wait_for(lambda: "grid-rejected" in self.conditions() or "worker-failed" in self.conditions(),
                 f"{name} raises a condition")
        after = self.alarm()
        self.assertEqual((after["level"]["value"], after["revision"]), (before["level"]["value"], before["revision"]))
        self.assertEqual(self.daemon.process.poll(), None)

    def test_rates_become_levels_and_bad_frames_do_not(self):
        self.good(8.0)
        wait_for(lambda: self.level() == 1, "level 1 from 8 mm/h")
        self.good(25.0)
        wait_for(lambda: self.level() == 2, "level 2 from 25 mm/h")
        value = [e["value"] for e in self.alarm()["evidence"]][0]
        self.assertAlmostEqual(value, 25.0, places=6)
        path = os.path.join(self.folder, "bad.nc")

        def written(content):
            with open(path, "wb") as file:
                file.write(content)
            return path

        def made(**arguments):
            frame(path, arguments.pop("when", self.when + 300), arguments.pop("rate", 0.0), **arguments)
            return path

        cases = [
            ("empty.nc", lambda: written(b""), "empty"),
            ("text.nc", lambda: written(b"not a grid"), "text.nc"),
            ("variable.nc", lambda: made(variable="something"), "."),
            ("unit.nc", lambda: made(units="K"), "K"),
            ("nofill.nc", lambda: made(fill=False), "[Ff]ill"),
            ("future.nc", lambda: made(when=int(time.time()) + 86400), "."),
            ("repeated.nc", lambda: made(when=self.when), "."),
        ]
        for name, make, says in cases:
            self.bad(name, make(), says)
        whole = made()
        with open(whole, "rb") as file:
            content = file.read()
        for name, part in (("cut-half.nc", content[:len(content) // 2]), ("cut-head.nc", content[:64]),
                           ("garbled.nc", content[:200] + bytes(400) + content[600:])):
            self.bad(name, written(part), ".")
        self.assertEqual(self.level(), 2)
        self.good(25.0)
        wait_for(lambda: not {"grid-rejected", "worker-failed"} & set(self.conditions()), "the conditions clear")
        self.good(30.0, missing=0.7)  # too little of the basin is seen: unknown, not lower
        wait_for(lambda: self.alarm()["knowledge"]["state"] != "fresh", "missing cells show")
        self.assertEqual(self.level(), 2)
        self.good(0.0)
        wait_for(lambda: self.level() == 0, "a dry and whole frame lowers")
        metrics = self.daemon.ctl("status")["inputs"]["model_results"]
        self.assertGreater(metrics, 0)


if __name__ == "__main__":
    unittest.main()

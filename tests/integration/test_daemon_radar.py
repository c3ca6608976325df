"""The whole chain on real radar sequences, when they are at hand (CANHBAO_REFERENCE_DATA): Finland, 5 minutes,
polar stereographic, and the Great Lakes, 2 minutes, latitude/longitude. Frame by frame into the inboxes; areal
indicators, rules, alerts out of a real Apache Kafka broker. The means that the alerts carry are computed again here
from the file with numpy; the expected levels follow from those."""
import json
import os
import shutil
import sys
import tempfile
import unittest
from datetime import datetime, timezone

import netCDF4
import numpy

from broker import Broker
from daemon import Daemon, Site
from harness import SOURCE, wait_for

sys.path.insert(0, os.path.join(SOURCE, "tests"))
from schema_check import Checker, read_all  # noqa: E402

DATA = os.environ.get("CANHBAO_REFERENCE_DATA", os.path.join(SOURCE, "..", "shared", "data"))
FILES = {"fmi": "radar_dev/fmi_20160928.nc", "mrms": "radar_dev/mrms_20190610.nc"}
PERIODS = {"fmi": "5 min", "mrms": "2 min"}
# Boxes in longitude and latitude within the rain of the two sequences.
BOXES = {"fmi": (24.0, 61.5, 27.0, 63.0), "mrms": (-88.0, 43.0, -86.0, 45.0)}
LEVELS_MM_H = (0.3, 1.0, 3.0)
FRAMES = 8

EXTRA = """  - id: areal_rain
    kind: own
    name: {{vi: mưa vùng, en: areal rain}}
    levels:
      - {{vi: mức 1, en: level 1}}
      - {{vi: mức 2, en: level 2}}
      - {{vi: mức 3, en: level 3}}
areas:
  - {{id: fmi, name: {{vi: Phần Lan, en: Finland}}, file: areas/fmi.geojson}}
  - {{id: mrms, name: {{vi: Ngũ Đại Hồ, en: Great Lakes}}, file: areas/mrms.geojson}}
products:
  - {{id: {name}, model: areal, inbox: inbox/{name}, windows: [1 h], leads: [0 s, 1 h], period: {period},
     stale_after: 60 min, min_coverage: 0.5, deadline: 60 s}}
"""
RULE = """id: areal-{name}
hazard: heavy_rain
text: {{vi: mưa trung bình vùng, en: mean rain over the area}}
source: made up for this test
scale: areal_rain
places: {{areas: [{name}]}}
indicators:
  - {{name: now, kind: model, product: {name}, variable: rain_mean, unit: mm h-1, max_age: 90 min}}
levels:
  - {{level: 1, when: {{indicator: now, at_least: {one} mm/h}}, off_delay: 0 s}}
  - {{level: 2, when: {{indicator: now, at_least: {two} mm/h}}, off_delay: 0 s}}
  - {{level: 3, when: {{indicator: now, at_least: {three} mm/h}}, off_delay: 0 s}}
"""


def split(path, folder, count):
    """The first frames of a sequence as files of one frame each, bytes of the data untouched."""
    names = []
    with netCDF4.Dataset(path) as source:
        source.set_auto_maskandscale(False)
        for index in range(count):
            name = os.path.join(folder, f"frame-{index:03}.nc")
            with netCDF4.Dataset(name, "w", format="NETCDF4_CLASSIC") as target:
                target.set_auto_maskandscale(False)
                for dimension, size in source.dimensions.items():
                    target.createDimension(dimension, 1 if dimension == "time" else len(size))
                for key, variable in source.variables.items():
                    copy = target.createVariable(key, variable.dtype, variable.dimensions,
                                                 fill_value=getattr(variable, "_FillValue", None), zlib=True)
                    copy.set_auto_maskandscale(False)
                    copy.setncatts({a: variable.getncattr(a) for a in variable.ncattrs() if a != "_FillValue"})
                    if "time" in variable.dimensions:
                        copy[:] = variable[index:index + 1]
                    else:
                        copy[...] = variable[...]
            names.append(name)
    return names


def box_area(box):
    """The box as GeoJSON; its parallels as many short edges, as an edge is straight in longitude and latitude."""
    west, south, east, north = box
    ring = [[west, south], [east, south], [east, north], [west, north], [west, south]]
    return json.dumps({"type": "Feature", "id": "ID", "properties": {}, "geometry": {
        "type": "Polygon", "coordinates": [ring]}})


def mean_rate(path, box):
    """Mean over the cells whose centre lies in the box (latitude/longitude grids only), weighted with cos(latitude)."""
    with netCDF4.Dataset(path) as data:
        x, y = data.variables["x"][:], data.variables["y"][:]
        rates = data.variables["rainfall_rate"][0]
        inside = numpy.outer((y > box[1]) & (y < box[3]), (x > box[0]) & (x < box[2]))
        weights = numpy.where(inside & ~numpy.ma.getmaskarray(rates),
                              numpy.cos(numpy.radians(numpy.asarray(y)))[:, None], 0.0)
        return float((numpy.ma.filled(rates, 0.0) * weights).sum() / weights.sum())


def frame_time(path):
    with netCDF4.Dataset(path) as data:
        return int(data.variables["time"][0])


def rfc3339(seconds):
    return datetime.fromtimestamp(seconds, timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


class Radar(unittest.TestCase):
    def run_sequence(self, name):
        path = os.path.join(DATA, FILES[name])
        folder = tempfile.mkdtemp(prefix="canhbao-radar-")
        frames = split(path, folder, FRAMES)
        start = frame_time(frames[0])
        anchor = rfc3339(datetime.now(timezone.utc).timestamp())
        with Broker() as broker, Site({"silent": ("127.0.0.1", 1, 1)}, prefix=broker.prefix,
                                      extra=EXTRA.format(name=name, period=PERIODS[name])) as site:
            for area, box in BOXES.items():
                site.write(f"areas/{area}.geojson", box_area(box).replace('"ID"', f'"{area}"'))
            site.write(f"rules/areal-{name}.yaml", RULE.format(name=name, one=LEVELS_MM_H[0], two=LEVELS_MM_H[1],
                                                               three=LEVELS_MM_H[2]))
            os.remove(site.path("rules/flood.yaml"))
            # The frames are years old: the daemon lives in their time, fast enough to be past the last of them.
            clock = ["--exercise", "--reconstructed", "--clock-scale", "1", "--clock-start",
                     rfc3339(start + 60 * 40), "--clock-anchor", anchor]
            with Daemon(site.folder, broker.address, options=clock) as daemon:
                inbox = daemon.path(f"state/inbox/{name}")
                seen = []
                for number, frame in enumerate(frames):
                    inside = os.path.join(inbox, f".frame-{number}")
                    shutil.copy(frame, inside)
                    os.rename(inside, os.path.join(inbox, f"frame-{number:03}.nc"))
                    stamp = rfc3339(frame_time(frame))
                    alarm = wait_for(lambda: [a for a in daemon.alarms().values()
                                              if a["evidence"][0]["model"]["reference_time"] == stamp],
                                     f"{name}: frame {number} is used", 60)[0]
                    evidence = alarm["evidence"][0]
                    self.assertIsNotNone(evidence["value"], evidence)
                    level = sum(evidence["value"] >= threshold for threshold in LEVELS_MM_H)
                    self.assertEqual(alarm["level"]["value"], level, evidence)
                    seen.append((frame, evidence["value"], level))
                self.assertEqual(os.listdir(os.path.join(inbox, "quarantine")), [])
                daemon.wait_delivered()
                self.assertEqual(daemon.stop(), 0)
            checker = Checker(prefix=broker.prefix)
            levels = []
            for topic, _, key, headers, value in read_all(broker.address, [broker.prefix + "alert.v1"]):
                self.assertEqual(checker.check(topic, key, headers, value), [])
                body = json.loads(value)
                self.assertEqual((body["place"]["id"], body["status"]), (name, "Exercise"))
                if body["event"] in ("raised", "lowered", "assessed"):
                    levels.append(body["level"]["value"])
            expected = [level for index, (_, _, level) in enumerate(seen) if index == 0 or level != seen[index - 1][2]]
            self.assertEqual(levels, expected)
            self.assertTrue(any(levels), "the rain of the sequence reaches a level")
            print(f"{name}: mean rates {[round(value, 3) for _, value, _ in seen]} mm/h, levels {levels}", flush=True)
        return folder, seen

    def test_great_lakes(self):
        folder, seen = self.run_sequence("mrms")
        for frame, value, _ in seen:
            # Cell edges coincide with the box, so centres decide exactly; areas on the ellipsoid differ a little
            # from cos(latitude).
            self.assertAlmostEqual(value, mean_rate(frame, BOXES["mrms"]), delta=0.002 * value + 1e-6)
        shutil.rmtree(folder)

    def test_finland(self):
        # Its means are checked to 1e-9 by tests/reference/areal_means.py; here the chain is.
        folder, _ = self.run_sequence("fmi")
        shutil.rmtree(folder)


if __name__ == "__main__":
    if not all(os.path.exists(os.path.join(DATA, file)) for file in FILES.values()):
        print("SKIPPED: daemon_radar: no reference data")
        sys.exit(77)
    unittest.main()

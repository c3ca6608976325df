"""A rule names classes of cells as places: areal --classes of an inbox product, outlines from the polygon."""
import os
import shutil
import tempfile
import time
import unittest

import netCDF4
import numpy

from daemon import Daemon, Site
from harness import wait_for
from test_daemon_grids import AREA, EXTRA, RULE, frame

SIZE = 40
CLASSES = EXTRA.replace("deadline: 30 s}", "deadline: 30 s, arguments: ['--classes {site:terrain.nc}']}").replace(
    "products:", """  - {id: basin.steep, name: {vi: dốc, en: steep}, file: areas/basin.geojson, feature: basin}
  - {id: basin.lake, name: {vi: hồ, en: lake}, file: areas/basin.geojson, feature: basin}
products:""")


def terrain(path):
    """The frame's grid: steep in the northern half, nothing known in the southern, no lake."""
    frame(path, 0, 0.0, size=SIZE)
    with netCDF4.Dataset(path, "a") as data:
        field = data.createVariable("terrain", "i1", ("lat", "lon"), fill_value=-1)
        field.flag_values, field.flag_meanings = numpy.array([1, 2], "i1"), "steep lake"
        field.set_auto_mask(False)
        field[:] = numpy.where(numpy.arange(SIZE) < SIZE // 2, -1, 1)[:, None] * numpy.ones((SIZE, SIZE), "i1")


class DaemonClasses(unittest.TestCase):
    def test_a_class_has_its_own_alarm(self):
        folder = tempfile.mkdtemp(prefix="canhbao-classes-")
        self.addCleanup(shutil.rmtree, folder)
        site = Site({"silent": ("127.0.0.1", 1, 1)}, extra=CLASSES)
        self.addCleanup(site.__exit__)
        site.write("areas/basin.geojson", AREA)
        site.write("rules/areal.yaml", RULE.replace("[basin]", "[basin, basin.steep, basin.lake]"))
        os.remove(site.path("rules/flood.yaml"))
        terrain(site.path("terrain.nc"))
        path = os.path.join(folder, "rain.nc")
        frame(path, int(time.time()) // 300 * 300, 30.0, size=SIZE)
        with netCDF4.Dataset(path, "a") as data:
            data["rainfall_rate"][0, :SIZE // 2] = 0.0  # dry where nothing is known: the basin has 15 mm/h
        with Daemon(site.folder) as daemon:
            inbox = daemon.path("state/inbox/radar")
            wait_for(lambda: os.path.isdir(inbox), "the inbox", 30)
            shutil.copy(path, inbox + "/.rain.nc")
            os.rename(inbox + "/.rain.nc", inbox + "/rain.nc")
            wanted = {("areal", "basin"): 1, ("areal", "basin.steep"): 2, ("areal", "basin.lake"): None}
            wait_for(lambda: {key: alarm["level"]["value"] if alarm["knowledge"]["state"] == "fresh" else None
                              for key, alarm in daemon.alarms().items()} == wanted, "three levels")


if __name__ == "__main__":
    unittest.main()

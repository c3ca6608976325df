"""`areal --classes`: the cells of a class, caged as the daemon runs it; what it refuses, by status and text."""
import hashlib
import json
import os
import tempfile
import unittest

import netCDF4
import numpy

from test_nowcast_inputs import run

RATES = [[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]
CLASSES = [[0, 1, 1], [1, 0, -1]]
SQUARE = [[106.0, 14.0], [108.0, 14.0], [108.0, 16.0], [106.0, 16.0], [106.0, 14.0]]  # the two columns in the west


class ArealClasses(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.path = lambda name: os.path.join(folder.name, name)
        self.write("rain.nc", "rainfall_rate", "f4", numpy.array(RATES),
                   {"standard_name": "rainfall_rate", "units": "mm h-1"})
        self.flags = {"flag_values": numpy.array([0, 1], "i1"), "flag_meanings": "flat steep"}
        self.write("classes.nc", "terrain", "i1", numpy.array(CLASSES), self.flags)
        with open(self.path("areas.geojson"), "w") as out:
            json.dump({"type": "Feature", "id": "hill", "properties": {},
                       "geometry": {"type": "Polygon", "coordinates": [SQUARE]}}, out)

    def write(self, name, variable, kind, values, attributes, west=106.5):
        with netCDF4.Dataset(self.path(name), "w") as data:
            for axis, units, centres in (("lat", "degrees_north", [14.5, 15.5]),
                                         ("lon", "degrees_east", [west, west + 1.0, west + 2.0])):
                data.createDimension(axis, len(centres))
                data.createVariable(axis, "f8", (axis,)).units = units
                data[axis][:] = centres
            data.createVariable("time", "f8", ()).units = "seconds since 2026-01-01 00:00:00"
            data["time"].standard_name = "time"
            data["time"][...] = 0.0
            field = data.createVariable(variable, kind, ("lat", "lon"), fill_value=-1)
            field.set_auto_mask(False)
            field.setncatts({**attributes, "coordinates": "time"})
            field[:] = values

    def areal(self, *options):
        return run("areal", "--in", self.path("rain.nc"), "--windows", "", "--lead", "0s", *options)

    def means(self, *options):
        done = self.areal("--worker", *options)
        self.assertEqual(done.returncode, 0, done.stderr)
        output = json.loads(done.stdout)
        return output, {r["area"]: r["value"] for r in output["results"] if r["variable"] == "rain_mean"}

    def test_classes_of_polygons_and_of_the_grid(self):
        south, north = numpy.cos(numpy.radians([14.5, 15.5]))  # sizes of cells to a few 1e-5
        classes = self.path("classes.nc")
        output, means = self.means("--areas", self.path("areas.geojson"), "--classes", classes + ":terrain")
        self.assertEqual(list(means), ["hill", "hill.flat", "hill.steep"])
        self.assertAlmostEqual(means["hill.flat"], (1.0 * south + 5.0 * north) / (south + north), 3)
        self.assertAlmostEqual(means["hill.steep"], (2.0 * south + 4.0 * north) / (south + north), 3)
        with open(classes, "rb") as file:
            self.assertEqual(output["manifest"]["classes"], {
                "name": "classes.nc", "sha256": hashlib.sha256(file.read()).hexdigest(), "variable": "terrain"})
        output, means = self.means("--classes", classes)
        self.assertEqual(list(means), ["flat", "steep"])
        self.assertAlmostEqual(means["steep"], (5.0 * south + 4.0 * north) / (2.0 * south + north), 3)
        # nothing of the manifest is there without the option
        output, means = self.means("--areas", self.path("areas.geojson"))
        self.assertEqual((list(means), "classes" in output["manifest"]), (["hill"], False))

    def test_what_is_refused(self):
        self.write("other.nc", "terrain", "i1", numpy.array(CLASSES), self.flags, west=106.0)
        self.write("bare.nc", "terrain", "i1", numpy.array(CLASSES), {})
        for name, text in (("other.nc", "not on the grid and projection of the rain"),
                           ("bare.nc", "no variable with flag_meanings"),
                           ("bare.nc:terrain", "no flag_values"),
                           ("rain.nc:rainfall_rate", "not plain integers"),
                           ("areas.geojson", "areas.geojson")):
            for cage in ([], ["--worker"]):
                done = self.areal("--classes", self.path(name), *cage)
                self.assertEqual((done.returncode, done.stdout), (3, ""), done.stderr)
                self.assertIn(text, done.stderr)
        done = self.areal("--classes", self.path("nowhere.nc"))
        self.assertEqual((done.returncode, done.stdout), (1, ""), done.stderr)
        self.assertIn("nowhere.nc: No such file", done.stderr)
        done = self.areal()
        self.assertEqual(done.returncode, 2)
        self.assertIn("--areas (or --classes) are needed", done.stderr)


if __name__ == "__main__":
    unittest.main()

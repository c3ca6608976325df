"""terrain by hand on elevation models as people have them: either order of the axes, degrees, no place at all, packed
integers, feet; and what is no elevation of land. A plane that falls to the south-west is drained the same way in each."""
import os
import shutil
import tempfile
import unittest

import netCDF4
import numpy

from by_hand import dem, run

ROWS, COLUMNS = 14, 11
NORTH = numpy.arange(ROWS)[:, None]  # rows from north to south
EAST = numpy.arange(COLUMNS)[None, :]
PLANE = 500.0 - 10 * NORTH + 3 * EAST  # falls 10 m a row to the south, 3 m a column to the west
Y = 1500000 - 90.0 * numpy.arange(ROWS)
X = 500000 + 90.0 * numpy.arange(COLUMNS)


class Terrain(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="canhbao-terrain-")
        self.addCleanup(shutil.rmtree, self.folder)

    def drain(self, *more, **given):
        given.setdefault("y", Y)
        given.setdefault("x", X)
        dem(os.path.join(self.folder, "dem.nc"), **given)
        out = os.path.join(self.folder, "out.nc")
        if os.path.exists(out):
            os.remove(out)
        done = run(self.folder, "terrain", "--dem", "dem.nc", "--variable", given.get("name", "dem"), "--stream-km2", "0.05",
                   "--out", "out.nc", *more)
        if done.returncode != 0:
            self.assertFalse(os.path.exists(out))
            return done, None
        with netCDF4.Dataset(out) as file:
            return done, {name: numpy.ma.filled(file[name][:].astype("f8"), numpy.nan).squeeze()
                          for name in ("filled", "flow_direction", "cells_above", "basin", "stream", "y", "x")}

    def is_the_plane(self, found, flip=False):
        """Down the slope inside: south is 10 / 90, south-west 13 / 127.3."""
        for name, expected in (("filled", PLANE), ("cells_above", None), ("flow_direction", None)):
            field = found[name][::-1] if flip else found[name]
            if expected is not None:
                numpy.testing.assert_allclose(field, expected, atol=1e-3)
        inside = (found["flow_direction"][::-1] if flip else found["flow_direction"])[:-1, 1:]
        self.assertEqual(set(inside.ravel()), {4.0})  # 0.111 to the south, 0.102 to the south-west
        above = (found["cells_above"][::-1] if flip else found["cells_above"])
        numpy.testing.assert_array_equal(above[-2, 1:], ROWS - 1)
        numpy.testing.assert_array_equal(above[-1, 1:], ROWS * (COLUMNS - EAST[0, 1:]))  # the last row drains west
        self.assertEqual(numpy.isnan(above).sum(), 0)

    def test_rows_in_either_order(self):
        _, found = self.drain(values=PLANE)
        self.is_the_plane(found)
        _, found = self.drain(values=PLANE[::-1], y=Y[::-1])
        numpy.testing.assert_array_equal(found["y"], Y[::-1])  # as the file has it
        self.is_the_plane(found, flip=True)

    def test_units_and_packing(self):
        _, found = self.drain(values=PLANE / 0.3048, units="feet")
        self.is_the_plane(found)
        holes = PLANE.copy()
        holes[5, 5] = -32768
        _, found = self.drain(values=holes.astype("i2"), dtype="i2", fill_value=-32768)
        self.assertEqual(numpy.isnan(found["filled"]).sum(), 1)
        self.assertTrue(numpy.isnan(found["flow_direction"][5, 5]) and numpy.isnan(found["cells_above"][5, 5]))
        _, found = self.drain(values=(PLANE * 10).astype("i2"), dtype="i2", fill_value=-32768, scale_factor=0.1)
        self.is_the_plane(found)
        _, found = self.drain(values=PLANE, name="Band1", standard_name="surface_altitude", positive="up")
        self.is_the_plane(found)

    def test_degrees_know_their_width(self):
        """At 60 degrees north a cell of one hundredth of a degree is half as wide as it is high: what is steepest turns
        from south to west, and drained areas are in square kilometres of the ground."""
        y = 60.5 - 0.01 * numpy.arange(ROWS)
        x = 10 + 0.01 * numpy.arange(COLUMNS)
        values = 500.0 - 10 * NORTH + 8 * EAST
        _, found = self.drain(values=values, y=y, x=x, mapping=None)
        self.assertEqual(set(found["flow_direction"][1:-1, 1:-1].ravel()), {16.0})  # 8 m in 551 m, not 10 m in 1114 m
        _, found = self.drain("--cell-m", "1100", values=values, y=0.1 - 0.01 * numpy.arange(ROWS), x=x, mapping=None)
        self.assertEqual(set(found["flow_direction"][1:-1, 1:-1].ravel()), {8.0})  # 18 m in 1573 m
        cell_km2 = (0.01 * numpy.pi / 180 * 6371.0) ** 2 * numpy.cos(numpy.radians(y))[:, None]
        _, found = self.drain(values=values, y=y, x=x, mapping=None)
        streams = found["cells_above"] * cell_km2 >= 0.05
        numpy.testing.assert_array_equal(found["stream"], streams)

    def test_seconds_of_arc_in_single_precision(self):
        """Axes as 32-bit numbers stray by some per cent of a cell of one second; they are even all the same."""
        y = (14.2 - numpy.arange(ROWS) / 3600).astype("f4").astype("f8")
        x = (108.9 + numpy.arange(COLUMNS) / 3600).astype("f4").astype("f8")
        self.assertGreater(abs(numpy.diff(x) * 3600 - 1).max(), 0.01)
        _, found = self.drain(values=PLANE, y=y, x=x, mapping=None)
        self.assertEqual(set(found["flow_direction"][:-1, 1:].ravel()), {4.0})

    def test_axes_without_a_place(self):
        done, found = self.drain(values=PLANE, mapping=False)
        self.is_the_plane(found)
        self.assertIn("no place on the ground", done.stderr)
        with netCDF4.Dataset(os.path.join(self.folder, "out.nc")) as file:
            self.assertNotIn("crs", file.variables)  # none is invented

    def test_what_is_no_elevation_of_land(self):
        spoiled = {v: numpy.where((NORTH == 3) & (EAST == 4), v, PLANE) for v in (-9999, 32767, -32768, 9999, 1e30)}
        for what, given in (
                ("-9999 m", {"values": spoiled[-9999]}), ("32767 m", {"values": spoiled[32767]}),
                ("-32768 m", {"values": spoiled[-32768]}), ("9999 m", {"values": spoiled[9999]}),
                ("1e+30 m", {"values": spoiled[1e30]}),
                ("row 4 from the north, column 5", {"values": spoiled[-9999][::-1], "y": Y[::-1]}),
                ("-3000 m", {"values": numpy.full((ROWS, COLUMNS), -3000.0)}),
                ("no relief", {"values": numpy.full((ROWS, COLUMNS), 12.0)}),
                ("no cell has an elevation", {"values": numpy.full((ROWS, COLUMNS), numpy.nan)}),
                ("down", {"values": PLANE, "positive": "down"}),
                ("sea_floor_depth_below_sea_surface",
                 {"values": PLANE, "standard_name": "sea_floor_depth_below_sea_surface"}),
                ("lwe_thickness", {"values": PLANE / 1000, "standard_name": "lwe_thickness_of_precipitation_amount"}),
                ("kg m-2", {"values": PLANE, "units": "kg m-2"}), ("units", {"values": PLANE, "units": None}),
                ("_FillValue", {"values": PLANE.astype("i2"), "dtype": "i2"}),
                ("evenly", {"values": PLANE, "x": 500000 + 90.0 * numpy.arange(COLUMNS) ** 1.1})):
            done, _ = self.drain(**given)
            with self.subTest(what=what):
                self.assertEqual(done.returncode, 3, done.stderr)
                self.assertEqual(len(done.stderr.splitlines()), 1, done.stderr)
                self.assertIn("dem.nc", done.stderr)
                self.assertIn(what, done.stderr)
        done, _ = self.drain("--cell-m", "50", values=PLANE)  # the grid has 90
        self.assertEqual(done.returncode, 3)
        self.assertIn("--cell-m 50", done.stderr)


if __name__ == "__main__":
    unittest.main()

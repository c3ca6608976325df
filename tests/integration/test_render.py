"""canhbao-model render: the picture shows each cell in the colour of its class, north up, missing in grey, and the lines
of the map where they belong. The PNG is read by the few lines below, not by the library that wrote it."""
import json
import os
import struct
import subprocess
import sys
import tempfile
import unittest
import zlib

import netCDF4
import numpy

BINARY = os.environ.get("CANHBAO_BINARY_DIR", "build-release")
SOURCE = os.environ.get("CANHBAO_SOURCE_DIR", os.getcwd())
MODEL = os.path.join(BINARY, "models", "canhbao-model")
LEFT, TOP, SIDE = 16, 62, 20  # of the field in the picture, and of a cell
ROWS, COLUMNS = 6, 10
WHITE, GREY, BLACK, BLUE = (255, 255, 255), (0xc9,) * 3, (0x20,) * 3, (0x1f, 0x4f, 0xa3)
COLOURS = {0.1: 0xdceefb, 3.0: 0x55a5d9, 15.0: 0xd9c02f, 150.0: 0x5c1466}


def read_png(path):
    """[row][column][channel] of an 8-bit RGB PNG (ISO/IEC 15948)."""
    with open(path, "rb") as file:
        data = file.read()
    assert data[:8] == b"\x89PNG\r\n\x1a\n"
    at, packed, width, height = 8, b"", 0, 0
    while at < len(data):
        length, kind = struct.unpack(">I4s", data[at:at + 8])
        body = data[at + 8:at + 8 + length]
        assert struct.unpack(">I", data[at + 8 + length:at + 12 + length])[0] == zlib.crc32(kind + body)
        if kind == b"IHDR":
            width, height, depth, colour = struct.unpack(">IIBB", body[:10])
            assert (depth, colour) == (8, 2)
        elif kind == b"IDAT":
            packed += body
        at += 12 + length
    raw, stride, lines = zlib.decompress(packed), 3 * width, []
    before = bytearray(stride)
    for y in range(height):
        kind, line = raw[y * (stride + 1)], bytearray(raw[y * (stride + 1) + 1:(y + 1) * (stride + 1)])
        for i in range(stride):
            a, b, c = (line[i - 3] if i > 2 else 0), before[i], (before[i - 3] if i > 2 else 0)
            nearest = min((a, b, c), key=lambda v, p=a + b - c: abs(p - v))
            line[i] = (line[i] + (0, a, b, (a + b) // 2, nearest)[kind]) & 255
        lines.append(line)
        before = line
    return numpy.frombuffer(b"".join(lines), "u1").reshape(height, width, 3)


class Render(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = folder.name

    def path(self, name):
        return os.path.join(self.folder, name)

    def write(self, y_down=True, units="mm h-1", dims=("time", "y", "x")):
        """Cells (0, 1) dry, (1, 2) 0.1, (2, 3) 3, (3, 4) 15, (4, 5) 150 mm/h, (5, 6) missing, counted from the north."""
        values = numpy.zeros((ROWS, COLUMNS))
        for k, rate in enumerate(COLOURS):
            values[k + 1, k + 2] = rate
        values[5, 6] = numpy.nan
        with netCDF4.Dataset(self.path("in.nc"), "w") as data:
            for name, size in zip(("time", "y", "x"), (2, ROWS, COLUMNS)):
                data.createDimension(name, size)
            for name, axis, unit, points in (("y", "latitude", "degrees_north", 14.0 - 0.1 * numpy.arange(ROWS)),
                                             ("x", "longitude", "degrees_east", 108.0 + 0.1 * numpy.arange(COLUMNS))):
                variable = data.createVariable(name, "f8", (name,))
                variable.standard_name, variable.units = axis, unit
                variable[:] = points if name == "x" or y_down else points[::-1]
            when = data.createVariable("time", "f8", ("time",))
            when.units, when.standard_name = "minutes since 2025-11-19 07:00:00", "time"
            when[:] = [0, 10]
            rain = data.createVariable("rain", "f4", dims, fill_value=numpy.nan)
            rain.units, rain.standard_name = units, "rainfall_rate"
            rain[0] = 0.0
            rain[1] = values if y_down else values[::-1]
        return self.path("in.nc")

    def render(self, *arguments, code=0):
        with open(self.path("leaks"), "w", encoding="utf-8") as file:
            file.write("leak:libfontconfig\n")  # keeps what it read of fonts; only sanitizer builds look
        done = subprocess.run([MODEL, "render", "--out", self.path("out.png"), "--width", str(SIDE * COLUMNS), *arguments],
                              capture_output=True, text=True, timeout=300, check=False,
                              env={**os.environ, "LSAN_OPTIONS": f"suppressions={self.path('leaks')}:print_suppressions=0"})
        self.assertEqual(done.returncode, code, done.stderr)
        return done.stderr if code else read_png(self.path("out.png"))

    def cell(self, picture, row, column):
        return tuple(picture[TOP + row * SIDE + SIDE // 2, LEFT + column * SIDE + SIDE // 2])

    def test_colours_and_direction(self):
        for y_down in (True, False):
            picture = self.render("--in", self.write(y_down), "--at", "2025-11-19T07:10:00Z")
            self.assertEqual(self.cell(picture, 0, 1), WHITE)
            self.assertEqual(self.cell(picture, 5, 6), GREY)
            for k, colour in enumerate(COLOURS.values()):
                self.assertEqual(self.cell(picture, k + 1, k + 2), (colour >> 16, colour >> 8 & 255, colour & 255))
            legend = {tuple(p) for p in picture[TOP + 24:, LEFT + SIDE * COLUMNS + 22].tolist()}
            for colour in (0xdceefb, 0x5c1466):
                self.assertIn((colour >> 16, colour >> 8 & 255, colour & 255), legend)
            self.assertTrue((picture[:TOP - 4] < 100).any())  # a title
        first = self.render("--in", self.write())
        self.assertEqual(self.cell(first, 5, 6), WHITE)

    def test_lines(self):
        for name, geometry in (("coast", {"type": "LineString", "coordinates": [[108.05, 14.0], [108.05, 13.5]]}),
                               ("rivers", {"type": "MultiLineString", "coordinates": [[[108.0, 13.65], [120.0, 13.65]]]})):
            with open(self.path(name), "w", encoding="utf-8") as file:
                json.dump({"type": "Feature", "geometry": geometry, "properties": {}}, file)
        picture = self.render("--in", self.write(), "--coast", self.path("coast"), "--rivers", self.path("rivers"))
        at_x, at_y = LEFT + SIDE, TOP + 4 * SIDE  # between the columns 0 and 1, and the rows 3 and 4
        self.assertLess(picture[TOP + 3 * SIDE + 5, at_x - 1:at_x + 1].min(axis=0).max(), 100)
        river = picture[at_y - 1:at_y + 1, LEFT + 5 * SIDE].min(axis=0)
        self.assertLess(river[0], 160)
        self.assertGreater(int(river[2]) - int(river[0]), 60)
        self.assertEqual(tuple(picture[at_y, LEFT + COLUMNS * SIDE + 6]), WHITE)  # clipped

    def curvilinear(self, turn):
        """The same cells by 2-D longitude and latitude, the whole turned about 108.5 E, 13.75 N by `turn` degrees."""
        east, south = numpy.meshgrid(0.1 * (numpy.arange(COLUMNS) - 5), 0.1 * (2.5 - numpy.arange(ROWS)))
        c, s = numpy.cos(numpy.radians(turn)), numpy.sin(numpy.radians(turn))
        self.place = lambda x, y: [108.5 + c * x - s * y, 13.75 + s * x + c * y]  # of degrees east and north of there
        with netCDF4.Dataset(self.path("bent.nc"), "w") as data:
            data.createDimension("y", ROWS)
            data.createDimension("x", COLUMNS)
            for name, standard, unit, values in (("lon", "longitude", "degrees_east", 108.5 + c * east - s * south),
                                                 ("lat", "latitude", "degrees_north", 13.75 + s * east + c * south)):
                variable = data.createVariable(name, "f8", ("y", "x"))
                variable.standard_name, variable.units, variable[:] = standard, unit, values
            when = data.createVariable("time", "f8", ())
            when.units, when.standard_name, when[...] = "minutes since 2025-11-19 07:00:00", "time", 0
            rain = data.createVariable("rain", "f4", ("y", "x"), fill_value=numpy.nan)
            rain.units, rain.standard_name, rain.coordinates = "mm h-1", "rainfall_rate", "lat lon time"
            rain[:] = 0.0
        return self.path("bent.nc")

    def test_lines_on_2d_longitude_and_latitude(self):
        for turn in (0, 20, -15):
            grid = self.curvilinear(turn)
            # along the border of the columns 6 and 7 and of the rows 3 and 4, from far outside to far outside
            for name, ends in (("coast", ((0.15, 3), (0.15, -3))), ("rivers", ((-9, -0.1), (9, -0.1)))):
                with open(self.path(name), "w", encoding="utf-8") as file:
                    json.dump({"type": "LineString", "coordinates": [self.place(*end) for end in ends]}, file)
            picture = self.render("--in", grid, "--coast", self.path("coast"), "--rivers", self.path("rivers"))
            at_x, at_y = LEFT + 7 * SIDE, TOP + 4 * SIDE
            for row in range(ROWS):  # from rim to rim
                for y in (TOP + row * SIDE + 5, TOP + row * SIDE + 15):
                    if abs(y - at_y) > 5:
                        self.assertLess(picture[y, at_x - 2:at_x + 2].min(axis=0).max(), 130, (turn, row))
            for x in range(LEFT + 3, LEFT + COLUMNS * SIDE - 3, 10):
                river = picture[at_y - 2:at_y + 2, x].min(axis=0)
                if abs(x - at_x) > 5:
                    self.assertGreater(int(river[2]) - int(river[0]), 60, (turn, x))
            self.assertEqual(tuple(picture[TOP + 30, LEFT + 30]), WHITE)

    def test_maps_of_the_site(self):
        site = os.path.join(SOURCE, "deploy", "sites", "binh-dinh", "map")
        picture = self.render("--in", self.write(), "--coast", os.path.join(site, "coast.geojson"), "--rivers",
                              os.path.join(site, "rivers.geojson"))
        field = picture[TOP + 2:TOP + ROWS * SIDE - 2, LEFT + 2:LEFT + COLUMNS * SIDE - 2]
        blue = field[:, :, 2].astype(int) - field[:, :, 0] > 60  # a river crosses the corner
        self.assertGreater(blue.sum(), 5)

    def test_refusals(self):
        good = self.write()
        with open(self.path("bad.geojson"), "w", encoding="utf-8") as file:
            file.write('{"type": "LineString", "coordinates": [[108, 14], ["x", 14]]}')
        for wanted, *arguments in (("no field of", "--in", good, "--at", "2025-11-19T08:00:00Z"),
                                   ("--at", "--in", good, "--at", "yesterday"),
                                   ("no variable", "--in", good, "--variable", "snow"),
                                   ("not GeoJSON", "--in", good, "--coast", self.path("bad.geojson")),
                                   ("missing.geojson", "--in", good, "--rivers", self.path("missing.geojson")),
                                   ("member", "--in", good, "--member", "2"),
                                   ("not readable", "--in", os.path.abspath(__file__))):
            text = self.render(*arguments, code=1 if wanted == "missing.geojson" else 3)
            self.assertIn(wanted, text)
            self.assertFalse(os.path.exists(self.path("out.png")))
        self.render("--in", self.write(units="K"), code=3)


if __name__ == "__main__":
    if not os.path.exists(MODEL):
        sys.exit(f"no {MODEL}: set CANHBAO_BINARY_DIR")
    unittest.main()

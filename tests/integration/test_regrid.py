"""canhbao-model regrid between grids of 2-D longitude and latitude and grids with axes.

The judge is another way to the same numbers, in numpy: every target point against every quadrangle of four
centres by Newton's method; every target cell against every source cell by the corners that lie inside each
other and the crossings of their edges, sorted around their middle (the program clips); ground areas from the
integral of the ellipsoid between latitudes. Then the wind of a weather model on such a grid moves rain."""
import os
import subprocess
import sys
import tempfile
import unittest

import netCDF4
import numpy

BINARY = os.environ.get("CANHBAO_BINARY_DIR", "build-release")
MODEL = os.path.join(BINARY, "models", "canhbao-model")
ROWS, COLUMNS = 13, 15


def bent():
    """Centres of cells of which no two are alike, turned by 20 degrees."""
    j, i = numpy.meshgrid(numpy.arange(COLUMNS), numpy.arange(ROWS))
    x = 0.05 * j + 0.004 * numpy.sin(0.7 * i)
    y = 0.04 * i + 0.003 * numpy.sin(0.5 * j + 0.2 * i)
    turn = numpy.radians(20.0)
    return (108.2 + x * numpy.cos(turn) - y * numpy.sin(turn), 13.6 + x * numpy.sin(turn) + y * numpy.cos(turn))


def straight(rows=16, columns=18):
    return numpy.meshgrid(107.95 + 0.053 * numpy.arange(columns), 13.55 + 0.047 * numpy.arange(rows))


def corners(plane):
    """Half way between centres; at the rim as far out as inside."""
    wide = numpy.pad(plane, 1)
    wide[0], wide[-1] = 2 * wide[1] - wide[2], 2 * wide[-2] - wide[-3]
    wide[:, 0], wide[:, -1] = 2 * wide[:, 1] - wide[:, 2], 2 * wide[:, -2] - wide[:, -3]
    return 0.25 * (wide[:-1, :-1] + wide[:-1, 1:] + wide[1:, :-1] + wide[1:, 1:])


def quadrangles(lon, lat):
    """[n, 4, 2], around each cell."""
    points = numpy.stack([lon, lat], axis=-1)
    return numpy.stack([points[:-1, :-1], points[:-1, 1:], points[1:, 1:], points[1:, :-1]], axis=2).reshape(-1, 4, 2)


def zone(lat):
    """Area of the ellipsoid from 13 degrees to a latitude, per degree of longitude, by quadrature."""
    a, e2 = 6378137.0, 0.0066943799901413165
    nodes, weights = numpy.polynomial.legendre.leggauss(16)
    low, high = numpy.radians(13.0), numpy.radians(lat)
    s = numpy.sin(low + (high - low)[..., None] * (nodes + 1) / 2)
    density = a * a * (1 - e2) * numpy.sqrt(1 - s * s) / (1 - e2 * s * s) ** 2
    return (density * weights).sum(-1) * (high - low) / 2 * numpy.pi / 180


def shoelace(points):
    x, y = points[..., 0], points[..., 1]
    return 0.5 * abs((x * numpy.roll(y, -1, -1) - numpy.roll(x, -1, -1) * y).sum(-1))


def inside(points, cell):
    """Which points lie in a convex cell that goes around counter-clockwise."""
    edge = numpy.roll(cell, -1, 0) - cell
    away = points[:, None, :] - cell[None]
    return (edge[:, 0] * away[:, :, 1] - edge[:, 1] * away[:, :, 0] >= -1e-15).all(1)


def overlap(one, other):
    """Area that two convex quadrangles share."""
    if (one.min(0) > other.max(0)).any() or (other.min(0) > one.max(0)).any():
        return 0.0
    found = [one[inside(one, other)], other[inside(other, one)]]
    for k in range(4):
        p, r = one[k], one[(k + 1) % 4] - one[k]
        q, s = other, numpy.roll(other, -1, 0) - other
        cross = r[0] * s[:, 1] - r[1] * s[:, 0]
        with numpy.errstate(divide="ignore", invalid="ignore"):
            t = ((q - p)[:, 0] * s[:, 1] - (q - p)[:, 1] * s[:, 0]) / cross
            u = ((q - p)[:, 0] * r[1] - (q - p)[:, 1] * r[0]) / cross
        hit = (cross != 0) & (t >= 0) & (t <= 1) & (u >= 0) & (u <= 1)
        found.append(p + t[hit, None] * r)
    points = numpy.concatenate(found)
    if len(points) < 3:
        return 0.0
    middle = points - points.mean(0)
    return float(shoelace(points[numpy.argsort(numpy.arctan2(middle[:, 1], middle[:, 0]))]))


def conservative(source, values, target):
    """Mean of the source over each target cell, and the ground area found under each."""
    from_cells = quadrangles(corners(source[0]), corners(source[1]))
    to_cells = quadrangles(corners(target[0]), corners(target[1]))
    from_cells = numpy.where((numpy.cross(from_cells[:, 1] - from_cells[:, 0], from_cells[:, 3] - from_cells[:, 0])
                              < 0)[:, None, None], from_cells[:, ::-1], from_cells)
    ground = shoelace(numpy.stack([from_cells[..., 0], zone(from_cells[..., 1])], -1))
    plane = shoelace(from_cells)
    result = numpy.full(len(to_cells), numpy.nan)
    for i, cell in enumerate(to_cells):
        share = numpy.array([overlap(cell, other) for other in from_cells])
        weight = share / plane * ground
        known = ~numpy.isnan(values.ravel())
        if share.sum() > 0 and weight[known].sum() / weight.sum() * share.sum() / shoelace(cell) >= 0.5:
            result[i] = (weight[known] * values.ravel()[known]).sum() / weight[known].sum()
    return result.reshape(target[0].shape)


def bilinear(source, values, target):
    cells = quadrangles(*source)
    kept = quadrangles(values, values)[..., 0]
    result = numpy.full(target[0].size, numpy.nan)
    a = cells[:, 0]
    b, c = cells[:, 1] - a, cells[:, 3] - a
    d = cells[:, 2] - cells[:, 1] - c
    for i, place in enumerate(numpy.stack([target[0].ravel(), target[1].ravel()], -1)):
        u = v = numpy.full(len(cells), 0.5)
        for _ in range(20):
            error = a + b * u[:, None] + c * v[:, None] + d * (u * v)[:, None] - place
            du, dv = b + d * v[:, None], c + d * u[:, None]
            det = du[:, 0] * dv[:, 1] - du[:, 1] * dv[:, 0]
            u = u - (error[:, 0] * dv[:, 1] - error[:, 1] * dv[:, 0]) / det
            v = v - (du[:, 0] * error[:, 1] - du[:, 1] * error[:, 0]) / det
        for k in numpy.flatnonzero((u >= 0) & (u <= 1) & (v >= 0) & (v <= 1)):
            shares = numpy.array([(1 - u[k]) * (1 - v[k]), u[k] * (1 - v[k]), u[k] * v[k], (1 - u[k]) * v[k]])
            result[i] = (shares * kept[k]).sum()
    return result.reshape(target[0].shape)


def write(path, places, values, axes):
    with netCDF4.Dataset(path, "w") as data:
        lon, lat = places
        data.createDimension("time", 1)
        data.createDimension("j" if not axes else "latitude", lon.shape[0])
        data.createDimension("i" if not axes else "longitude", lon.shape[1])
        when = data.createVariable("time", "f8", ("time",))
        when.units, when.standard_name, when[:] = "seconds since 1970-01-01", "time", [1763535600.0]
        for name, plane, unit in (("latitude", lat, "degrees_north"), ("longitude", lon, "degrees_east")):
            line = plane[:, 0] if name == "latitude" else plane[0]
            variable = data.createVariable(name, "f8", (name,) if axes else ("j", "i"))
            variable.standard_name, variable.units, variable[:] = name, unit, line if axes else plane
        rain = data.createVariable("rain", "f4", ("time", "latitude", "longitude") if axes else ("time", "j", "i"),
                                   fill_value=numpy.nan)
        rain.standard_name, rain.units, rain[0] = "rainfall_rate", "mm h-1", values
        if not axes:
            rain.coordinates = "latitude longitude"


class Regrid(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.path = lambda name: os.path.join(folder.name, name)

    def regrid(self, source, values, source_axes, target, target_axes, method):
        write(self.path("in.nc"), source, values, source_axes)
        write(self.path("like.nc"), target, numpy.zeros(target[0].shape), target_axes)
        done = subprocess.run([MODEL, "regrid", "--in", self.path("in.nc"), "--like", self.path("like.nc"), "--out",
                               self.path("out.nc"), "--method", method], capture_output=True, text=True, timeout=300)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        with netCDF4.Dataset(self.path("out.nc")) as data:
            return numpy.ma.filled(data["rain"][:].astype(float), numpy.nan).reshape(target[0].shape)

    def test_like_another_implementation(self):
        values = numpy.random.default_rng(5).gamma(0.5, 6.0, (ROWS, COLUMNS))
        values[4, 6] = values[0, 0] = numpy.nan
        even = numpy.random.default_rng(6).gamma(0.5, 6.0, (16, 18))
        cases = ((bent(), values, False, straight(), True), (straight(), even, True, bent(), False),
                 (bent(), values, False, tuple(0.01 + p for p in bent()), False))
        for method, judge in (("bilinear", bilinear), ("conservative", conservative)):
            for source, field, source_axes, target, target_axes in cases:
                with self.subTest(method=method, axes=(source_axes, target_axes)):
                    mine = self.regrid(source, field, source_axes, target, target_axes, method)
                    truth = judge(source, field.astype("f4").astype(float), target)
                    numpy.testing.assert_array_equal(numpy.isnan(mine), numpy.isnan(truth))
                    self.assertGreater(numpy.isfinite(truth).sum(), 60)
                    numpy.testing.assert_allclose(mine, truth, rtol=2e-6, atol=1e-5)

    def test_keeps_the_integral(self):
        """Source cells all within the target: the water on the ground is the same."""
        values = numpy.random.default_rng(8).gamma(0.5, 6.0, (ROWS, COLUMNS))
        values[:2], values[-2:], values[:, :2], values[:, -2:] = 0, 0, 0, 0
        target = straight(30, 30)
        mine = self.regrid(bent(), values, False, target, True, "conservative")
        amounts = []
        for places, field in ((bent(), values), (target, mine)):
            cells = quadrangles(corners(places[0]), corners(places[1]))
            ground = shoelace(numpy.stack([cells[..., 0], zone(cells[..., 1])], -1))
            amounts.append((ground * numpy.nan_to_num(field.ravel())).sum())
        self.assertLess(abs(amounts[1] / amounts[0] - 1.0), 1e-5)


if __name__ == "__main__":
    if not os.path.exists(MODEL):
        sys.exit(f"no {MODEL}: set CANHBAO_BINARY_DIR")
    unittest.main()

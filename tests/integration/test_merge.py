"""canhbao-model merge against an independent implementation (numpy, the textbook system of ordinary kriging)."""
import csv
import os
import re
import subprocess
import tempfile
import unittest

import netCDF4
import numpy

from test_nowcast_inputs import BINARY, LAMBERT, START, Sequence

MODEL = os.path.join(BINARY, "models", "canhbao-model")
AT = "2025-11-19T07:00:00Z"
EARTH_KM = 6371.0


def vectors(lon, lat):
    lon, lat = numpy.radians(lon), numpy.radians(lat)
    return EARTH_KM * numpy.stack([numpy.cos(lat) * numpy.cos(lon), numpy.cos(lat) * numpy.sin(lon), numpy.sin(lat)],
                                  axis=-1)


def distances(a, b):
    return numpy.sqrt(((a[:, None, :] - b[None, :, :]) ** 2).sum(axis=-1))


def gamma(h, nugget, sill, length):
    return numpy.where(h <= 1e-3, 0.0, nugget + sill * (1.0 - numpy.exp(-h / length)))


def krige(places, values, targets, variogram):
    """Estimates and errors by the (n + 1) x (n + 1) system in semivariances (Cressie 1993, eq. 3.2.12)."""
    n = len(values)
    system = numpy.ones((n + 1, n + 1))
    system[:n, :n] = gamma(distances(places, places), *variogram)
    system[n, n] = 0.0
    right = numpy.ones((n + 1, len(targets)))
    right[:n] = gamma(distances(places, targets), *variogram)
    solved = numpy.linalg.solve(system, right)
    return values @ solved[:n], numpy.sqrt(numpy.maximum((solved * right).sum(axis=0), 0.0))


def squares(places, values, variogram):
    """What the fit minimises: 12 classes up to half the largest distance, weights pairs / distance^2."""
    h = distances(places, places)[numpy.triu_indices(len(values), 1)]
    d = 0.5 * (values[:, None] - values[None, :])[numpy.triu_indices(len(values), 1)] ** 2
    total = 0.0
    step = 0.5 * h.max() / 12.0
    for k in range(12):
        inside = (h >= k * step) & (h < (k + 1) * step)
        if inside.sum() >= 3:
            mean = h[inside].mean()
            total += inside.sum() / mean ** 2 * (d[inside].mean() - gamma(mean, *variogram)) ** 2
    return total


class Merge(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = folder.name
        random = numpy.random.default_rng(11)
        self.lon = 108.5 + random.uniform(-0.45, 0.45, 30)
        self.lat = 14.0 + random.uniform(-0.42, 0.42, 30)
        self.rain = numpy.round(numpy.maximum(6.0 + 5.0 * numpy.sin(6.0 * self.lon) * numpy.cos(7.0 * self.lat)
                                              + random.normal(0.0, 0.7, 30), 0.0), 2)

    def path(self, name):
        return os.path.join(self.folder, name)

    def gauges(self, rows=None, header="id,lon,lat,rain"):
        rows = rows or [f"g{i},{a!r},{b!r},{c!r}" for i, (a, b, c) in
                        enumerate(zip(self.lon.tolist(), self.lat.tolist(), self.rain.tolist()))]
        with open(self.path("gauges.csv"), "w", encoding="utf-8") as file:
            file.write("\n".join([header, *rows]) + "\n")
        return self.path("gauges.csv")

    def run_model(self, *options, code=0):
        done = subprocess.run([MODEL, "merge", "--out", self.path("out.nc"), *map(str, options)], capture_output=True,
                              text=True, timeout=300, check=False)
        self.assertEqual(done.returncode, code, done.stderr)
        return done.stderr

    def merged(self, *options):
        self.run_model(*options)
        data = netCDF4.Dataset(self.path("out.nc"))
        self.addCleanup(data.close)
        fit = re.search(r"variogram \((\w+)\): nugget (\S+), sill (\S+), range (\S+) km", data.source)
        return data, fit.group(1), tuple(float(fit.group(k)) for k in (2, 3, 4))

    def cells(self, data, lon, lat):
        """Row and column of the nearest centres of a rectilinear grid in degrees."""
        return (numpy.abs(data["y"][:][None, :] - numpy.asarray(lat)[:, None]).argmin(axis=1),
                numpy.abs(data["x"][:][None, :] - numpy.asarray(lon)[:, None]).argmin(axis=1))

    def places(self, data):
        return vectors(*numpy.meshgrid(data["x"][:].filled(), data["y"][:].filled()))

    def left_out(self):
        with open(self.path("left.csv"), newline="", encoding="utf-8") as file:
            return {row["id"]: float(row["estimate"]) for row in csv.DictReader(file)}

    def test_kriging_of_gauges(self):
        data, source, variogram = self.merged("--gauges", self.gauges(), "--at", AT, "--left-out", self.path("left.csv"))
        self.assertEqual(source, "fitted")
        rows, columns = self.cells(data, self.lon, self.lat)
        field, error = data["rainfall_rate"][:], data["rain_error"][:]
        every = self.places(data)
        sites = every[rows, columns]
        numpy.testing.assert_allclose(field[rows, columns], self.rain, rtol=1e-6)
        numpy.testing.assert_allclose(error[rows, columns], 0.0, atol=1e-3)
        some = (slice(None, None, 7), slice(None, None, 7))
        estimate, deviation = krige(sites, self.rain, every[some].reshape(-1, 3), variogram)
        known = ~numpy.ma.getmaskarray(field)[some].ravel()
        self.assertGreater(known.mean(), 0.9)
        got = field[some].filled(numpy.nan).ravel()[known]
        numpy.testing.assert_allclose(got, numpy.maximum(estimate, 0.0)[known], atol=2e-3)
        numpy.testing.assert_allclose(error[some].filled(numpy.nan).ravel()[known], deviation[known], atol=5e-3)
        # leave-one-out: the others, solved again
        for name, value in self.left_out().items():
            i = int(name[1:])
            rest = numpy.arange(30) != i
            wanted, _ = krige(sites[rest], self.rain[rest], sites[i:i + 1], variogram)
            self.assertAlmostEqual(value, max(wanted[0], 0.0), delta=2e-3)
        # the fit: nothing near or far is better by more than a per cent
        best = squares(sites, self.rain, variogram)
        for length in numpy.geomspace(3.0, 99.0, 12):
            for nugget in numpy.linspace(0.0, 8.0, 9):
                for sill in numpy.linspace(0.5, 60.0, 16):
                    if sill > 0.06 * (nugget + sill):
                        self.assertGreater(squares(sites, self.rain, (nugget, sill, length)), 0.99 * best)

    def test_inverse_distance(self):
        data, _, _ = self.merged("--gauges", self.gauges(), "--at", AT, "--method", "idw")
        rows, columns = self.cells(data, self.lon, self.lat)
        every = self.places(data)
        weights = 1.0 / numpy.maximum(distances(every.reshape(-1, 3), every[rows, columns]), 1e-4) ** 2
        wanted = (weights @ self.rain / weights.sum(axis=1)).reshape(every.shape[:2])
        field = data["rainfall_rate"][:]
        numpy.testing.assert_allclose(field.compressed(), wanted[~numpy.ma.getmaskarray(field)], atol=2e-3)

    def radar(self, **options):
        sequence = Sequence(minutes=[0.0], kind="f4", **options)
        return sequence, sequence.write(self.path("radar.nc"))

    def test_conditional_merging(self):
        sequence, radar = self.radar()
        truth = sequence.truth(0.0)
        y, x = sequence.axes()
        rows = numpy.abs(y[None, :] - self.lat[:, None]).argmin(axis=1)
        columns = numpy.abs(x[None, :] - self.lon[:, None]).argmin(axis=1)
        # What the gauges saw: twice the radar and something of their own.
        self.rain = numpy.round(2.0 * truth[rows, columns] + 0.3 + 0.2 * numpy.cos(40.0 * self.lon), 3)
        data, _, variogram = self.merged("--gauges", self.gauges(), "--radar", radar, "--left-out",
                                         self.path("left.csv"))
        field = data["rainfall_rate"][:]
        numpy.testing.assert_allclose(field[rows, columns], self.rain, rtol=1e-5, atol=1e-5)
        at = truth.astype("f4").astype("f8")[rows, columns]
        factor = self.rain.sum() / at.sum()
        self.assertAlmostEqual(float(re.search(r"radar factor: ([0-9.e+]+)", data.source).group(1)), factor, delta=1e-4)
        every = self.places(data)
        estimate, _ = krige(every[rows, columns], self.rain - factor * at, every.reshape(-1, 3), variogram)
        wanted = numpy.maximum(factor * truth + estimate.reshape(truth.shape), 0.0)
        numpy.testing.assert_allclose(field.filled(numpy.nan), wanted, atol=3e-3)
        self.assertTrue((data["rain_quality"][:][rows, columns] == 0).all())
        for name, value in self.left_out().items():
            rest = numpy.arange(30) != int(name[1:])
            factor = self.rain[rest].sum() / at[rest].sum()
            i = int(name[1:])
            more, _ = krige(every[rows, columns][rest], (self.rain - factor * at)[rest],
                            every[rows, columns][i:i + 1], variogram)
            self.assertAlmostEqual(value, max(factor * at[i] + more[0], 0.0), delta=3e-3)
        # merged with what the gauges say, the radar is nearer to them than alone
        errors = re.search(r"leave-one-out .* MAE (\S+), RMSE .*; radar alone .* MAE (\S+)", data.source)
        self.assertLess(float(errors.group(1)), 0.5 * float(errors.group(2)))

    def test_bias(self):
        sequence, radar = self.radar(y_down=False)
        y, x = sequence.axes()
        rows = numpy.abs(y[None, :] - self.lat[:, None]).argmin(axis=1)
        columns = numpy.abs(x[None, :] - self.lon[:, None]).argmin(axis=1)
        self.rain = numpy.round(1.5 * sequence.truth(0.0)[rows, columns], 4)
        data, _, _ = self.merged("--gauges", self.gauges(), "--radar", radar, "--method", "bias")
        numpy.testing.assert_allclose(data["rainfall_rate"][:], 1.5 * sequence.truth(0.0), rtol=1e-3, atol=1e-4)
        # two wet pairs are too few to correct with
        self.lon, self.lat, self.rain = self.lon[:2], self.lat[:2], self.rain[:2]
        data, _, _ = self.merged("--gauges", self.gauges(), "--radar", radar, "--method", "bias")
        self.assertIn("radar factor: 1 (not fitted)", data.source)
        numpy.testing.assert_allclose(data["rainfall_rate"][:], sequence.truth(0.0), atol=1e-5)

    def test_radar_missing_in_part(self):
        half = lambda x, y, m: numpy.where(x + 0.0 * y > 5.0, numpy.nan, 3.0)  # noqa: E731
        for options in ({}, {"mapping": LAMBERT}, {"plane": True}):
            sequence, radar = self.radar(field=half, **options)
            lon, lat = (108.5, 14.0) if sequence.mapping is None else (108.46, 14.27)
            rows = [f"a,{lon + 0.15},{lat},9", f"b,{lon - 0.1},{lat - 0.1},3.5", f"c,{lon - 0.2},{lat + 0.1},2.5",
                    f"d,{lon - 0.15},{lat + 0.05},", "e,120.0,14.0,1"]
            data, _, _ = self.merged("--gauges", self.gauges(rows), "--radar", radar, "--reach", "20")
            quality, field = data["rain_quality"][:], data["rainfall_rate"][:]
            self.assertEqual({int(v) for v in quality.compressed()}, {0, 1, 2})
            masked = numpy.ma.getmaskarray(field)
            self.assertTrue((masked == numpy.ma.getmaskarray(quality)).all())
            self.assertTrue(masked.any())  # beyond the reach of every gauge nothing is made up
            self.assertTrue((quality[~numpy.isnan(sequence.truth(0.0))] <= 1).all())
            self.assertAlmostEqual(float(field[quality == 2].max()), 9.0, delta=1e-5)

    def test_no_radar_value_and_no_gauge(self):
        nothing = lambda x, y, m: numpy.nan * (x + y)  # noqa: E731
        _, radar = self.radar(field=nothing)
        text = self.run_model("--gauges", self.gauges(), "--radar", radar)
        self.assertIn("gauges alone", text)
        self.run_model("--gauges", self.gauges(["a,108.5,14,"]), "--radar", radar, code=3)
        sequence, radar = self.radar()
        data, _, _ = self.merged("--gauges", self.gauges(["a,108.5,14,"]), "--radar", radar)
        numpy.testing.assert_allclose(data["rainfall_rate"][:], sequence.truth(0.0), atol=1e-5)
        self.assertTrue((data["rain_quality"][:] == 1).all())
        self.assertTrue(numpy.ma.getmaskarray(data["rain_error"][:]).all())

    def test_dry_gauges_and_a_single_one(self):
        self.rain[:] = 0.0
        data, source, _ = self.merged("--gauges", self.gauges(), "--at", AT)
        self.assertEqual(source, "flat")
        self.assertEqual(float(data["rainfall_rate"][:].max()), 0.0)
        self.assertTrue(numpy.ma.getmaskarray(data["rain_error"][:]).all())
        data, _, _ = self.merged("--gauges", self.gauges(["a,108.5,14,7"]), "--at", AT, "--left-out",
                                 self.path("left.csv"))
        self.assertEqual(set(data["rainfall_rate"][:].compressed().tolist()), {7.0})
        self.assertIn("leave-one-out over 0 sites", data.source)

    def test_gauges_in_one_cell_and_their_times(self):
        rows = [f"a,108.5011,14.0011,4,{AT}", f"b,108.5033,14.0022,6,{AT}", f"c,108.6,14.1,1,{AT}",
                "a,108.5011,14.0011,99,2025-11-19T06:00:00Z"]
        data, _, _ = self.merged("--gauges", self.gauges(rows, "id,lon,lat,rain,time"), "--at", AT)
        row, column = self.cells(data, [108.502], [14.001])
        self.assertAlmostEqual(float(data["rainfall_rate"][row[0], column[0]]), 5.0, places=5)
        self.assertAlmostEqual(float(data["forecast_reference_time"][...]), START)

    def test_bad_input(self):
        good = "a,108.5,14,1"
        for rows, word in (([good, good], "twice"), (["a,108.5,94,1"], "94"), (["a,108.5,14,-1"], "-1"),
                           (["a,108.5,,1"], "no lat"), (["a,108.5,14,nan"], "nan"), (["a,108.5,14"], "field"),
                           (["a,108.5,14,1", "b,150.5,34,1"], "--cell")):
            with self.subTest(word):
                text = self.run_model("--gauges", self.gauges(rows), "--at", AT, "--cell", "0.005", code=3)
                self.assertIn(word, text)
                self.assertFalse(os.path.exists(self.path("out.nc")))
        self.assertIn("--at", self.run_model("--gauges", self.gauges(), code=3))
        self.assertIn("kringing", self.run_model("--gauges", self.gauges(), "--at", AT, "--method", "kringing", code=3))
        self.run_model("--gauges", self.gauges(), "--at", AT, "--method", "conditional", code=3)

    def test_threads(self):
        _, radar = self.radar()
        seen = set()
        for threads in (1, 2, 4):
            self.run_model("--gauges", self.gauges(), "--radar", radar, "--threads", threads)
            with open(self.path("out.nc"), "rb") as file:
                seen.add(file.read())
        self.assertEqual(len(seen), 1)


if __name__ == "__main__":
    unittest.main()

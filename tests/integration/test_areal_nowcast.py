"""What `areal --forecast nowcast` says of an area is what `nowcast` draws there, in every way in which the motion
can be found, and where a mosaic repeats old sweeps."""
import json
import os
import sys
import tempfile
import unittest

import netCDF4
import numpy

from test_nowcast_inputs import MODEL, SPEED_KM_MIN, START, Sequence, rain, run


def mosaic(x_km, y_km, minutes):
    """Two radars that sweep every 6 minutes, one 4 minutes after the other; between sweeps the last one stays."""
    west = rain(x_km, y_km, 6.0 * numpy.floor(minutes / 6.0))
    east = rain(x_km, y_km, 6.0 * numpy.floor((minutes + 2.0) / 6.0) - 2.0)
    return numpy.where(x_km + 0.0 * y_km < 0.0, west, east)


class ArealNowcast(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.path = lambda name: os.path.join(folder.name, name)

    def areas(self, sequence):
        """Two blocks of whole cells; returns their [rows, columns]."""
        y, x = sequence.axes()
        blocks = {"west": (slice(30, 60), slice(20, 50)), "east": (slice(40, 80), slice(65, 90))}
        features = []
        for name, (rows, columns) in blocks.items():
            half = abs(y[1] - y[0]) / 2.0, abs(x[1] - x[0]) / 2.0
            south, north = min(y[rows]) - half[0], max(y[rows]) + half[0]
            left, right = min(x[columns]) - half[1], max(x[columns]) + half[1]
            ring = [[left, south], [right, south], [right, north], [left, north], [left, south]]
            features.append({"type": "Feature", "id": name, "properties": {},
                             "geometry": {"type": "Polygon", "coordinates": [ring]}})
        with open(self.path("areas.geojson"), "w") as out:
            json.dump({"type": "FeatureCollection", "features": features}, out)
        return blocks

    def both(self, sequence, files, step_s, *options, worker=True):
        """Compares at leads of 1, 3 and 6 steps; returns the parameters in areal's manifest."""
        blocks = self.areas(sequence)
        leads = [1, 3, 6]
        done = run("nowcast", "--in", *files, "--step", step_s, "--leads", max(leads), "--out", self.path("f.nc"), *options)
        self.assertEqual(done.returncode, 0, done.stderr)
        inputs = [word for path in files for word in ("--in", path)]
        done = run("areal", *inputs, "--areas", self.path("areas.geojson"), "--step", f"{step_s}s", "--windows", "",
                   "--lead", ",".join(f"{k * step_s}s" for k in leads), "--forecast", "nowcast", "--members", "0",
                   "--threshold", "2", "--min-coverage", "0.1", *options, *(["--worker"] if worker else []))
        self.assertEqual(done.returncode, 0, done.stderr)
        output = json.loads(done.stdout)
        with netCDF4.Dataset(self.path("f.nc")) as data:
            rate = numpy.ma.filled(data["rainfall_rate"][:].astype(float), numpy.nan)
            source = data.source
        values = {(r["area"], r["variable"], r["lead_s"]): r["value"] for r in output["results"]}
        weight = numpy.cos(numpy.radians(sequence.axes()[0]))[:, None] * numpy.ones(sequence.columns)
        for name, block in blocks.items():
            for lead in leads:
                field, w = rate[lead - 1][block], weight[block]
                known = numpy.isfinite(field)
                self.assertGreater(known.mean(), 0.5)
                w = w * known / (w * known).sum()
                self.assertAlmostEqual(values[name, "rain_mean", lead * step_s], (w * numpy.nan_to_num(field)).sum(), 4)
                self.assertAlmostEqual(values[name, "rain_max", lead * step_s], numpy.nanmax(field), 5)
                self.assertAlmostEqual(values[name, "rain_covered", lead * step_s], w[field >= 2.0].sum(), 4)
        parameters = output["manifest"]["parameters"]
        self.assertIn(f"motion: {parameters['motion']}{parameters['motion_note']} (", source)
        return parameters

    def test_every_source_of_motion(self):
        whole = Sequence(mapping=None)
        whole.write(self.path("all.nc"))
        self.assertEqual(self.both(whole, [self.path("all.nc")], 300)["motion"], "tracked")
        done = run("nowcast", "--in", self.path("all.nc"), "--leads", "1", "--out", self.path("x.nc"), "--motion-out",
                   self.path("motion.nc"))
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("smoothed", self.both(whole, [self.path("all.nc")], 300, "--motion-in",
                                            self.path("motion.nc"))["motion_note"])
        one = Sequence(minutes=[20.0])
        one.write(self.path("one.nc"))
        self.assertEqual(self.both(one, [self.path("one.nc")], 300)["motion"], "no_frames")
        self.assertEqual(self.both(one, [self.path("one.nc")], 300, "--motion-in", self.path("motion.nc"))["motion"],
                         "previous")
        self.assertEqual(self.both(one, [self.path("one.nc")], 300, "--wind", self.wind())["motion"], "wind")
        gone = Sequence(frames=7, field=lambda x, y, minutes: rain(x, y, minutes if minutes < 16 else 1e5))
        parts = [gone.write(self.path(f"{m}.nc"), [m]) for m in gone.minutes]
        self.assertEqual(self.both(gone, parts, 300)["motion"], "earlier")

    def wind(self):
        path = self.path("wind.nc")
        with netCDF4.Dataset(path, "w") as data:
            for name, unit, values in (("latitude", "degrees_north", numpy.arange(11.0, 17.0)),
                                       ("longitude", "degrees_east", numpy.arange(105.0, 112.0))):
                data.createDimension(name, values.size)
                variable = data.createVariable(name, "f8", (name,))
                variable.units, variable.standard_name, variable[:] = unit, name, values
            data.createDimension("time", 1)
            when = data.createVariable("time", "f8", ("time",))
            when.units, when.standard_name, when[:] = "seconds since 1970-01-01", "time", [START]
            for name, speed in zip(("eastward_wind", "northward_wind"), SPEED_KM_MIN):
                variable = data.createVariable(name, "f4", ("time", "latitude", "longitude"), fill_value=numpy.nan)
                variable.units, variable.standard_name, variable[:] = "m s-1", name, speed * 1000.0 / 60.0
        return path

    def test_repeated_sweeps_are_corrected_in_both(self):
        sequence = Sequence(step_min=2.0, frames=16, field=mosaic, kind="f4")
        sequence.write(self.path("all.nc"))
        self.assertEqual(self.both(sequence, [self.path("all.nc")], 120)["motion"], "tracked")
        with netCDF4.Dataset(self.path("f.nc")) as data, netCDF4.Dataset(self.path("all.nc")) as frames:
            west = (slice(30, 60), slice(20, 50))
            # minute 30 is a sweep of the west: at 32 it stands as it was, and must in the forecast
            first, newest = (numpy.ma.filled(data["rainfall_rate"][0], numpy.nan)[west],
                             numpy.ma.filled(frames["rainfall_rate"][-1], numpy.nan)[west])
            self.assertGreater((first == newest).mean(), 0.5)

    def test_guidance_that_is_none_is_left_out(self):
        """It is named; the frame is not to blame."""
        one = Sequence(minutes=[20.0])
        one.write(self.path("one.nc"))
        self.areas(one)
        for option, name in (("--wind", "one.nc"), ("--motion-in", "one.nc"), ("--wind", "areas.geojson"),
                             ("--wind", "none.nc")):
            done = run("areal", "--in", self.path("one.nc"), "--areas", self.path("areas.geojson"), "--forecast", "nowcast",
                       "--worker", option, self.path(name))
            self.assertEqual(done.returncode, 0, done.stderr)
            manifest = json.loads(done.stdout)["manifest"]
            self.assertEqual(manifest["parameters"]["motion"], "no_frames")
            self.assertEqual(len(manifest["left_out"]), 1)
            self.assertIn(name, manifest["left_out"][0])


if __name__ == "__main__":
    if not os.path.exists(MODEL):
        sys.exit(f"no {MODEL}: set CANHBAO_BINARY_DIR")
    unittest.main()

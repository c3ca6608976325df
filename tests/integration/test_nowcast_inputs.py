"""canhbao-model nowcast on every form in which a radar sequence may come.

The same rain, blobs that drift at a constant speed, is written in many forms: axes up and down, projections, 2-D
latitude and longitude, packings, time units, steps, gaps, several files. The truth is the formula of the blobs at
the valid time, so a mirrored axis, a lost scale or a wrong time shows as an error of the forecast."""
import json
import os
import subprocess
import sys
import tempfile
import time
import unittest

import netCDF4
import numpy

BINARY = os.environ.get("CANHBAO_BINARY_DIR", "build-release")
MODEL = os.path.join(BINARY, "models", "canhbao-model")
START = 1763535600  # 2025-11-19T07:00:00Z
SPEED_KM_MIN = (0.5, -0.3)  # towards larger x (east) and larger y (north)
MERCATOR = {"grid_mapping_name": "transverse_mercator", "scale_factor_at_central_meridian": 0.9999,
            "longitude_of_central_meridian": 108.25, "latitude_of_projection_origin": 0.0,
            "false_easting": 500000.0, "false_northing": 0.0, "semi_major_axis": 6378137.0,
            "inverse_flattening": 298.257223563,
            # VN-2000 to WGS 84, Decision 05/2007/QD-BTNMT
            "towgs84": [-191.90441429, -39.30318279, -111.45032835, -0.00928836, 0.01975479, -0.00427372,
                        0.252906278]}
LAMBERT = {"grid_mapping_name": "lambert_conformal_conic", "standard_parallel": [11.0, 21.0],
           "longitude_of_central_meridian": 108.0, "latitude_of_projection_origin": 14.0, "false_easting": 0.0,
           "false_northing": 0.0, "earth_radius": 6371229.0}
BLOBS = numpy.random.default_rng(7).uniform(size=(40, 4))


def rain(x_km, y_km, minutes):
    """Rate in mm/h at places of a plane of 240 x 240 km, 0 in the middle."""
    east, north = x_km - SPEED_KM_MIN[0] * minutes, y_km - SPEED_KM_MIN[1] * minutes
    total = numpy.zeros(numpy.broadcast(east, north).shape)
    for a, b, size, strength in BLOBS:
        width = 3.0 + 6.0 * size
        total += (2.0 + 14.0 * strength) * numpy.exp(
            -((east - 240.0 * (a - 0.5)) ** 2 + (north - 240.0 * (b - 0.5)) ** 2) / (2.0 * width ** 2))
    return numpy.where(total < 0.1, 0.0, total)


class Sequence:
    """How a sequence is written; `km` holds the places of its cells, [row][column]."""

    def __init__(self, rows=110, columns=120, step_min=5.0, frames=5, mapping=None, kind="i2", units="mm h-1",
                 y_down=True, x_down=False, plane=False, minutes=None, quantum=0.0, scale=0.01, unit_m=1.0,
                 time_units="seconds since 1970-01-01 00:00:00", time_kind="f8", field=rain, names=("y", "x")):
        self.__dict__.update({key: value for key, value in locals().items() if key != "self"})
        self.minutes = [i * step_min for i in range(frames)] if minutes is None else minutes
        self.x_km = (numpy.arange(columns) - (columns - 1) / 2.0) * (-1 if x_down else 1)
        self.y_km = (numpy.arange(rows) - (rows - 1) / 2.0) * (-1 if y_down else 1)
        self.truth = lambda minutes: field(self.x_km[None, :], self.y_km[:, None], minutes)

    def axes(self):
        if self.mapping is None:
            return (14.0 + self.y_km / 111.195,
                    108.5 + self.x_km / (111.195 * numpy.cos(numpy.radians(14.0))))
        y0, x0 = (1550e3, 580e3) if self.mapping is MERCATOR else (30e3, 50e3)
        return (y0 + self.y_km * 1000.0) / self.unit_m, (x0 + self.x_km * 1000.0) / self.unit_m

    def define_space(self, data, rain_variable):
        y, x = self.axes()
        if self.plane:
            for name, values, unit in (("lat", numpy.repeat(y[:, None], x.size, 1), "degrees_north"),
                                       ("lon", numpy.repeat(x[None, :], y.size, 0), "degrees_east")):
                variable = data.createVariable(name, "f8", self.names)
                variable.units, variable[:] = unit, values
            rain_variable.coordinates = "lat lon"
            return
        length = "m" if self.unit_m == 1.0 else "km"
        facts = (("latitude", "degrees_north"), ("longitude", "degrees_east")) if self.mapping is None else (
            ("projection_y_coordinate", length), ("projection_x_coordinate", length))
        for name, values, (standard, unit) in zip(self.names, (y, x), facts):
            variable = data.createVariable(name, "f8", (name,))
            variable.standard_name, variable.units, variable[:] = standard, unit, values
        if self.mapping is not None:
            crs = data.createVariable("projection", "i4")
            for key, value in self.mapping.items():
                value = value / self.unit_m if key.startswith("false_") else value
                setattr(crs, key, value)
            rain_variable.grid_mapping = "projection"

    def write(self, path, minutes=None):
        minutes = self.minutes if minutes is None else minutes
        data = netCDF4.Dataset(path, "w")
        for name, size in (("time", None), (self.names[0], self.rows), (self.names[1], self.columns)):
            data.createDimension(name, size)
        when = data.createVariable("time", self.time_kind, ("time",))
        when.units, when.standard_name, when.calendar = self.time_units, "time", "standard"
        epoch = netCDF4.date2num(netCDF4.num2date(START, "seconds since 1970-01-01"), self.time_units)
        per_minute = {"s": 60.0, "m": 1.0, "h": 1.0 / 60.0, "d": 1.0 / 1440.0}[self.time_units[0]]
        when[:] = [epoch + m * per_minute for m in minutes]
        fill = -32768 if self.kind == "i2" else numpy.nan
        variable = data.createVariable("rainfall_rate", self.kind, ("time", *self.names), fill_value=fill)
        variable.units, variable.standard_name = self.units, "rainfall_rate"
        factor = {"mm h-1": 1.0, "m s-1": 1.0 / 3.6e6, "kg m-2 s-1": 1.0 / 3600.0}[self.units]
        if self.kind == "i2":
            variable.scale_factor = self.scale * factor
        self.define_space(data, variable)
        for i, m in enumerate(minutes):
            values = self.truth(m)
            if self.quantum > 0:
                values = numpy.round(values / self.quantum) * self.quantum
            variable[i] = numpy.ma.masked_invalid(values * factor)
        data.close()
        return path


def run(*arguments):
    return subprocess.run([MODEL, *map(str, arguments)], capture_output=True, text=True, timeout=300, check=False)


class Inputs(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = folder.name

    def path(self, name):
        return os.path.join(self.folder, name)

    def nowcast(self, inputs, leads=3, *options):
        out = self.path("out.nc")
        done = run("nowcast", "--in", *inputs, "--leads", leads, "--out", out, *options)
        self.assertEqual(done.returncode, 0, done.stderr)
        return netCDF4.Dataset(out)

    def check(self, sequence, inputs=None, leads=3, share=0.35):
        """The forecast is where it belongs and much better than leaving the rain in place."""
        inputs = inputs or [sequence.write(self.path("in.nc"))]
        data = self.nowcast(inputs, leads, "--motion-out", self.path("motion.nc"))
        newest = max(sequence.minutes)
        self.assertEqual(data["forecast_reference_time"].units, "seconds since 1970-01-01T00:00:00Z")
        self.assertAlmostEqual(float(data["forecast_reference_time"][...]), START + 60.0 * newest, delta=0.5)
        self.assertEqual(data["rainfall_rate"].dimensions, ("lead_time", "y", "x"))
        self.assertEqual(data["lead_time"].units, "s")
        y, x = sequence.axes()
        if sequence.plane:
            numpy.testing.assert_allclose(data["lat"][:, 0], y, atol=1e-9)
            numpy.testing.assert_allclose(data["lon"][0], x, atol=1e-9)
        else:
            numpy.testing.assert_allclose(data["y"][:], y * sequence.unit_m, rtol=1e-12)
            numpy.testing.assert_allclose(data["x"][:], x * sequence.unit_m, rtol=1e-12)
        if sequence.mapping is not None:
            crs = data[data["rainfall_rate"].grid_mapping]
            for key, value in sequence.mapping.items():
                numpy.testing.assert_equal(crs.getncattr(key), value)
        still = sequence.truth(newest)
        for i in range(leads):
            minutes = (i + 1) * sequence.step_min
            self.assertAlmostEqual(float(data["lead_time"][i]), 60.0 * minutes)
            forecast = data["rainfall_rate"][i].filled(numpy.nan)
            truth = sequence.truth(newest + minutes)
            known = numpy.isfinite(forecast) & numpy.isfinite(truth) & numpy.isfinite(still)
            self.assertGreater(known.mean(), 0.5)
            error = numpy.abs(forecast - truth)[known].mean()
            self.assertLess(error, share * numpy.abs(still - truth)[known].mean(), f"lead {minutes} min")
        data.close()
        with netCDF4.Dataset(self.path("motion.nc")) as motion:
            east = numpy.median(motion["motion_x"][:].filled()) * 60.0 / 1000.0
            north = numpy.median(motion["motion_y"][:].filled()) * 60.0 / 1000.0
        if sequence.plane:  # along columns and rows
            east, north = east * (-1 if sequence.x_down else 1), north * (-1 if sequence.y_down else 1)
        self.assertAlmostEqual(east, SPEED_KM_MIN[0], delta=0.08)
        self.assertAlmostEqual(north, SPEED_KM_MIN[1], delta=0.08)

    def test_axes_up_and_down(self):
        for y_down in (True, False):
            for x_down in (True, False):
                with self.subTest(y_down=y_down, x_down=x_down):
                    self.check(Sequence(y_down=y_down, x_down=x_down))

    def test_projections(self):
        for name, options in {"VN-2000": {"mapping": MERCATOR}, "Lambert": {"mapping": LAMBERT},
                              "Lambert in km": {"mapping": LAMBERT, "unit_m": 1000.0},
                              "VN-2000, y up": {"mapping": MERCATOR, "y_down": False},
                              "2-D, y down": {"plane": True}, "2-D, y up": {"plane": True, "y_down": False},
                              "other names": {"names": ("south_north", "west_east")}}.items():
            with self.subTest(name):
                self.check(Sequence(**options))

    def test_values(self):
        for name, options in {"float32": {"kind": "f4"}, "float64": {"kind": "f8"},
                              "m s-1": {"kind": "f4", "units": "m s-1"},
                              "packed kg m-2 s-1": {"units": "kg m-2 s-1"}}.items():
            with self.subTest(name):
                self.check(Sequence(**options))
        with self.subTest("steps of 0.5 mm/h"):
            self.check(Sequence(quantum=0.5), share=0.5)

    def test_times(self):
        for units in ("hours since 1900-01-01 00:00:00", "days since 2000-01-01", "minutes since 2025-11-19 07:00:00",
                      "minutes since 2025-11-19 14:00:00 +07:00"):
            with self.subTest(units):
                sequence = Sequence(time_units=units)
                if "+07" in units:  # netCDF4 understands the zone: the same instant
                    sequence.time_units = "minutes since 2025-11-19 14:00:00 +07:00"
                self.check(sequence)
        with self.subTest("whole minutes"):
            self.check(Sequence(time_units="minutes since 2025-11-19 00:00:00", time_kind="i4"))

    def test_steps(self):
        for step_min in (2.0, 6.0, 10.0, 15.0):
            with self.subTest(step_min=step_min):
                self.check(Sequence(step_min=step_min, frames=9 if step_min < 5 else 5))

    def test_gaps(self):
        for minutes in ([0, 5, 10, 20], [0, 5, 10, 15, 30], [0, 10, 15, 20]):
            with self.subTest(minutes=minutes):
                self.check(Sequence(minutes=[float(m) for m in minutes]))

    def test_frames_out_of_order(self):
        self.check(Sequence(minutes=[10.0, 0.0, 20.0, 5.0, 15.0]))

    def test_several_files(self):
        sequence = Sequence(frames=6)
        inputs = [sequence.write(self.path(f"part{i}.nc"), sequence.minutes[i:i + 2]) for i in (4, 0, 2)]
        self.check(sequence, inputs)
        single = [sequence.write(self.path(f"single{i}.nc"), [m]) for i, m in enumerate(sequence.minutes)]
        self.check(sequence, single)

    def test_files_that_do_not_go_together(self):
        first = Sequence().write(self.path("a.nc"))
        other = Sequence(columns=121, minutes=[25.0, 30.0]).write(self.path("b.nc"))
        again = Sequence().write(self.path("c.nc"), [20.0, 25.0])
        for inputs, word in (([first, other], "another grid"), ([first, again], "twice"),
                             ([first, self.path("none.nc")], "none.nc")):
            done = run("nowcast", "--in", *inputs, "--out", self.path("no.nc"))
            self.assertIn(done.returncode, (1, 3), done.stderr)
            self.assertIn(word, done.stderr)
            self.assertFalse(os.path.exists(self.path("no.nc")))

    def test_verify_when_the_radar_gets_another_grid(self):
        """What is on the newest frame's grid is scored as if there were nothing else; the rest is named."""
        def write(sequence, word, now):
            frames = [sequence.write(self.path(f"{word}{int(m)}.nc"), [m]) for m in sequence.minutes]
            forecast = self.path(f"{word}-forecast.nc")
            at = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(START + 60 * now))
            done = run("nowcast", "--in", *frames, "--at", at, "--step", "300", "--leads", "3", "--out", forecast)
            self.assertEqual(done.returncode, 0, done.stderr)
            return frames, forecast

        def verify(observed, forecasts):
            out = self.path("scores.json")
            done = run("verify", "--of", "nowcast", "--observed", *observed, "--forecast", *forecasts, "--out", out)
            self.assertEqual(done.returncode, 0, done.stderr)
            with open(out, encoding="utf-8") as file:
                return json.load(file), done.stderr

        old, old_forecast = write(Sequence(minutes=[0.0, 5.0, 10.0]), "old", 10)
        new, new_forecast = write(Sequence(columns=100, minutes=[15.0, 20.0, 25.0, 30.0, 35.0]), "new", 25)
        alone, _ = verify(new, [new_forecast])
        both, said = verify([new[1], *old, new[4], new[0], new[2], new[3]], [old_forecast, new_forecast])
        self.assertEqual({s["lead_s"] for s in alone["scores"]}, {300, 600})
        self.assertEqual((alone["left_out"], both["scores"]), ([], alone["scores"]))
        self.assertEqual(both["left_out"], [os.path.basename(path) for path in (*old, old_forecast)])
        for path in (*old, old_forecast):
            self.assertIn(f"{path} is left out: another grid", said)

    def test_a_frame_missing_in_part_or_whole(self):
        def stripes(x_km, y_km, minutes):
            values = rain(x_km, y_km, minutes)
            values[30:34] = numpy.nan
            return numpy.full_like(values, numpy.nan) if minutes == 10.0 else values
        for kind in ("i2", "f4"):
            with self.subTest(kind):
                self.check(Sequence(kind=kind, frames=6, field=stripes))

    def test_missing_is_never_a_number(self):
        half = lambda x, y, m: numpy.where(x + 0.0 * y > 0.0, numpy.nan, rain(x, y, m))  # noqa: E731
        data = self.nowcast([Sequence(kind="f4", field=half).write(self.path("in.nc"))], 3, "--members", "4")
        # No member of the ensemble invents rain where the radar does not look: 15 min at 40 km.
        self.assertTrue(numpy.ma.getmaskarray(data["rainfall_rate"][:, :, :, -15:]).all())
        for name in ("probability_rate_0p1", "probability_rate_1", "probability_rate_5"):
            self.assertTrue(numpy.ma.getmaskarray(data[name][:, :, -15:]).all(), name)
        data.close()

    def test_one_frame(self):
        path = Sequence(frames=1).write(self.path("in.nc"))
        done = run("nowcast", "--in", path, "--out", self.path("no.nc"))
        self.assertEqual(done.returncode, 3)
        self.assertIn("--step", done.stderr)
        data = self.nowcast([path], 2, "--step", "300")
        numpy.testing.assert_allclose(data["rainfall_rate"][0], Sequence().truth(0.0), atol=0.0051)
        self.assertIn("no_frames", data.source)
        data.close()

    def test_an_ensemble_from_one_frame_is_refused(self):
        """How rain changes cannot be seen in one frame; of frames without a value, or too far back, there are none."""
        def last_only(x_km, y_km, minutes):
            values = rain(x_km, y_km, minutes)
            return values if minutes == 20.0 else numpy.full_like(values, numpy.nan)
        for sequence in (Sequence(frames=1), Sequence(kind="f4", field=last_only), Sequence(minutes=[0.0, 60.0])):
            path = sequence.write(self.path("in.nc"))
            for members in ("1", "3"):
                done = run("nowcast", "--in", path, "--step", "300", "--out", self.path("no.nc"), "--members", members)
                self.assertEqual(done.returncode, 3, done.stderr)
                self.assertIn("needs two frames", done.stderr)
                self.assertFalse(os.path.exists(self.path("no.nc")))

    def test_all_dry(self):
        for members in ((), ("--members", "3")):
            data = self.nowcast([Sequence(field=lambda x, y, m: 0.0 * (x + y)).write(self.path("in.nc"))], 2, *members)
            values = data["rainfall_rate"][:]
            self.assertFalse(numpy.ma.getmaskarray(values).any())
            self.assertEqual(float(values.max()), 0.0)
            self.assertIn("no_rain", data.source)
            data.close()

    def test_all_missing(self):
        nothing = Sequence(kind="f4", field=lambda x, y, m: numpy.full((y * x).shape, numpy.nan))
        path = nothing.write(self.path("in.nc"))
        for members in ((), ("--members", "3")):
            done = run("nowcast", "--in", path, "--out", self.path("out.nc"), *members)
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assertIn("no valid pixel", done.stderr)
            with netCDF4.Dataset(self.path("out.nc")) as data:
                self.assertTrue(numpy.ma.getmaskarray(data["rainfall_rate"][:]).all())
                if members:
                    self.assertTrue(numpy.ma.getmaskarray(data["probability_rate_1"][:]).all())
            os.unlink(self.path("out.nc"))

    def test_newest_frame_all_missing(self):
        """The frame before it is carried one step further."""
        def last_is_lost(x_km, y_km, minutes):
            values = rain(x_km, y_km, minutes)
            return numpy.full_like(values, numpy.nan) if minutes == 20.0 else values
        sequence = Sequence(kind="f4", field=last_is_lost)
        data = self.nowcast([sequence.write(self.path("in.nc"))], 1)
        self.assertAlmostEqual(float(data["forecast_reference_time"][...]), START + 1200.0, delta=0.5)
        truth, before = sequence.truth(25.0), sequence.truth(15.0)
        forecast = data["rainfall_rate"][0]
        self.assertLess(numpy.abs(forecast - truth).mean(), 0.35 * numpy.abs(before - truth).mean())
        self.assertIn("newest frame 5.0 min before", data.source)
        data.close()

    def test_tiny_grids(self):
        for side in (8, 9, 17):
            for members in ((), ("--members", "3")):
                sequence = Sequence(rows=side, columns=side + 1)
                data = self.nowcast([sequence.write(self.path("in.nc"))], 2, *members)
                self.assertEqual(data["rainfall_rate"].shape[-3:], (2, side, side + 1))
                data.close()
        done = run("nowcast", "--in", Sequence(rows=3, columns=9).write(self.path("in.nc")), "--out",
                   self.path("no.nc"))
        self.assertEqual(done.returncode, 3)
        self.assertIn("3 x 9", done.stderr)

    def test_ensemble_keeps_the_grid(self):
        sequence = Sequence(mapping=LAMBERT, y_down=False, rows=70, columns=64)
        data = self.nowcast([sequence.write(self.path("in.nc"))], 2, "--members", "4", "--seed", "9")
        self.assertEqual(data["rainfall_rate"].dimensions, ("realization", "lead_time", "y", "x"))
        truth = sequence.truth(max(sequence.minutes) + 5.0)
        mean = data["rainfall_rate"][:, 0].mean(axis=0)
        known = ~numpy.ma.getmaskarray(mean)
        self.assertGreater(numpy.corrcoef(mean.filled(0.0)[known], truth[known])[0, 1], 0.8)
        probability = data["probability_rate_1"][:]
        self.assertTrue(0.0 <= probability.min() and probability.max() <= 1.0)
        rates = data["rainfall_rate"][:].filled(numpy.nan)
        step = data["rainfall_rate"].scale_factor
        seen = ~numpy.ma.getmaskarray(probability) & numpy.isfinite(rates).all(axis=0)
        self.assertGreater(seen.mean(), 0.5)
        most, least = ((rates >= 1.0 + d).mean(axis=0)[seen] for d in (-step, step))  # rates are rounded
        self.assertTrue((probability.filled(-1.0)[seen] <= most + 0.006).all())
        self.assertTrue((probability.filled(-1.0)[seen] >= least - 0.006).all())
        data.close()

    def test_same_bytes_with_threads(self):
        sequence = Sequence(rows=70, columns=64)
        frames = sequence.write(self.path("in.nc"))
        for options in ((), ("--members", "6", "--seed", "3")):
            files = []
            for threads in ("1", "2", "4"):
                self.nowcast([frames], 3, "--threads", threads, *options).close()
                with open(self.path("out.nc"), "rb") as file:
                    files.append(file.read())
            self.assertTrue(files[0] == files[1] == files[2], options)

    def test_probabilities_of_amounts(self):
        """Recomputed from the members and the frames; one frame of the observed part is not there."""
        minutes = [m for m in range(0, 185, 10) if m != 110]
        sequence = Sequence(rows=60, columns=64, step_min=10.0, minutes=minutes,
                            field=lambda x, y, m: 4.0 * rain(x, y, m))
        data = self.nowcast([sequence.write(self.path("in.nc"))], 8, "--members", "5", "--seed", "2")
        rates = data["rainfall_rate"][:].filled(numpy.nan)
        frames = {m: numpy.round(sequence.truth(m) / 0.01) * 0.01 for m in minutes}
        for hours in (1, 2, 3):
            for threshold in (10, 20, 50):
                variable = data[f"probability_amount_{hours}h_{threshold}"]
                got = variable[:].filled(numpy.nan)
                time = data[variable.coordinates.split()[0]]
                bounds = data[time.bounds][:]
                numpy.testing.assert_allclose(bounds[:, 1] - bounds[:, 0], 3600.0 * hours)
                for lead in range(8):
                    self.assertEqual(bounds[lead, 1], START + 60.0 * (180 + 10 * (lead + 1)))
                    slots = [180 + 10 * (lead + 1) - 10 * i for i in range(6 * hours)]
                    past = [frames.get(m) for m in slots if m <= 180]
                    there = [f for f in past if f is not None]
                    fell = numpy.mean(there, axis=0) * len(past) / 6.0 if there else 0.0
                    ahead = [m // 10 - 19 for m in slots if m > 180]
                    comes = sum(rates[:, k] for k in ahead) / 6.0
                    rounding = 0.006 * len(ahead) / 6.0 + 1e-4  # the members are written in steps of 0.01 mm/h
                    amount = fell + comes
                    known = numpy.isfinite(amount).all(axis=0)
                    if len(there) < 0.8 * len(past):
                        known[:] = False
                    self.assertTrue((numpy.isfinite(got[lead]) == known).all(), (hours, lead))
                    least = (amount >= threshold + rounding).mean(axis=0)[known] - 6e-4
                    most = (amount >= threshold - rounding).mean(axis=0)[known] + 6e-4
                    self.assertTrue(((got[lead][known] >= least) & (got[lead][known] <= most)).all(), (hours, lead))
        sure = data["probability_amount_3h_10"][0].filled(0.0)
        self.assertGreater((sure > 0.0).mean(), 0.01)  # the case is not an empty one
        data.close()

    def follows(self, sequence, inputs, *options):
        """The forecast of one frame follows the rain; returns what the file says of its motion."""
        data = self.nowcast(inputs, 3, *options)
        newest = max(sequence.minutes)
        still = sequence.truth(newest)
        forecast = data["rainfall_rate"][2].filled(numpy.nan)
        truth = sequence.truth(newest + 3 * sequence.step_min)
        known = numpy.isfinite(forecast)
        self.assertGreater(known.mean(), 0.5)
        self.assertLess(numpy.abs(forecast - truth)[known].mean(), 0.35 * numpy.abs(still - truth)[known].mean())
        source = data.source
        data.close()
        return source

    def wind(self, east, north, minutes=0.0, planes=False):
        """A coarse wind field about the grid of the sequences; planes: 2-D, turned by 10 degrees, with a gap."""
        path = self.path("wind.nc")
        data = netCDF4.Dataset(path, "w")
        y, x = numpy.meshgrid(numpy.arange(17.0, 11.0, -0.5), numpy.arange(105.0, 112.0, 0.5), indexing="ij")
        plane = {"latitude": y, "longitude": x}
        if planes:
            cosine, sine = numpy.cos(numpy.radians(10.0)), numpy.sin(numpy.radians(10.0))
            plane = {"latitude": 14.0 + (y - 14.0) * cosine + (x - 108.5) * sine,
                     "longitude": 108.5 + (x - 108.5) * cosine - (y - 14.0) * sine}
            east, north = numpy.full(y.shape, east), numpy.full(y.shape, north)
            east[6, 7] = numpy.nan
        for name, size in zip(("latitude", "longitude"), y.shape):
            data.createDimension(name, size)
        for name, unit in (("latitude", "degrees_north"), ("longitude", "degrees_east")):
            variable = data.createVariable("the_" + name if planes else name, "f8",
                                           ("latitude", "longitude") if planes else (name,))
            variable.units, variable.standard_name = unit, name
            variable[:] = plane[name] if planes else y[:, 0] if name == "latitude" else x[0]
        data.createDimension("time", 1)
        when = data.createVariable("time", "f8", ("time",))
        when.units, when.standard_name, when[:] = "seconds since 1970-01-01", "time", [START + 60.0 * minutes]
        for name, speed in (("eastward_wind", east), ("northward_wind", north)):
            variable = data.createVariable(name, "f4", ("time", "latitude", "longitude"), fill_value=numpy.nan)
            variable.units, variable.standard_name, variable[:] = "m s-1", name, speed
            if planes:
                variable.coordinates = "the_latitude the_longitude"
        data.close()
        return path

    def test_motion_from_elsewhere(self):
        whole = Sequence()
        whole.write(self.path("all.nc"))
        first = self.follows(whole, [self.path("all.nc")], "--motion-out", self.path("motion.nc"))
        self.assertIn("motion: tracked (", first)
        again = self.follows(whole, [self.path("all.nc")], "--motion-in", self.path("motion.nc"))
        self.assertIn("motion: tracked, smoothed with a motion of 0 min before", again)
        one = Sequence(minutes=[20.0])
        one.write(self.path("one.nc"))
        self.assertIn("motion: previous of 0 min before",
                      self.follows(one, [self.path("one.nc")], "--step", "300", "--motion-in", self.path("motion.nc")))
        east, north = SPEED_KM_MIN[0] * 1000.0 / 60.0, SPEED_KM_MIN[1] * 1000.0 / 60.0
        wind = self.wind(east, north)
        for sequence in (one, Sequence(minutes=[20.0], y_down=False, mapping=MERCATOR),
                         Sequence(minutes=[20.0], x_down=True)):
            sequence.write(self.path("one.nc"))
            self.assertIn("motion: wind (", self.follows(sequence, [self.path("one.nc")], "--step", "300", "--wind", wind))
        # wind and frames on 2-D longitude and latitude, alone and together
        for sequence, planes in ((one, True), (Sequence(minutes=[20.0], plane=True), False),
                                 (Sequence(minutes=[20.0], plane=True, x_down=True, y_down=False), True)):
            sequence.write(self.path("one.nc"))
            self.assertIn("motion: wind (", self.follows(sequence, [self.path("one.nc")], "--step", "300", "--wind",
                                                         self.wind(east, north, planes=planes)))
        # what was tracked is better than wind, and an earlier run's motion too
        self.assertIn("motion: tracked (", self.follows(whole, [self.path("all.nc")], "--wind", self.wind(30.0, 30.0)))
        # too old, too far, another grid, no wind in it
        late = Sequence(minutes=[20.0 + 90.0])
        late.write(self.path("late.nc"))
        self.wind(east, north, minutes=-200.0)
        data = self.nowcast([self.path("late.nc")], 1, "--step", "300", "--motion-in", self.path("motion.nc"), "--wind", wind)
        self.assertIn("motion: no_frames (", data.source)
        data.close()
        other = Sequence(rows=40, columns=50, minutes=[20.0])
        other.write(self.path("other.nc"))
        data = self.nowcast([self.path("other.nc")], 1, "--step", "300", "--motion-in", self.path("motion.nc"))
        self.assertIn("motion: no_frames (", data.source)
        data.close()
        for option, path in (("--motion-in", self.path("all.nc")), ("--wind", self.path("all.nc")),
                             ("--wind", self.path("nothing.nc"))):
            done = run("nowcast", "--in", self.path("other.nc"), "--step", "300", "--out", self.path("x.nc"), option, path)
            self.assertIn(done.returncode, (1, 3))
            self.assertFalse(os.path.exists(self.path("x.nc")))

    def test_hindcast_of_frames_that_stand_alone(self):
        """An ensemble needs two frames: starts without are left out by name, and when there are no others it says so."""
        lonely = Sequence(minutes=[0.0, 60.0, 120.0, 180.0, 240.0])
        lonely.write(self.path("lonely.nc"))
        common = ("hindcast", "--in", self.path("lonely.nc"), "--leads", 2, "--step", 300, "--out", self.path("s.csv"))
        self.assertEqual(run(*common).returncode, 0)
        os.remove(self.path("s.csv"))
        for options in (("--members", 3), ("--sprog",)):
            done = run(*common, *options)
            self.assertEqual(done.returncode, 3, done.stderr)
            self.assertIn("need two frames with rain rates", done.stderr)
            self.assertFalse(os.path.exists(self.path("s.csv")))
        some = Sequence(minutes=[0.0, 5.0, 60.0, 65.0, 70.0, 140.0, 145.0])
        some.write(self.path("lonely.nc"))
        done = run(*common, "--members", 3)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertRegex(done.stderr, "warning: [1-3] of 4 starts left out")

    def test_motion_of_earlier_frames(self):
        """Rain that could be followed is gone; a new blob in the newest frame moves as the rain did."""
        def field(x, y, minutes):
            if minutes < 16:
                return rain(x, y, minutes)
            east, north = x - SPEED_KM_MIN[0] * minutes, y - SPEED_KM_MIN[1] * minutes
            return numpy.where(minutes < 29, 0.0, 20.0 * numpy.exp(-(east ** 2 + north ** 2) / 50.0)).astype(float) \
                * numpy.ones(numpy.broadcast(x, y).shape)
        sequence = Sequence(frames=7, field=field)
        source = self.follows(sequence, [sequence.write(self.path("in.nc"))])
        self.assertIn("motion: earlier of 10 min before", source)


if __name__ == "__main__":
    if not os.path.exists(MODEL):
        sys.exit(f"no {MODEL}: set CANHBAO_BINARY_DIR")
    unittest.main()

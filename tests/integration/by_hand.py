"""Small made-up inputs of every hydrology command that is run by hand, and how each command is called on them."""
import csv
import datetime
import io
import math
import os
import subprocess

import netCDF4
import numpy

from daemon import MODEL
from harness import SOURCE

START = datetime.datetime(2024, 1, 1)
LANDSLIDE = ["--thresholds", os.path.join(SOURCE, "models/landslide/rainfall_thresholds.csv"), "--risk",
             os.path.join(SOURCE, "alerts/tables/risk_levels.csv"), "--zone", "KV4"]
GR = ["--x1", "300", "--x2", "0.1", "--x3", "80", "--x4", "6"]
CREST = ["--wm", "120", "--b", "0.3", "--im", "0.1", "--ke", "1", "--fc", "4"]
HBV = "--tt 0 --cfmax 3 --cfr 0.05 --cwh 0.1 --fc 200 --beta 2 --lp 0.7 --k0 0.3 --k1 0.1 --k2 0.02 --uzl 20 --perc 2 " \
      "--maxbas 3".split()


def run(folder, *words):
    return subprocess.run([MODEL, *words], cwd=folder, capture_output=True, text=True, timeout=240, check=False)


def table(names, rows):
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(names)
    writer.writerows(rows)
    return out.getvalue()


def hours(count, start=START, step_h=1):
    return [(start + datetime.timedelta(hours=step_h * i)).strftime("%Y-%m-%dT%H:%MZ") for i in range(count)]


def rain_mm(i):
    """A shower every 90 steps, a storm every 700; no two alike."""
    return round((i % 90 < 5) * (1 + (i * 7919) % 13) + (i % 700 < 12) * (4 + (i * 104729) % 17), 2)


def forcing(count, step_h=1):
    e = 4.0 if step_h == 24 else 0.16
    return table(["time", "P", "E"], [[t, rain_mm(i), e] for i, t in enumerate(hours(count, step_h=step_h))])


def flow(i):
    return 3 + 40 * math.exp(-(i % 90) / 25.0) * (1 + 0.3 * math.sin(i * 0.37))


def observed(count, scale=1.0):
    rows = [[t, round(flow(i) * scale, 4), round(flow(i + 2) * scale * 1.1, 4)] for i, t in enumerate(hours(count))]
    return table(["time", "Qobs", "Qsim"], rows)


def dem(path, values=None, units="m", name="dem", x=None, y=None, mapping=True, **attributes):
    """A projected grid; a valley that falls to the south unless values are given. Attributes go to the variable,
    fill_value and dtype to its creation."""
    if values is None:
        row, column = numpy.mgrid[0:12, 0:10]
        values = 300.0 - 12 * row + 25 * abs(column - 4.5)
    rows, columns = values.shape
    x = 500000 + 90.0 * numpy.arange(columns) if x is None else x
    y = 1500000 - 90.0 * numpy.arange(rows) if y is None else y
    with netCDF4.Dataset(path, "w") as file:
        for axis, at in (("y", y), ("x", x)):
            file.createDimension(axis, len(at))
            variable = file.createVariable(axis, "f8", (axis,))
            degrees = {"x": ("degrees_east", "longitude"), "y": ("degrees_north", "latitude")}[axis]
            metres = "m", f"projection_{axis}_coordinate"
            variable.units, variable.standard_name = degrees if mapping is None else metres
            variable[:] = at
        variable = file.createVariable(name, attributes.pop("dtype", "f8"), ("y", "x"),
                                       fill_value=attributes.pop("fill_value", None))
        if mapping:
            crs = file.createVariable("crs", "i4")
            crs.grid_mapping_name = "transverse_mercator"
            crs.longitude_of_central_meridian, crs.latitude_of_projection_origin = 108.0, 0.0
            crs.scale_factor_at_central_meridian, crs.false_easting, crs.false_northing = 0.9996, 500000.0, 0.0
            crs.semi_major_axis, crs.inverse_flattening = 6378137.0, 298.257223563
            variable.grid_mapping = "crs"
        if units is not None:
            variable.units = units
        for key, value in attributes.items():
            variable.setncattr(key, value)
        variable.set_auto_maskandscale(False)
        variable[:] = values


def rates(path, fields, frames=8, step_h=1):
    """Fields {name: mm h-1} over (time, y, x) on the grid of dem()."""
    with netCDF4.Dataset(path, "w") as file:
        for axis, at in (("y", 1500000 - 90.0 * numpy.arange(12)), ("x", 500000 + 90.0 * numpy.arange(10))):
            file.createDimension(axis, len(at))
            variable = file.createVariable(axis, "f8", (axis,))
            variable.units, variable.standard_name = "m", f"projection_{axis}_coordinate"
            variable[:] = at
        file.createDimension("time", frames)
        time = file.createVariable("time", "f8", ("time",))
        time.units, time.standard_name = "hours since 2024-01-01T00:00:00Z", "time"
        time[:] = step_h * (1 + numpy.arange(frames))
        crs = file.createVariable("crs", "i4")
        crs.grid_mapping_name = "transverse_mercator"
        crs.longitude_of_central_meridian, crs.latitude_of_projection_origin = 108.0, 0.0
        crs.scale_factor_at_central_meridian, crs.false_easting, crs.false_northing = 0.9996, 500000.0, 0.0
        crs.semi_major_axis, crs.inverse_flattening = 6378137.0, 298.257223563
        for name, rate in fields.items():
            variable = file.createVariable(name, "f4", ("time", "y", "x"), fill_value=-9999.0)
            variable.units, variable.grid_mapping = "mm h-1", "crs"
            variable[:] = rate


def write(folder, name, text):
    with open(os.path.join(folder, name), "w", encoding="utf-8", newline="") as file:
        file.write(text)


GAUGINGS = table(["W", "Q"], [[round(0.4 + 0.15 * i, 3), round(12 * (0.3 + 0.15 * i) ** 1.7 * (1 + 0.04 * (-1) ** i), 4)]
                              for i in range(16)])
NETWORK = "id,downstream,length_m,width_m,slope,manning\nup,low,4000,20,0.002,0.04\nlow,,6000,30,0.001,0.035\n"


def make(folder):
    """Every input that the commands below read."""
    write(folder, "day.csv", forcing(800, 24))
    write(folder, "hour.csv", forcing(900))
    write(folder, "snow.csv", table(["time", "P", "E", "T"], [
        [t, rain_mm(i), 2, round(8 - 14 * math.cos(i / 58.0), 2)] for i, t in enumerate(hours(500, step_h=24))]))
    write(folder, "qin.csv", table(["time", "Qin"], [[t, round(flow(i), 3)] for i, t in enumerate(hours(200))]))
    write(folder, "net.csv", NETWORK)
    write(folder, "lateral.csv", table(["time", "up", "low"], [
        [t, round(flow(i) / 3, 3), 0.2] for i, t in enumerate(hours(100))]))
    write(folder, "release.csv", table(["time", "up"], [[t, 5] for t in hours(100)]))
    write(folder, "gaugings.csv", GAUGINGS)
    write(folder, "stage.csv", table(["time", "H"], [[t, round(0.5 + 0.01 * i, 3)] for i, t in enumerate(hours(150))]))
    write(folder, "pairs.csv", observed(900))
    write(folder, "year.csv", table(["time", "P", "E", "Qobs"], [
        [t, rain_mm(i), 0.16, round(flow(i), 3)] for i, t in enumerate(hours(8800))]))
    write(folder, "rain.csv", table(["time", "a", "b"], [
        [t, i % 5, 2] for i, t in enumerate(hours(48, START + datetime.timedelta(hours=8800)))]))
    write(folder, "runoff.csv", table(["time", "P", "E", "Qobs"], [
        [t, rain_mm(i), 4, round(0.5 + flow(i) / 20, 3)] for i, t in enumerate(hours(800, step_h=24))]))
    write(folder, "donors.csv", "X1,X2,X3,X4\n250,-1,60,1.5\n600,0,120,2.5\n120,1,30,1.2\n")
    write(folder, "gr4h.json", '{"model": "gr4h", "parameters": {"x1_mm": 300, "x2_mm": 0.1, "x3_mm": 80, "x4": 6}}')
    write(folder, "outlets.csv", "id,x,y\nmouth,500360,1499010\nmiddle,500360,1499550\nhead,500450,1499910\n")
    write(folder, "mm.csv", table(["time", "P"], [[t, rain_mm(i)] for i, t in enumerate(hours(200))]))
    dem(os.path.join(folder, "dem.nc"))
    rates(os.path.join(folder, "rates.nc"), {"rain": 5.0, "pet": 0.1, "rainfall_rate": 5.0}, 30)
    row, column = numpy.mgrid[0:12, 0:10]
    dem(os.path.join(folder, "classes.nc"), 1.0 + (row + column) % 4, units="1", name="susceptibility", fill_value=-1.0)
    for words in (["rating", "--fit", "gaugings.csv", "--out", "rating.json"],
                  ["update", "--fit", "pairs.csv", "--out", "update.json"],
                  ["gr", "--step", "hourly", "--forcing", "hour.csv", *GR, "--out", "q.csv", "--state-out", "gr.json"],
                  ["terrain", "--dem", "dem.nc", "--stream-km2", "0.1", "--out", "drainage.nc"]):
        done = run(folder, *words)
        if done.returncode != 0:
            raise AssertionError(f"{words}: {done.stderr}")
    write(folder, "next.csv", table(["time", "P", "E"], [
        [t, rain_mm(i), 0.16] for i, t in enumerate(hours(900, START + datetime.timedelta(hours=900)))]))


# Name of a call: (words, {file it reads: columns of numbers in it that it needs; () JSON; None NetCDF})
CALLS = {
    "gr daily": (["gr", "--step", "daily", "--forcing", "day.csv", *GR], {"day.csv": ("P", "E")}),
    "gr state": (["gr", "--step", "hourly", "--forcing", "next.csv", *GR, "--state-in", "gr.json"],
                 {"next.csv": ("P", "E"), "gr.json": ()}),
    "hbv": (["hbv", "--step", "daily", "--forcing", "snow.csv", *HBV], {"snow.csv": ("P", "E", "T")}),
    "crest": (["crest", "--forcing", "hour.csv", *CREST], {"hour.csv": ("P", "E")}),
    "muskingum": (["route", "--method", "muskingum", "--inflow", "qin.csv", "--k", "5", "--x", "0.2"],
                  {"qin.csv": ("Qin",)}),
    "muskingum-nonlinear": (["route", "--method", "muskingum-nonlinear", "--inflow", "qin.csv", "--k", "0.5", "--x",
                             "0.28", "--m", "1.8"], {"qin.csv": ("Qin",)}),
    "cunge": (["route", "--method", "cunge", "--inflow", "qin.csv", "--length-m", "9000", "--width-m", "30", "--slope",
               "0.001", "--manning", "0.03"], {"qin.csv": ("Qin",)}),
    "kinematic": (["route", "--method", "kinematic", "--network", "net.csv", "--lateral", "lateral.csv", "--release",
                   "release.csv"], {"net.csv": ("length_m", "width_m", "slope", "manning"),
                                    "lateral.csv": ("up", "low"), "release.csv": ("up",)}),
    "rating fit": (["rating", "--fit", "gaugings.csv"], {"gaugings.csv": ("W", "Q")}),
    "rating apply": (["rating", "--apply", "rating.json", "--stage", "stage.csv"],
                     {"rating.json": (), "stage.csv": ("H",)}),
    "update fit": (["update", "--fit", "pairs.csv"], {"pairs.csv": ("Qobs", "Qsim")}),
    "update now": (["update", "--model", "update.json", "--series", "pairs.csv", "--now", "2024-01-20T00:00Z"],
                   {"update.json": (), "pairs.csv": ("Qobs", "Qsim")}),
    "update verify": (["update", "--model", "update.json", "--series", "pairs.csv", "--verify"],
                      {"update.json": (), "pairs.csv": ("Qobs", "Qsim")}),
    "calibrate": (["calibrate", "--step", "daily", "--forcing", "runoff.csv", "--warmup-steps", "100", "--restarts", "1"],
                  {"runoff.csv": ("P", "E", "Qobs")}),
    "regional": (["regional", "--step", "daily", "--donors", "donors.csv"], {"donors.csv": ("X1", "X2", "X3", "X4")}),
    "regional few": (["regional", "--step", "daily", "--donors", "donors.csv", "--forcing", "runoff.csv"],
                     {"donors.csv": ("X1", "X2", "X3", "X4"), "runoff.csv": ("P", "E", "Qobs")}),
    "terrain": (["terrain", "--dem", "dem.nc", "--stream-km2", "0.1"], {"dem.nc": None}),
    "ffg": (["ffg", "--forcing", "hour.csv", *GR, "--area-km2", "100", "--threshold-m3-s", "200"],
            {"hour.csv": ("P", "E")}),
    "forecast": (["forecast", "--gauge", "g", "--observed", "year.csv", "--rain", "rain.csv", "--parameters", "gr4h.json",
                  "--area-km2", "100", "--update", "update.json", "--rating", "rating.json", "--levels", "1,1.5,2"],
                 {"year.csv": ("P", "E", "Qobs"), "rain.csv": ("a", "b"), "gr4h.json": (), "update.json": (),
                  "rating.json": ()}),
    "crest-grid": (["crest-grid", "--static", "drainage.nc", "--forcing", "rates.nc", "--outlets", "outlets.csv", *CREST,
                    "--step-h", "0.5"], {"drainage.nc": None, "rates.nc": None, "outlets.csv": ("x", "y")}),
    "landslide": (["landslide", "--rain", "mm.csv", *LANDSLIDE, "--susceptibility", "high"], {"mm.csv": ("P",)}),
    "landslide-grid": (["landslide-grid", "--rain", "rates.nc", "--susceptibility", "classes.nc", *LANDSLIDE, "--curves",
                        "caine1980"], {"rates.nc": None, "classes.nc": None}),
}

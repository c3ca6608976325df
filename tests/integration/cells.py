"""A small catchment as grids, for the tests of the models that work cell by cell: terrain, susceptibility, rain frames,
forecasts. All of it is made up."""
import json
import os
import subprocess

import netCDF4
import numpy

from daemon import MODEL
from harness import SOURCE

T0 = 1763424000  # 2025-11-18T00:00:00Z
ROWS, COLUMNS, STEP = 12, 10, 0.01
LON = 108.5 + STEP * numpy.arange(COLUMNS)
LAT = 14.2 - STEP * numpy.arange(ROWS)
# The left and the right half of the catchment.
AREAS = {"west": (108.49, 14.08, 108.545, 14.21), "east": (108.545, 14.08, 108.6, 14.21)}
WEST = numpy.arange(COLUMNS) < 5
THRESHOLDS = os.path.join(SOURCE, "models/landslide/rainfall_thresholds.csv")
RISK = os.path.join(SOURCE, "alerts/tables/risk_levels.csv")
EVAPORATION = ",".join(["3"] * 12)


def rfc(seconds):
    return subprocess.run(["date", "-u", "-d", f"@{seconds}", "+%Y-%m-%dT%H:%M:%SZ"], capture_output=True, text=True,
                          check=True).stdout.strip()


def areas(path):
    features = []
    for name, (west, south, east, north) in AREAS.items():
        ring = [[west, south], [east, south], [east, north], [west, north], [west, south]]
        features.append({"type": "Feature", "id": name, "properties": {"name": name},
                         "geometry": {"type": "Polygon", "coordinates": [ring]}})
    with open(path, "w", encoding="utf-8") as file:
        json.dump({"type": "FeatureCollection", "features": features}, file)


def field(path, name, values, times=None, units="mm h-1"):
    """values: (y, x), (time, y, x) or (realization, time, y, x); NaN is missing. Appears when complete."""
    part = os.path.join(os.path.dirname(path), "." + os.path.basename(path))
    with netCDF4.Dataset(part, "w") as file:
        dims = ("lat", "lon")
        for axis, unit, standard, at in (("lat", "degrees_north", "latitude", LAT),
                                         ("lon", "degrees_east", "longitude", LON)):
            file.createDimension(axis, len(at))
            variable = file.createVariable(axis, "f8", (axis,))
            variable.units, variable.standard_name = unit, standard
            variable[:] = at
        if times is not None:
            file.createDimension("time", len(times))
            variable = file.createVariable("time", "f8", ("time",))
            variable.units, variable.standard_name = "seconds since 1970-01-01T00:00:00Z", "time"
            variable[:] = times
            dims = ("time",) + dims
        if values.ndim == 4:
            file.createDimension("realization", values.shape[0])
            dims = ("realization",) + dims
        variable = file.createVariable(name, "f4", dims, fill_value=-9999.0)
        variable.units = units
        if name == "rainfall_rate":
            variable.standard_name = name
        variable[:] = numpy.ma.masked_invalid(values)
    os.rename(part, path)


def terrain(folder):
    """terrain.nc: a valley that falls to the south; susceptibility.nc: classes 1 to 4 in turn."""
    y, x = numpy.mgrid[0:ROWS, 0:COLUMNS]
    dem = os.path.join(folder, "dem.nc")
    field(dem, "dem", 300.0 - 12 * y + 25 * numpy.abs(x - 4.5), units="m")
    subprocess.run([MODEL, "terrain", "--dem", dem, "--cell-m", "1100", "--stream-km2", "5", "--out",
                    os.path.join(folder, "terrain.nc")], check=True)
    classes = 1 + (y + x) % 4
    field(os.path.join(folder, "susceptibility.nc"), "susceptibility", classes.astype("f4"), units="1")
    return classes


def read(path, name):
    with netCDF4.Dataset(path) as file:
        return numpy.ma.filled(file[name][:].astype("f8"), numpy.nan)


def flashflood(folder, reference, rain, *more):
    return subprocess.run(
        [MODEL, "flashflood", "--static", "terrain.nc", "--areas", "areas.geojson", "--wm", "120", "--b", "0.3", "--im",
         "0.1", "--ke", "1", "--fc", "4", "--evaporation", EVAPORATION, "--threshold-unit", "3", "--reference",
         rfc(reference), "--rain", *rain, *more], cwd=folder, capture_output=True, text=True, check=False)


def slopes(folder, reference, rain, *more):
    return subprocess.run(
        [MODEL, "slopes", "--susceptibility", "susceptibility.nc", "--thresholds", THRESHOLDS, "--risk", RISK,
         "--curves", "caine1980", "--zone", "KV4", "--areas", "areas.geojson", "--reference", rfc(reference), "--rain",
         *rain, *more], cwd=folder, capture_output=True, text=True, check=False)


def results(path):
    """{(area, variable, window h, lead h, probability): row}, and the whole output."""
    with open(path, encoding="utf-8") as file:
        output = json.load(file)
    return {(r["area"], r["variable"], r["window_s"] // 3600, r["lead_s"] // 3600, r.get("probability")): r
            for r in output["results"]}, output

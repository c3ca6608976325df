#!/usr/bin/python3
"""A full forecast cycle by the programs that the daemon runs, on files: the next hour of radar frames into the state of
every cell (500 m, the three basins of the first site: about 20,600 cells), flash-flood guidance of 1, 3 and 6 h, 20
members and both floors to 24 h, results, grids and state out (flashflood); then stage and discharge at all gauges with
the same 20 members (flood). One thread. CPU seconds of the processes, and wall time, best of some rounds. Rain and
readings are made up, the terrain is drawn (deploy/sites/binh-dinh/models/draw-terrain)."""
import importlib.machinery
import importlib.util
import json
import os
import resource
import subprocess
import sys
import tempfile
import time

import netCDF4
import numpy

HERE = os.path.dirname(os.path.realpath(__file__))
MODEL = os.path.join(HERE, "..", "..", "models", "canhbao-model")
SOURCE = os.environ["CANHBAO_SOURCE_DIR"]
SITE = os.path.join(SOURCE, "deploy", "sites", "binh-dinh")
SMOKE = "CANHBAO_BENCH_SMOKE" in os.environ
T0 = 1763424000  # 2025-11-18T00:00:00Z
HOURS = 7
MEMBERS = 20
STEP_DEG = 0.0045 if not SMOKE else 0.02


def grid(path, name, step, times, values, ensemble=False):
    lon, lat = numpy.arange(108.3, 109.4 + step / 2, step), numpy.arange(14.9, 13.3 - step / 2, -step)
    with netCDF4.Dataset(path, "w") as file:
        for axis, standard, units, at in (("time", "time", "seconds since 1970-01-01T00:00:00Z", times),
                                          ("lat", "latitude", "degrees_north", lat),
                                          ("lon", "longitude", "degrees_east", lon)):
            file.createDimension(axis, len(at))
            variable = file.createVariable(axis, "f8", (axis,))
            variable.standard_name, variable.units = standard, units
            variable[:] = at
        dims = ("time", "lat", "lon")
        if ensemble:
            file.createDimension("realization", MEMBERS)
            dims = ("realization",) + dims
        rain = file.createVariable(name, "f4", dims, fill_value=-9999.0, zlib=True)
        rain.standard_name, rain.units = "rainfall_rate", "mm h-1"
        rain[:] = values(len(lat), len(lon))


def terrain(folder):
    loader = importlib.machinery.SourceFileLoader("draw", os.path.join(SITE, "models", "draw-terrain"))
    draw = importlib.util.module_from_spec(importlib.util.spec_from_loader("draw", loader))
    loader.exec_module(draw)
    draw.LON = numpy.round(numpy.arange(108.30, 109.4001, STEP_DEG), 5)
    draw.LAT = numpy.round(numpy.arange(14.90, 13.2999, -STEP_DEG), 5)
    draw.CELL_M = 1095.0 * STEP_DEG / 0.01
    sys.argv = ["draw-terrain", "--model-program", MODEL, "--out", folder]
    stdout, sys.stdout = sys.stdout, open(os.devnull, "w", encoding="utf-8")
    draw.main()
    sys.stdout.close()
    sys.stdout = stdout
    with netCDF4.Dataset(os.path.join(folder, "terrain.nc")) as file:
        return int((~numpy.ma.getmaskarray(file["flow_direction"][:])).sum())


def rfc(seconds):
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))


def inputs(folder):
    random = numpy.random.default_rng(1)
    frames = []
    for i in range(1, 6 * HOURS + 1):
        frames.append(os.path.join(folder, f"r{i:03d}.nc"))
        grid(frames[-1], "rainfall_rate", 0.01, [T0 + 600 * i], lambda r, c: random.gamma(0.5, 12, (1, r, c)))
    end = T0 + 3600 * HOURS
    grid(os.path.join(folder, "now.nc"), "rainfall_rate", 0.01, [end + 600 * (k + 1) for k in range(12)],
         lambda r, c: random.gamma(0.5, 12, (MEMBERS, 12, r, c)), ensemble=True)
    grid(os.path.join(folder, "nwp.nc"), "rainfall_rate", 0.05, [end + 3600 * (k + 1) for k in range(36)],
         lambda r, c: random.gamma(0.5, 8, (36, r, c)))
    with open(os.path.join(SITE, "models", "flood.json"), encoding="utf-8") as file:
        site = json.load(file)
    points = {(r["station"], r["point"]) for b in site["basins"] for r in b["rain"]}
    points |= {(g["station"], g["point"]) for g in site["gauges"]}
    with open(os.path.join(folder, "series.csv"), "w", encoding="utf-8") as file:
        file.write("time,station,point,value,unit,flag,status\n")
        for station, point in sorted(points):
            for minute in range(0, 60 * 72 + 1, 10):
                value = 6.0 if point == "rate" else 5.0
                file.write(f"{rfc(end - 60 * (60 * 72 - minute))},{station},{point},{value},1,1,ok\n")
    return frames, end


def run(*words):
    """(wall s, CPU s) of one program."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    start = time.monotonic()
    done = subprocess.run([MODEL, *words], capture_output=True, text=True, check=False)
    wall = time.monotonic() - start
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode != 0:
        sys.exit(f"bench: {words[0]}: {done.returncode} {done.stderr}")
    return wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def show(metric, value, unit="s"):
    print(json.dumps({"bench": "cycle", "metric": metric, "value": round(value, 3), "unit": unit}), flush=True)


def main():
    with tempfile.TemporaryDirectory() as folder:
        def path(name):
            return os.path.join(folder, name)
        cells = terrain(folder)
        frames, end = inputs(folder)
        areas = [os.path.join(SITE, "areas", f"lv-{name}.geojson") for name in ("kon", "ha-thanh", "lai-giang")]
        common = ["flashflood", "--static", path("terrain.nc"), "--areas", *areas, "--wm", "150", "--b", "0.3", "--im",
                  "0.05", "--ke", "1", "--fc", "5", "--interflow-h", "12", "--rain-log-sigma", "0.35", "--evaporation",
                  ",".join(["3"] * 12), "--threshold-unit", "3"]
        ahead = ["--nowcast", path("now.nc"), "--nwp", path("nwp.nc")]
        run(*common, "--reference", rfc(end - 3600), "--rain", *frames[:-6], "--state-out", path("before.nc"), "--out",
            path("out.json"))
        cell_runs = [run(*common, *ahead, "--reference", rfc(end), "--rain", *frames, "--state-in", path("before.nc"),
                         "--state-out", path("after.nc"), "--nc", path("cells.nc"), "--out", path("out.json"))
                     for _ in range(1 if SMOKE else 3)]
        with open(path("out.json"), encoding="utf-8") as file:
            output = json.load(file)
        if output["details"]["members"] != MEMBERS or output["reference_time"] != rfc(end):
            sys.exit("bench: not the cycle that was asked for")
        flood_runs = [run("flood", "--site", os.path.join(SITE, "models", "flood.json"), "--series", path("series.csv"),
                          "--reference", rfc(end), "--outlines", os.path.join(SITE, "models", "basins.geojson"), *ahead,
                          "--state-out", path("flood.json"), "--nc", path("flood.nc"), "--out", path("flood-out.json"))
                      for _ in range(1 if SMOKE else 3)]
        show("cells", cells, "cells")
        for name, runs in (("flashflood", cell_runs), ("flood", flood_runs)):
            show(f"{name}_wall", min(w for w, _ in runs))
            show(f"{name}_cpu", min(c for _, c in runs))
        show("cycle_24h_20_members_wall", min(w for w, _ in cell_runs) + min(w for w, _ in flood_runs))
        show("cycle_24h_20_members_cpu", min(c for _, c in cell_runs) + min(c for _, c in flood_runs))


main()

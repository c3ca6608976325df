#!/usr/bin/python3
"""Areal rain of canhbao-model against an independent computation (numpy, netCDF4), to 1e-9.

Independent: netCDF4 unpacks the values; the polar stereographic projection is its spherical formula
(Snyder 1987, eq. 21-4 ff.), not PROJ; cell shares come from clipping the polygon against every cell
(Sutherland-Hodgman); ground areas from plane area over scale squared, or from numerical integration
over the ellipsoid.

usage: areal_means.py CANHBAO-MODEL DATA-FOLDER        exit 77: no reference data
"""
import json
import math
import os
import subprocess
import sys
import tempfile

import netCDF4
import numpy

TOLERANCE = 1e-9
WINDOW_S = 3600
THRESHOLD = 1.0

SEQUENCES = {
    "fmi_20160928.nc": (300, {
        "triangle": [[[24.9, 61.2], [25.02, 61.21], [24.95, 61.26]]],
        "notch": [[[23.5, 62.0], [23.62, 62.0], [23.62, 62.05], [23.56, 62.01], [23.5, 62.05]]],
        "holed": [[[26.0, 63.0], [26.14, 63.0], [26.14, 63.06], [26.0, 63.06]],
                  [[26.05, 63.02], [26.05, 63.04], [26.09, 63.03]]],
    }),
    "mrms_20190610.nc": (120, {
        "basin": [[[-86.0, 43.0], [-84.93, 43.2], [-84.5, 44.1], [-85.2, 43.61], [-86.0, 43.9]]],
        "holed": [[[-84.0, 42.0], [-83.0, 42.0], [-83.0, 42.8], [-84.0, 42.8]],
                  [[-83.7, 42.2], [-83.7, 42.6], [-83.2, 42.4]]],
        "speck": [[[-87.1234, 45.5551], [-87.1211, 45.5551], [-87.1219, 45.5572]]],
    }),
}


def stereographic(lon, lat):
    radius, true_lat, middle = 6371288.0, math.radians(60.0), math.radians(25.0)
    lon, lat = numpy.radians(lon), numpy.radians(lat)
    rho = radius * (1.0 + math.sin(true_lat)) * numpy.tan(math.pi / 4.0 - lat / 2.0)
    return (rho * numpy.sin(lon - middle) + 380886.31,
            -rho * numpy.cos(lon - middle) + 3395677.92)


def stereographic_area(x, y, plane):
    radius, true_lat = 6371288.0, math.radians(60.0)
    rho = math.hypot(x - 380886.31, y - 3395677.92)
    lat = math.pi / 2.0 - 2.0 * math.atan(rho / (radius * (1.0 + math.sin(true_lat))))
    return plane / ((1.0 + math.sin(true_lat)) / (1.0 + math.sin(lat))) ** 2


def ellipsoid_area(south, north, width):
    a, f = 6378137.0, 1.0 / 298.257223563
    e2 = f * (2.0 - f)
    nodes, weights = numpy.polynomial.legendre.leggauss(12)
    lat = numpy.radians(0.5 * (south + north) + 0.5 * (north - south) * nodes)
    density = a * a * (1.0 - e2) * numpy.cos(lat) / (1.0 - e2 * numpy.sin(lat) ** 2) ** 2
    return float(numpy.sum(weights * density)) * math.radians(north - south) / 2.0 * math.radians(width)


def clip(ring, axis, limit, keep_above):
    out = []
    for i, q in enumerate(ring):
        p = ring[i - 1]
        p_in = p[axis] >= limit if keep_above else p[axis] <= limit
        q_in = q[axis] >= limit if keep_above else q[axis] <= limit
        if p_in != q_in:
            t = (limit - p[axis]) / (q[axis] - p[axis])
            cut = [p[0] + t * (q[0] - p[0]), p[1] + t * (q[1] - p[1])]
            cut[axis] = limit
            out.append(cut)
        if q_in:
            out.append(q)
    return out


def plane_area(ring):
    if len(ring) < 3:
        return 0.0
    points = numpy.array(ring) - numpy.array(ring[0])
    x, y = points[:, 0], points[:, 1]
    return 0.5 * abs(float(numpy.sum(x * numpy.roll(y, -1) - numpy.roll(x, -1) * y)))


def shares(rings, x_edge, y_edge):
    """{(row, column): share} for cells that any ring touches."""
    found = {}
    for number, ring in enumerate(rings):
        xs, ys = [p[0] for p in ring], [p[1] for p in ring]
        for j in range(len(y_edge) - 1):
            low, high = sorted((y_edge[j], y_edge[j + 1]))
            if high <= min(ys) or low >= max(ys):
                continue
            band = clip(clip(ring, 1, low, True), 1, high, False)
            for i in range(len(x_edge) - 1):
                left, right = sorted((x_edge[i], x_edge[i + 1]))
                if right <= min(xs) or left >= max(xs) or not band:
                    continue
                area = plane_area(clip(clip(band, 0, left, True), 0, right, False))
                share = area / ((right - left) * (high - low))
                found[j, i] = found.get((j, i), 0.0) + (share if number == 0 else -share)
    return {cell: share for cell, share in found.items() if share > 1e-12}


def edges(centre):
    middle = 0.5 * (centre[1:] + centre[:-1])
    return numpy.concatenate(([2.0 * centre[0] - middle[0]], middle, [2.0 * centre[-1] - middle[-1]]))


def densify(ring, pieces):
    out = []
    for p, q in zip(ring, ring[1:] + ring[:1]):
        t = numpy.arange(pieces) / pieces
        out.extend(zip(p[0] + t * (q[0] - p[0]), p[1] + t * (q[1] - p[1])))
    lon, lat = numpy.array(out).T
    return [list(point) for point in zip(*stereographic(lon, lat))]


def expected(path, step_s, areas):
    data = netCDF4.Dataset(path)
    rates = numpy.ma.filled(data["rainfall_rate"][-WINDOW_S // step_s:].astype("f8"), numpy.nan)
    x, y = data["x"][:].filled(), data["y"][:].filled()
    projected = data["crs"].grid_mapping_name == "polar_stereographic"
    x_edge, y_edge = edges(x), edges(y)
    result = {}
    for name, rings in areas.items():
        if projected:
            rings = [densify(ring, 2000) for ring in rings]
        now = [0.0, 0.0, 0.0, 0.0]  # weight, weight * rate, covered weight, all weight
        hour = [0.0, 0.0]
        peak = 0.0
        for (j, i), share in shares(rings, x_edge, y_edge).items():
            plane = abs((x_edge[i + 1] - x_edge[i]) * (y_edge[j + 1] - y_edge[j]))
            if projected:
                weight = share * stereographic_area(x[i], y[j], plane)
            else:
                south, north = sorted((y_edge[j], y_edge[j + 1]))
                weight = share * ellipsoid_area(south, north, abs(x_edge[i + 1] - x_edge[i]))
            now[3] += weight
            series = rates[:, j, i]
            if not math.isnan(series[-1]):
                now[0] += weight
                now[1] += weight * series[-1]
                now[2] += weight * (series[-1] >= THRESHOLD)
                peak = max(peak, series[-1])
            known = series[~numpy.isnan(series)]
            hour[0] += weight * len(known)
            hour[1] += weight * known.sum()
        result[name] = {("rain_mean", 0): now[1] / now[0], ("rain_max", 0): peak,
                        ("rain_covered", 0): now[2] / now[0],
                        ("rain_mean", WINDOW_S): hour[1] / hour[0] * WINDOW_S / 3600.0}
    return result


def computed(model, path, step_s, areas):
    features = [{"type": "Feature", "id": name, "properties": {}, "geometry": {
        "type": "Polygon", "coordinates": [ring + ring[:1] for ring in rings]}}
        for name, rings in areas.items()]
    with tempfile.NamedTemporaryFile("w", suffix=".geojson") as file:
        json.dump({"type": "FeatureCollection", "features": features}, file)
        file.flush()
        done = subprocess.run([model, "--worker", "areal", "--in", path, "--areas", file.name,
                               "--step", f"{step_s}s", "--windows", f"{WINDOW_S}s", "--quiet",
                               "--threshold", str(THRESHOLD)], check=True, stdout=subprocess.PIPE)
    return json.loads(done.stdout)["results"]


def main():
    model, folder = sys.argv[1:]
    failed = 0
    wet = 0
    for name, (step_s, areas) in SEQUENCES.items():
        path = os.path.join(folder, "radar_dev", name)
        if not os.path.exists(path):
            print("SKIPPED: reference.areal_means: no reference data")
            return 77
        want = expected(path, step_s, areas)
        got = {(r["area"], r["variable"], r["window_s"]): r["value"]
               for r in computed(model, path, step_s, areas) if r["lead_s"] == 0}
        for area, values in want.items():
            for (variable, window), value in values.items():
                other = got[area, variable, window]
                bad = other is None or abs(other - value) > TOLERANCE * max(1.0, abs(value))
                failed += bad
                wet += value > 0.0
                print(f"{'BAD ' if bad else 'good'} {name} {area} {variable} {window}: "
                      f"{value!r} {other!r}")
    if wet < 6:
        print("too few of the areas have rain: this would show nothing")
        failed += 1
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())

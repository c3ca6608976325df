"""Ru-106 over Europe 2017 and the first European Tracer Experiment: far_inversion.py CANHBAO_MODEL DATA_FOLDER

Ru-106: the emission at one site from real measurements and sensitivities; published 273 TBq in one 3 h bin and
441 +- 13 TBq (both by other methods on all data; here are half of the readings). Plain least squares gives thousands.
Judged at the model's own defaults, which were chosen on these readings, so this shows that the whole works, not how well
it would on others; other error models follow for the spread: the regularisation decides.
ETEX: no meteorology and no sensitivities could be had, so the files are read, checked against the list of stations and
mapped, and the program must say that nothing can be inverted."""
import csv
import json
import os
import subprocess
import sys
import tempfile


def run(program, out, *words):
    path, places = os.path.join(out, "srs.json"), os.path.join(out, "map.geojson")
    subprocess.run([program, "srs", *words, "--out", path, "--map", places], check=True, timeout=100)
    with open(path, encoding="utf-8") as file, open(places, encoding="utf-8") as features:
        return json.load(file), json.load(features)["features"]


def ru106(program, folder, out, failures):
    data = os.path.join(folder, "ru106_2017", "ru106_srs_dev.nc")
    for words in ((), ("--relative-error", "0.5"), ("--relative-error", "0.3", "--absolute-error", "1"),
                  ("--absolute-error", "20")):
        told, features = run(program, out, "--srs", data, *words)
        best = told["best"]
        late = sum(best["emission"][24:37]) / best["total"]
        print(f"Ru-106, relative error {told['relative_error']}, absolute {told['absolute_error']:.3g}: {best['total']:.0f} +- "
              f"{best['total_sd']:.0f} TBq, {100 * late:.0f} % of it in bins 24 to 36; within a factor 5: {best['fac5']:.2f} of "
              f"{best['detections']} detections; bins " + ", ".join(f"{b['bin']}: {b['emission']:.0f}" for b in best["bins"]))
        if ("chosen on" in told["error_basis"]) == (len(words) == 4):
            failures.append("the output does not say whose errors were taken")
        if best["used"] != 430 or len(features) != 430:
            failures.append("not all readings were used and mapped")
        if not words and not (150 <= best["total"] <= 600 and late >= 0.5):
            failures.append("Ru-106: 150 to 600 TBq, at least half of it in bins 24 to 36 expected")
        if not 30 < best["total"] < 3000:
            failures.append("totals far from all that was published")


def etex(program, folder, out, failures):
    files = [os.path.join(folder, "etex1", name) for name in ("measurements.csv", "stations.csv")]
    told, features = run(program, out, "--readings", files[0], "--stations", files[1])
    print(f"ETEX-1: {told['readings']} values of {told['stations']} stations, {told['detections']} above 0 at "
          f"{told['stations_that_saw']}, largest {told['largest']['value']:.0f} {told['unit']} at {told['largest']['station']} "
          f"{told['largest']['start']}; inversion: {told['inversion']['status']}")
    if (told["readings"], told["detections"], told["largest"]["value"], told["inversion"]["status"]) != (3105, 941, 12570, "not possible"):
        failures.append("the ETEX files are not what their description says")
    if len(features) != told["stations"]:
        failures.append("not all stations were mapped")
    # an independent count, and the cloud goes east: the first sight of each station against its longitude
    with open(files[0], encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    if len({r["station"] for r in rows}) != told["stations"] or sum(float(r["pmch_pg_m3"]) > 0 for r in rows) != told["detections"]:
        failures.append("stations or detections are counted wrongly")
    saw = sorted((s["first_seen"], s["longitude_deg"]) for s in told["by_station"] if s["first_seen"])
    third = len(saw) // 3
    west, east = (sum(lon for _, lon in part) / third for part in (saw[:third], saw[-third:]))
    print(f"mean longitude of the first third of stations that saw it {west:.1f}, of the last {east:.1f} degrees east")
    if not west < east:
        failures.append("the cloud of ETEX went east")


def main():
    program, data = sys.argv[1:]
    folder = os.path.join(data, "dispersion_dev")
    if not os.path.isdir(folder):
        print("SKIPPED: far_inversion: no reference data")
        return 77
    failures = []
    with tempfile.TemporaryDirectory() as out:
        ru106(program, folder, out, failures)
        etex(program, folder, out, failures)
    for failure in failures:
        print("FAILED:", failure)
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())

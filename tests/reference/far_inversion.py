"""Ru-106 over Europe 2017 and the first European Tracer Experiment: far_inversion.py CANHBAO_MODEL DATA_FOLDER

Ru-106: the emission at one site from real measurements and sensitivities; published 273 TBq in one 3 h bin and
441 +- 13 TBq (both by other methods on all data; here are half of the readings). Plain least squares gives thousands.
ETEX: no meteorology could be had, so only that the files are what their description says."""
import csv
import json
import os
import subprocess
import sys
import tempfile


def main():
    program, data = sys.argv[1:]
    folder = os.path.join(data, "dispersion_dev")
    if not os.path.isdir(folder):
        print("SKIPPED: far_inversion: no reference data")
        return 77
    failures, totals = [], []
    with tempfile.TemporaryDirectory() as out:
        for relative in ("0.2", "0.3", "0.5"):
            path = os.path.join(out, "srs.json")
            subprocess.run([program, "srs", "--srs", os.path.join(folder, "ru106_2017", "ru106_srs_dev.nc"), "--out", path,
                            "--relative-error", relative], check=True, timeout=100)
            with open(path, encoding="utf-8") as file:
                best = json.load(file)["best"]
            totals.append(best["total"])
            print(f"Ru-106, relative error {relative}: {best['total']:.0f} +- {best['total_sd']:.0f} TBq, bins "
                  + ", ".join(f"{b['bin']}: {b['emission']:.0f}" for b in best["bins"])
                  + f"; {best['detections']} detections of {best['used']} readings")
            if best["used"] != 430:
                failures.append("not all readings were used")
    if not all(50 < total < 1000 for total in totals):
        failures.append("totals far from all that was published")
    with open(os.path.join(folder, "etex1", "measurements.csv"), encoding="utf-8") as file:
        values = [float(r["pmch_pg_m3"]) for r in csv.DictReader(file)]
    with open(os.path.join(folder, "etex1", "stations.csv"), encoding="utf-8") as file:
        stations = len(list(csv.DictReader(file)))
    print(f"ETEX: {len(values)} values of {stations} stations, {sum(v > 0 for v in values)} above 0, largest {max(values):.0f} pg/m3")
    if (len(values), stations, sum(v > 0 for v in values), max(values)) != (3105, 168, 941, 12570):
        failures.append("the ETEX files are not what their description says")
    for failure in failures:
        print("FAILED:", failure)
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())

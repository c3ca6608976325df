"""`regional` on the development basins as if they were ungauged: climate only, against the plain median of the donors
(27 generalist sets). The guess must be at least as good in NSE on every basin and better on most; the snowy one, for
which GR4J has no snow, is told and counted for nothing."""
import csv
import json
import math
import os
import subprocess
import sys
import tempfile

MODEL = sys.argv[1]
DATA = os.environ.get("CANHBAO_REFERENCE_DATA", os.path.join(os.path.dirname(__file__), "../../../shared/data"))
HYDRO = os.path.join(DATA, "hydro_dev")
DONORS = os.path.join(HYDRO, "gr_reference", "gr4j_generalist_sets.csv")
# name: step, file, columns of E and Q, km2, steps of warm-up
BASINS = {"L0123001": ("daily", "L0123001_daily_1984_1998.csv", "E", "Qmm", 360, 365),
          "L0123002 (snow)": ("daily", "L0123002_daily_1984_1994_snowy.csv", "E", "Qmm", 3060, 365),
          "L0123003": ("hourly", "L0123003_hourly_2004_2006.csv", "E", "Qmm", 920, 8760),
          "Wye": ("hourly", "wye_cefn_brwyn_hourly_198704_198804.csv", "E_clim", "Q", 10.6, 360)}


def run(*words):
    done = subprocess.run([MODEL, *words], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        sys.exit(f"{words}: {done.returncode} {done.stderr}")


def number(text):
    return float(text) if text else math.nan


def nse(observed, simulated):
    pairs = [(o, s) for o, s in zip(observed, simulated) if not math.isnan(o + s)]
    mean = sum(o for o, _ in pairs) / len(pairs)
    return 1 - sum((o - s) ** 2 for o, s in pairs) / sum((o - mean) ** 2 for o, _ in pairs)


def judge(folder, basin):
    step, file, e, q, km2, warm_up = BASINS[basin]
    with open(os.path.join(HYDRO, "catchments", file), encoding="utf-8") as text:
        rows = list(csv.DictReader(line for line in text if not line.startswith("#")))
    climate, guess, out = (os.path.join(folder, name) for name in ("climate.csv", "guess.json", "q.csv"))
    with open(climate, "w", encoding="utf-8") as text:  # no discharge in it
        text.write("time,P,E\n" + "".join(f"{r['time']},{r['P']},{r[e]}\n" for r in rows))
    observed = [number(r[q]) for r in rows][warm_up:]
    found = []
    for more in ([], ["--forcing", climate, "--warmup-steps", str(warm_up)]):
        run("regional", "--step", step, "--donors", DONORS, "--area-km2", str(km2), "--out", guess, *more)
        with open(guess, encoding="utf-8") as text:
            p = json.load(text)["parameters"]
        run("gr", "--step", step, "--forcing", climate, "--out", out,
            *[w for i, n in enumerate(("x1_mm", "x2_mm", "x3_mm", "x4"), 1) for w in (f"--x{i}", repr(p[n]))])
        with open(out, encoding="utf-8") as text:
            found.append(nse(observed, [number(r["Qsim"]) for r in csv.DictReader(text)][warm_up:]))
    return found


def main():
    if not os.path.isdir(HYDRO):
        print(f"no reference data in {DATA}")
        return 77
    failed = False
    with tempfile.TemporaryDirectory(prefix="canhbao-regional-") as folder:
        for basin in BASINS:
            median, guess = judge(folder, basin)
            good = guess >= median or "snow" in basin
            failed |= not good
            print(f"{'ok    ' if good else 'FAILED'} {basin}: NSE {guess:.3f}, plain median {median:.3f}")
    return failed


if __name__ == "__main__":
    sys.exit(main())

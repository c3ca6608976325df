"""Scores of the prairie_grass program: prairie_scores.py PROGRAM DATA_FOLDER

Forward against the measured arcs, inverse against the true source at the origin and against a plain
maximum-posterior inversion of the same sensors (inverse_baseline.csv)."""
import csv
import math
import os
import statistics
import subprocess
import sys
import tempfile


def rows(*path):
    with open(os.path.join(*path), newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def scores(pairs):
    """FAC2, FB and NMSE of (observed, modelled)."""
    n = len(pairs)
    mean_o = sum(o for o, _ in pairs) / n
    mean_m = sum(m for _, m in pairs) / n
    fac2 = sum(0.5 <= m / o <= 2 for o, m in pairs) / n
    nmse = sum((o - m) ** 2 for o, m in pairs) / n / (mean_o * mean_m)
    return fac2, 2 * (mean_o - mean_m) / (mean_o + mean_m), nmse


def forward(folder, out, name, column, observed):
    reference = {(r["run"], float(r["arc_m"])): r
                 for r in rows(folder, "reference_models_arcs.csv")}
    model = {(r["run"], float(r["arc_m"])): r for r in rows(out, name)}
    pairs = [(float(reference[k][observed]), float(model[k][column])) for k in reference]
    result = scores(pairs)
    print(f"{name} {column}: n {len(pairs)}, FAC2 {result[0]:.3f}, FB {result[1]:.3f}, "
          f"NMSE {result[2]:.3f}")
    return result


def same_as_reference(folder, out, name, column, reference_column):
    """Largest relative difference from the independent computation of the same equations."""
    model = {(r["run"], float(r["arc_m"])): r for r in rows(out, name)}
    # Run 15 has a lid at 96 m, which the reference left out.
    return max(abs(float(model[r["run"], float(r["arc_m"])][column]) / float(r[reference_column])
                   - 1) for r in rows(folder, "reference_models_arcs.csv") if r["run"] != "15")


def inverse(folder, out, failures):
    baseline = {(r["run"], r["cfg"]): r for r in rows(folder, "inverse_baseline.csv")}
    true_rate = {r["run"]: float(r["Q_g_s"]) for r in rows(folder, "runs.csv")}
    found = rows(out, "inverse.csv")
    inside_all = []
    for config in sorted({r["config"] for r in found}):
        ours = [r for r in found if r["config"] == config and r["x_east_m"]]
        errors = [math.hypot(float(r["x_east_m"]), float(r["y_north_m"])) for r in ours]
        factor2 = [0.5 <= float(r["Q_g_s"]) / true_rate[r["run"]] <= 2 for r in ours]
        inside = [float(r["inside90"]) for r in ours]
        inside_all += inside
        theirs = [float(b["err_m"]) for (_, cfg), b in baseline.items()
                  if cfg == config and b["err_m"]]
        median, limit = statistics.median(errors), statistics.median(theirs)
        print(f"inverse {config}: n {len(ours)}, median {median:.2f} m (baseline {limit:.2f} m), "
              f"p90 {sorted(errors)[int(0.9 * len(errors))]:.0f} m, "
              f"Q within 2: {sum(factor2) / len(factor2):.2f}, "
              f"inside 90 %: {sum(inside) / len(inside):.3f}, median area "
              f"{statistics.median(float(r['area90_m2']) for r in ours):.0f} m2")
        # The parameters were chosen on these runs: how much of the margin is chance shows in the halves.
        order = sorted({r["run"] for r in ours}, key=int)
        halves = []
        for half in (set(order[0::2]), set(order[1::2])):
            mine = statistics.median(e for e, r in zip(errors, ours) if r["run"] in half)
            other = statistics.median(float(b["err_m"]) for (run, cfg), b in baseline.items()
                                      if cfg == config and b["err_m"] and run in half)
            halves.append(f"{mine:.2f} m (baseline {other:.2f} m)")
        print(f"inverse {config}, every second run: {halves[0]}; the others: {halves[1]}")
        if median > limit:
            failures.append(f"{config}: median {median:.1f} m above {limit:.1f} m")
        # Few runs a network: the share is judged with the binomial error of 27 runs.
        if not 0.75 <= sum(inside) / len(inside):
            failures.append(f"{config}: the 90 % region holds the source too seldom")
        unknown = [r for r in found if r["config"] == config and not r["x_east_m"]]
        for r in unknown:
            if baseline[r["run"], config]["err_m"]:
                failures.append(f"{config} run {r['run']}: no answer where there are data")
    share = sum(inside_all) / len(inside_all)
    print(f"inverse: 90 % regions hold the source in {share:.3f} of {len(inside_all)}")
    if not 0.80 <= share <= 0.98:
        failures.append(f"90 % regions hold the source in {share:.3f}")


def main():
    program, data = sys.argv[1:]
    folder = os.path.join(data, "dispersion_dev", "prairie_grass")
    if not os.path.isdir(folder):
        print("SKIPPED: prairie_grass: no reference data")
        return 77
    failures = []
    with tempfile.TemporaryDirectory() as out:
        subprocess.run([program, folder, out], check=True, timeout=200)
        fac2, fb, nmse = forward(folder, out, "forward.csv", "max_mg_m3", "obs_max")
        if fac2 < 0.93 or abs(fb) > 0.15 or nmse > 0.35:
            failures.append("arc maxima with u*, L and sigma_theta")
        forward(folder, out, "forward.csv", "cic_mg_m2", "obs_cic")
        if forward(folder, out, "routine.csv", "max_mg_m3", "obs_max")[0] < 0.70:
            failures.append("arc maxima from routine weather")
        for name, column, reference in (("forward.csv", "max_mg_m3", "similarity_max"),
                                        ("forward.csv", "cic_mg_m2", "similarity_cic"),
                                        ("routine.csv", "max_mg_m3", "briggs_max"),
                                        ("routine.csv", "cic_mg_m2", "briggs_cic")):
            worst = same_as_reference(folder, out, name, column, reference)
            print(f"{name} {column} against {reference}: {worst:.2e}")
            if worst > 1e-4:  # the reference is written with six digits
                failures.append(f"{name} {column} differs from {reference} by {worst:.2e}")
        inverse(folder, out, failures)
    for failure in failures:
        print("FAILED:", failure)
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())

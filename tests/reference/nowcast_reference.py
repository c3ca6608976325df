#!/usr/bin/python3
"""Does the nowcast reach the skill of the field's reference on real sequences?

usage: nowcast_reference.py CANHBAO_MODEL extrapolation|ensemble

Runs `canhbao-model hindcast` on the development sequences and compares the pooled scores with those
of pySTEPS 1.21.3 on the same starts and pixels (its Lucas-Kanade motion with semi-Lagrangian
extrapolation, its S-PROG, its STEPS with 20 members). Exit code 77 (skipped) when the sequences are
not there.
"""
import csv
import os
import subprocess
import sys
import tempfile

SKIPPED = 77
TOLERANCE = 0.005
# Relative, for ensembles. Ours with seeds 1 to 3: Brier(1) at 30 min 1.1, 0.2, 2.0 per cent above the
# reference (a standard deviation of 0.9 per cent between seeds), at 60 min between 1.4 below and 0.8 above.
SAMPLING = 0.02

# FMI 2016-09-28, starts 15:25, 15:40 ... 16:25. lead, CSI at 0.1, 1, 5 mm/h, MAE mm/h, FSS(1 mm/h)
# at 5 and 10 km, FSS(5 mm/h) at 10 km.
EXTRAPOLATION = {
    5: (0.906, 0.667, 0.389, 0.080, 0.957, 0.979, 0.937),
    15: (0.838, 0.509, 0.204, 0.129, 0.857, 0.912, 0.824),
    30: (0.766, 0.392, 0.106, 0.174, 0.736, 0.809, 0.646),
    60: (0.681, 0.273, 0.043, 0.232, 0.567, 0.644, 0.348),
    90: (0.625, 0.220, 0.017, 0.270, 0.479, 0.551, 0.198),
}
# The same starts and scores for S-PROG. Its rain at 5 mm/h is a few hundred pixels of each field.
SPROG = {
    5: (0.907, 0.692, 0.408, 0.078, 0.957, 0.980, 0.899),
    15: (0.859, 0.557, 0.211, 0.120, 0.863, 0.917, 0.654),
    30: (0.800, 0.447, 0.084, 0.162, 0.742, 0.805, 0.302),
    60: (0.723, 0.336, 0.016, 0.215, 0.594, 0.648, 0.050),
    90: (0.665, 0.311, 0.008, 0.248, 0.555, 0.601, 0.032),
}
# S-PROG repeats the reference closely: measured worst -0.0010 in CSI(1), -0.0015 in FSS(1), -0.0031 in
# FSS(5, 10 km).
SPROG_TOLERANCE = 0.003
SPROG_TOLERANCE_FSS_5 = 0.005
# The same starts: lead, FSS at 0.1 mm/h 10 km, 1 mm/h 20 km, 5 mm/h 5 km, 5 mm/h 20 km.
MORE_FSS = {30: (0.950, 0.864, 0.470, 0.758), 60: (0.900, 0.714, 0.218, 0.470)}
# Where the forecast is above the reference, and by how much at least: CSI at 0.1 and 1 mm/h, MAE, and
# FSS(1 mm/h) at 5 km. Measured on these starts: 0.0118, 0.0221, 0.0053, 0.0203 at 60 min. (Detail
# fades as measured, models/nowcast/fade.h; its constants were chosen on six other starts, 15:05,
# 15:20 ... 16:20.)
ABOVE = {15: (0.002, 0.010, 0.0, 0.0), 30: (0.005, 0.015, 0.002, 0.005),
         60: (0.005, 0.015, 0.002, 0.010), 90: (0.005, 0.015, 0.002, 0.015)}
# lead: CSI at 0.1 and 1 mm/h of the Eulerian persistence: agreement shows that the scorer and the
# pixels are those of the reference.
PERSISTENCE = {5: (0.831, 0.493), 30: (0.668, 0.288), 90: (0.527, 0.163)}
# Starts 15:25, 15:55, 16:25. lead: CRPS mm/h, ROC area at 0.1, 1, 5 mm/h, Brier score at 1 mm/h.
ENSEMBLE = {30: (0.114, 0.969, 0.917, 0.698, 0.0441), 60: (0.145, 0.947, 0.861, 0.587, 0.0574)}

failures = []


def expect(what, ok):
    print(("ok      " if ok else "FAILED  ") + what)
    if not ok:
        failures.append(what)


def hindcast(model, sequence, *options):
    with tempfile.TemporaryDirectory() as folder:
        table = os.path.join(folder, "scores.csv")
        subprocess.run(
            [model, "hindcast", "--in", sequence, "--out", table, "--threads", "2", *options],
            check=True, stderr=subprocess.DEVNULL)
        with open(table, newline="") as file:
            return {(row["system"], float(row["lead_min"]), float(row["threshold_mm_h"])): row
                    for row in csv.DictReader(file)}


NAMES = ("CSI(0.1)", "CSI(1)", "CSI(5)", "MAE", "FSS(1, 5 km)", "FSS(1, 10 km)", "FSS(5, 10 km)")


def table_of(scores, system, lead):
    """The scores of a lead in the order of NAMES."""
    row = {t: scores[system, lead, t] for t in (0.1, 1, 5)}
    return [float(value) for value in
            (row[0.1]["csi"], row[1]["csi"], row[5]["csi"], row[1]["mae_mm_h"], row[1]["fss_5km"],
             row[1]["fss_10km"], row[5]["fss_10km"])]


def compare(scores, system, wanted_of_lead, tolerance, tolerance_fss_5):
    for lead, wanted in wanted_of_lead.items():
        for name, value, reference in zip(NAMES, table_of(scores, system, lead), wanted):
            worse = value - reference if name == "MAE" else reference - value
            expect(f"{system} {lead} min {name} {value:.4f}, reference {reference}",
                   worse <= (tolerance_fss_5 if name == NAMES[-1] else tolerance))


def check_extrapolation(model, folder):
    scores = hindcast(model, os.path.join(folder, "fmi_20160928.nc"), "--leads", "18",
                      "--first", "2016-09-28T15:25:00Z", "--last", "2016-09-28T16:25:00Z",
                      "--every", "3", "--sprog")
    for lead, wanted in PERSISTENCE.items():
        for threshold, value in zip((0.1, 1), wanted):
            got = float(scores["persistence", lead, threshold]["csi"])
            expect(f"persistence {lead} min CSI({threshold}) {got:.4f}, reference {value}",
                   abs(got - value) < 0.001)
    compare(scores, "extrapolation", EXTRAPOLATION, TOLERANCE, TOLERANCE)
    compare(scores, "sprog", SPROG, SPROG_TOLERANCE, SPROG_TOLERANCE_FSS_5)
    for lead, wanted in MORE_FSS.items():
        for (threshold, scale), reference in zip(((0.1, 10), (1, 20), (5, 5), (5, 20)), wanted):
            got = float(scores["extrapolation", lead, threshold][f"fss_{scale}km"])
            expect(f"extrapolation {lead} min FSS({threshold}, {scale} km) {got:.4f}, reference "
                   f"{reference}", reference - got <= TOLERANCE)
    for lead, margins in ABOVE.items():
        csi_01, csi_1, _, mae, fss, *_ = EXTRAPOLATION[lead]
        row = {t: scores["extrapolation", lead, t] for t in (0.1, 1)}
        gains = (float(row[0.1]["csi"]) - csi_01, float(row[1]["csi"]) - csi_1,
                 mae - float(row[1]["mae_mm_h"]), float(row[1]["fss_5km"]) - fss)
        for name, gain, margin in zip(("CSI(0.1)", "CSI(1)", "MAE", "FSS(1, 5 km)"), gains, margins):
            expect(f"extrapolation {lead} min {name} better than the reference by {gain:.4f}, "
                   f"wanted {margin}", gain >= margin)
    scores = hindcast(model, os.path.join(folder, "mrms_20190610.nc"), "--leads", "30",
                      "--every", "8")
    for system, lead, threshold in [key for key in scores if key[0] == "extrapolation"]:
        csi = float(scores["extrapolation", lead, threshold]["csi"])
        still = float(scores["persistence", lead, threshold]["csi"])
        expect(f"MRMS {lead:.0f} min CSI({threshold}) {csi:.4f}, persistence {still:.4f}",
               csi > still)


def check_ensemble(model, folder):
    scores = hindcast(model, os.path.join(folder, "fmi_20160928.nc"), "--leads", "12",
                      "--first", "2016-09-28T15:25:00Z", "--last", "2016-09-28T16:25:00Z",
                      "--every", "6", "--members", "20", "--sprog")
    for lead, (crps, *roc, brier) in ENSEMBLE.items():
        row = {t: scores["ensemble", lead, t] for t in (0.1, 1, 5)}
        got = float(row[1]["crps_mm_h"])
        expect(f"ensemble {lead} min CRPS {got:.4f}, reference {crps}", got <= (1 + SAMPLING) * crps)
        got = float(row[1]["brier"])
        expect(f"ensemble {lead} min Brier(1) {got:.4f}, reference {brier}", got <= (1 + SAMPLING) * brier)
        for threshold, reference in zip((0.1, 1, 5), roc):
            got = float(row[threshold]["roc_area"])
            expect(f"ensemble {lead} min ROC({threshold}) {got:.4f}, reference {reference}",
                   got >= (1 - SAMPLING) * reference)
    for threshold in (0.1, 1):
        smooth = float(scores["sprog", 60, threshold]["csi"])
        plain = float(scores["extrapolation", 60, threshold]["csi"])
        expect(f"S-PROG 60 min CSI({threshold}) {smooth:.4f}, extrapolation {plain:.4f}",
               smooth > plain)
    smooth = float(scores["sprog", 60, 1]["mae_mm_h"])
    plain = float(scores["extrapolation", 60, 1]["mae_mm_h"])
    expect(f"S-PROG 60 min MAE {smooth:.4f}, extrapolation {plain:.4f}", smooth < plain)


def main():
    model, part = sys.argv[1:]
    source = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    data = os.environ.get("CANHBAO_REFERENCE_DATA", os.path.join(source, "..", "shared", "data"))
    folder = os.path.join(data, "radar_dev")
    if not os.path.exists(os.path.join(folder, "fmi_20160928.nc")):
        print(f"SKIPPED: nowcast_{part}: no reference data")
        return SKIPPED
    {"extrapolation": check_extrapolation, "ensemble": check_ensemble}[part](model, folder)
    print(f"{len(failures)} failed")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())

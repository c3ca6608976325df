#!/usr/bin/python3
"""A second reading of the tables, independent of the C code: prints questions with their answers.

tables_expected.py FOLDER. Every bound of every row is asked at, just below and just above it. Lines are
separated by tabs: kind, question..., answer...; test_tables.c puts the questions to alerts/tables. Questions with a
missing value ("-") are answered by trying every value that could stand there: the level that is certain is the
lowest of all outcomes."""
import csv
import itertools
import math
import pathlib
import sys

FOLDER = pathlib.Path(sys.argv[1])
LOWER_IS_WORSE = {"tmean_c", "visibility_m"}
MARKS = {"BD1": 10.0, "BD2": 11.0, "BD3": 12.5, "HIST": 15.25}


def rows(name):
    with open(FOLDER / f"{name}.csv", encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def provisional(row):
    return row["confidence"] == "memory" or row["source_kind"].startswith("secondary")


def bound(text):
    if text == "":
        return None
    for name, value in MARKS.items():
        if text.startswith(name):
            return value + float(text[len(name) + 1:] or 0)
    return float(text)


def neighbours(value):
    return [math.nextafter(value, -math.inf), value, math.nextafter(value, math.inf)]


class Band:
    """(low, low_incl, high, high_incl) of one metric."""

    def __init__(self, metric, low, low_incl, high, high_incl):
        self.metric, self.low, self.low_incl, self.high, self.high_incl = metric, low, low_incl, high, high_incl

    def has(self, value, ours):
        low, high = self.low, self.high
        if ours and self.metric in LOWER_IS_WORSE:
            low = None
        elif ours:
            high = None
        return ((low is None or value > low or (self.low_incl and value == low)) and
                (high is None or value < high or (self.high_incl and value == high)))

    def inside(self):
        if self.low is None:
            return self.high - 0.5
        return self.low + 0.5 if self.high is None else (self.low + self.high) / 2

    def bounds(self):
        return [b for b in (self.low, self.high) if b is not None]


def bands(row):
    first = Band(row["metric_1"], bound(row["min_1"]), row["min_1_incl"] == "1", bound(row["max_1"]),
                 row["max_1_incl"] == "1")
    if row["hazard"] == "fog" and first.high is None:
        first.high, first.high_incl = 1000.0, False
    if row["hazard"] == "tsunami" and first.low is None:
        first.low, first.low_incl = 0.0, False
    second = alternative = None
    if row["metric_2"]:
        second = Band(row["metric_2"], bound(row["min_2"]), row["min_2_incl"] == "1", bound(row["max_2"]),
                      row["max_2_incl"] == "1")
    if row["alt_metric"]:
        alternative = Band(row["alt_metric"], bound(row["alt_min"]), True, bound(row["alt_max"]), True)
    return first, second, alternative


RISKS = [(row, *bands(row)) for row in rows("risk_levels") if row["metric_1"]]


def grade(hazard, zone, susceptibility, values):
    """(level, own, provisional), all values known."""
    values = dict(values)
    filled = False
    if hazard == "heavy_rain" and values["duration_d"] < 1:
        values["duration_d"], filled = 1, True
    if hazard == "flash_flood_landslide" and values["rain_24h_mm"] >= 200 and values["prior_rain_day_d"] < 1:
        values["prior_rain_day_d"], filled = 1, True
    fitting = [item for item in RISKS if item[0]["hazard"] == hazard and item[0]["zone"] in (zone, "any") and
               (not susceptibility or susceptibility in item[0]["susceptibility"].split("|"))]

    def best(ours):
        level, deciding = 0, fitting[0][0] if fitting else None
        for row, first, second, alternative in fitting:
            holds = first.has(values[first.metric], ours) or (
                alternative is not None and alternative.has(values[alternative.metric], ours))
            holds = holds and (second is None or second.has(values[second.metric], ours))
            if holds and int(row["level"]) > level:
                level, deciding = int(row["level"]), row
        return level, deciding

    strict, row = best(False)
    ours, _ = best(True)
    if ours > strict:
        return ours, True, True
    own = filled and strict > 0
    return strict, own, own or (row is not None and provisional(row))


def risk_metrics(hazard):
    names = {}
    for row, *three in RISKS:
        if row["hazard"] == hazard:
            for band in three:
                if band is not None:
                    names.setdefault(band.metric, set()).update(band.bounds())
    return names


def text(value):
    return "-" if value is None else repr(float(value))


def ask_risk(row, values):
    for susceptibility in row["susceptibility"].split("|"):
        level, own, uncertain = grade(row["hazard"], row["zone"], susceptibility, values)
        print("risk", row["hazard"], row["zone"], susceptibility or "-",
              ";".join(f"{k}={text(v)}" for k, v in values.items()), level, int(own), int(uncertain), sep="\t")


def ask_missing(row, values, missing):
    """Outcomes over every value that the missing metric could have."""
    metrics = risk_metrics(row["hazard"])
    candidates = sorted({n for b in metrics[missing] for n in neighbours(b)} | {0.0, 5000.0})
    outcomes = set()
    susceptibility = row["susceptibility"].split("|")[0]
    for candidate in candidates:
        trial = dict(values, **{missing: candidate})
        if trial.get("rain_12h_mm", 0) <= trial.get("rain_24h_mm", math.inf):
            outcomes.add(grade(row["hazard"], row["zone"], susceptibility, trial)[0])
    values = dict(values, **{missing: None})
    print("missing", row["hazard"], row["zone"], susceptibility or "-",
          ";".join(f"{k}={text(v)}" for k, v in values.items()), min(outcomes), int(len(outcomes) > 1), sep="\t")


def risks():
    for row, first, second, alternative in RISKS:
        base = {band.metric: band.inside() for band in (first, second) if band is not None}
        for metric in risk_metrics(row["hazard"]):
            base.setdefault(metric, 0.0)
        for band in (first, second):
            if band is not None:
                for value in itertools.chain.from_iterable(neighbours(b) for b in band.bounds()):
                    ask_risk(row, dict(base, **{band.metric: value}))
                ask_missing(row, base, band.metric)
        if alternative is not None:
            for value in itertools.chain.from_iterable(neighbours(b) for b in alternative.bounds()):
                for rain_24h in (99.0, 150.0):
                    ask_risk(row, dict(base, rain_24h_mm=max(rain_24h, value), rain_12h_mm=value))
            ask_missing(row, dict(base, rain_24h_mm=70.0), "rain_12h_mm")
        if second is not None:  # every pair of corners: gaps of the law
            for one, two in itertools.product([n for b in first.bounds() for n in neighbours(b)] + [1e3],
                                              [n for b in second.bounds() for n in neighbours(b)] + [0.0, 1e3]):
                ask_risk(row, dict(base, **{first.metric: one, second.metric: two}))


def simple():
    for row in rows("flood_alarm_levels"):
        levels = [float(row[k]) if row[k] else None for k in ("bd1_m", "bd2_m", "bd3_m")]
        for stage in [n for b in levels if b is not None for n in neighbours(b)] or [1.0]:
            level = max((i + 1 for i, b in enumerate(levels) if b is not None and stage >= b), default=0)
            known = all(b is not None for b in levels[level:])
            print("flood", row["station"], text(stage), level, int(known), sep="\t")
    for row in rows("air_limits"):
        limit = float(row["limit_ug_m3"])
        for value in neighbours(limit):
            print("air", row["parameter"], row["averaging_h"], row["valid_from"] + "T00:00:00+07:00", text(value),
                  int(value > limit), int(provisional(row)), sep="\t")
            if row["valid_to"]:
                print("air", row["parameter"], row["averaging_h"], row["valid_to"] + "T23:59:59+07:00", text(value),
                      int(value > limit), int(provisional(row)), sep="\t")
    for row in rows("vn_aqi_breakpoints"):
        low, high = float(row["conc_low_ug_m3"]), float(row["conc_high_ug_m3"])
        for value, index in ((low, row["index_low"]), (high, row["index_high"]),
                             ((low + high) / 2, (float(row["index_low"]) + float(row["index_high"])) / 2)):
            print("aqi", row["parameter"], row["averaging_h"], text(value), float(index), sep="\t")
    for row in rows("aegl"):
        others = [r for r in rows("aegl") if r["substance"] == row["substance"]]
        for column, minutes in (("t10min_ppm", 10), ("t30min_ppm", 30), ("t60min_ppm", 60), ("t4h_ppm", 240),
                                ("t8h_ppm", 480)):
            if row[column]:
                for value in neighbours(float(row[column])):
                    level = max((int(r["aegl_level"]) for r in others if r[column] and value >= float(r[column])),
                                default=0)
                    deciding = [r for r in others if int(r["aegl_level"]) == level] or \
                        [r for r in others if r[column]]
                    print("aegl", row["substance"], minutes, text(value), level, int(provisional(deciding[0])), sep="\t")
    for row in rows("water_limits"):
        low = float(row["min"]) if row["min"] else -math.inf
        high = float(row["max"]) if row["max"] else math.inf
        for value in [n for b in (low, high) if math.isfinite(b) for n in neighbours(b)]:
            print("water", row["parameter"], row["quality_class"], text(value), int(not low <= value <= high),
                  int(provisional(row)), sep="\t")
    for row in rows("rainfall_thresholds"):
        if row["alpha"]:
            for hours in (1, 3, 6, 12, 24, 48, 72):
                total = row[f"total_{hours}h_mm"]
                within = float(row["duration_min_h"]) <= hours <= float(row["duration_max_h"])
                # the file's own totals, rounded there to 0.1 mm; durations outside the range have none
                print("rain", row["id"], hours, total if within else "-", sep="\t")
    levels = {r["id"]: float(r["low"]) for r in rows("radiation_levels") if r["low"] and r["unit"] == "nSv/h"}
    steps = [("al-nl-1", 1), ("al-fi-1", 2), ("al-nl-2", 3), ("oil2", 4), ("oil1", 5)]
    for background in (70.0, 320.0):
        for rate in [n for name, _ in steps for n in neighbours(levels[name])] + \
                neighbours(background + levels["al-fi-2"]):
            level = max((k for name, k in steps if rate >= levels[name]), default=0)
            if rate >= background + levels["al-fi-2"]:
                level = max(level, 1)
            print("dose", text(rate), text(background), level, sep="\t")


def sub_index(parameter, hours, value):
    """Table 2 of Decision 1459/QĐ-TCMT by linear interpolation; None where there is no index."""
    steps = [r for r in rows("vn_aqi_breakpoints") if r["parameter"] == parameter and float(r["averaging_h"]) == hours]
    corners = [(float(steps[0]["conc_low_ug_m3"]), float(steps[0]["index_low"]))]
    corners += [(float(r["conc_high_ug_m3"]), float(r["index_high"])) for r in steps]
    if value > corners[-1][0]:
        return 500.0 if corners[-1][1] == 500 else None
    for (c0, i0), (c1, i1) in zip(corners, corners[1:]):
        if value <= c1:
            return i0 + (i1 - i0) * (value - c0) / (c1 - c0)


def mean_of(values):
    there = [v for v in values if v is not None]
    return sum(there) / len(there) if there and len(there) >= 0.75 * len(values) else None


def days():
    """Daily VN_AQI of random days, hours oldest first here: the text of the Decision, 2.2.2, done again."""
    import random
    draw = random.Random(1459)
    scales = {"O3": 500, "CO": 60000, "SO2": 900, "NO2": 1300, "PM10": 400, "PM2.5": 200}
    for _ in range(600):
        missing = draw.choice((0, 0, 0.1, 0.3))
        day = {}
        for name, scale in scales.items():
            top = scale * draw.choice((0.1, 0.5, 1, 1, 3))
            gone = 1.0 if draw.random() < 0.05 else missing
            day[name] = [None if draw.random() < gone else round(draw.uniform(0, top), 1)
                         for _ in range(31 if name == "O3" else 24)]
        indices, complete, particulate = [], True, False

        def put(name, hours, value, whole=True):
            nonlocal complete, particulate
            if value is None:
                complete = False
                return
            index = sub_index(name, hours, value)
            if index is not None:
                indices.append(index)
                complete = complete and whole
                particulate = particulate or name.startswith("PM")
        for name in ("O3", "CO", "SO2", "NO2"):
            hours = day[name][-24:]
            there = [v for v in hours if v is not None]
            put(name, 1, max(there) if there else None, len(there) >= 18)
        eights = [mean_of(day["O3"][i:i + 8]) for i in range(24)]
        known = [m for m in eights if m is not None]
        put("O3", 8, max(known) if known else None, len(known) >= 18)
        for name in ("PM10", "PM2.5"):
            put(name, 24, mean_of(day[name]))
        answer = math.floor(max(indices) + 0.5) if particulate else "-"
        columns = (",".join(text(v) for v in reversed(day[name])) for name in scales)
        print("aqiday", *columns, answer, int(complete), sep="\t")


risks()
simple()
days()

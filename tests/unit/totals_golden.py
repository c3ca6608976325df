"""Expected flags of rain buckets compared with each other and with a stage, computed apart from the
program.

Three buckets tell their totals every minute. What fell at one of them in 30 minutes is compared with
the median of the two others (QARTOD "neighbor"), or must go with a stage (QARTOD "multi-variate").
Here the totals are turned into intervals with plain lists, from the sentences in window.h and
counter.h; nothing of the C code is used. An interval whose total fell back is unknown, one that the
start of the window cuts counts in proportion, or not at all when it is longer than 5 minutes; with
less than nine tenths of the window known nothing is compared.

usage: totals_golden.py          prints the vectors
       totals_golden.py --check FILE   is FILE what this script prints?
"""
import random
import sys

WINDOW, KNOWN, AGE, LONG = 30, 0.9, 10, 5
rows = ["case,minute,a,b,c,stage,expected"]


def intervals(totals):
    """(start, end, amount) between the readings there are; amount None: unknown."""
    result, before = [], None
    for minute, total in enumerate(totals):
        if total is None:
            continue
        if before is not None:
            fell = round(total - totals[before], 6)
            result.append((before, minute, fell if fell >= 0 else None))
        before = minute
    return result


def fallen(totals, end):
    """What fell in the window that ends with the reading of that minute; None: not known."""
    amount, known = 0.0, 0.0
    for start, stop, fell in intervals(totals[:end + 1]):
        inside = stop - max(start, end - WINDOW)
        cut = start < end - WINDOW
        if fell is None or inside <= 0 or (cut and stop - start > LONG):
            continue
        amount += fell * inside / (stop - start)
        known += inside
    return amount if known / WINDOW >= KNOWN - 1e-12 else None


def of_neighbour(totals, minute):
    heard = [m for m in range(minute + 1) if totals[m] is not None]
    return fallen(totals, heard[-1]) if heard and minute - heard[-1] <= AGE else None


def own(totals, minute):
    """None too when the interval that the reading ends is unknown."""
    steps = intervals(totals[:minute + 1])
    if not steps or steps[-1][1] != minute or steps[-1][2] is None:
        return None
    return fallen(totals, minute)


def emit(case, a, b, c, stages, expected):
    text = lambda number: "" if number is None else repr(round(number, 6))
    for minute, flag in enumerate(expected):
        rows.append(",".join([case, str(minute), text(a[minute]), text(b[minute]), text(c[minute]),
                              text(stages[minute]), "" if flag is None else str(flag)]))


def bucket(dice, rain, factor, holes=(), resets=(), first=0.0):
    """Totals of a bucket of 0.2 mm; a hole: no reading, a reset: the total begins at 0 again."""
    fallen_mm, base, totals = 0.0, 0.0, []
    for minute, mm in enumerate(rain):
        fallen_mm += mm * factor(minute) * dice.uniform(0.9, 1.1)
        tips = int(fallen_mm / 0.2) * 0.2
        if minute in resets:
            base = tips + first
        totals.append(None if any(a <= minute < b for a, b in holes) else round(first + tips - base, 6))
    return totals


def rain_of(dice, minutes):
    return [dice.uniform(0.3, 0.8) if 40 <= minute % 100 < 80 else 0.0 for minute in range(minutes)]


def neighbours():
    """The own bucket: right, then twice as much, then blocked; restarts and holes in between."""
    dice = random.Random(11)
    rain = rain_of(dice, 400)
    factor = lambda minute: 1 if minute < 130 else 2 if minute < 220 else 0 if minute < 320 else 1
    a = bucket(dice, rain, factor, [(90, 94), (150, 158), (365, 367)], {60, 250, 350}, 312.4)
    b = bucket(dice, rain, lambda minute: 1, [(180, 200), (340, 352)], {110}, 5000.2)
    c = bucket(dice, rain, lambda minute: 0.95, [(20, 24)], {260})
    expected = []
    for minute in range(len(rain)):
        if a[minute] is None:
            expected.append(None)
            continue
        mine = own(a, minute)
        others = [of_neighbour(b, minute), of_neighbour(c, minute)]
        if mine is None or None in others:
            expected.append(2)
        else:
            expected.append(3 if abs(mine - sum(others) / 2) > 3.05 else 1)
    emit("neighbour", a, b, c, [None] * len(rain), expected)


def cross():
    """More than 5 mm in 30 minutes while the stage is below 2 m."""
    dice = random.Random(12)
    rain = rain_of(dice, 300)
    a = bucket(dice, rain, lambda minute: 1, [(150, 156)], {70, 255}, 77.8)
    stages = [None if 160 <= m < 166 else 2.5 if m % 100 >= 65 or m > 240 else 1.5
              for m in range(len(rain))]
    expected, stage, heard = [], None, None
    for minute in range(len(rain)):
        if stages[minute] is not None:
            stage, heard = stages[minute], minute
        if a[minute] is None:
            expected.append(None)
            continue
        mine = own(a, minute)
        if mine is None or minute - heard > 3:
            expected.append(2)
        else:
            expected.append(3 if mine > 5.05 and stage < 2 else 1)
    emit("cross_variable", a, [None] * len(rain), [None] * len(rain), stages, expected)


neighbours()
cross()
output = "\n".join(rows) + "\n"
if len(sys.argv) == 3 and sys.argv[1] == "--check":
    with open(sys.argv[2], encoding="utf-8") as file:
        if file.read() != output:
            sys.exit(f"{sys.argv[2]} is not what this script prints")
else:
    sys.stdout.write(output)

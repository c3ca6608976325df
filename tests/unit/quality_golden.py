"""Expected flags of the quality tests, computed apart from the program.

The formulas are those of the IOOS QARTOD manuals (gross range, climatology, spike, rate of change,
flat line, gap, attenuated signal, neighbor, multi-variate), applied to whole series with plain
lists, as one would by hand; nothing of the C code is used. Two of them are told apart from the
manual: the spike test subtracts half the difference of the neighbours (Argo quality control manual,
test 9), which is the manual's formula wherever the neighbours are equal; repeats are counted as time
(flat line) because stations differ in their period.

usage: quality_golden.py          prints the vectors
       quality_golden.py --check FILE   is FILE what this script prints?
"""
import datetime
import math
import random
import statistics
import sys

NAN = float("nan")
EPOCH = datetime.datetime(2025, 1, 1, tzinfo=datetime.timezone.utc)
rows = ["test,case,limits,time_s,value,neighbours,rise,other,expected,expected_before"]


def text(value):
    return "" if value is None or math.isnan(value) else repr(round(value, 6))


def emit(test, case, limits, series, expected, before=None, neighbours=None, rises=None, others=None):
    words = ";".join(f"{key}={value}" for key, value in limits.items())
    for i, (time_s, value) in enumerate(series):
        near = ";".join(text(n) for n in neighbours[i]) if neighbours else ""
        rows.append(",".join([test, str(case), words, repr(time_s), text(value), near,
                              text(rises[i]) if rises else "", text(others[i]) if others else "",
                              str(expected[i]), str(before[i]) if before and before[i] else ""]))


def worst(*flags):
    for flag in (4, 3, 1):
        if flag in flags:
            return flag
    return 2


def gross(value, hard_min, hard_max, soft_min, soft_max):
    if value < hard_min or value > hard_max:
        return 4
    return 3 if value < soft_min or value > soft_max else 1


def gross_range():
    cases = [(-5, 90, 0, 60, [-5.01, -5, -4.9, -0.1, 0, 0.1, 30, 59.9, 60, 60.1, 90, 90.1, 1e9]),
             (-10, 50, 5, 43, [-10, -11, 4.99, 5, 43, 43.01, 50.01, 20]),
             # Rain rate in mm/h: 2,400 is 40 mm in a minute; 42,370 mm/h was read from a real device.
             (0, 2400, 0, 300, [0, 12.5, 300, 300.1, 2400, 2400.1, 42370])]
    for case, (hmin, hmax, smin, smax, values) in enumerate(cases):
        limits = dict(hard_min=hmin, hard_max=hmax, soft_min=smin, soft_max=smax)
        emit("gross_range", case, limits, [(60 * i, v) for i, v in enumerate(values)],
             [gross(v, hmin, hmax, smin, smax) for v in values])


def months():
    """Climatology: another range from September to December, by the calendar of UTC+7."""
    limits = dict(hard_min=-2, hard_max=20, soft_min=0, soft_max=4, months="9-12", month_soft_max=9,
                  month_hard_max=15, utc_offset_min=420)
    times = [datetime.datetime(2025, 8, 31, 16, 59, 59), datetime.datetime(2025, 8, 31, 17, 0, 0),
             datetime.datetime(2025, 12, 31, 16, 59, 59), datetime.datetime(2025, 12, 31, 17, 0, 0)]
    times += [datetime.datetime(2026, m, 15) for m in range(1, 13)]
    times += [datetime.datetime(2027, m, 15) for m in range(1, 13)]
    values = [5.0, 5.0, 5.0, 5.0] + [5.0] * 12 + [16.0] * 12
    expected = []
    for time, value in zip(times, values):
        local = time + datetime.timedelta(hours=7)
        late = local.month >= 9
        expected.append(gross(value, -2, 15 if late else 20, 0, 9 if late else 4))
    series = [((t.replace(tzinfo=datetime.timezone.utc) - EPOCH).total_seconds(), v)
              for t, v in zip(times, values)]
    emit("months", 0, limits, series, expected)


def rate():
    dice = random.Random(1)
    for case, limit in enumerate((0.01, 0.5)):  # per second
        time, value, series = 0.0, 10.0, []
        for _ in range(15):
            series.append((time, value))
            step = dice.choice((1, 60, 300))
            time += step
            value += dice.choice((0.5, 0.99, 1.01, -0.9, -1.2, 3)) * limit * step
        expected = [2] + [3 if abs(b[1] - a[1]) > limit * (b[0] - a[0]) else 1
                          for a, b in zip(series, series[1:])]
        emit("rate_of_change", case, dict(rate_max_per_s=limit), series, expected)


def spike():
    """The middle of three, told when the third comes: `expected_before`."""
    triples = [(1, 7, 1), (1, 6, 1), (1, 3, 1), (1, 3.1, 1), (1, -5, 1), (1, 2, 1), (0, 0, 10),
               (0, 10, 10), (0, 5, 10), (0, 12.1, 10), (0, 16, 10), (10, 0, 0), (10, -3, 0),
               (5, 5, 5), (2, 9, 3), (2, 7.9, 3), (2, 5.2, 3), (0, 1, 2), (0, 4.5, 2), (0, -2.1, 2),
               (0, -6, 2)]
    for case, (a, m, b) in enumerate(triples):
        deviation = abs(m - (a + b) / 2) - abs(b - a) / 2
        flag = 4 if deviation > 5 else 3 if deviation > 2 else 0
        emit("spike", case, dict(hard_min=-1000, hard_max=1000, spike_suspect=2, spike_fail=5),
             [(0, a), (60, m), (120, b)], [1, 1, 1], [0, 0, flag])


def flat():
    """Since when no value has left the first one's neighbourhood."""
    series = [(60 * i, v) for i, v in enumerate(
        [1, 1, 1.005, 0.995, 1.009, 1, 1, 1.02, 1.02, 1.02, 1.02, 1.5, 1.6, 1.6, 1.6, 1.6, 1.6, 1.6,
         1.6, 1.6, 1.7, 1.71, 1.72, 1.71])]
    since, reference, expected = None, None, []
    for time, value in series:
        if reference is None or abs(value - reference) > 0.01 + 1e-12:
            since, reference = time, value
        stood = time - since
        expected.append(4 if stood >= 300 else 3 if stood >= 180 else 1)
    emit("flat_line", 0, dict(flat_epsilon=0.01, flat_suspect_s=180, flat_fail_s=300), series, expected)


def gap():
    times = [0, 60, 120, 219, 319, 320, 420, 421, 1000, 1099.999, 1200, 1300, 1399, 1400, 1500, 5000,
             5060, 5160, 5259, 5300, 5400, 5499.5]
    expected = [1] + [3 if b - a >= 100 else 1 for a, b in zip(times, times[1:])]
    emit("gap", 0, dict(hard_min=-1000, hard_max=1000, gap_s=100), [(t, 5.0) for t in times], expected)


def attenuated():
    """Highest minus lowest of the last 24 h, hourly values; from the 25th value on."""
    dice = random.Random(2)
    values = [dice.uniform(-0.5, 0.5) for _ in range(20)]   # lively
    values += [dice.uniform(-0.04, 0.04) for _ in range(36)]  # fouled
    values += [dice.uniform(-0.008, 0.008) for _ in range(40)]  # nearly dead
    values += [0.3] + [dice.uniform(-0.05, 0.05) for _ in range(30)]
    series = [(3600 * i, round(v, 6)) for i, v in enumerate(values)]
    expected = []
    for i in range(len(series)):
        window = [v for t, v in series[:i + 1] if t >= series[i][0] - 86400]
        if i < 24:
            expected.append(2)
            continue
        width = max(window) - min(window)
        expected.append(4 if width < 0.02 else 3 if width < 0.1 else 1)
    emit("attenuated", 0, dict(attenuated_suspect=0.1, attenuated_fail=0.02, attenuated_s=86400,
                               period_s=3600), series, expected)


def neighbour():
    dice = random.Random(3)
    series, near, expected = [], [], []
    for i in range(40):
        known = [round(5 + dice.uniform(-0.4, 0.4), 3) if dice.random() < 0.7 else NAN for _ in range(3)]
        value = round(5 + dice.choice((-1.2, -0.6, -0.2, 0, 0.3, 0.7, 1.5)), 3)
        there = [n for n in known if not math.isnan(n)]
        series.append((600 * i, value))
        near.append(known)
        expected.append(2 if len(there) < 2
                        else 3 if abs(value - statistics.median(there)) > 0.5 else 1)
    emit("neighbour", 0, dict(neighbour_max=0.5, neighbour_count=3), series, expected, neighbours=near)


def cross():
    """A stage that rose by more than 0.5 m while fewer than 5 mm fell; a concentration above 10 ppm
    in a wind above 12 m/s."""
    dice = random.Random(4)
    series, rises, others, expected = [], [], [], []
    for i in range(24):
        rise = dice.choice((-0.2, 0.0, 0.5, 0.501, 0.8, 2.0, NAN))
        rain = dice.choice((0.0, 4.99, 5.0, 40.0, NAN))
        series.append((600 * i, 3.0))
        rises.append(rise)
        others.append(rain)
        expected.append(2 if math.isnan(rise) or math.isnan(rain)
                        else 3 if rise > 0.5 and rain < 5 else 1)
    emit("cross_variable", 0, dict(rise_above=0.5, other_min=5), series, expected, rises=rises,
         others=others)
    series, others, expected = [], [], []
    for i in range(24):
        value, wind = dice.choice((0.1, 9.99, 10.0, 10.01, 60.0)), dice.choice((0.5, 12.0, 12.1, 30.0, NAN))
        series.append((600 * i, value))
        others.append(wind)
        expected.append(2 if math.isnan(wind) else 3 if value > 10 and wind > 12 else 1)
    emit("cross_variable", 1, dict(value_above=10, other_max=12), series, expected, others=others)


for make in (gross_range, months, rate, spike, flat, gap, attenuated, neighbour, cross):
    make()
output = "\n".join(rows) + "\n"
if len(sys.argv) == 3 and sys.argv[1] == "--check":
    with open(sys.argv[2], encoding="utf-8") as file:
        if file.read() != output:
            sys.exit(f"{sys.argv[2]} is not what this script prints")
else:
    sys.stdout.write(output)

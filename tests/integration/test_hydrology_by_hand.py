"""The hydrology commands on tables as people have them (order of columns, more columns, CRLF, byte order mark, quotes,
time zones, leap days, gaps), against the equations written again here."""
import csv
import json
import math
import os
import shutil
import tempfile
import unittest

import by_hand
from by_hand import CREST, GR, HBV, run, write


def read(path):
    with open(path, encoding="utf-8") as file:
        return list(csv.DictReader(file))


def number(text):
    return float(text) if text else math.nan


def gr(rain, evaporation, x1, x2, x3, x4, daily):
    """GR4J and GR4H (Perrin et al. 2003) with the split 0.9 / 0.1, stores starting at 0.3 X1 and 0.5 X3."""
    power, c = (2.5, 25.62890625) if daily else (1.25, 759.69140625)

    def sh1(t):
        return min(t / x4, 1) ** power if t > 0 else 0

    def sh2(t):
        return 0.5 * (t / x4) ** power if t <= x4 else 1 - 0.5 * max(2 - t / x4, 0) ** power

    n1, n2 = math.ceil(x4), math.ceil(2 * x4)
    u1 = [sh1(k + 1) - sh1(k) for k in range(n1)]
    u2 = [sh2(k + 1) - sh2(k) for k in range(n2)]
    s, r, h1, h2, out = 0.3 * x1, 0.5 * x3, [0.0] * (n1 + 1), [0.0] * (n2 + 1), []
    for p, e in zip(rain, evaporation):
        ps, net = 0.0, 0.0
        if p > e:
            net, w, q = p - e, math.tanh(min((p - e) / x1, 13)), s / x1
            ps = x1 * (1 - q * q) * w / (1 + q * w)
            s += ps
        else:
            w, q = math.tanh(min((e - p) / x1, 13)), s / x1
            s = max(0.0, s - s * (2 - q) * w / (1 + (1 - q) * w))
        perc = s * (1 - (1 + (s / x1) ** 4 / c) ** -0.25)
        s -= perc
        pr = net - ps + perc
        h1 = [h1[k + 1] + 0.9 * pr * u1[k] for k in range(n1)] + [0.0]
        h2 = [h2[k + 1] + 0.1 * pr * u2[k] for k in range(n2)] + [0.0]
        f = x2 * (r / x3) ** 3.5
        r = max(0.0, r + h1[0] + f)
        qr = r * (1 - (1 + (r / x3) ** 4) ** -0.25)
        r -= qr
        out.append(qr + max(0.0, h2[0] + f))
    return out


def crest(rain, evaporation, dt_h, wm, b, im, ke, fc):
    """Wang et al. (2011) as EF5 has it; half full at the start. (overland, interflow, store)"""
    w, out = 0.5 * wm, []
    for p, e in zip(rain, evaporation):
        net = p - ke * e
        if net <= 0:
            w = max(0.0, w - (ke * e - p) * w / wm)
            out.append((0.0, 0.0, w))
            continue
        ps, wmm = net * (1 - im), wm * (1 + b)
        a, before = wmm * (1 - (1 - w / wm) ** (1 / (1 + b))), w
        if ps + a >= wmm:
            excess, w = ps - (wm - w), wm
        else:
            soaked = wm * ((1 - a / wmm) ** (1 + b) - (1 - (a + ps) / wmm) ** (1 + b))
            excess, w = ps - soaked, w + soaked
        inter = min(excess, fc * dt_h * (before + w) / (2 * wm))
        out.append((excess - inter + net * im, inter, w))
    return out


class ByHand(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="canhbao-by-hand-")
        self.addCleanup(shutil.rmtree, self.folder)

    def good(self, *words):
        done = run(self.folder, *words)
        self.assertEqual(done.returncode, 0, done.stderr)
        return done

    def rows(self, *words, out="out.csv"):
        self.good(*words, "--out", out)
        return read(os.path.join(self.folder, out))

    def column(self, rows, name):
        return [number(row[name]) for row in rows]

    def close(self, found, expected, relative=1e-6, absolute=6e-7):
        self.assertEqual(len(found), len(expected))
        for i, (a, b) in enumerate(zip(found, expected)):
            self.assertLessEqual(abs(a - b), relative * abs(b) + absolute, i)

    def test_gr_by_the_equations(self):
        for step, hours, x in (("daily", 24, (257.238, 1.012, 88.235, 2.208)), ("hourly", 1, (756.93, -0.773, 138.638, 5.247)),
                               ("daily", 24, (900, -3, 20, 0.7)), ("hourly", 1, (150, 0.2, 40, 37.5))):
            write(self.folder, "f.csv", by_hand.forcing(1000, hours))
            rows = read(os.path.join(self.folder, "f.csv"))
            expected = gr(self.column(rows, "P"), self.column(rows, "E"), *x, daily=step == "daily")
            words = [w for i, v in enumerate(x, 1) for w in (f"--x{i}", repr(v))]
            found = self.rows("gr", "--step", step, "--forcing", "f.csv", *words)
            with self.subTest(step=step, x=x):
                self.close(self.column(found, "Qsim"), expected)

    def test_tables_of_other_people(self):
        count = 400
        write(self.folder, "f.csv", by_hand.forcing(count, 24))
        plain = read(os.path.join(self.folder, "f.csv"))
        words = ["gr", "--step", "daily", *GR, "--forcing"]
        expected = self.column(self.rows(*words, "f.csv"), "Qsim")
        days = [row["time"][:10] for row in plain]
        self.assertIn("2024-02-29", days)
        variants = {
            "another order, more columns": by_hand.table(
                ["E", "note", "time", "Qls", "P"], [[r["E"], "a, b", r["time"], "", r["P"]] for r in plain]),
            "CRLF and a mark": "\ufeff" + by_hand.table(["time", "P", "E"], [[r["time"], r["P"], r["E"]] for r in plain]).
                               replace("\n", "\r\n"),
            "dates alone": by_hand.table(["time", "P", "E"], [[d, r["P"], r["E"]] for d, r in zip(days, plain)]),
            "a zone": by_hand.table(["time", "P", "E"], [[d + "T07:00:00+07:00", r["P"], r["E"]]
                                                         for d, r in zip(days, plain)]),
            "a blank": by_hand.table(["time", "P", "E"], [[d + " 00:00", r["P"], r["E"]] for d, r in zip(days, plain)]),
            "comments, quotes, no last line end": "# from somewhere\n# mm\n" + "\n".join(
                ['"time","P","E"'] + [f'"{d}","{r["P"]}","{r["E"]}"' for d, r in zip(days, plain)]),
        }
        for what, text in variants.items():
            write(self.folder, "v.csv", text)
            with self.subTest(what=what):
                self.assertEqual(self.column(self.rows(*words, "v.csv"), "Qsim"), expected)

    def test_a_gap_is_unknown_however_it_is_written(self):
        write(self.folder, "f.csv", by_hand.forcing(600))
        plain = read(os.path.join(self.folder, "f.csv"))
        names = ["time", "P", "E"]
        rows = [[r["time"], r["P"], r["E"]] for r in plain]
        write(self.folder, "empty.csv", by_hand.table(names, rows[:300] + [[t, "", e] for t, _, e in rows[300:303]] +
                                                      rows[303:]))
        write(self.folder, "left.csv", by_hand.table(names, rows[:300] + rows[303:]))
        whole = self.column(self.rows("gr", "--step", "hourly", *GR, "--forcing", "f.csv"), "Qsim")
        for name in ("empty.csv", "left.csv"):
            found = self.rows("gr", "--step", "hourly", *GR, "--forcing", name)
            with self.subTest(name=name):
                self.assertEqual(len(found), 600)
                q = self.column(found, "Qsim")
                self.assertEqual(q[:300], whole[:300])
                self.assertEqual([r["mark"] for r in found[300:303]], ["missing"] * 3)
                self.assertTrue(all(math.isnan(v) for v in q[300:303]))
                self.assertEqual(found[303]["mark"], "recovering")
                for row in found[303:]:  # the truth lies between a dry and a wet gap as long as they differ
                    if row["mark"] == "recovering":
                        self.assertLessEqual(number(row["Qsim"]), number(row["Qsim_high"]) * (1 + 1e-12))
        found = self.rows("crest", *CREST, "--forcing", "left.csv")
        self.assertEqual([r["mark"] for r in found[300:303]], ["missing"] * 3)
        write(self.folder, "in.csv", by_hand.table(["time", "Qin"], [[t, by_hand.flow(i) if not 300 <= i < 303 else ""]
                                                                  for i, (t, _, _) in enumerate(rows)]))
        for more in (["muskingum", "--k", "5", "--x", "0.2"], ["cunge", "--length-m", "9000", "--width-m", "30", "--slope",
                                                               "0.001", "--manning", "0.03"]):
            found = self.rows("route", "--inflow", "in.csv", "--method", *more)
            self.assertEqual([r["mark"] for r in found[300:304]], ["missing"] * 3 + ["recovering"])

    def test_crest_by_the_equations(self):
        write(self.folder, "f.csv", by_hand.forcing(900))
        rows = read(os.path.join(self.folder, "f.csv"))
        expected = crest(self.column(rows, "P"), self.column(rows, "E"), 1, 120, 0.3, 0.1, 1, 4)
        found = self.rows("crest", "--forcing", "f.csv", *CREST)
        for i, name in enumerate(("overland", "interflow", "W")):
            self.close(self.column(found, name), [e[i] for e in expected], 1e-9, 1e-9)
        balance = (sum(self.column(rows, "P")) - sum(self.column(found, "evaporation")) -
                   sum(self.column(found, "overland")) - sum(self.column(found, "interflow")))
        self.assertAlmostEqual(balance, number(found[-1]["W"]) - 60, places=6)

    def test_hbv_keeps_its_water(self):
        """What leaves over ten years is what fell less what evaporated, to what the stores can hold."""
        count = 3653
        write(self.folder, "f.csv", by_hand.table(["T", "time", "E", "P"], [
            [round(8 - 14 * math.cos(i / 58.1), 2), t, 1.5, by_hand.rain_mm(i)]
            for i, t in enumerate(by_hand.hours(count, step_h=24))]))
        done = self.good("hbv", "--step", "daily", "--forcing", "f.csv", *HBV, "--out", "out.csv")
        rows = read(os.path.join(self.folder, "out.csv"))
        q = sum(self.column(rows, "Qsim"))
        words = done.stderr.replace(",", "").split()
        rain, evaporation, runoff = (float(words[words.index(w) + 1]) for w in ("rain", "evaporation", "runoff"))
        self.assertAlmostEqual(rain, sum(by_hand.rain_mm(i) for i in range(count)), places=4)
        self.assertAlmostEqual(runoff, q, places=4)
        self.assertLess(abs(rain - evaporation - runoff), 600)
        self.assertLess(abs(float(words[words.index("residual") + 1])), 1e-6)

    def test_rating_by_a_fit_of_its_own(self):
        write(self.folder, "g.csv", by_hand.GAUGINGS.replace("W,Q", "W,Q").replace("\n", "\r\n"))
        self.good("rating", "--fit", "g.csv", "--out", "r.json")
        with open(os.path.join(self.folder, "r.json"), encoding="utf-8") as file:
            rating = json.load(file)
        gaugings = [(float(r["W"]), float(r["Q"])) for r in read(os.path.join(self.folder, "g.csv"))]

        def rms(c):
            x, y = [math.log(w - c) for w, _ in gaugings], [math.log(q) for _, q in gaugings]
            n, sx, sy = len(x), sum(x), sum(y)
            b = (n * sum(i * j for i, j in zip(x, y)) - sx * sy) / (n * sum(i * i for i in x) - sx * sx)
            a = (sy - b * sx) / n
            return math.sqrt(sum((j - a - b * i) ** 2 for i, j in zip(x, y)) / n)

        best = min(rms(0.4 - 0.0005 * k) for k in range(1, 4000))
        self.assertLess(abs(rating["rms_log"] / best - 1), 1e-4)
        write(self.folder, "h.csv", "remark,H,time\nlow,0.39,2024-02-28T23:00\n,0.4,2024-02-29T00:00\n,1.234,2024-02-29T01:00\n"
                                    ",,2024-02-29T02:00\nhigh,9.5,2024-02-29T03:00\n")
        found = self.rows("rating", "--apply", "r.json", "--stage", "h.csv")
        self.assertEqual([r["mark"] for r in found], ["below", "ok", "ok", "missing", "extrapolated"])
        self.assertEqual([r["Q"] == "" for r in found], [True, False, False, True, False])
        power = rating["power_laws"][0]
        self.assertAlmostEqual(number(found[2]["Q"]) / (power["a"] * (1.234 - rating["c_m"]) ** power["b"]), 1, places=12)

    def test_wilson_flood(self):
        """A linear reservoir-like check of Muskingum: mass is kept and the weights are those of the scheme."""
        inflow = [22, 23, 35, 71, 103, 111, 109, 100, 86, 71, 59, 47, 39, 32, 28, 24, 22, 21, 20, 19, 19, 18]
        times = by_hand.hours(len(inflow), step_h=6)
        write(self.folder, "in.csv", by_hand.table(["Qout_observed", "time", "Qin"],
                                                   [["", t, q] for t, q in zip(times, inflow)]))
        k, x, dt = 29.165, 0.22106, 6.0
        found = self.column(self.rows("route", "--method", "muskingum", "--inflow", "in.csv", "--k", str(k), "--x", str(x)),
                            "Qout")
        d = 2 * k * (1 - x) + dt
        expected = [float(inflow[0])]
        for i in range(1, len(inflow)):
            expected.append(((dt - 2 * k * x) * inflow[i] + (dt + 2 * k * x) * inflow[i - 1] +
                             (2 * k * (1 - x) - dt) * expected[-1]) / d)
        self.close(found, expected, 1e-9, 1e-9)

    def test_update_never_sees_what_comes(self):
        text = by_hand.observed(900)
        write(self.folder, "past.csv", text)
        self.good("update", "--fit", "past.csv", "--leads", "12", "--out", "m.json")
        rows = list(csv.reader(text.splitlines()))
        at = 1 + 20 * 24
        hidden = [row[:1] + ["", row[2]] if i > at else row for i, row in enumerate(rows)]
        write(self.folder, "hidden.csv", by_hand.table(hidden[0], hidden[1:]))
        words = ["update", "--model", "m.json", "--now", rows[at][0], "--series"]
        full, blind = self.rows(*words, "past.csv"), self.rows(*words, "hidden.csv")
        self.assertEqual(full, blind)
        self.assertEqual(full[0]["mark"], "updated")
        with open(os.path.join(self.folder, "m.json"), encoding="utf-8") as file:
            model = json.load(file)
        e0, e1 = (float(rows[i][1]) - float(rows[i][2]) for i in (at, at - 1))
        first = model["phi1"] * e0 + model["phi2"] * e1  # one step ahead, within its limit
        limit = abs(e0) + 3 * abs(e0 - e1)
        if abs(first) < limit:
            q = max(0, float(rows[at + 1][2]) + model["gain"][1] * first)
            self.assertAlmostEqual(number(full[0]["Q"]), q, places=9)
        old = [row[:1] + ["", row[2]] if i > at - 3 else row for i, row in enumerate(rows)]
        write(self.folder, "old.csv", by_hand.table(old[0], old[1:]))
        self.assertEqual({r["mark"] for r in self.rows(*words, "old.csv")}, {"open_loop"})

    def test_standard_output(self):
        by_hand.make(self.folder)
        for words in (["rating", "--fit", "gaugings.csv"], ["update", "--fit", "pairs.csv"],
                      ["calibrate", "--step", "daily", "--forcing", "runoff.csv", "--warmup-steps", "100", "--restarts",
                       "1"], ["regional", "--step", "daily", "--donors", "donors.csv"]):
            done = self.good(*words, "--out", "-")
            self.assertIsInstance(json.loads(done.stdout), dict)
            self.assertFalse(os.path.exists(os.path.join(self.folder, "-")))


if __name__ == "__main__":
    unittest.main()

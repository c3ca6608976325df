"""What the hydrology commands say to inputs that are wrong: one line that names the file, the line and column where
there is one, and what was wrong; the documented exit code; no output file. And to options that would be ignored."""
import os
import shutil
import tempfile
import unittest

import netCDF4

import by_hand
from by_hand import CALLS, run, write

FAILED, USAGE, REFUSED = 1, 2, 3


def set_cell(lines, row, column, value):
    """The table with another text in one field, and the place of it as messages name it."""
    at = lines[0].split(",").index(column)
    fields = lines[row].split(",")
    fields[at] = f'"{value}"'
    return "\n".join(lines[:row] + [",".join(fields)] + lines[row + 1:]), f":{row + 1}:{at + 1}:"


def spoiled_tables(text, columns, thorough):
    """(what, new text, words that the message must have); thorough: in every way, else in some."""
    lines = text.splitlines()
    names = lines[0].split(",")
    yield "empty", "", ["column names"]
    yield "no rows", lines[0] + "\n", []
    yield "a field too few", "\n".join(lines[:2] + [lines[2].rsplit(",", 1)[0]] + lines[3:]), [":3:", "header"]
    yield "a name twice", "\n".join([lines[0] + ",P,P"] + [line + ",1,1" for line in lines[1:]]), [":1:", "twice"]
    yield "a zero byte", text[:40] + "\0" + text[40:], ["zero byte"]
    for column in columns + (("time",) if "time" in names else ()):
        at = names.index(column)
        if column not in ("a", "b"):  # members, of any name
            rows = [line.split(",") for line in lines]
            yield f"no {column}", "\n".join(",".join(row[:at] + row[at + 1:]) for row in rows), [column]
    for column in columns:
        every = thorough and column == columns[0]
        for value in ("1,5", "x", "nan", "1e999", "-2e9", " 1") if every else ("1,5", "-2e9") if thorough else ("-2e9",):
            new, place = set_cell(lines, 2, column, value)
            yield f"{column} {value}", new, [place, column, value]
    if "time" in names:
        before, here = lines[1].split(",")[names.index("time")], lines[3].split(",")[names.index("time")]
        for value in ("", "32.12.2024", "2024-02-30T00:00Z", "2023-01-01T00:00Z", before) if thorough else (before,):
            new, place = set_cell(lines, 3, "time", value)
            yield f"time {value}", new, [place, "time", value]
        odd = here.replace(":00Z", ":07Z")
        yield "off the grid", set_cell(lines, 3, "time", odd)[0], ["time", "grid", odd]


class Refusals(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.mkdtemp(prefix="canhbao-refusals-")
        cls.addClassCleanup(shutil.rmtree, cls.folder)
        by_hand.make(cls.folder)

    def words(self, call):
        words = CALLS[call][0]
        out = {"terrain": "out.nc", "landslide-grid": "out.nc"}.get(call, "out")
        return words + ["--out", out, "--manifest", "manifest"] if words[0] != "forecast" else words + ["--out", out]

    def refuse(self, call, code, words, what):
        before = set(os.listdir(self.folder))
        done = run(self.folder, *self.words(call))
        with self.subTest(call=call, what=what):
            self.assertEqual(done.returncode, code, done.stderr)
            told = done.stderr.splitlines()
            self.assertEqual(len(told), 1, done.stderr)
            self.assertTrue(told[0].startswith(f"canhbao-model {CALLS[call][0][0]}: "), told[0])
            for word in words:
                self.assertIn(word, told[0])
            self.assertEqual(set(os.listdir(self.folder)) - before, set(), "no output of a refused run")
        for name in set(os.listdir(self.folder)) - before:
            os.remove(os.path.join(self.folder, name))

    def test_the_calls_are_good_as_they_stand(self):
        for call in CALLS:
            done = run(self.folder, *self.words(call))
            with self.subTest(call=call):
                self.assertEqual(done.returncode, 0, done.stderr)
            for name in ("out", "out.nc", "manifest"):
                if os.path.exists(os.path.join(self.folder, name)):
                    os.remove(os.path.join(self.folder, name))

    def each_input(self):
        for call, (_, inputs) in CALLS.items():
            for name, columns in inputs.items():
                path = os.path.join(self.folder, name)
                os.rename(path, path + ".good")
                yield call, name, columns, path
                if os.path.isdir(path):
                    os.rmdir(path)
                os.rename(path + ".good", path)

    def test_files_that_are_not_there(self):
        for call, name, _, path in self.each_input():
            self.refuse(call, FAILED, [name, "No such file"], "missing")
            os.mkdir(path)
            self.refuse(call, FAILED, [name], "a folder")

    def test_tables(self):
        seen = set()
        for call, name, columns, path in self.each_input():
            if columns:
                with open(path + ".good", encoding="utf-8") as file:
                    good = file.read()
                for what, text, words in spoiled_tables(good, columns, name not in seen):
                    if (call, what) == ("regional few", "no Qobs"):
                        continue  # it may be without
                    write(self.folder, name, text)
                    self.refuse(call, REFUSED, [name, *words], f"{name}: {what}")
                seen.add(name)

    def test_json(self):
        other = {"rating.json": "update.json", "update.json": "rating.json", "gr.json": "rating.json",
                 "gr4h.json": "rating.json"}
        for call, name, columns, path in self.each_input():
            if columns == ():
                source = os.path.join(self.folder, other[name])
                with open(source, encoding="utf-8") as file:
                    texts = [("another kind", file.read(), "")]
                texts += [("empty", "", f"{name}:1:"), ("cut", '{"kind": "rating",\n "version"', f"{name}:2:"),
                          ("no member", "{}", ""), ("a list", "[1]", ""), ("text", "c,a,b\n", f"{name}:1:")]
                for what, text, word in texts:
                    write(self.folder, name, text)
                    self.refuse(call, REFUSED, [name, word], f"{name}: {what}")

    def test_netcdf(self):
        variable = {"dem.nc": "dem", "drainage.nc": "flow_direction", "rates.nc": None, "classes.nc": "susceptibility"}
        for call, name, columns, path in self.each_input():
            if columns is not None:
                continue
            write(self.folder, name, "time,P\n")
            self.refuse(call, REFUSED, [name], f"{name}: text")
            with open(path + ".good", "rb") as file:
                cut = file.read()
            with open(path, "wb") as file:
                file.write(cut[:len(cut) // 2])
            self.refuse(call, REFUSED, [name], f"{name}: cut")
            used = variable[name] or ("rain" if call == "crest-grid" else "rainfall_rate")
            shutil.copyfile(path + ".good", path)
            with netCDF4.Dataset(path, "a") as file:
                file.renameVariable(used, "other")
            self.refuse(call, REFUSED, [name, used], f"{name}: no variable")
            if name in ("dem.nc", "rates.nc"):
                shutil.copyfile(path + ".good", path)
                with netCDF4.Dataset(path, "a") as file:
                    file[used].units = "kg"
                self.refuse(call, REFUSED, [name, used, "kg"], f"{name}: units")

    def test_options_that_would_be_ignored(self):
        for call, more in (("muskingum", ["--m", "1.5"]), ("muskingum", ["--state-out", "s.csv"]),
                           ("muskingum", ["--release", "release.csv"]), ("muskingum-nonlinear", ["--width-m", "3"]),
                           ("cunge", ["--k", "3"]), ("cunge", ["--network", "net.csv"]), ("kinematic", ["--k", "3"]),
                           ("kinematic", ["--inflow", "qin.csv"]), ("rating apply", ["--segments", "2"]),
                           ("rating fit", ["--stage", "stage.csv"]), ("update fit", ["--series", "pairs.csv"]),
                           ("update fit", ["--verify"]), ("update now", ["--leads", "3"]), ("update now", ["--dry"]),
                           ("update verify", ["--leads", "3"]), ("regional", ["--warmup-steps", "365"]),
                           ("regional", ["--q-column", "Q"]), ("regional", ["--runoff-mm", "500"]),
                           ("regional few", ["--q-column", "Qobs", "--runoff-mm", "500"]),
                           ("crest-grid", ["--threshold-unit", "3"]),
                           ("crest-grid", ["--guidance-at", "2024-01-01T04:00Z"])):
            done = run(self.folder, *self.words(call), *more)
            with self.subTest(call=call, more=more):
                self.assertEqual(done.returncode, USAGE, done.stderr)
                self.assertEqual(len(done.stderr.splitlines()), 1, done.stderr)
                self.assertIn(more[0], done.stderr)
                self.assertFalse(os.path.exists(os.path.join(self.folder, "out")))

    def test_tables_of_another_step(self):
        for call, name, other in (("gr daily", "day.csv", "hour.csv"), ("gr state", "next.csv", "day.csv"),
                                  ("ffg", "hour.csv", "day.csv"), ("landslide", "mm.csv", "day.csv"),
                                  ("calibrate", "runoff.csv", "year.csv"), ("regional few", "runoff.csv", "year.csv")):
            path = os.path.join(self.folder, name)
            shutil.copyfile(path, path + ".good")
            shutil.copyfile(os.path.join(self.folder, other), path)
            self.refuse(call, REFUSED, [name, ":1: time: ", "24 h"], f"{other} as {name}")
            os.replace(path + ".good", path)

    def test_levels(self):
        for levels in ("3,2,1", "1,2,", "1,1", "1,2,3,4", "1;2", "1,x"):
            words = self.words("forecast")
            words[words.index("--levels") + 1] = levels
            done = run(self.folder, *words)
            with self.subTest(levels=levels):
                self.assertEqual(done.returncode, REFUSED, done.stderr)
                self.assertIn("--levels", done.stderr)

    def test_options_that_are_needed(self):
        for call in CALLS:
            words = self.words(call)
            for i, word in enumerate(words):
                optional = ("--manifest", "--release", "--restarts", "--rain", "--rating", "--levels", "--state-in",
                            "--forcing" if call == "regional few" else "--manifest")
                if not word.startswith("--") or word in optional and words[0] not in ("landslide", "landslide-grid"):
                    continue
                if word in ("--verify", "--manifest"):
                    continue
                done = run(self.folder, *words[:i], *words[i + 2:])
                with self.subTest(call=call, without=word):
                    self.assertEqual(done.returncode, USAGE, done.stderr)
                    self.assertIn(word, done.stderr)


if __name__ == "__main__":
    unittest.main()

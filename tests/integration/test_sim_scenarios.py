"""Scenario files: the good ones load, the station table agrees with them, and every bad one is
refused with file:line:col and a reason."""
import csv
import os
import re
import resource
import subprocess
import tempfile
import unittest

import yaml

import harness

GOOD = """scenario: small
start: 2025-01-01T00:00:00Z
maps:
  one:
    - {point: stage, table: holding, address: 0, type: float32}
stations:
  - {id: a, port: 0, map: one, signals: {stage: 1.5}}
faults:
  - {kind: silence, station: a}
"""

# what is replaced, by what, the text that the complaint must point at (None: anywhere), a word that
# it must hold
STAGE = "signals: {stage: 1.5}"
BAD = [
    ("scenario: small", "scenario: Small", "Small", "no name"),
    ("scenario: small\n", "", "start:", "'scenario' is missing"),
    ("start: 2025-01-01T00:00:00Z", "start: 2025-02-30T00:00:00Z", "2025-02", "2025-02-30"),
    ("start: 2025-01-01T00:00:00Z", "start: 2025-01-01 00:00", "2025-01", "a time"),
    ("start: 2025-01-01T00:00:00Z\n", "start: now\nspeed: 0\n", "0\nmaps", "number"),
    ("maps:", "speed: 1,5\nmaps:", "1,5", "1,5"),
    ("maps:", "seed: 010\nmaps:", "010", "010"),
    ("maps:", "speeed: 2\nmaps:", "speeed", "unknown key 'speeed'"),
    ("maps:", "start: now\nmaps:", "start: now", "stands twice"),
    ("maps:", "\tx: 1\nmaps:", "\tx", "tab"),
    ("maps:", "frames: []\nmaps:", "[]", "rain_field"),
    ("address: 0", "address: -1", "-1", "-1"),
    ("address: 0", "address: 65535", "{point", "beyond"),
    ("address: 0", "address: 1.0", "1.0", "whole number"),
    ("type: float32", "type: float", "float}", "float"),
    ("type: float32", "type: float32, order: ACBD", "ACBD", "ABCD"),
    ("type: float32", "type: float32, scale: 0", "{point", "scale"),
    ("type: float32", "type: float32, nan: 1", "1}", "nan"),
    ("type: float32", "type: bit", "{point", "coils"),
    ("table: holding", "table: holdings", "holdings", "holdings"),
    ("type: float32}", "type: float32}\n    - {point: b, table: holding, address: 1, type: int16}",
     "- {point", "overlap"),
    (STAGE, "signals: {stage: nan}", "nan}", "nan"),
    (STAGE, "signals: {level: 1.5}", "level", "level"),
    (STAGE, "signals: {}", "{}", "stage"),
    (STAGE, "signals: {stage: []}", "[]", "one term"),
    (STAGE, "signals: {stage: [{sin: 1}]}", "{sin", "unknown term"),
    (STAGE, "signals: {stage: [{noise: {sigma: 1}}]}", "{sigma", "every"),
    (STAGE, "signals: {stage: [{noise: {sigma: 1, every: 5}}]}", "5}}]", "duration"),
    (STAGE, "signals: {stage: [{points: [[+1 h, 1], [+1 h, 2]]}]}", "[+1 h, 2]", "ascend"),
    (STAGE, "signals: {stage: [{series: {file: no.csv, column: a}}]}", "no.csv", "no.csv"),
    (STAGE, "signals: {stage: [{field: {gain: 1}}]}", "{stage: [", "rain_field"),
    (STAGE, "signals: {stage: [{count: {of: stage, per_tip_mm: 1}}]}", "{stage: [", "stage"),
    (STAGE, "signals: {stage: [{ramp: {from: +2 h, to: +1 h, rise: 1}}]}", "{from", "later"),
    ("map: one", "map: two", "two", "two"),
    ("port: 0", "port: 65536", "65536", "65536"),
    ("port: 0", "port: 0, unit: 248", "248", "248"),
    ("port: 0,", "port: 0, host: {b: 1},", "{b: 1}", "single value"),
    ("station: a}", "station: b}", "{kind", "no station"),
    ("kind: silence", "kind: noise", "noise", "noise"),
    ("kind: silence", "kind: late", "{kind", "delay_ms"),
    ("kind: silence", "kind: nan, point: x", "{kind", "no point"),
    ("kind: silence", "kind: silence, code: 4", "code", "unknown key"),
    ("kind: silence", "kind: silence, from: +2 h, to: +1 h", "{kind", "later"),
    ("kind: silence", "kind: silence, share: 1.5", "1.5, station", "1.5"),
    ("faults:", "---\nfaults:", "faults:", "second document"),
    ("scenario: small", "scenario: [", None, "expected"),
    ("scenario: small", "\ufeff\ufeffscenario: small", None, ""),
    ("stations:", "stations: {", None, ""),
    (GOOD, "", "", "empty"),
    (GOOD, "[1, 2]", "[1, 2]", "keys"),
]


class Refused(unittest.TestCase):
    def check(self, text):
        with tempfile.NamedTemporaryFile("w", suffix=".yaml", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            return file.name, harness.run_sim("--check", file.name)

    def test_good(self):
        _, result = self.check(GOOD)
        self.assertEqual((result.returncode, result.stderr), (0, ""))

    def test_bad(self):
        for old, new, mark, word in BAD:
            with self.subTest(new):
                self.assertIn(old, GOOD)
                text = GOOD.replace(old, new, 1)
                name, result = self.check(text)
                self.assertEqual(result.returncode, 2, result.stderr)
                where = r"\d+:\d+"
                if mark is not None:
                    before = text[:text.index(mark)].split("\n")
                    where = f"{len(before)}:{len(before[-1]) + 1}"
                self.assertRegex(result.stderr,
                                 "^" + re.escape(f"canhbao-sim: {name}:") + where + ": ")
                self.assertIn(word, result.stderr)

    def test_shared_places(self):
        two = GOOD.replace("signals: {stage: 1.5}}",
                           "signals: {stage: 1}}\n  - {id: ID, port: PORT, map: one, "
                           "signals: {stage: 2}}")
        for old, new, word in (("ID", "a", "stands twice"), ("ID", "b", "share port")):
            text = two.replace(old, new).replace("port: 0", "port: 15999").replace("PORT", "15999")
            _, result = self.check(text)
            self.assertEqual(result.returncode, 2)
            self.assertIn(word, result.stderr)

    def test_large_and_missing_files(self):
        name, result = self.check(GOOD + "# " + "x" * (4 * 1024 * 1024))
        self.assertEqual(result.returncode, 2)
        self.assertIn("bytes, more than", result.stderr)
        result = harness.run_sim("--check", name)
        self.assertEqual(result.returncode, 2)
        self.assertIn("No such file", result.stderr)

    def test_alias_bomb_ends_quickly(self):
        text = "a: &a [x, x]\n" + "".join(
            f"{b}: &{b} [*{a}, *{a}, *{a}, *{a}]\n" for a, b in zip("abcdefghij", "bcdefghijk"))
        _, result = self.check(text)
        self.assertEqual(result.returncode, 2)

    def test_wrong_use(self):
        for arguments in ([], ["--tail", "x", "y"], ["--speed", "0", "x"], ["--speed", "2,5", "x"],
                          ["--start", "2025-01-01", "x"], ["--no-such"], ["--seconds"], ["a", "b"],
                          ["--expect-hazards", "1", "--tail", "x"], ["--broker-file", "x", "y"],
                          ["--check", "--broker", "0"], ["--broker", "70000"]):
            with self.subTest(arguments):
                result = harness.run_sim(*arguments)
                self.assertEqual(result.returncode, 2)
                self.assertIn("--help", result.stderr)
        self.assertIn("usage:", harness.run_sim("--help").stdout)

    def test_taken_port_is_said(self):
        with harness.Sim(text=GOOD) as sim:
            port = sim.ports["a"][1]
            with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
                file.write(GOOD.replace("port: 0", f"port: {port}"))
                file.flush()
                result = harness.run_sim("--seconds", "5", file.name)
        self.assertEqual(result.returncode, 1)
        self.assertIn(f"cannot listen on 127.0.0.1:{port}", result.stderr)


class Shipped(unittest.TestCase):
    def test_all_load(self):
        count = 0
        for folder in (harness.SCENARIOS, os.path.join(harness.SCENARIOS, "test")):
            for name in sorted(os.listdir(folder)):
                if name.endswith(".yaml"):
                    count += 1
                    with self.subTest(name):
                        result = harness.run_sim("--check", os.path.join(folder, name))
                        self.assertEqual((result.returncode, result.stderr), (0, ""))
        self.assertGreater(count, 3)

    def test_the_flood_has_the_stations_of_the_table_and_the_published_peaks(self):
        with open(os.path.join(harness.SCENARIOS, "stations.csv"), encoding="utf-8") as file:
            table = {row["id"]: row for row in csv.DictReader(file)}
        path = os.path.join(harness.SCENARIOS, "flood-nov-2025.yaml")
        with open(path, encoding="utf-8") as file:
            flood = yaml.safe_load(file)
        self.assertEqual({s["id"] for s in flood["stations"]}, set(table))
        self.assertEqual(len({row["port"] for row in table.values()}), len(table))
        for station in flood["stations"]:
            row = table[station["id"]]
            self.assertEqual((station["map"], station["port"], station["lat"], station["lon"]),
                             (row["kind"], int(row["port"]), float(row["lat"]), float(row["lon"])))
        kinds = [row["kind"] for row in table.values()]
        self.assertEqual([kinds.count(k) for k in ("stage", "weather", "dose-rate", "chemical")],
                         [9, 2, 4, 9])
        self.assertGreaterEqual(kinds.count("rain"), 12)
        # peak_2025_11_19_m of the table of flood alarm levels, hours turned to UTC
        peaks = {"an-hoa": ("2025-11-19T00:00:00Z", 22.53), "bong-son": ("2025-11-19T00:00:00Z", 4.42),
                 "vinh-son": ("2025-11-19T00:00:00Z", 72.82),
                 "binh-nghi": ("2025-11-19T06:00:00Z", 17.56),
                 "thanh-hoa": ("2025-11-19T06:00:00Z", 8.55),
                 "van-canh": ("2025-11-18T18:00:00Z", 45.03),
                 "dieu-tri": ("2025-11-18T18:00:00Z", 6.62)}
        for station in flood["stations"]:
            if station["id"] in peaks:
                points = station["signals"]["stage"][0]["points"]
                self.assertIn(list(peaks[station["id"]]), points)
                self.assertEqual(max(p[1] for p in points), peaks[station["id"]][1])


class Fleet(unittest.TestCase):
    TEXT = GOOD.split("stations:")[0] + (
        "fleet:\n  - {id: many, count: COUNT, port: 0, map: one, signals: {stage: [{noise: "
        "{sigma: 1, every: 1 h}}]}}\n")

    def test_a_thousand_stations_answer_each_with_its_own_value(self):
        with harness.Sim(text=self.TEXT.replace("COUNT", "1000")) as sim:
            self.assertEqual(len(sim.ports), 1000)
            values = set()
            connections = [harness.connect(place) for place in sim.ports.values()]
            for n, connection in enumerate(connections):
                connection.sendall(harness.request(n, 1, 3, 0, 2))
            for connection in connections:
                values.add(harness.read_exactly(connection, 13)[9:])
                connection.close()
            self.assertGreater(len(values), 990)

    def test_units_on_one_port_take_many_connections(self):
        port, = harness.free_ports(1)
        text = self.TEXT.replace("COUNT", "100").replace("port: 0", f"port: {port}, spread: units")
        with harness.Sim(text=text):
            connections = [harness.connect(("127.0.0.1", port)) for _ in range(300)]
            for n, connection in enumerate(connections):
                connection.sendall(harness.request(n, 1 + n % 100, 3, 0, 2))
            for n, connection in enumerate(connections):
                self.assertEqual(harness.read_exactly(connection, 13)[6], 1 + n % 100)
                connection.close()

    def test_too_few_descriptors_are_refused(self):
        with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
            file.write(self.TEXT.replace("COUNT", "20000"))
            file.flush()

            def few():
                resource.setrlimit(resource.RLIMIT_NOFILE, (500, 500))
            command = [harness.SIM, "--seconds", "1", file.name]
            if os.geteuid() == 0:  # root could raise the limit again
                command = ["setpriv", "--bounding-set", "-sys_resource", "--inh-caps",
                           "-sys_resource"] + command
            result = subprocess.run(command, capture_output=True, text=True, preexec_fn=few,
                                    timeout=harness.DEADLINE_S, check=False)
        self.assertEqual(result.returncode, 1, result.stderr)
        self.assertIn("40064 descriptors are needed", result.stderr)


if __name__ == "__main__":
    unittest.main()

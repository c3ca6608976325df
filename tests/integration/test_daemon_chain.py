"""Products by triggers: a run that follows another product's output, one that gets the readings of stations, one that
an alarm starts. With the real daemon; the models are the real areal in its cage and a script that shows what it got."""
import csv
import glob
import json
import os
import shutil
import socketserver
import stat
import struct
import sys
import tempfile
import threading
import time
import unittest

from daemon import Daemon, MODEL, Site
from harness import DEADLINE_S, read_exactly, wait_for
from test_daemon_grids import AREA, frame

EXTRA = """  - id: areal_rain
    kind: own
    name: {vi: mưa lưu vực, en: areal rain}
    levels:
      - {vi: chú ý, en: watch}
areas:
  - {id: basin, name: {vi: lưu vực, en: basin}, file: areas/basin.geojson}
products:
  - {id: radar, model: areal, inbox: inbox/radar, windows: [1 h], leads: [0 s], period: 5 min, stale_after: 90 min,
     deadline: 30 s}
  - id: again
    model: areal
    windows: []
    leads: [0 s]
    period: 5 min
    stale_after: 90 min
    deadline: 30 s
    keep: 2
    triggers:
      products: [radar]
    arguments:
      - "--in {frames:radar:1} --areas {site:areas/basin.geojson}"
      - "--newest {now}"
"""
"""A chained areal run gives the level, so that what it says went the whole way."""
RULE = """id: areal
hazard: heavy_rain
text: {vi: mưa trung bình lưu vực, en: mean rain over the basin}
source: made up
scale: areal_rain
places: {areas: [basin]}
indicators:
  - {name: now, kind: model, product: again, variable: rain_mean, unit: mm h-1, max_age: 90 min}
levels:
  - {level: 1, when: {indicator: now, at_least: 5 mm/h, hysteresis: 1 mm/h}, off_delay: 0 s}
"""
RAIN = """  - id: watch
    model: areal
    period: 1 min
    stale_after: 2 min
    deadline: DEADLINE
    triggers: {TRIGGERS}
    series:
      points: ["*/stage"]
      window: 1 h
    arguments:
      - "--series {series} --alarms {alarms} --now {now}"
      - "--before {?previous:state.json}"
      - "--never {?product:radar/nothing.json}"
      - "--state {out:state.json}"
"""

# Stands in for canhbao-model: writes down what it was given; `mode` in its own folder says how it ends.
FAKE = """#!{python}
import json, os, sys, time
words = sys.argv[1:]
mode = open({mode!r}).read()
with open({notes!r}, "a") as notes:
    notes.write(json.dumps({{"argv": words, "cwd": os.getcwd(), "series": open("series.csv").read(),
                             "alarms": json.load(open("alarms.json")), "mode": mode,
                             "at": time.monotonic()}}) + "\\n")
if mode == "slow":
    time.sleep(0.5)
if mode == "refuse":
    sys.stderr.write("the series is too short\\n")
    sys.exit(3)
if mode == "die":
    os.kill(os.getpid(), 9)
if mode == "hang":
    time.sleep(600)
if mode == "lie":
    print("{{}}")
    sys.exit(0)
before = json.load(open(words[words.index("--before") + 1]))["count"] if "--before" in words else 0
json.dump({{"count": before + 1}}, open("state.json", "w"))
print(json.dumps({{"model": "areal", "product": "watch", "reference_time": words[words.index("--now") + 1],
                   "manifest": {{"model": "areal"}}, "manifest_sha256": "0" * 64, "results": []}}))
"""


class Gauge(socketserver.ThreadingTCPServer):
    """A Modbus TCP station with one float32 in holding registers 0 and 1, which a test may change."""
    daemon_threads = True

    def __init__(self, value):
        self.value = value
        super().__init__(("127.0.0.1", 0), Gauge.Handler)
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def __exit__(self, *_):
        self.shutdown()
        self.server_close()

    class Handler(socketserver.BaseRequestHandler):
        def handle(self):
            try:
                while True:
                    transaction, _, _, unit = struct.unpack(">HHHB", read_exactly(self.request, 7))
                    read_exactly(self.request, 5)
                    self.request.sendall(struct.pack(">HHHBBBf", transaction, 0, 7, unit, 3, 4, self.server.value))
            except (EOFError, OSError):
                pass


class Chain(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="canhbao-chain-")
        self.daemon = None
        self.site = None

    def tearDown(self):
        if self.daemon is not None:
            self.daemon.__exit__(None, None, None)
        self.site.__exit__()
        shutil.rmtree(self.folder)

    def start(self, ports, extra, options=("--test",), model=MODEL):
        self.site = Site(ports, extra=extra, period="200 ms")
        self.site.write("areas/basin.geojson", AREA)
        self.site.write("rules/areal.yaml", RULE)
        self.daemon = Daemon(self.site.folder, options=options, model=model).start()
        return self.daemon

    def conditions(self):
        return {(c["class"], c["subject"]): c["text"] for c in self.daemon.ctl("status")["conditions"]}

    def drop(self, name, when, rate):
        inbox = self.daemon.path("state/inbox/radar")
        frame(os.path.join(inbox, "." + name), when, rate)
        os.rename(os.path.join(inbox, "." + name), os.path.join(inbox, name))

    def kept(self, product):
        return sorted(glob.glob(self.daemon.path(f"state/products/{product}/2*")))

    def test_a_run_follows_the_output_of_another(self):
        self.start({"silent": ("127.0.0.1", 1, 1)}, EXTRA)
        when = int(time.time()) - 1500
        for i, rate in enumerate((8.0, 2.0, 9.0)):
            self.drop(f"f{i}.nc", when + 300 * i, rate)
            wait_for(lambda rate=rate: self.daemon.alarms()[("areal", "basin")]["level"]["value"] == (rate >= 5),
                     f"{rate} mm/h went through both runs")
        newest = [time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(when + 300 * i)) for i in (1, 2)]
        wait_for(lambda: [os.path.basename(p)[:16] for p in self.kept("again")] == newest, "the newest two runs are kept")
        self.assertEqual(len(self.kept("radar")), 3)
        with open(os.path.join(self.kept("again")[-1], "output.json"), encoding="utf-8") as file:
            output = json.load(file)
        self.assertEqual((output["product"], output["results"][0]["area"]), ("again", "basin"))
        self.assertEqual(self.conditions().get(("worker-failed", "again")), None)

    def fake(self):
        self.notes_path = os.path.join(self.folder, "notes")
        self.mode_path = os.path.join(self.folder, "mode")
        self.mode("good")
        path = os.path.join(self.folder, "fake")
        with open(path, "w", encoding="utf-8") as file:
            file.write(FAKE.format(python=sys.executable, notes=self.notes_path, mode=self.mode_path))
        os.chmod(path, stat.S_IRWXU)
        return path

    def mode(self, text):
        with open(self.mode_path + ".new", "w", encoding="utf-8") as file:
            file.write(text)
        os.rename(self.mode_path + ".new", self.mode_path)

    def notes(self):
        if not os.path.exists(self.notes_path):
            return []
        with open(self.notes_path, encoding="utf-8") as file:
            return [json.loads(line) for line in file if line.endswith("\n")]  # the last may be on its way

    def test_readings_reach_the_model_and_its_state_survives(self):
        with Gauge(5.5) as gauge:
            self.start({"alpha": ("127.0.0.1", gauge.server_address[1], 1)},
                       EXTRA + RAIN.replace("TRIGGERS", "readings: true").replace("DEADLINE", "20 s"),
                       model=self.fake())
            wait_for(lambda: len(self.kept("watch")) >= 3, "new readings start runs")
            note = self.notes()[-1]
            words = note["argv"]
            self.assertEqual(words[:2], ["--cage", "."])
            self.assertEqual(words[words.index("areal"):][:3], ["areal", "--product", "watch"])
            self.assertEqual(words[words.index("--series") + 1], "series.csv")
            self.assertNotIn("--never", words)
            before = words[words.index("--before") + 1]
            self.assertIn(before, words[:words.index("areal")])  # what it may read
            rows = list(csv.DictReader(note["series"].splitlines()))
            self.assertEqual(list(rows[0]), ["time", "station", "point", "value", "unit", "flag", "status"])
            good = [row for row in rows if row["status"] == "ok"]
            self.assertTrue(good and {(r["station"], r["point"], r["value"], r["unit"]) for r in good}
                            == {("alpha", "stage", "5.5", "m")})
            self.assertEqual(sorted(row["time"] for row in rows), [row["time"] for row in rows])
            self.daemon.kill()
            with open(os.path.join(self.kept("watch")[-1], "state.json"), encoding="utf-8") as file:
                count = json.load(file)["count"]
            self.daemon.start()
            wait_for(lambda: len(self.kept("watch")) > count, "runs after the restart")
            with open(os.path.join(self.kept("watch")[-1], "state.json"), encoding="utf-8") as file:
                self.assertGreater(json.load(file)["count"], count)

    def test_a_model_program_by_a_relative_path(self):
        """Workers start in their own folder: the path counts from where the daemon was started."""
        relative = os.path.relpath(MODEL)
        self.assertNotEqual(relative[0], "/")
        self.start({"silent": ("127.0.0.1", 1, 1)}, EXTRA, model=relative)
        self.drop("f0.nc", int(time.time()) - 300, 8.0)
        wait_for(lambda: self.kept("again"), "a run through both products")
        self.assertEqual(self.daemon.stop(), 0)
        self.daemon.model = "./nothing/canhbao-model"
        self.daemon.start(wait=False)
        self.assertNotEqual(self.daemon.process.wait(DEADLINE_S), 0)
        self.assertIn("--model-program ./nothing/canhbao-model: No such file or directory", self.daemon.log())

    def test_readings_start_runs_no_faster_than_their_cost_allows(self):
        with Gauge(5.5) as gauge:
            self.start({"alpha": ("127.0.0.1", gauge.server_address[1], 1)},
                       EXTRA + RAIN.replace("TRIGGERS", "readings: true").replace("DEADLINE", "20 s"),
                       model=self.fake())
            self.mode("slow")  # at least half a second each, while readings come each 200 ms
            wait_for(lambda: sum(n["mode"] == "slow" for n in self.notes()) >= 4, "slow runs")
            slow = [n for n in self.notes() if n["mode"] == "slow"]
            for before, after in zip(slow, slow[1:]):
                self.assertGreaterEqual(after["at"] - before["at"], 4 * 0.5 - 0.1)

    def test_bad_workers_are_told_and_harm_nothing(self):
        with Gauge(5.5) as gauge:
            self.start({"alpha": ("127.0.0.1", gauge.server_address[1], 1)},
                       EXTRA + RAIN.replace("TRIGGERS", "readings: true").replace("DEADLINE", "4 s"),
                       model=self.fake())
            wait_for(lambda: self.kept("watch"), "a good run")
            for mode, says in (("refuse", "the series is too short"), ("die", "died of signal 9"),
                               ("lie", "model or product is not that of the job"), ("hang", "deadline")):
                self.mode(mode)
                wait_for(lambda says=says: says in self.conditions().get(("worker-failed", "watch"), ""), mode)
            count = len(self.kept("watch"))
            self.mode("good")
            wait_for(lambda: len(self.kept("watch")) > count, "a good run again")
            wait_for(lambda: ("worker-failed", "watch") not in self.conditions(), "the condition clears")

    def test_an_alarm_starts_and_ends_runs(self):
        with Gauge(5.5) as gauge:
            self.start({"alpha": ("127.0.0.1", gauge.server_address[1], 1)},
                       EXTRA + RAIN.replace("TRIGGERS", "readings: true, alarms: [flood]").replace("DEADLINE", "20 s"),
                       model=self.fake())
            wait_for(lambda: self.daemon.alarms()[("flood", "alpha")]["knowledge"]["state"] == "fresh", "readings")
            self.assertEqual(self.notes(), [])
            gauge.value = 7.2
            wait_for(lambda: len(self.notes()) >= 2, "the alarm starts runs, and readings go on with it")
            alarms = self.notes()[0]["alarms"]
            self.assertEqual([(a["rule"], a["place"], a["level"], a["scale"]) for a in alarms],
                             [("flood", "alpha", 2, "flood_alarm")])
            gauge.value = 5.0
            wait_for(lambda: self.daemon.level("alpha") == 0, "the level falls")
            wait_for(lambda: ("model-stale", "watch") not in self.conditions(), "nothing is stale then")

    def test_an_outdated_run_is_cancelled(self):
        """stale_after is 2 minutes of a clock that runs 20 times as fast: 6 s; the deadline is far away."""
        now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        model = self.fake()
        self.mode("hang")
        self.start({"silent": ("127.0.0.1", 1, 1)},
                   EXTRA + RAIN.replace("TRIGGERS", "every: 1 min").replace("DEADLINE", "30 min"),
                   ["--exercise", "--clock-scale", "20", "--clock-start", now, "--clock-anchor", now], model=model)
        wait_for(lambda: "outdated before it was done" in self.conditions().get(("worker-failed", "watch"), ""),
                 "the run is cancelled")
        self.assertEqual(self.kept("watch"), [])
        wait_for(lambda: ("model-stale", "watch") in self.conditions(), "and the product is stale")
        self.mode("good")
        wait_for(lambda: ("worker-failed", "watch") not in self.conditions(), "the condition clears")

    def test_a_missing_input_is_waited_for_and_said(self):
        extra = EXTRA.replace("products: [radar]", "every: 1 min").replace("stale_after: 90 min", "stale_after: 5 min")
        now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        self.start({"silent": ("127.0.0.1", 1, 1)}, extra,
                   ["--exercise", "--clock-scale", "100", "--clock-start", now, "--clock-anchor", now])
        wait_for(lambda: "a frame of radar is not there yet" in self.conditions().get(("model-stale", "again"), ""),
                 "what is missing is told")


if __name__ == "__main__":
    unittest.main()

"""Flash-flood guidance and landslide classes run by the daemon: a rain frame comes, both models run from the frames
that are there and from their own states, their results reach rules with age and coverage, and the outputs are those of the
programs by hand. Rain that is too old is refused, told as a condition, and clears no alarm."""
import glob
import json
import os
import shutil
import tempfile
import time
import unittest

import numpy

import cells
from cells import COLUMNS, EVAPORATION, RISK, ROWS, THRESHOLDS, field, flashflood, results, slopes
from daemon import Daemon, Site
from harness import wait_for

EXTRA = f"""  - id: cell_scale
    kind: own
    name: {{vi: ô lưới, en: cells}}
    levels:
      - {{vi: mức 1, en: level 1}}
      - {{vi: mức 2, en: level 2}}
areas:
  - {{id: west, name: {{vi: tây, en: west}}, file: areas/west.geojson}}
  - {{id: east, name: {{vi: đông, en: east}}, file: areas/east.geojson}}
products:
  - {{id: radar, model: areal, inbox: inbox/radar, windows: [1 h], leads: [0 s], period: 30 min, stale_after: 12 h,
     deadline: 60 s}}
  - id: guidance
    model: flashflood
    period: 1 h
    stale_after: 6 h
    deadline: 60 s
    windows: [1 h, 3 h, 6 h, 12 h, 24 h]
    leads: [0 s, 1 h, 3 h, 6 h, 12 h, 24 h]
    keep: 5
    triggers: {{products: [radar]}}
    arguments:
      - --static {{site:terrain.nc}} --areas {{site:areas.geojson}} --wm 120 --b 0.3 --im 0.1 --ke 1 --fc 4
      - --evaporation {EVAPORATION} --threshold-unit 3 --hold-min 30 --stale-min 90
      - --reference {{now}} --rain {{frames:radar:40}}
      - --state-in {{?previous:state.nc}}
      - --state-out {{out:state.nc}} --nc {{out:cells.nc}} --out -
  - id: slope
    model: slopes
    period: 1 h
    stale_after: 6 h
    deadline: 60 s
    windows: []
    leads: [0 s, 3 h, 6 h, 12 h, 24 h]
    keep: 5
    triggers: {{products: [radar]}}
    arguments:
      - --susceptibility {{site:susceptibility.nc}} --thresholds {{site:thresholds.csv}} --curves caine1980
      - --risk {{site:risk.csv}} --zone KV4 --areas {{site:areas.geojson}} --history {{site:history.nc}} --stale-min 90
      - --reference {{now}} --rain {{frames:radar:40}}
      - --state-in {{?previous:state.nc}}
      - --state-out {{out:state.nc}} --nc {{out:cells.nc}} --out -
"""
RULES = {"guidance": ("flash_flood", "ffg_ratio", "window: 1 h, "), "slope": ("landslide", "probability_level_1", "")}
RULE = """id: {product}
hazard: {hazard}
text: {{vi: thử, en: test}}
source: made up
scale: cell_scale
places: {{areas: [west, east]}}
indicators:
  - {{name: now, kind: model, product: {product}, variable: {variable}, unit: "1", {window}max_age: 3 h,
     min_coverage: 0.8}}
levels:
  - {{level: 1, when: {{indicator: now, at_least: 0.5 1, hysteresis: 0.1 1}}, off_delay: 0 s}}
"""


class DaemonCells(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="canhbao-cells-")
        self.addCleanup(shutil.rmtree, self.folder)
        self.site = Site({"silent": ("127.0.0.1", 1, 1)}, extra=EXTRA)
        self.addCleanup(self.site.__exit__)
        os.remove(self.site.path("rules/flood.yaml"))
        cells.areas(self.site.path("areas.geojson"))
        cells.terrain(self.site.folder)
        os.remove(self.site.path("dem.nc"))
        shutil.copy(THRESHOLDS, self.site.path("thresholds.csv"))
        shutil.copy(RISK, self.site.path("risk.csv"))
        with open(self.site.path("areas.geojson"), encoding="utf-8") as file:
            for feature in json.load(file)["features"]:
                self.site.write(f"areas/{feature['id']}.geojson", json.dumps(feature))
        for product, (hazard, variable, window) in RULES.items():
            self.site.write(f"rules/{product}.yaml",
                            RULE.format(product=product, hazard=hazard, variable=variable, window=window))
        self.newest = int(time.time()) // 1800 * 1800
        self.history()
        self.daemon = Daemon(self.site.folder)
        os.makedirs(self.daemon.path("state/inbox/radar/done"))

    def history(self):
        times = [self.newest // 3600 * 3600 - 3600 * (14 + 96 - k) for k in range(96)]
        values = numpy.stack([numpy.full((ROWS, COLUMNS), 0.0 if k < 24 else 0.5) for k in range(96)])
        field(self.site.path("history.nc"), "rainfall_rate", values, times)

    def frame(self, folder, back, rate):
        """A frame of `back` half hours before the newest; appears when complete."""
        name = f"f{1000 - back:04d}.nc"
        field(os.path.join(self.daemon.path("state/inbox/radar"), folder, name), "rainfall_rate",
              numpy.full((1, ROWS, COLUMNS), rate), [self.newest - 1800 * back])

    def kept(self, product):
        return sorted(glob.glob(self.daemon.path(f"state/products/{product}/2*")))

    def output(self, product):
        return results(os.path.join(self.kept(product)[-1], "output.json"))

    def conditions(self):
        return {(c["class"], c["subject"]): c["text"] for c in self.daemon.ctl("status")["conditions"]}

    def states(self):
        """Level and knowledge of every alarm of the two rules that has been judged."""
        return {key: (alarm["level"]["value"], alarm["knowledge"]["state"]) for key, alarm in
                self.daemon.alarms().items() if key[0] in RULES}

    def references(self):
        return {"guidance": cells.rfc(self.newest), "slope": cells.rfc(self.newest // 3600 * 3600)}

    def test_frames_become_levels(self):
        for back in range(28, 1, -1):
            self.frame("done", back, 60.0 if back <= 8 else 1.0)
        with self.daemon:
            self.frame("", 1, 60.0)
            wait_for(lambda: self.states() == {(rule, place): (1, "fresh") for rule in RULES
                                               for place in ("west", "east")}, "both rules raise")
            self.frame("", 0, 60.0)
            wait_for(lambda: all(self.output(p)[1]["reference_time"] == self.references()[p] for p in RULES),
                     "both have the newest frame")
            frames = sorted(glob.glob(self.daemon.path("state/inbox/radar/done/*.nc")))
            self.assertEqual(len(frames), 29)
            self.by_hand(frames)
            _, output = self.output("guidance")
            self.assertIn("state.nc", [i["name"] for i in output["manifest"]["inputs"]])
            self.assertEqual(output["manifest"]["left_out"], [])

    def test_old_rain_is_refused(self):
        for back in range(28, 6, -1):
            self.frame("done", back, 60.0)
        with self.daemon:
            self.frame("", 6, 60.0)
            wait_for(lambda: all("min before the run; at most 90 are allowed" in
                                 self.conditions().get(("worker-failed", p), "") for p in RULES), "both refuse")
            self.assertEqual([self.kept(p) for p in RULES], [[], []])
            self.assertEqual(set(self.states().values()), {(None, "unknown")})  # and never "nothing to fear"

    def by_hand(self, frames):
        """What the daemon's newest runs printed, perhaps from the state of one before the newest frame, is what the
        programs give for all files at once."""
        for product, program in (("guidance", flashflood), ("slope", slopes)):
            _, first = self.output(product)
            for name in ("terrain.nc", "susceptibility.nc", "areas.geojson", "history.nc"):
                shutil.copy(self.site.path(name), self.folder)
            more = ["--stale-min", "90"] + (["--history", "history.nc"] if product == "slope" else ["--hold-min", "30"])
            done = program(self.folder, self.newest + 60, frames, *more, "--out", "out.json")
            self.assertEqual((done.returncode, done.stderr), (0, ""))
            _, output = results(os.path.join(self.folder, "out.json"))
            self.assertEqual(len(output["results"]), len(first["results"]))
            for by_hand, by_daemon in zip(output["results"], first["results"]):
                self.assertEqual(by_daemon, by_hand, product)


if __name__ == "__main__":
    unittest.main()

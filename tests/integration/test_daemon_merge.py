"""Radar and rain gauges merged by the running daemon, on a fast clock: gauges over Modbus and radar frames through the
inbox, both from the simulator. One counter goes round once an hour, one is set back once an hour, one gauge is suspect.
Then the radar stops: the product goes on with the gauges alone and says so, and no rule is fed by the old frames.

Nothing hangs on when a run comes: a run is looked for that shows what is wanted, and what must never be is judged on
every run."""
import glob
import json
import os
import unittest
from datetime import datetime, timedelta, timezone

from daemon import Daemon, Site
from harness import Sim, wait_for
from test_daemon_grids import AREA

SPEED = 360  # an hour in 10 s
START = datetime(2025, 11, 18, tzinfo=timezone.utc)
STALE_MIN = 40
RADAR_MM_H = 6.0
# The suspect gauge stands in the middle of the area, the others round it.
GAUGES = {"steady": (14.213, 108.213, 6), "round": (14.413, 108.613, 72), "suspect": (14.60, 108.45, 200),
          "set-back": (14.313, 108.813, 9), "forgetful": (14.813, 108.813, 12)}
TIP_MM = 0.001
HOURS = 24

STATION = """id: {id}
name: {{vi: Mưa {id}, en: Rain {id}}}
kind: rain
position: {{latitude_deg: {lat}, longitude_deg: {lon}}}
connection: {{host: 127.0.0.1, port: {port}, unit: 1, request_timeout: 500 ms}}
points:
{epoch}  - id: tips
    quantity: rain
    unit: mm
    kind: counter
    period: 5 min
    stale_after: 60 min
    counter_step_max: 24 mm
{counter}    register: {{table: input, address: 1, type: {type}, order: ABCD, scale: 0.001}}
    quality: {{hard_min: 0 mm, hard_max: 2000000 mm{quality}}}
"""
EPOCH = """  - id: starts
    quantity: restarts
    unit: "1"
    period: 5 min
    stale_after: 60 min
    register: {table: input, address: 0, type: uint16}
    quality: {hard_min: 0 1, hard_max: 65535 1}
"""
SITE = f"""  - id: areal_rain
    kind: own
    name: {{vi: mưa lưu vực, en: areal rain}}
    levels:
      - {{vi: chú ý, en: watch}}
areas:
  - {{id: basin, name: {{vi: lưu vực, en: basin}}, file: areas/basin.geojson}}
products:
  - {{id: radar, model: areal, inbox: inbox/radar, windows: [1 h], leads: [0 s], period: 10 min,
     stale_after: {STALE_MIN} min, deadline: 60 s}}
  - id: merged
    model: merge
    period: 10 min
    stale_after: 6 h
    deadline: 60 s
    windows: [1 h]
    leads: [0 s]
    keep: 500
    triggers: {{products: [radar], every: 10 min, min_interval: 10 min}}
    series: {{points: ["*/tips", "*/starts"], window: 3 h}}
    arguments:
      - --series {{series}} --stations {{stations}} --reference {{now}} --window-min 60 --stale-min {STALE_MIN} --slack-min 30
      - --areas {{site:areas/basin.geojson}} --frames {{?frames:radar:12}} --cell 0.02
      - --nc {{out:merged.nc}} --out -
"""
RULE = """id: {product}
hazard: heavy_rain
text: {{vi: mưa trung bình lưu vực, en: mean rain over the basin}}
source: made up
scale: areal_rain
places: {{areas: [basin]}}
indicators:
  - {{name: mean, kind: model, product: {product}, variable: rain_mean, unit: mm, window: 1 h, max_age: {age},
     min_coverage: 0.8}}
{more}levels:
  - {{level: 1, when: {{indicator: mean, at_least: 3 mm, hysteresis: 1 mm}}, off_delay: 0 s}}
"""
TOLD = {"radar_used": "1", "gauges_used": "1", "gauges_suspect": "1", "suspect_share": "1", "left_out_mae": "mm h-1"}


def instant(minutes):
    return (START + timedelta(minutes=minutes)).strftime("%Y-%m-%dT%H:%M:%SZ")


def seconds_of(text):
    return datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()


def stations_scenario():
    """Counts of 0.001 mm: 16 bits go round at 65.536 mm, at 72 mm/h each 55 min; a setting back by 4 mm each 50 min."""
    back = "".join(f', {{step: {{at: "{instant(50 * k)}", until: "{instant(HOURS * 60)}", height: -4000}}}}'
                   for k in range(1, HOURS * 60 // 50))
    more = {"set-back": back}
    initial = {"set-back": 3000000, "round": 30000}
    text = """scenario: gauges
about: rain gauges of a test
start: now
seed: 5
maps:
  wide: &wide
    - {point: starts, table: input, address: 0, type: uint16}
    - {point: tips, table: input, address: 1, type: uint32, order: ABCD}
    - {point: rate, table: input, address: 4, type: float32, order: ABCD}
  narrow:
    - {point: tips, table: input, address: 1, type: uint16, overflow: wrap}
    - {point: rate, table: input, address: 4, type: float32, order: ABCD}
stations:
"""
    for name, (lat, lon, rate) in GAUGES.items():
        starts = "" if name == "round" else "starts: 7, "
        text += (f"  - {{id: {name}, port: 0, map: {'narrow' if name == 'round' else 'wide'}, lat: {lat}, lon: {lon}, signals: "
                 f"{{{starts}rate: {rate}, tips: [{{count: {{of: rate, per_tip_mm: {TIP_MM}, "
                 f"initial: {initial.get(name, 2000)}}}}}{more.get(name, '')}]}}}}\n")
    return text.replace("&wide", "")


RADAR = f"""scenario: radar
about: the same rain everywhere
start: now
seed: 5
maps:
  none: [{{point: nothing, table: holding, address: 0, type: uint16}}]
stations:
  - {{id: none, port: 0, map: none, signals: {{nothing: 1}}}}
rain_field:
  cells:
    - {{place: [14.5, 108.5], time: "{instant(0)}", peak_mm_h: {RADAR_MM_H}, sigma_km: 500, move_m_s: [0, 0], life: 10000 h}}
frames:
  - product: radar
    every: 10 min
    grid: {{mapping: latitude_longitude, lat: [13.9, 15.1], lon: [107.9, 109.1], step_deg: 0.02}}
"""


class DaemonMerge(unittest.TestCase):
    def setUp(self):
        anchor = datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
        self.clock = ["--speed", str(SPEED), "--start", instant(0), "--anchor", anchor]
        self.sim = Sim(text=stations_scenario(), options=self.clock)
        self.addCleanup(self.sim.__exit__, None, None, None)
        self.site = Site({}, extra=SITE)
        self.addCleanup(self.site.__exit__)
        self.write_site()
        self.read = {}
        self.daemon = Daemon(self.site.folder, options=[
            "--exercise", "--clock-scale", str(SPEED), "--clock-start", instant(0), "--clock-anchor", anchor]).start()
        self.addCleanup(self.daemon.__exit__, None, None, None)

    def write_site(self):
        os.remove(self.site.path("rules/flood.yaml"))
        self.site.write("areas/basin.geojson", AREA)
        told = "".join(f'  - {{name: {name.replace("_", "-")}, kind: model, product: merged, variable: {name}, unit: "{unit}", '
                       "max_age: 6 h}\n" for name, unit in TOLD.items())
        self.site.write("rules/merged.yaml", RULE.format(product="merged", age="6 h", more=told))
        self.site.write("rules/radar.yaml", RULE.format(product="radar", age=f"{STALE_MIN} min", more=""))
        counter = {"round": "    counter_modulus: 65.536 mm\n",
                   "forgetful": "    counter_memory: lost\n    counter_epoch: starts\n"}
        for name, (lat, lon, _) in GAUGES.items():
            self.site.write(f"stations/{name}.yaml", STATION.format(
                id=name, lat=lat, lon=lon, port=self.sim.ports[name][1], counter=counter.get(name, ""),
                type="uint16" if name == "round" else "uint32", epoch=EPOCH if name == "forgetful" else "",
                quality=", soft_max: 0.5 mm" if name == "suspect" else ""))

    def outputs(self):
        """All runs of the product, the oldest first; a run appears whole."""
        for path in glob.glob(self.daemon.path("state/products/merged/2*/output.json")):
            if path not in self.read:
                with open(path, encoding="utf-8") as file:
                    self.read[path] = json.load(file)
        return [self.read[path] for path in sorted(self.read)]

    @staticmethod
    def values(output):
        return {r["variable"]: r["value"] for r in output["results"] if r["area"] == "basin"}

    @staticmethod
    def rates_are_right(merge):
        """Of every good gauge: a total that went round or was set back, taken wrongly, would be off by half and more. On
        a machine without time a reading bears a stamp some minutes of this clock late, so that not every run is."""
        rates = {g["id"]: g["rain_mm_h"] for g in merge["gauges"] if g["rain_mm_h"] is not None}
        return set(rates) == set(GAUGES) - {"suspect"} and all(
            abs(rates[name] / GAUGES[name][2] - 1) < 0.1 for name in rates)

    def find(self, wanted):
        """A run with every good gauge and what else is wanted."""
        for output in self.outputs():
            if self.rates_are_right(output["merge"]) and wanted(self.values(output), output["merge"]):
                return output
        return None

    def evidence(self, rule):
        alarm = self.daemon.alarms()[(rule, "basin")]
        return alarm, {e["model"]["variable"]: e for e in alarm["evidence"]}

    def check_gauges(self, output):
        gauges = {g["id"]: g for g in output["merge"]["gauges"]}
        self.assertEqual(set(gauges), set(GAUGES))
        self.assertEqual((gauges["suspect"]["rain_mm_h"], gauges["suspect"]["doubted"]), (None, True))
        self.assertEqual(self.values(output)["gauges_used"], 4)
        self.assertTrue(all(gauges[name]["known_min"] >= 48 for name in set(GAUGES) - {"suspect"}))
        self.assertLess(gauges["set-back"]["known_min"], 59)  # one interval of its hour at least is not known
        self.assertTrue(any(line.startswith("gauge suspect: ") for line in output["merge"]["left_out"]))
        results = {r["variable"]: r for r in output["results"]}
        self.assertTrue(results["rain_mean"]["doubtful"] and results["rain_max"]["doubtful"])
        self.assertLess(results["rain_max"]["value"], 100)  # of the suspect gauge nothing is in the field
        self.assertGreater(results["rain_mean"]["value"], 3)

    def check_every_run(self):
        """A run with radar rests on frames that were young enough when it began; one without has none among its inputs."""
        for output in self.outputs():
            manifest = output["manifest"]
            frames = [i["name"] for i in manifest["inputs"] if i["name"].endswith(".nc")]
            late_s = seconds_of(manifest["parameters"]["now"]) - seconds_of(output["reference_time"])
            if self.values(output)["radar_used"] == 1:
                self.assertTrue(frames and 0 <= late_s <= STALE_MIN * 60, output["reference_time"])
                self.assertEqual(output["merge"]["rests_on"], "radar_and_gauges")
            else:
                self.assertEqual((frames, late_s), ([], 0), output["reference_time"])
                self.assertEqual(output["merge"]["rests_on"], "gauges_only")
                self.assertIn("radar: ", output["merge"]["left_out"][0])

    def test_radar_and_gauges_then_gauges_alone(self):
        radar = Sim(text=RADAR, options=[*self.clock, "--inbox", self.daemon.path("state/inbox")])
        try:
            both = wait_for(lambda: self.find(lambda v, m: v["radar_used"] == 1),
                            "a run with radar and every good gauge", 240)
            self.check_gauges(both)
            values = self.values(both)
            self.assertEqual((values["gauges_suspect"], values["radar_share"]), (1, 1))
            rates = [g["rain_mm_h"] for g in both["merge"]["gauges"] if g["rain_mm_h"] is not None]
            # The radar says 6 mm/h in the middle and 0.7 % less in the corners.
            self.assertAlmostEqual(values["radar_mae"], sum(abs(RADAR_MM_H - rate) for rate in rates) / 4, delta=0.1)
            wait_for(lambda: self.daemon.level("basin", "merged") == 1, "the merged rain raises the rule", 120)
        finally:
            radar.stop()
        radar.__exit__(ValueError, None, None)  # stopped on purpose; only its folder goes
        dropped_s = max(seconds_of(o["reference_time"]) for o in self.outputs() if self.values(o)["radar_used"] == 1)
        alone = wait_for(lambda: self.find(lambda v, m: v["radar_used"] == 0 and any("min old" in line for line in m["left_out"])),
                         "a run that says that the radar is old", 240)
        self.check_gauges(alone)
        self.assertGreater(seconds_of(alone["reference_time"]), dropped_s)
        self.assertEqual(self.values(alone)["radar_share"], 0)

        def told():
            alarm, evidence = self.evidence("merged")
            return evidence["radar_used"]["value"] == 0 and (alarm, evidence)

        alarm, evidence = wait_for(told, "the rule shows that the radar is missing", 120)
        self.assertEqual(len({e["model"]["manifest_sha256"] for e in evidence.values()}), 1)
        self.assertEqual(evidence["gauges_suspect"]["value"], 1)
        self.assertEqual((alarm["level"]["value"], evidence["rain_mean"]["knowledge"]), (1, "doubtful"))
        wait_for(lambda: self.daemon.alarms()[("radar", "basin")]["knowledge"]["state"] == "stale",
                 "the rule on the radar alone says that it is old", 120)
        self.check_every_run()


if __name__ == "__main__":
    unittest.main()

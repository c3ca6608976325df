"""CAP messages from the running daemon: a stage swings through the alarm levels, the daemon is killed in between.

Each message is checked against the rules of deploy/schemas/README.md, read from the XML with a parser of another
language than the writer's; the chain of references must be without a break over the kill."""
import json
import unittest
import xml.etree.ElementTree as xml
from datetime import datetime

from daemon import Daemon, Site
from harness import Sim, wait_for

NS = "{urn:oasis:names:tc:emergency:cap:1.2}"
SCENARIO = """scenario: swing
about: one stage that never rests
start: 2025-01-01T00:00:00Z
maps:
  stage: [{point: stage, table: holding, address: 0, type: float32}]
stations:
  - id: st-0
    port: 0
    map: stage
    signals:
      stage: [{constant: 6.5}, {sine: {amplitude: 2, period: 4 s, phase_deg: 0}}]
"""

HIGH = SCENARIO[:SCENARIO.index("[{constant")] + "[{constant: 7.5}]\n"
AREA_RULE = '''id: reach
hazard: flood
text: {vi: đoạn sông, en: the reach}
source: made up
scale: flood_alarm
places: {areas: [reach]}
indicators: [{name: stage, kind: latest, station: st-0, point: stage}]
levels: [{level: 1, when: {indicator: stage, at_least: 6 m}}]
'''
# Two islands, the second with a lake; longitude before latitude.
ISLANDS = [[[[109.0, 13.5], [109.1, 13.5], [109.1, 13.6], [109.0, 13.5]]],
           [[[109.2, 13.7], [109.4, 13.7], [109.4, 13.9], [109.2, 13.9], [109.2, 13.7]],
            [[109.25, 13.75], [109.3, 13.75], [109.3, 13.8], [109.25, 13.75]]]]


def text(node, name):
    found = node.find(NS + name)
    return None if found is None else found.text


def parameters(info):
    return {text(p, "valueName"): text(p, "value") for p in info.findall(NS + "parameter")}


class Cap(unittest.TestCase):
    def check_info(self, alert, info):
        sent = text(alert, "sent")
        for name in ("effective", "onset", "expires"):
            self.assertRegex(text(info, name), r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\+07:00$")
        times = [datetime.fromisoformat(t) for t in (sent, text(info, "effective"), text(info, "onset"),
                                                     text(info, "expires"))]
        self.assertTrue(times[0] <= times[1] <= times[2] < times[3], times)
        level = int(parameters(info)["floodAlarmLevel"])
        severity = {0: "Minor", 1: "Moderate", 2: "Severe", 3: "Extreme"}[level]
        self.assertEqual(text(info, "severity"), severity)
        self.assertEqual(text(info, "responseType") == "AllClear", level == 0)
        value = float(parameters(info)["value"].split(" ")[0])
        if level > 0 and text(alert, "msgType") == "Alert":
            self.assertGreaterEqual(value, 5 + level)
        return level

    def check_chain(self, rows):
        """The rows of one alarm in the order of the outbox; returns how many cancelled."""
        previous, cancels = None, 0
        for _, identity, key, body in rows:
            alert = xml.fromstring(body)
            self.assertRegex(key, "^[0-9a-f]{32}$")
            self.assertEqual(text(alert, "incidents"), key)
            self.assertEqual(text(alert, "identifier"), identity)
            self.assertEqual(text(alert, "status"), "Test")
            self.assertEqual(text(alert, "scope"), "Restricted")
            kind, references = text(alert, "msgType"), text(alert, "references")
            if previous is None:
                self.assertEqual((kind, references), ("Alert", None))
            else:
                self.assertIn(kind, ("Update", "Cancel"))
                self.assertEqual(references, ",".join(text(previous, n) for n in ("sender", "identifier", "sent")))
            infos = alert.findall(NS + "info")
            self.assertEqual([text(i, "language") for i in infos], ["vi-VN", "en-US"])
            levels = {self.check_info(alert, info) for info in infos}
            self.assertEqual(len(levels), 1)
            self.assertEqual(kind == "Cancel", levels == {0})
            self.assertTrue(text(infos[0], "headline").startswith("THỬ NGHIỆM: "))
            cancels += kind == "Cancel"
            previous = None if kind == "Cancel" else alert
        return cancels

    def test_chain_over_a_kill(self):
        # No broker: every message stays in the outbox, where it can be read in order.
        with Sim(text=SCENARIO) as sim, Site(sim.ports, period="200 ms") as site, \
                Daemon(site.folder) as daemon:
            def swings():
                """Raised levels, and how many of them came down to nothing again."""
                events = [e["alert"] for e in daemon.ctl("events", "--limit", "1000")]
                return (sum(e["event"] == "raised" for e in events),
                        sum(e["event"] == "lowered" and e["level"]["value"] == 0 for e in events))
            wait_for(lambda: min(swings()) >= 2, "levels swing")
            daemon.kill()
            before = len(daemon.query("select row from outbox where row >> 48 = 2"))
            daemon.start()
            ups, downs = swings()
            wait_for(lambda: swings()[0] >= ups + 2 and swings()[1] >= downs + 2, "they go on")
            self.assertEqual(daemon.stop(), 0)
            rows = daemon.query("select row, id, key, body from outbox where row >> 48 = 2 order by row")
            self.assertGreater(len(rows), before)
            self.assertEqual(len({identity for _, identity, _, _ in rows}), len(rows), "each id once")
            self.assertGreater(self.check_chain(rows), 0, "at least one chain was closed")
            # One message for every event that moved a published level, and none for others.
            moved = [e for e in map(json.loads, daemon.events())
                     if e["event"] in ("raised", "lowered", "renewed", "expired")]
            self.assertEqual(len(rows), len(moved))
            print(f"{len(rows)} messages, {before} of them before the kill", flush=True)

    def areas_of(self, daemon):
        """By rule: polygons, circle and basis of the newest message; equal in both languages."""
        found = {}
        for (body,) in daemon.query("select body from outbox where row >> 48 = 2 order by row"):
            alert = xml.fromstring(body)
            told = [([p.text for p in info.findall(f"{NS}area/{NS}polygon")], info.findtext(f"{NS}area/{NS}circle"),
                     parameters(info)["areaBasis"]) for info in alert.findall(NS + "info")]
            self.assertEqual(told[0], told[1])
            found[text(alert, "source")] = told[0]
        return found

    def test_areas(self):
        areas = ("areas:\n  - {id: reach, name: {vi: Đoạn sông, en: The reach}, file: areas/reach.geojson}\n")
        with Sim(text=HIGH) as sim, Site(sim.ports, period="200 ms", extra=areas) as site:
            site.write("areas/reach.geojson", json.dumps(
                {"type": "Feature", "id": "reach", "properties": {},
                 "geometry": {"type": "MultiPolygon", "coordinates": ISLANDS}}))
            site.write("rules/reach.yaml", AREA_RULE)
            with open(site.path("stations/st-0.yaml"), "a", encoding="utf-8") as file:
                file.write("position: {latitude_deg: 13.8, longitude_deg: 109.14, radius_km: 2.5}\n")
            with Daemon(site.folder) as daemon:
                wait_for(lambda: daemon.level("reach", "reach") == 1 and daemon.level("st-0") == 2, "both are raised")
                self.assertEqual(daemon.stop(), 0)
                found = self.areas_of(daemon)
        rings = [" ".join(f"{lat:g},{lon:g}" for lon, lat in island[0]) for island in ISLANDS]
        self.assertEqual(found, {"reach": (rings, None, "outline"), "flood": ([], "13.8,109.14 2.5", "station_radius")})


if __name__ == "__main__":
    unittest.main()

"""Releases in the running daemon, with the rules, products and worker of the Bình Định site on a fast clock.

Gas: one sensor first (the source can only be assumed), then the whole fence (it is traced), up to the public message.
The concentrations are those of the textbook plume below, not of the program. Dose rate: the same downpour at two
stations, one of them with a release on top."""
import contextlib
import glob
import json
import math
import os
import shutil
import unittest
import urllib.error
import urllib.request
import xml.etree.ElementTree as xml
from datetime import datetime, timedelta, timezone

import yaml

from daemon import Daemon, Site
from harness import DEADLINE_S, SCENARIOS, SOURCE, Sim, free_ports, wait_for

BINH_DINH = os.path.join(SOURCE, "deploy", "sites", "binh-dinh")
NS = "{urn:oasis:names:tc:emergency:cap:1.2}"
SPEED = 480  # an hour in 7.5 s
AGE = "6 h"  # that fast a hiccup of this machine is no outage, and no reason to outdate a run
START = datetime(2025, 11, 18, tzinfo=timezone.utc)
PORT, WEATHER, RAIN, RAIN_AND_RELEASE = "hc-cang-quy-nhon", "kt-quy-nhon", "ld-phu-cat", "ld-hoai-nhon"
FENCE = [f"hc-cang-{i}" for i in range(1, 7)]
STATIONS = [PORT, *FENCE, WEATHER, RAIN, RAIN_AND_RELEASE]
RULES = ["cl2", "nh3", "h2s", "so2", "dose-rise", "dose-rain"]
SOURCE_AT = (13.77768, 109.24748)  # chlorine store of the port, in the catalogue of the site
WIND_M_S, WIND_FROM_DEG, Q_G_S = 8.5, 42.0, 160.0


# West, south, east, north: the port's own, and one upwind of it.
COMMUNES = {"xa-cang": ((109.20, 13.74, 109.26, 13.79), {"name": "Quy Nhơn", "people": 30000, "code": "21583"}),
            "xa-bac": ((109.26, 13.80, 109.30, 13.84), {"name": "Quy Nhơn Đông", "people": 4000, "code": "21601"})}
COMMUNE_RULE = {
    "id": "gas-communes", "hazard": "chemical", "text": {"vi": "Người dân dưới luồng khí", "en": "People under the plume"},
    "source": "made up", "scale": "aegl", "expires_after": "2 h", "places": {"areas": list(COMMUNES)},
    "indicators": [{"name": v, "kind": "model", "product": "release", "variable": "plume_" + v, "unit": "1", "max_age": AGE}
                   for v in ("level", "people", "share")],
    "levels": [{"level": 1, "off_delay": "15 min", "when": {"all": [
        {"indicator": "level", "at_least": "1 1"}, {"indicator": "people", "at_least": "1 1"},
        {"indicator": "share", "at_least": "0.000001 1"}]}}]}


def outline(identity, box, properties):
    west, south, east, north = box
    ring = [[west, south], [east, south], [east, north], [west, north], [west, south]]
    return {"type": "Feature", "id": identity, "properties": properties, "geometry": {"type": "Polygon", "coordinates": [ring]}}


def instant(minutes):
    return (START + timedelta(minutes=minutes)).strftime("%Y-%m-%dT%H:%M:%SZ")


def plume_ppm(lat, lon):
    """Chlorine near the ground of a source at the ground: Gaussian, Briggs' open-country curves, class D."""
    north = (lat - SOURCE_AT[0]) * 111_195
    east = (lon - SOURCE_AT[1]) * 111_195 * math.cos(math.radians(lat))
    towards = math.radians(WIND_FROM_DEG + 180)
    x = east * math.sin(towards) + north * math.cos(towards)
    y = east * math.cos(towards) - north * math.sin(towards)
    if x <= 0:
        return 0.0
    sy, sz = 0.08 * x / math.sqrt(1 + 0.0001 * x), 0.06 * x / math.sqrt(1 + 0.0015 * x)
    g_m3 = Q_G_S / (math.pi * WIND_M_S * sy * sz) * math.exp(-y * y / (2 * sy * sy))
    return g_m3 * 1000 * 24.45 / 70.9


def curve(*pairs):
    return {"points": [[instant(minutes), value] for minutes, value in pairs]}


def gas(station, fence):
    """The port smells a third of the full release from 0:20 on, the fence only the full one, from minute `fence` on."""
    full = plume_ppm(station["lat"], station["lon"])
    early = full / 3 if station["id"] == PORT else 0.0
    later = [] if fence is None else [(fence, early), (fence + 45, full)]
    station["signals"]["cl2"] = [curve((20, 0), (22, early), *later),
                                 {"noise": {"sigma": 0.012, "every": "1 min"}}, {"min": 0}]


def dose(station, wet):
    """It rains for 50 minutes from minute `wet` on, and at one of the two there is a release in it."""
    rain = [{"constant": 0} if wet is None else curve((wet, 0), (wet + 5, 30), (wet + 45, 30), (wet + 50, 0))]
    signals = {"rate": rain, "tips": [{"count": {"of": "rate", "per_tip_mm": 0.2, "initial": 800}}],
               "dose_rate": [{"constant": 100}, {"washout": {"of": "rate", "rise_per_mm": 2.5, "half_life": "35 min"}},
                             {"noise": {"sigma": 1.8, "every": "1 min"}}]}
    if station["id"] == RAIN_AND_RELEASE and wet is not None:
        signals["dose_rate"].append(curve((wet + 25, 0), (wet + 29, 110)))
    station["signals"] = signals


def scenario(ports, fence=None, wet=None):
    with open(os.path.join(SCENARIOS, "flood-nov-2025.yaml"), encoding="utf-8") as file:
        base = yaml.safe_load(file)
    stations = [s for s in base["stations"] if s["id"] in STATIONS]
    for station in stations:
        station["port"] = ports[station["id"]]
        if station["map"] == "chemical":
            gas(station, fence)
        elif station["map"] == "dose-rate":
            dose(station, wet)
        else:
            station["signals"]["wind_speed"] = [{"constant": WIND_M_S}, {"noise": {"sigma": 0.5, "every": "1 min"}}]
            station["signals"]["wind_direction"] = [{"constant": WIND_FROM_DEG},
                                                    {"noise": {"sigma": 4, "every": "1 min"}}]
    return yaml.safe_dump({"scenario": "releases", "about": "a chlorine release and rain", "seed": 7,
                           "start": instant(0), "maps": base["maps"], "stations": stations}, allow_unicode=True)


def read_yaml(*path):
    with open(os.path.join(BINH_DINH, *path), encoding="utf-8") as file:
        return yaml.safe_load(file)


class ReleaseSite(Site):
    """The part of the Bình Định site that knows gases and dose rates, at the simulator's ports."""

    def __init__(self, ports):
        super().__init__({})
        os.remove(self.path("rules/flood.yaml"))
        shutil.copytree(os.path.join(BINH_DINH, "models"), self.path("models"))
        site = read_yaml("canhbao.yaml")
        site["products"] = [p for p in site["products"] if p["id"] in ("washout", "release")]
        for product in site["products"]:  # half a second and more between the runs of one
            product["triggers"]["min_interval"] = "5 min"
            product["stale_after"] = AGE
            if product["id"] == "release":
                product["arguments"].append("--communes " + " ".join(f"{{site:areas/{name}.geojson}}" for name in COMMUNES))
        site["areas"] = [{"id": name, "name": {"vi": told["name"], "en": told["name"]}, "file": f"areas/{name}.geojson"}
                         for name, (_, told) in COMMUNES.items()]
        self.dump("canhbao.yaml", site)
        for name, (box, told) in COMMUNES.items():
            self.write(f"areas/{name}.geojson", json.dumps(outline(name, box, told)))
        self.dump("rules/gas-communes.yaml", COMMUNE_RULE)
        for name in RULES:
            rule = read_yaml("rules", name + ".yaml")
            del rule["masked_by"]
            for indicator in rule["indicators"]:
                if "max_age" in indicator:
                    indicator["max_age"] = AGE
            self.dump(f"rules/{name}.yaml", rule)
        for name in STATIONS:
            station = read_yaml("stations", name + ".yaml")
            host, port, unit = ports[name]
            station["connection"] = {"host": host, "port": port, "unit": unit}
            for point in station["points"]:
                point["stale_after"] = AGE
            self.dump(f"stations/{name}.yaml", station)

    def dump(self, name, content):
        self.write(name, yaml.safe_dump(content, allow_unicode=True, sort_keys=False))


def inside(point, rings):
    """Whether [lon, lat] lies in one of the rings, by crossings."""
    x, y = point
    crossings = 0
    for ring in rings:
        for (x1, y1), (x2, y2) in zip(ring, ring[1:] + ring[:1]):
            if (y1 > y) != (y2 > y) and x < x1 + (y - y1) / (y2 - y1) * (x2 - x1):
                crossings += 1
    return crossings % 2 == 1


class Releases(unittest.TestCase):
    daemon = None

    def product(self, name):
        """A file of the newest run as the API serves it; None: there is none yet."""
        try:
            with urllib.request.urlopen(f"http://{self.daemon.web()}/api/v1/products/release/{name}",
                                        timeout=DEADLINE_S) as reply:
                return json.load(reply)
        except urllib.error.HTTPError as error:
            self.assertEqual(error.code, 404)
            return None

    def release(self, status):
        """The newest of the kept runs with that status: its output and its map. A later run may be of another."""
        def newest():
            for folder in sorted(glob.glob(self.daemon.path("state/products/release/2*")), reverse=True):
                with open(os.path.join(folder, "output.json"), encoding="utf-8") as file:
                    output = json.load(file)
                if output["release"]["status"] == status:
                    with open(os.path.join(folder, "zones.geojson"), encoding="utf-8") as file:
                        return output, json.load(file)
            return None
        return wait_for(newest, f"a release is {status}")

    @staticmethod
    def features(zones, kind):
        return [f for f in zones["features"] if f["properties"]["kind"] == kind]

    def attachments(self):
        incident = self.daemon.alarms()[("cl2", PORT)]["incident"]
        identity = incident["id"] if isinstance(incident, dict) else incident
        listed = self.daemon.ctl("incidents")
        incidents = listed["incidents"] if isinstance(listed, dict) else listed
        one = [i for i in incidents if i["id"] == identity]
        self.assertEqual(len(one), 1)
        return {a["kind"] for a in one[0]["attachments"]}

    def level(self, rule, place):
        return self.daemon.alarms()[(rule, place)]["level"]["value"] or 0  # null: not assessed yet

    def evidence(self, rule, place):
        """Values by the model's variable, or else by the kind of the indicator."""
        return {e["quantity"] if e["indicator"] == "model" else e["indicator"]: e["value"]
                for e in self.daemon.alarms()[(rule, place)]["evidence"]}

    def evidence_above(self, rule, place, **bounds):
        def above():
            evidence = self.evidence(rule, place)
            return all((evidence.get(name) or 0) > bound for name, bound in bounds.items())
        wait_for(above, f"the evidence of {rule} at {place} is above {bounds}")

    def check_assumed(self):
        wait_for(lambda: self.level("cl2", PORT) >= 1, "the port's sensor alarms")
        output, zones = self.release("assumed")
        release = output["release"]
        self.assertIn("not enough data", release["why"])
        self.assertIsNone(release["trace"])
        self.assertEqual(release["source"]["site"], "kho-clo-cang")
        self.assertIsNone(release["source"]["Q_p05_g_s"])  # no bounds of what is assumed
        self.assertIn("assumed source", release["text"]["en"])
        self.assertIn("giả định", release["text"]["vi"])
        self.assertGreater(len(self.features(zones, "zone")), 0)
        self.assertEqual([f["properties"]["assumed"] for f in self.features(zones, "source")], [True])
        self.assertEqual(self.features(zones, "source_region"), [])
        wait_for(lambda: self.attachments() == {"plume"}, "the incident has the plume, and no trace")

    def check_traced(self):
        output, _ = self.release("traced")
        self.assertEqual(output["release"]["substance"], "Cl2")
        wait_for(lambda: self.level("cl2", PORT) >= 2, "the port reaches AEGL-2")
        wait_for(lambda: 0.5 < self.release("traced")[0]["release"]["source"]["Q_g_s"] / Q_G_S < 2, "the rate is found")
        output, zones = self.release("traced")
        self.assertIsNotNone(self.product("output.json"))  # the API serves the newest
        release = output["release"]
        self.assertGreater(len(release["trace"]["measure_next"]), 0)
        self.assertIn("id", release["trace"]["measure_next"][0])
        regions = {f["properties"]["share"]: f["geometry"]["coordinates"] for f in self.features(zones, "source_region")}
        self.assertEqual(set(regions), {0.5, 0.9})
        rings = [ring for polygon in regions[0.9] for ring in polygon]
        self.assertTrue(inside((SOURCE_AT[1], SOURCE_AT[0]), rings), (release["source"], rings))
        self.assertEqual([f["properties"]["assumed"] for f in self.features(zones, "source")], [False])
        self.assertGreater(len(self.features(zones, "zone")), 0)
        wait_for(lambda: self.attachments() == {"plume", "trace"}, "the incident has plume and trace")
        self.check_communes()
        return release

    def check_communes(self):
        communes = wait_for(lambda: (lambda told: told["list"] and told)(
            self.release("traced")[0]["release"]["communes"]), "communes are under the plume")
        self.assertEqual(({c["id"] for c in communes["list"]}, communes["why"]), ({"xa-cang"}, ""))
        self.assertTrue(0 < communes["people"] < 30000, communes)
        wait_for(lambda: self.level("gas-communes", "xa-cang") == 1, "people under the plume raise their commune")
        self.evidence_above("gas-communes", "xa-cang", plume_level=0.5, plume_people=0.5, plume_share=0)
        self.assertEqual(self.level("gas-communes", "xa-bac"), 0)  # upwind

    def check_washout(self):
        wait_for(lambda: self.level("dose-rise", RAIN_AND_RELEASE) >= 1, "the release in the rain alarms")
        wait_for(lambda: self.level("dose-rain", RAIN) >= 1, "rain explains the other rise")
        # The first run that decides sees the foot of a ramp; the later ones see the whole of it.
        self.evidence_above("dose-rain", RAIN, dose_rain=0, dose_washout=10, rise=10, accumulation=2)
        self.evidence_above("dose-rise", RAIN_AND_RELEASE, dose_alarm=0, dose_excess=50)

    def check_verdicts(self):
        self.assertEqual(self.daemon.ctl("verdicts"), [])
        self.daemon.ctl("verdict", "cl2", PORT, "fault")
        self.daemon.ctl("verdict", "cl2", PORT, "real", "--reason", "the store called")
        self.daemon.ctl("verdict", "dose-rain", RAIN, "rain")
        for words in (("cl2", PORT, "perhaps"), ("dose-rise", RAIN, "rain"), ("cl2", WEATHER, "real")):
            refused = self.daemon.ctl("verdict", *words, check=False)
            self.assertEqual(refused.returncode, 4, words)
        with urllib.request.urlopen(f"http://{self.daemon.web()}/api/v1/verdicts", timeout=DEADLINE_S) as reply:
            served = json.load(reply)
        self.assertEqual(served, self.daemon.ctl("verdicts"))
        self.assertEqual({v["place"]: (v["real"], v["rain"], v["fault"]) for v in served},
                         {PORT: (1, 0, 0), RAIN: (0, 1, 0)})  # the second verdict took the place of the first
        texts = [e["alert"]["comment"] for e in self.daemon.ctl("events", "--limit", "1000")
                 if e["alert"]["event"] == "commented"]
        self.assertIn("verdict: real; the store called", texts)
        self.assertEqual(self.daemon.stop(), 0)
        self.daemon.start()  # out of snapshot and journal
        self.assertEqual(self.daemon.ctl("verdicts"), served)

    def check_cap(self):
        rows = self.daemon.query("select body from outbox where row >> 48 = 2 order by row")
        found = 0
        for (body,) in rows:
            infos = xml.fromstring(body).findall(NS + "info")
            texts = {i.findtext(NS + "language"): i.findtext(NS + "instruction") or "" for i in infos}
            polygons = [i.findtext(f"{NS}area/{NS}polygon") for i in infos]
            if not all(polygons):
                continue
            names = {(g.findtext(NS + "valueName"), g.findtext(NS + "value")) for i in infos for g in i.iter(NS + "geocode")}
            places = {value for name, value in names if name == "canhbao:place"}
            if places & set(COMMUNES):  # an alarm of a commune: its own outline
                continue
            found += 1
            self.assertLessEqual({("canhbao:commune", "Quy Nhơn"), ("VN:commune-code", "21583")}, names)
            self.assertNotIn(("canhbao:commune", "Quy Nhơn Đông"), names)
            self.assertRegex(texts["en-US"], r"Communes within: Quy Nhơn \(about \d+ people\)\.")
            self.assertRegex(texts["vi-VN"], r"Gió từ hướng đông bắc, [89] m/s.*Trong vòng \d+\.\d km")
            self.assertRegex(texts["en-US"], r"Wind from the north-east, [89] m/s.*Within \d+\.\d km")
            for polygon in polygons:
                corners = [tuple(map(float, pair.split(","))) for pair in polygon.split()]
                self.assertGreaterEqual(len(corners), 4)
                self.assertEqual(corners[0], corners[-1])
                lon_lat = [[lon, lat] for lat, lon in corners]
                self.assertTrue(inside((109.24632, 13.77627), [lon_lat]), "the sensor that reads most is in it")
        self.assertGreater(found, 0, f"{len(rows)} messages, none with a polygon")
        events = [json.loads(body) for body in self.daemon.events()]
        rises = [e for e in events if e["rule"]["id"] == "dose-rise" and e["place"]["id"] == RAIN]
        self.assertEqual([e for e in rises if e["level"]["value"] > 0], [], "rain alone never alarmed")
        return found

    def soon(self, minute):
        """That minute of the scenario, or a few minutes from now where it has passed."""
        since = (datetime.now(timezone.utc) - self.anchor).total_seconds() * SPEED / 60
        return max(minute, math.ceil(since) + 10)

    def test_gas_and_rain(self):
        """One part of the scenario begins when what was asked of the one before has been seen, however long that took."""
        self.anchor = datetime.now(timezone.utc).replace(microsecond=0) + timedelta(seconds=2)
        anchor = self.anchor.strftime("%Y-%m-%dT%H:%M:%SZ")
        clock = ["--exercise", "--clock-scale", str(SPEED), "--clock-start", instant(0), "--clock-anchor", anchor]
        options = ("--speed", str(SPEED), "--start", instant(0), "--anchor", anchor)
        ports = dict(zip(STATIONS, free_ports(len(STATIONS))))
        with contextlib.ExitStack() as stack:
            with Sim(text=scenario(ports), options=options) as sim:
                site = stack.enter_context(ReleaseSite(sim.ports))
                self.daemon = stack.enter_context(Daemon(site.folder, options=clock))
                self.check_assumed()
            fence = self.soon(80)
            with Sim(text=scenario(ports, fence), options=options):
                release = self.check_traced()
            with Sim(text=scenario(ports, fence, self.soon(140)), options=options):
                self.check_washout()
                self.check_verdicts()
                self.assertEqual(self.daemon.stop(), 0)
            found = self.check_cap()
            print(f"traced {release['source']['Q_g_s']:.0f} g/s of {Q_G_S:.0f}, {found} messages with a polygon; "
                  f"next: {release['trace']['measure_next'][0]['id']}", flush=True)


if __name__ == "__main__":
    unittest.main()

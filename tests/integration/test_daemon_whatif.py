"""A release that somebody asks about: answered over the control socket and over HTTP, kept as a product that says that
it is hypothetical, and never a result, an event or a message."""
import json
import os
import tempfile
import unittest
import urllib.error
import urllib.request

from daemon import Daemon, Site
from harness import DEADLINE_S, wait_for

EXTRA = """web:
  operators:
    - {name: an, token: token-an}
products:
  - id: what-if
    model: whatif
    leads: [0 s]
    period: 1 h
    stale_after: 24 h
    deadline: 100 s
    triggers: {request: true}
    series: {points: [alpha/stage], window: 1 h}
    arguments:
      - --site {site:models/release.json} --series {series} --levels {site:models/aegl.csv}
      - --request {request} --reference {now} --map {out:zones.geojson}
"""
TOKEN = "0123456789abcdef-an"
RELEASE = {"kind": "release-site", "version": 1, "origin": {"latitude_deg": 13.775, "longitude_deg": 109.245},
           "utc_offset_min": 420, "source_height_m": 1,
           "wind": {"station": "met", "speed_point": "speed", "direction_point": "from", "temperature_point": "t",
                    "pressure_point": "p", "height_m": 10, "z0_m": 0.03, "class_day": "D", "class_night": "E"},
           "substances": [{"rule": "cl2", "point": "cl2", "substance": "Cl2", "detection_ppm": 0.1}],
           "stations": [], "points": [],
           "catalogue": [{"id": "store", "name": "Store", "latitude_deg": 13.775, "longitude_deg": 109.245, "substances": ["Cl2"]}],
           "places": [{"id": "school", "name": "School", "latitude_deg": 13.775, "longitude_deg": 109.25},
                      {"id": "upwind", "name": "Upwind", "latitude_deg": 13.775, "longitude_deg": 109.24}]}
AEGL = ("substance,aegl_level,t10min_mg_m3,t30min_mg_m3,t60min_mg_m3,t4h_mg_m3,t8h_mg_m3\n"
        "Cl2,1,1.45,1.45,1.45,1.45,1.45\nCl2,2,8.12,8.12,5.8,2.9,2.06\nCl2,3,145,81.2,58,29,20.6\n")


class WhatIf(unittest.TestCase):
    daemon = None

    def fetch(self, path, body=None, token=None):
        request = urllib.request.Request(f"http://{self.daemon.web()}{path}", headers={"Content-Type": "application/json"},
                                         data=None if body is None else json.dumps(body).encode())
        if token:
            request.add_header("Authorization", "Bearer " + token)
        try:
            with urllib.request.urlopen(request, timeout=DEADLINE_S) as reply:
                return reply.status, json.load(reply)
        except urllib.error.HTTPError as error:
            text = error.read()
            return error.code, json.loads(text) if text[:1] == b"{" else text

    def answer(self, identity):
        def there():
            status, output = self.fetch("/api/v1/products/what-if/output.json")
            return output if status == 200 and output["whatif"]["request"]["id"] == identity else None
        return wait_for(there, "the question is answered")

    def check_answers(self):
        asked = self.daemon.ctl("what-if", "store", "Cl2", "200", "--wind", "270/3")
        self.assertIs(asked["hypothetical"], True)
        output = self.answer(asked["id"])
        told = output["whatif"]
        self.assertEqual((told["status"], told["wind"]["basis"], output["results"], output["hypothetical"]),
                         ("done", "request", [], True))
        self.assertEqual([z["name"] for z in told["zones"]], ["AEGL-1", "AEGL-2", "AEGL-3"])
        places = {p["id"]: p for p in told["places"]}
        self.assertGreaterEqual(places["school"]["level"], 2)  # 540 m downwind
        self.assertEqual(places["upwind"]["level"], 0)
        self.assertEqual(told["request"]["Q_g_s"], 200)
        self.assertTrue(told["request"]["asked_by"])
        status, zones = self.fetch("/api/v1/products/what-if/zones.geojson")
        self.assertEqual(status, 200)
        self.assertTrue(zones["features"] and all(f["properties"]["hypothetical"] is True for f in zones["features"]))

        # what cannot be answered is an answer: no wind of the stations, no such source
        for words, why in ((("store", "Cl2", "200"), "no wind"), (("nowhere", "Cl2", "5", "--wind", "90/2"), "catalogue"),
                           (("store", "NH3", "5", "--wind", "90/2"), "substance")):
            output = self.answer(self.daemon.ctl("what-if", *words)["id"])
            self.assertEqual(output["whatif"]["status"], "refused", words)
            self.assertIn(why, output["whatif"]["why"])
            self.assertEqual(output["whatif"]["zones"], [])

    def check_http(self):
        ask = {"do": "what-if", "release": {"source": "store", "substance": "Cl2", "Q_g_s": 50, "duration_s": 600,
                                            "wind_from_deg": 90, "wind_m_s": 4, "class": "C"}}
        self.assertEqual(self.fetch("/api/v1/command", ask)[0], 401)
        status, reply = self.fetch("/api/v1/command", ask, TOKEN)
        self.assertEqual((status, reply["data"]["hypothetical"]), (200, True), reply)
        output = self.answer(reply["data"]["id"])
        self.assertEqual(output["whatif"]["request"]["asked_by"], "http:an")
        self.assertEqual(output["whatif"]["wind"]["class"], "C")
        places = {p["id"]: p["level"] for p in output["whatif"]["places"]}
        self.assertEqual(places["school"], 0)
        for release, says in (({}, "needed"), ({"source": "store", "substance": "Cl2", "Q_kg_s": 1}, "Q_kg_s"),
                              ({"source": "store", "substance": "Cl2", "Q_g_s": "200"}, "Q_g_s"),
                              ({"source": "store", "substance": "Cl2", "Q_g_s": 5, "wind_m_s": 3}, "wind_from_deg"),
                              ({"source": "store", "substance": "Cl2", "Q_g_s": 5, "class": "G"}, "class"),
                              ({"source": "../x", "substance": "Cl2", "Q_g_s": 5}, "source")):
            status, reply = self.fetch("/api/v1/command", {"do": "what-if", "release": release}, TOKEN)
            self.assertEqual(status, 400, reply)
            self.assertIn(says, reply["error"])

    def test_what_if(self):
        with Site({"alpha": ("127.0.0.1", 1, 1)}, extra=EXTRA) as site, tempfile.TemporaryDirectory() as secrets:
            os.mkdir(site.path("models"))
            site.write("models/release.json", json.dumps(RELEASE))
            site.write("models/aegl.csv", AEGL)
            with open(os.path.join(secrets, "token-an"), "w", encoding="utf-8") as file:
                file.write(TOKEN)
            with Daemon(site.folder, options=("--test", "--credentials", secrets)) as self.daemon:
                self.assertEqual(self.fetch("/api/v1/products/what-if/output.json")[0], 404)  # never by itself
                self.check_answers()
                self.check_http()
                self.assertEqual([c for c in self.daemon.ctl("status")["conditions"] if c["subject"] == "what-if"], [])
                before = self.daemon.alarms()
                self.assertEqual(self.daemon.stop(), 0)
                self.daemon.start()  # kept runs are looked at again: still nothing goes on
                self.assertEqual(self.daemon.alarms().keys(), before.keys())
                self.assertEqual(self.daemon.stop(), 0)
                bodies = [body for (body,) in self.daemon.query("select body from outbox") if body] + self.daemon.events()
                self.assertFalse([b for b in bodies if b"what-if" in (b if isinstance(b, bytes) else b.encode())])

    def test_never_by_itself(self):
        for triggers, model in (("{every: 5 min, request: true}", "whatif"), ("{every: 5 min}", "whatif"),
                                ("{request: true}", "release")):
            extra = EXTRA.replace("{request: true}", triggers).replace("model: whatif", "model: " + model)
            with Site({"alpha": ("127.0.0.1", 1, 1)}, extra=extra) as site, tempfile.TemporaryDirectory() as secrets:
                with self.assertRaisesRegex(AssertionError, "hypothetical never runs by itself"):
                    with Daemon(site.folder, options=("--test", "--credentials", secrets)):
                        self.fail("it started")


if __name__ == "__main__":
    unittest.main()

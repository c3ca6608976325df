"""Hazards that no flood gauge tells, from the register to the messages: surge, wind at sea, salinity, river water and
the zone of Art. 45 that asks for the highest flood on record; that what is provisional says so in explain, in the API
and in CAP; and that raises for several hazards at once are proposed, over the socket, HTTP and on the operator's
page, and never applied."""
import json
import os
import re
import shutil
import subprocess
import tempfile
import unittest
import urllib.request

from daemon import CTL, Daemon
from harness import DEADLINE_S, SOURCE, Sim, wait_for
from test_console import BROWSER, look

HAZARDS = os.path.join(SOURCE, "tests", "data", "sites", "hazards")
VALUES = {
    "hv-quy-nhon": {"surge": 2.5, "wave": 1.0, "wind": 14.0, "visibility": 5000.0},
    "man-tan-an": {"salinity": 4.5, "reach": 12.0},
    "nm-an-nhon": {"ph": 7.0, "oxygen": 6.5, "cod": 16.0, "coliform": 100.0, "ammonium": 0.4, "nitrite": 0.01,
                   "lead": 0.001, "mercury": 0.0001},
    "kt-an-nhon": {"temperature": 30.0, "wind": 5.0},
    "hd-dinh-binh": {"deficit": 5.0},
    "dc-quy-nhon": {"intensity": 1.0},
    "tv-co-su-lieu": {"stage": 8.0},
    "tv-khong-su-lieu": {"stage": 8.0},
}
EXPECTED = {  # read by hand in the rows of the tables
    ("surge", "hv-quy-nhon"): 3, ("sea-wind", "hv-quy-nhon"): 3, ("tsunami", "hv-quy-nhon"): 1,
    ("salt-point", "man-tan-an"): 1, ("water-limit", "nm-an-nhon"): 1, ("water-class", "nm-an-nhon"): 2,
    ("flood-kv4", "tv-co-su-lieu"): 5, ("flood-kv4", "tv-khong-su-lieu"): 4,
}


def scenario():
    lines = ["scenario: hazards", "about: one constant value a point", "start: now", "maps:"]
    for station, points in VALUES.items():
        lines.append(f"  {station}:")
        lines += [f"    - {{point: {point}, table: holding, address: {2 * i}, type: float32, order: ABCD}}"
                  for i, point in enumerate(points)]
    lines.append("stations:")
    for station, points in VALUES.items():
        signals = ", ".join(f"{point}: [{{constant: {value}}}]" for point, value in points.items())
        lines.append(f"  - {{id: {station}, port: 0, map: {station}, signals: {{{signals}}}}}")
    return "\n".join(lines) + "\n"


class Hazards(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.sim = Sim(text=scenario())
        cls.folder = tempfile.mkdtemp(prefix="canhbao-hazards-")
        site = os.path.join(cls.folder, "site")
        shutil.copytree(HAZARDS, site)
        for station, (host, port, unit) in cls.sim.ports.items():
            path = os.path.join(site, "stations", station + ".yaml")
            with open(path, encoding="utf-8") as file:
                text = file.read()
            text = re.sub(r"connection: .*", f"connection: {{host: {host}, port: {port}, unit: {unit}}}", text)
            text = text.replace("period: 10 min", "period: 500 ms").replace("stale_after: 1 h", "stale_after: 30 s")
            with open(path, "w", encoding="utf-8") as file:
                file.write(text)
        cls.daemon = Daemon(site).start()
        wait_for(lambda: all(cls.daemon.alarms()[key]["level"]["value"] == level for key, level in EXPECTED.items()),
                 "every hazard has its level")

    @classmethod
    def tearDownClass(cls):
        cls.daemon.__exit__(None, None, None)
        cls.sim.__exit__(None, None, None)
        shutil.rmtree(cls.folder)

    def get(self, name):
        with urllib.request.urlopen(f"http://{self.daemon.web()}/api/v1/{name}", timeout=DEADLINE_S) as answer:
            return json.load(answer)

    def alerts(self):
        return [event["alert"] for event in self.daemon.ctl("events", "--limit", "1000") if "alert" in event]

    def test_the_gauge_without_a_record_may_be_higher(self):
        alarms = self.daemon.alarms()
        self.assertEqual(alarms[("flood-kv4", "tv-khong-su-lieu")]["knowledge"]["cause"], "no_threshold")
        self.assertEqual(alarms[("flood-kv4", "tv-co-su-lieu")]["knowledge"]["state"], "fresh")
        self.assertEqual(alarms[("flood-kv4", "tv-co-su-lieu")]["place"]["alarm_levels"]["historic_peak"], 7.5)

    def test_provisional_is_told_by_the_api(self):
        alarms = {(a["rule"]["id"], a["place"]["id"]): a for a in self.get("alarms")}
        for key in EXPECTED:
            self.assertIs(alarms[key]["rule"]["provisional"], True, key)
            gave = [row for row in alarms[key]["rule"]["rows"] if row["holds"]]
            self.assertTrue(gave, key)
            secondary = [row for row in gave if row["source_kind"] == "secondary"]
            self.assertTrue(all(row["provisional"] for row in secondary), key)

    def test_provisional_is_told_by_explain(self):
        raised = [e for e in self.alerts() if e["event"] == "raised" and e["rule"]["id"] == "surge"][-1]
        report = self.daemon.ctl("explain", raised["id"])
        self.assertEqual((report["recomputed"]["done"], report["recomputed"]["differences"]), (True, []))
        conditions = {level["level"]: level["condition"] for level in report["levels"]}
        self.assertIn("[storm_surge-02, Art. 43, provisional]", conditions[3])
        rows = {row["row"]: row for row in report["event"]["rule"]["rows"]}
        self.assertEqual((rows["storm_surge-02"]["holds"], rows["storm_surge-02"]["provisional"]), (True, True))
        text = subprocess.run([CTL, "--socket", self.daemon.path("control"), "explain", raised["id"]],
                              capture_output=True, text=True, timeout=DEADLINE_S, check=True).stdout
        self.assertIn("PROVISIONAL", text)

    def test_raises_are_proposed_and_never_applied(self):
        def proposed(ask):
            """Of surge and of flood, once they are there."""
            found = {(p["rule"], p["place"]): p for p in ask("proposals")}
            surge, flood = found.get(("surge", "hv-quy-nhon")), found.get(("flood-kv4", "tv-co-su-lieu"))
            return (surge, flood) if surge and flood and "flood" in surge["with"] else None
        for ask in (self.daemon.ctl, self.get):
            surge, flood = wait_for(lambda: proposed(ask), "proposals")
            self.assertEqual((surge["level"], surge["proposed_level"], surge["if_serious_level"]), (3, 4, 5))
            self.assertEqual(flood["proposed_level"], 5)  # at most 5
        self.assertEqual({key: self.daemon.alarms()[key]["level"]["value"] for key in EXPECTED}, EXPECTED)
        self.assertFalse([e for e in self.alerts() if e["rule"]["id"] == "surge" and (e["level"]["value"] or 0) > 3])

    @unittest.skipUnless(BROWSER, "no Chromium")
    def test_the_page_shows_proposals_and_what_is_provisional(self):
        look(self.daemon.web(), "có thể nâng cấp độ rủi ro từ 3 lên 4", "Người trực ban quyết định", "tạm thời")


class Messages(unittest.TestCase):
    """What would be sent: the daemon has ended, its outbox is looked at."""

    def test_cap_of_every_hazard(self):
        Hazards.setUpClass.__func__(Messages)
        try:
            wait_for(lambda: self.daemon.ctl("proposals"), "proposals")
            self.assertEqual(self.daemon.stop(), 0)
            bodies = [body.decode() if isinstance(body, bytes) else body for (body,) in
                      self.daemon.query("select body from outbox where type = 'canhbao.cap.v1'")]
            for words in ("Nước dâng do bão", "Gió mạnh trên biển", "Xâm nhập mặn", "Chất lượng nước sông"):
                found = [b for b in bodies if f"<event>{words}</event>" in b]
                self.assertTrue(found, words)
                for body in found:
                    self.assertIn("<valueName>provisional</valueName>\n<value>true</value>", body)
                    self.assertIn("<language>en-US</language>", body)
                    row = re.findall(r"<valueName>tableRow</valueName>\n<value>(.*)</value>", body)
                    self.assertTrue(row, words)
                    self.assertTrue(all(r.endswith("; provisional") for r in row if "secondary" in r), row)
        finally:
            Hazards.tearDownClass.__func__(Messages)


if __name__ == "__main__":
    unittest.main(verbosity=2)

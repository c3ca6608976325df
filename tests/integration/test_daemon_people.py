"""People and the running daemon: commands over Kafka, HTTP and the control socket on one path, approval by two, ladders,
masking, incidents; and, after a forced compaction, the state topic alone against the daemon's own view."""
import json
import os
import shutil
import subprocess
import tempfile
import unittest
import urllib.error
import urllib.request
from datetime import datetime, timedelta, timezone

from broker import Broker
from daemon import Daemon, Site
from harness import DEADLINE_S, SOURCE, Sim, wait_for

HIGH = """scenario: high
about: two stages that stand above alarm level III, one that swings and rests
start: 2025-01-01T00:00:00Z
maps:
  stage: [{point: stage, table: holding, address: 0, type: float32}]
stations:
  - {id: st-0, port: 0, map: stage, signals: {stage: [{constant: 8.5}]}}
  - {id: st-1, port: 0, map: stage, signals: {stage: [{constant: 8.6}]}}
  - {id: st-2, port: 0, map: stage, signals: {stage: [{constant: 2.0}]}}
"""
SWING = """scenario: swing
about: stages that never rest
start: 2025-01-01T00:00:00Z
maps:
  stage: [{point: stage, table: holding, address: 0, type: float32}]
stations:
  - id: st-0
    port: 0
    map: stage
    signals: {stage: [{constant: 6.5}, {sine: {amplitude: 2, period: 3 s, phase_deg: 0}}]}
  - id: st-1
    port: 0
    map: stage
    signals: {stage: [{constant: 6.9}, {sine: {amplitude: 1, period: 2 s, phase_deg: 90}}]}
"""
PEOPLE = """contacts:
  - {id: an, name: An, address: "+84900000001"}
  - {id: binh, name: Bình}
on_call:
  - {role: duty, contact: an}
  - {role: chief, contact: binh}
escalation:
  - from_level: 1
    steps:
      - {after: 1 s, roles: [duty]}
      - {after: 2 s, roles: [duty, chief]}
approval: {from_level: 3, timeout: 12 h, exercises: true}
incidents: {quiet: 1 h}
web:
  operators:
    - {name: an, token: token-an}
    - {name: binh, token: token-binh}
"""
TOKENS = {"an": "0123456789abcdef-an", "binh": "0123456789abcdef-binh"}


def utc(seconds):
    return (datetime.now(timezone.utc) + timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%SZ")


class PeopleSite(Site):
    def __init__(self, ports, **options):
        super().__init__(ports, extra=PEOPLE, period="200 ms", **options)
        with open(self.path("canhbao.yaml"), encoding="utf-8") as file:
            text = file.read()
        self.write("canhbao.yaml", text.replace("  create_topics: true", "  create_topics: true\n  commands: true"))
        for station in ports:
            path = f"stations/{station}.yaml"
            with open(self.path(path), encoding="utf-8") as file:
                text = file.read()
            self.write(path, text.replace("kind: stage", "kind: stage\nbasin: kon"))

SCALES = """  - id: risk
    kind: risk
    name: {vi: cấp độ rủi ro, en: risk level}
    levels: [{vi: cấp 1, en: level 1}, {vi: cấp 2, en: level 2}, {vi: cấp 3, en: level 3}, {vi: cấp 4, en: level 4},
             {vi: cấp 5, en: level 5}]
  - id: dose
    kind: own
    name: {vi: suất liều, en: dose rate}
    levels: [{vi: cao, en: high}]
"""
OTHER_RULE = """id: {id}
hazard: {hazard}
text: {{vi: {text}, en: made up}}
source: made up
scale: {scale}
places: {{stations: [{place}]}}
flap_moves: 0
indicators: [{{name: stage, kind: latest, point: stage}}]
levels: [{{level: {level}, when: {{indicator: stage, at_least: 5 m}}}}]
"""


class HazardsSite(PeopleSite):
    """Beside the flood a heavy rain on the risk scale at st-0, and a dose rate at st-1, in the same basin."""

    def __init__(self, ports, **options):
        super().__init__(ports, **options)
        with open(self.path("canhbao.yaml"), encoding="utf-8") as file:
            text = file.read()
        self.write("canhbao.yaml", text.replace("contacts:", SCALES + "contacts:"))
        self.write("rules/rain-risk.yaml", OTHER_RULE.format(
            id="rain-risk", hazard="heavy_rain", text="mưa lớn", scale="risk", place="st-0", level=2))
        self.write("rules/dose.yaml", OTHER_RULE.format(
            id="dose", hazard="radiation", text="liều cao", scale="dose", place="st-1", level=1))


def credentials(test):
    """A folder with the tokens; it goes with the test."""
    folder = tempfile.mkdtemp(prefix="canhbao-tokens-")
    test.addCleanup(shutil.rmtree, folder)
    for name, token in TOKENS.items():
        with open(os.path.join(folder, f"token-{name}"), "w", encoding="utf-8") as file:
            file.write(token + "\n")
    return folder


class Topics:
    """What is in a broker, read with kcat."""

    def __init__(self, broker):
        self.broker = broker

    def send(self, body, key="st-0"):
        body = body if isinstance(body, str) else json.dumps(body)
        subprocess.run(["kcat", "-P", "-b", self.broker.address, "-t", self.broker.prefix + "command.v1", "-k", key],
                       input=body, text=True, check=True, timeout=DEADLINE_S)

    def read(self, name):
        """(offset, key, value or None for a tombstone) of every record that is there."""
        done = subprocess.run(["kcat", "-C", "-e", "-q", "-Z", "-b", self.broker.address, "-t", self.broker.prefix + name,
                               "-o", "beginning", "-f", "%o\t%k\t%s\n"], capture_output=True, text=True, check=False,
                              timeout=DEADLINE_S)
        rows = [line.split("\t", 2) for line in done.stdout.splitlines()]
        return [(int(offset), key, None if value == "NULL" else json.loads(value)) for offset, key, value in rows]

    def reply(self, identity):
        return wait_for(lambda: [value for _, _, value in self.read("reply.v1") if value["id"] == identity],
                        f"a reply to {identity}")[-1]


class Commands(unittest.TestCase):
    def post(self, body, token=TOKENS["an"], headers=(), path="/api/v1/command"):
        """Status and body of a POST."""
        request = urllib.request.Request(f"http://{self.daemon.web()}{path}", method="POST",
                                         data=body if isinstance(body, bytes) else json.dumps(body).encode())
        request.add_header("Content-Type", "application/json")
        if token is not None:
            request.add_header("Authorization", "Bearer " + token)
        for name, value in dict(headers).items():
            request.add_header(name, value)
        try:
            with urllib.request.urlopen(request, timeout=DEADLINE_S) as reply:
                return reply.status, json.loads(reply.read())
        except urllib.error.HTTPError as error:
            text = error.read().decode()
            return error.code, json.loads(text) if text.startswith("{") else text

    def state(self, place="st-0"):
        return self.daemon.alarms()[("flood", place)]

    def check_kafka(self, topics):
        ask = {"do": "acknowledge", "rule": "flood", "place": "st-0", "actor": "an"}
        topics.send(dict(ask, id="c1", expires=utc(-1)))
        reply = topics.reply("c1")
        self.assertEqual((reply["ok"], reply["code"]), (False, "timeout"), reply)
        self.assertEqual(self.state()["annunciation"]["state"], "unacknowledged")
        topics.send(dict(ask, id="c2", expires=utc(3600), expected_revision=self.state()["revision"] + 1000))
        self.assertEqual(topics.reply("c2")["code"], "stale")
        topics.send(dict(ask, id="c3", expires=utc(3600), reason="thấy rồi"))
        reply = topics.reply("c3")
        self.assertTrue(reply["ok"], reply)
        acknowledged = self.state()["annunciation"]
        self.assertEqual((acknowledged["state"], acknowledged["acknowledged_by"], acknowledged["comment"]),
                         ("acknowledged", "kafka:an", "thấy rồi"))
        topics.send(dict(ask, id="c3", expires=utc(3600)))
        wait_for(lambda: len([r for r in topics.read("reply.v1") if r[2]["id"] == "c3"]) == 2, "the double is answered")
        self.assertEqual(topics.reply("c3")["code"], "exists")
        refused = {"c4": (dict(ask, id="c4"), "invalid"),
                   "c5": ({"do": "status", "id": "c5", "actor": "an", "expires": utc(3600)}, "invalid"),
                   "c8": (dict(ask, do="verdict", verdict="rain", id="c8", expires=utc(3600)), "invalid"),
                   "c9": (dict(ask, do="verdict", verdict="perhaps", id="c9", expires=utc(3600)), "invalid"),
                   "c6": (dict(ask, id="c6", expires=utc(3600), place="nowhere"), "not-found"),
                   "c7": ({"do": "acknowledge", "rule": "flood", "place": "st-0", "id": "c7", "expires": utc(3600)},
                          "invalid")}
        for identity, (body, code) in refused.items():
            topics.send(body)
            self.assertEqual(topics.reply(identity)["code"], code)
        topics.send("not json")
        wait_for(lambda: any(r[2]["code"] == "syntax" and r[2]["id"] is None for r in topics.read("reply.v1")),
                 "nonsense is answered")

    def check_http(self):
        shelve = {"do": "shelve", "rule": "flood", "place": "st-2", "for_s": 3600, "reason": "thử"}
        self.assertEqual(self.post(shelve, token=None)[0], 401)
        self.assertEqual(self.post(shelve, token="0123456789abcdef-nobody")[0], 401)
        self.assertEqual(self.post(shelve, headers={"Content-Type": "text/plain"})[0], 415)
        self.assertEqual(self.post(shelve, headers={"Origin": "http://evil.example"})[0], 403)
        self.assertEqual(self.post(shelve, path="/api/v1/alarms")[0], 405)
        self.assertEqual(self.post(b"x" * 9000)[0], 413)
        self.assertEqual(self.post(b"{")[0], 400)
        self.assertEqual(self.post({"do": "status"})[0], 403)
        self.assertEqual(self.state("st-2")["override"]["state"], "none")
        status, body = self.post(shelve, headers={"Origin": f"http://{self.daemon.web()}"})
        self.assertEqual((status, body["ok"]), (200, True), body)
        self.assertEqual(self.state("st-2")["override"]["active"][0]["actor"], "http:an")
        self.assertEqual(self.post(dict(shelve, expected_revision=0))[0], 409)
        status, body = self.post({"do": "verdict", "rule": "flood", "place": "st-0", "verdict": "rain"})
        self.assertEqual((status, body["code"]), (400, "invalid"), body)
        self.assertIn("not of flood", body["text"] if "text" in body else body["error"])

    def check_approval(self):
        """Two different people, whatever way they come."""
        self.assertEqual(self.state()["publication"]["state"], "draft")
        approve = {"do": "approve", "rule": "flood", "place": "st-0"}
        self.assertEqual(self.post(approve)[0], 200)
        self.assertEqual(self.state()["publication"]["state"], "draft")
        status, body = self.post(approve)
        self.assertEqual((status, body["code"]), (403, "denied"))
        self.assertEqual(self.post(approve, token=TOKENS["binh"])[0], 200)
        state = self.state()
        self.assertEqual(state["publication"]["state"], "issued")
        self.assertEqual((state["approval"]["first"], state["approval"]["decided_by"]), ("http:an", "http:binh"))

    def check_calls(self, topics):
        def calls():
            return [value for _, key, value in topics.read("alert.v1")
                    if value["event"] == "escalated" and key == "st-1"]
        wait_for(lambda: len(calls()) == 2, "both rungs are called")
        first, second = calls()
        self.assertEqual([r["contact"] for r in first["call"]["roles"]], ["an"])
        self.assertEqual([(r["role"], r["name"], r["address"]) for r in second["call"]["roles"]],
                         [("duty", "An", "+84900000001"), ("chief", "Bình", None)])

    def check_incidents(self):
        open_ones = [i for i in self.daemon.ctl("incidents") if i["state"] == "open"]
        self.assertEqual(len(open_ones), 1)
        self.assertEqual(sorted(m["place"] for m in open_ones[0]["members"]), ["st-0", "st-1"])
        self.daemon.ctl("split", "flood", "st-1", "--reason", "another valley")
        apart = self.state("st-1")["incident"]["id"]
        self.assertNotEqual(apart, self.state()["incident"]["id"])
        self.daemon.ctl("merge", apart, self.state()["incident"]["id"], "--reason", "the same after all")
        self.assertEqual(self.state("st-1")["incident"]["id"], self.state()["incident"]["id"])
        self.daemon.ctl("ack-incident", self.state()["incident"]["id"])
        self.assertEqual(self.state("st-1")["annunciation"]["state"], "acknowledged")
        refused = self.daemon.ctl("merge", apart, apart, "--reason", "x", check=False)
        self.assertEqual(refused.returncode, 4)

    def test_one_path_for_all(self):
        with Broker() as broker, Sim(text=HIGH) as sim, PeopleSite(sim.ports, prefix=broker.prefix) as site, \
                Daemon(site.folder, broker.address, options=("--test", "--credentials", credentials(self))) as self.daemon:
            topics = Topics(broker)
            wait_for(lambda: self.state()["level"]["value"] == 3 and self.state("st-1")["level"]["value"] == 3,
                     "both stages are high")
            self.check_calls(topics)
            self.check_kafka(topics)
            self.check_http()
            self.check_approval()
            self.check_incidents()
            self.daemon.stop()
            actors = {actor for (actor,) in self.daemon.query("select actor from audit")}
            self.assertTrue({"kafka:an", "http:an", "http:binh"} <= actors, actors)
            self.assertTrue(any(actor.startswith("unix:") for actor in actors), actors)
            topics_seen = subprocess.run(
                ["/usr/bin/python3", os.path.join(SOURCE, "tests", "schema_check.py"), broker.address,
                 broker.prefix], capture_output=True, text=True, check=False, timeout=DEADLINE_S)
            self.assertEqual(topics_seen.returncode, 0, topics_seen.stdout[-2000:])

    def test_tokens_are_checked_at_the_start(self):
        folder = credentials(self)
        with open(os.path.join(folder, "token-an"), "w", encoding="utf-8") as file:
            file.write("short")
        with PeopleSite({"st-0": ("127.0.0.1", 1, 1)}) as site:
            daemon = Daemon(site.folder, options=("--test", "--credentials", folder))
            self.addCleanup(shutil.rmtree, daemon.folder)
            daemon.start(wait=False)
            self.assertEqual(daemon.process.wait(DEADLINE_S), 1)
            self.assertIn("has 5 bytes", daemon.log())
            self.assertNotIn("short", daemon.log())

    def test_tokens_are_taken_anew_by_a_reload(self):
        folder = credentials(self)
        ask = {"do": "acknowledge", "rule": "flood", "place": "st-0"}  # refused: nothing is raised
        new = "0123456789abcdef-chi"
        with PeopleSite({"st-0": ("127.0.0.1", 1, 1)}) as site, \
                Daemon(site.folder, options=("--test", "--credentials", folder)) as self.daemon:
            def status(*tokens):
                return [self.post(ask, token)[0] for token in tokens]
            self.assertEqual(status(TOKENS["an"], TOKENS["binh"], new), [400, 400, 401])
            with open(site.path("canhbao.yaml"), encoding="utf-8") as file:
                text = file.read()
            site.write("canhbao.yaml", text.replace("{name: an, token: token-an}", "{name: chi, token: token-chi}"))
            refused = self.daemon.ctl("reload", check=False)  # there is no such file: nothing changes
            self.assertEqual(refused.returncode, 4)
            self.assertIn("token-chi", refused.stderr)
            self.assertEqual(status(TOKENS["an"], TOKENS["binh"], new), [400, 400, 401])
            with open(os.path.join(folder, "token-chi"), "w", encoding="utf-8") as file:
                file.write(new)
            self.daemon.ctl("reload")
            self.assertEqual(status(TOKENS["an"], TOKENS["binh"], new), [401, 400, 400])
            self.assertNotIn(new, self.daemon.log())

    def proposal(self):
        with urllib.request.urlopen(f"http://{self.daemon.web()}/api/v1/proposals", timeout=DEADLINE_S) as reply:
            proposals = json.loads(reply.read())
        return {p["rule"]: p for p in proposals}.get("rain-risk")

    def test_a_raise_is_decided_over_http(self):
        with Sim(text=HIGH) as sim, HazardsSite(sim.ports) as site, \
                Daemon(site.folder, options=("--test", "--credentials", credentials(self))) as self.daemon:
            wait_for(lambda: (lambda p: p and (p["level"], p["proposed_level"]) == (2, 3))(self.proposal()),
                     "the raise for hazards at once is proposed")
            self.assertIsNone(self.proposal()["decision"])
            # Both ways tell the same; the ladders may move a revision between the two looks.
            wait_for(lambda: self.daemon.ctl("proposals") == [self.proposal()], "the socket tells the same")
            ask = {"do": "attach", "incident": self.proposal()["incident"], "attachment": "risk-raise",
                   "reference": "accepted-3", "reason": "hồ xả"}
            self.assertEqual(self.post(ask, None)[0], 401)
            self.assertEqual(self.post(dict(ask, reference="accepted-9"))[0], 400)
            self.assertEqual(self.post({k: v for k, v in ask.items() if k != "reason"})[0], 400)
            self.assertEqual(self.post(dict(ask, incident="0" * 32))[0], 404)
            self.assertEqual(self.post(dict(ask, expected_revision=10 ** 6))[0], 409)
            self.assertIsNone(self.proposal()["decision"])
            status, answer = self.post(ask)
            self.assertEqual((status, answer["ok"]), (200, True), answer)
            decision = self.proposal()["decision"]
            self.assertEqual([decision[k] for k in ("state", "level", "actor", "reason")],
                             ["accepted", 3, "http:an", "hồ xả"])
            self.assertEqual(self.daemon.level("st-0", "rain-risk"), 2)  # what evidence says
            told = [e["alert"] for e in self.daemon.ctl("events", "--limit", "200") if e["alert"]["event"] == "attached"]
            self.assertEqual([(e["actor"], e["comment"]) for e in told], [("http:an", "risk-raise: accepted-3; hồ xả")])
            self.daemon.kill()
            self.daemon.start()
            self.assertEqual(wait_for(self.proposal, "the proposal after the kill")["decision"], decision)
            self.daemon.ctl("decide", ask["incident"], "refused-3", "--reason", "nước rút")
            self.assertEqual(self.proposal()["decision"]["state"], "refused")


class Compaction(unittest.TestCase):
    # What only time or another alarm of the place changes is not in the record of this one.
    SILENT = ("evidence", "trend", "sequence", "simulated")

    def plain(self, record):
        record = {key: value for key, value in record.items() if key not in self.SILENT}
        record["knowledge"] = record["knowledge"]["state"]
        return record

    def test_state_topic_alone_is_the_view(self):
        properties = "log.roll.ms=1000\nlog.cleaner.backoff.ms=200\nlog.cleaner.min.cleanable.ratio=0.01"
        with Broker(properties=properties) as broker, Sim(text=SWING) as sim, \
                Site(sim.ports, prefix=broker.prefix, period="200 ms", stale_after="2 s") as site, \
                Daemon(site.folder, broker.address) as daemon:
            topics = Topics(broker)

            def compacted():
                rows = topics.read("alert-state.v1")
                return len(rows) > 0 and rows[-1][0] > 40 and len(rows) < rows[-1][0] / 2
            wait_for(compacted, "the broker compacts the state topic")
            sim.stop()  # the stations are gone: levels stand, knowledge is lost
            same = []

            def agrees():
                last = {}
                for _, key, value in topics.read("alert-state.v1"):
                    last[key] = value
                view = {f"{a['place']['id']}/{a['rule']['id']}": self.plain(a) for a in daemon.ctl("alarms")}
                same[:] = [view, {key: self.plain(value) for key, value in last.items() if value is not None}]
                stale = all(a["knowledge"] in ("stale", "unknown") for a in view.values())
                return stale and same[0] == same[1]
            try:
                wait_for(agrees, "the state topic and the daemon agree")
            except AssertionError:
                self.assertEqual(*same)
                raise


if __name__ == "__main__":
    unittest.main()

"""The broker for demos, used with kcat, and the consumer that prints alerts."""
import json
import os
import signal
import subprocess
import tempfile
import unittest

import harness

EVENT = {"id": "e-1", "event": "raised", "time": "2025-11-19T06:00:00Z", "status": "Exercise",
         "reconstructed": True, "hazard": "flood",
         "place": {"id": "binh-nghi", "name_vi": "Bình Nghi", "name_en": "Binh Nghi"},
         "rule": {"id": "flood-stage", "provisional": True},
         "level": {"scale": "flood-alarm", "scale_name_vi": "Báo động lũ", "value": 3,
                   "name_vi": "báo động III"},
         "knowledge": {"state": "fresh", "cause": "none"}}
LOW = {"scale": "flood-alarm", "scale_name_vi": "Báo động lũ", "value": 0,
       "name_vi": "dưới báo động I"}


def event(**changes):
    return {**EVENT, **changes}


class Broker(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory()
        cls.file = os.path.join(cls.folder.name, "broker")
        cls.process = subprocess.Popen([harness.SIM, "--broker", "0", "--broker-file", cls.file],
                                       stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        harness.wait_for(lambda: os.path.exists(cls.file), "the broker listens")
        with open(cls.file, encoding="ascii") as file:
            cls.bootstrap = file.read().strip()

    @classmethod
    def tearDownClass(cls):
        alive = cls.process.poll() is None
        cls.process.send_signal(signal.SIGTERM)
        out, errors = cls.process.communicate(timeout=harness.DEADLINE_S)
        cls.folder.cleanup()
        assert alive, f"the broker ended by itself with {cls.process.returncode}: {out} {errors}"
        assert cls.process.returncode == 0, (out, errors)

    def produce(self, topic, body, key="binh-nghi", header=None):
        command = ["kcat", "-P", "-b", self.bootstrap, "-t", topic, "-k", key]
        command += ["-H", f"ce_id={header}"] if header else []
        text = body if isinstance(body, str) else json.dumps(body, ensure_ascii=False)
        subprocess.run(command, input=text, text=True, check=True, timeout=harness.DEADLINE_S)

    def tail(self, topic, count, *options):
        """The consumer until it has told of so many messages; the others of the topic lie before the last of them."""
        with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as errors:
            with subprocess.Popen([harness.SIM, "--tail", self.bootstrap, "--topic", topic, "--seconds", "600",
                                   *options], stdout=out, stderr=errors, text=True) as process:
                def lines():
                    text = b"".join(os.pread(file.fileno(), 1 << 20, 0) for file in (out, errors))
                    return len([line for line in text.splitlines() if b"waiting for topic" not in line])
                try:
                    harness.wait_for(lambda: lines() >= count or process.poll() is not None, f"{count} lines")
                finally:
                    process.terminate()
            for file in (out, errors):
                file.seek(0)
            return subprocess.CompletedProcess(process.args, process.returncode, out.read(), errors.read())

    def test_topics_exist_and_messages_flow(self):
        listing = json.loads(subprocess.run(["kcat", "-L", "-J", "-b", self.bootstrap], check=True,
                                            capture_output=True, text=True, timeout=harness.DEADLINE_S).stdout)
        topics = {t["topic"]: len(t["partitions"]) for t in listing["topics"]}
        self.assertEqual(topics["canhbao.alert-state.v1"], 1)
        for name in ("alert", "cap", "observation", "run", "health", "command", "reply"):
            self.assertIn(f"canhbao.{name}.v1", topics)
        self.produce("canhbao.health.v1", "{}", key="node", header="h-1")
        got = subprocess.run(["kcat", "-C", "-e", "-q", "-b", self.bootstrap, "-t",
                              "canhbao.health.v1", "-f", "%k %s %h\\n"], check=True,
                             capture_output=True, text=True, timeout=harness.DEADLINE_S).stdout
        self.assertEqual(got, "node {} ce_id=h-1\n")

    def test_each_alert_is_printed_once(self):
        topic = "tail.once"
        self.produce(topic, event(), header="x-1")
        self.produce(topic, event(), header="x-1")  # sent again with the same id
        self.produce(topic, event(id="e-2", level=LOW, event="lowered", status="Actual",
                                  reconstructed=False,
                                  knowledge={"state": "doubtful", "cause": "quality_suspect"}))
        result = self.tail(topic, 2)
        lines = result.stdout.splitlines()
        self.assertEqual(sorted(lines[:2]), sorted([
            "13:00 19/11/2025 ICT [Exercise, reconstructed] flood: Bình Nghi (binh-nghi): "
            "Báo động lũ: 3 (báo động III), raised, knowledge fresh, rule flood-stage (provisional)",
            "13:00 19/11/2025 ICT [Actual] flood: Bình Nghi (binh-nghi): "
            "Báo động lũ: 0 (dưới báo động I), lowered, knowledge doubtful: quality_suspect, "
            "rule flood-stage (provisional)"]))
        self.assertIn("2 alerts, 1 duplicates dropped, 0 unreadable", lines[2])
        self.assertIn("flood: 2 events, 1 graded, highest level 3", lines[3])
        self.assertEqual(result.returncode, 0)

    def test_brief_prints_news_and_counts_the_rest(self):
        topic = "tail.brief"
        for number, kind in enumerate(("raised", "knowledge", "renewed", "suppression", "notice", "escalated")):
            self.produce(topic, event(id=str(number), event=kind))
        self.produce(topic, event(id="a", event="assessed", level=LOW))
        self.produce(topic, event(id="b", event="assessed"))  # finds a level: news
        result = self.tail(topic, 3, "--tail-brief")
        kinds = [line.split(", ")[-3] for line in result.stdout.splitlines() if " ICT " in line]
        self.assertEqual(kinds, ["raised", "escalated", "assessed"])
        self.assertIn("8 alerts, 0 duplicates", result.stdout)
        self.assertIn("5 of them changed no level", result.stdout)

    def test_hazards_are_judged(self):
        topic = "tail.judge"
        self.produce(topic, event(id="1"))
        self.produce(topic, event(id="2", hazard="radiation"))
        self.produce(topic, event(id="3", hazard="chemical",
                                  level=LOW))
        self.assertEqual(self.tail(topic, 3, "--expect-hazards", "2").returncode, 0)
        few = self.tail(topic, 3, "--expect-hazards", "3")  # the third has level 0
        self.assertEqual(few.returncode, 1)
        self.assertIn("graded alerts of 2 hazards; 3 were expected", few.stderr)
        nobody = harness.run_sim("--tail", "127.0.0.1:1", "--seconds", "1", "--expect-hazards", "1")
        self.assertEqual(nobody.returncode, 1)
        self.assertIn("waiting for topic", nobody.stderr)

    def test_json_and_unknown_fields(self):
        topic = "tail.json"
        self.produce(topic, event(id="1", new_field=[1, {"a": None}]))
        self.produce(topic, {"something": "else"})
        result = self.tail(topic, 2, "--tail-json")
        bodies = [json.loads(line) for line in result.stdout.splitlines()]
        self.assertIn(event(id="1", new_field=[1, {"a": None}]), bodies)
        self.assertIn({"something": "else"}, bodies)
        self.assertIn("? ICT [?] ?: ? (?): ?: ? (?), ?, knowledge ?: ?, rule ?",
                      self.tail(topic, 2).stdout)

    def test_what_is_no_event_is_an_error(self):
        topic = "tail.broken"
        self.produce(topic, "no json at all")
        self.produce(topic, event(place={"id": "p", "name_vi": "a\u001b[2Jb"}))
        result = self.tail(topic, 2)
        self.assertEqual(result.returncode, 1)
        self.assertIn("1 events could not be read", result.stderr)
        self.assertNotIn("\u001b", result.stdout)

    def test_a_given_port_and_a_taken_one(self):
        host, port = self.bootstrap.split(":")
        self.assertEqual(host, "127.0.0.1")
        taken = harness.run_sim("--broker", port, "--seconds", "5")
        self.assertEqual(taken.returncode, 1)
        self.assertIn(f"cannot listen on 127.0.0.1:{port}", taken.stderr)
        free, = harness.free_ports(1)
        with subprocess.Popen([harness.SIM, "--broker", str(free), "--seconds", "600"],
                              stdout=subprocess.PIPE, text=True) as other:
            try:
                self.assertIn(f"127.0.0.1:{free}", other.stdout.readline())
                listing = subprocess.run(["kcat", "-L", "-b", f"127.0.0.1:{free}"], check=True,
                                         capture_output=True, text=True, timeout=harness.DEADLINE_S).stdout
                self.assertIn(f"broker 1 at 127.0.0.1:{free}", listing)
            finally:
                other.terminate()


if __name__ == "__main__":
    unittest.main()

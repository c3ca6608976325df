"""The conformance kit and both example consumers against a real broker: 10,000 legal disturbances of the log, and the log
as it was, give the same view, which is the one that the kit expects. A consumer that breaks a rule is found."""
import json
import os
import subprocess
import sys
import tempfile
import unittest

from broker import Broker
from harness import BINARY, SOURCE

SIM = os.path.join(BINARY, "tests", "sim", "canhbao-sim")
EXAMPLES = os.path.join(SOURCE, "deploy", "examples")
SITE = os.path.join(SOURCE, "deploy", "sites", "binh-dinh")
DISTURBANCES = 10000
LIMIT_S = 200


def run(*command):
    done = subprocess.run(command, capture_output=True, text=True, timeout=LIMIT_S, check=False)
    if done.returncode != 0:
        raise AssertionError(f"{command}: {done.stderr}")
    return done.stdout


class Consumers(unittest.TestCase):
    def views(self, broker, prefix, disturbances, seed):
        with tempfile.TemporaryDirectory() as folder:
            expected = os.path.join(folder, "expected.json")
            print(run(SIM, "--consumer-test", broker, "--config", SITE, "--topic-prefix", prefix, "--disturbances",
                      str(disturbances), "--seed", str(seed), "--expect", expected).strip(), flush=True)
            with open(expected, encoding="utf-8") as file:
                expected = json.load(file)
        gateway = json.loads(run(sys.executable, "-B", os.path.join(EXAMPLES, "sms_gateway.py"), broker, "--prefix", prefix,
                                 "--restricted", "--until-end", "--now", expected["now"]))
        table = json.loads(run(sys.executable, "-B", os.path.join(EXAMPLES, "state_table.py"), broker, "--prefix", prefix,
                               "--until-end"))
        return expected, gateway, table

    def check(self, expected, gateway, table):
        self.assertEqual(gateway["sms"], expected["sms"])
        self.assertEqual(gateway["ignored"], expected["ignored"])
        self.assertEqual(table["states"], expected["states"])
        self.assertEqual(table["heartbeats"], expected["heartbeats"])

    def test_same_view(self):
        with Broker() as broker:
            undisturbed = self.views(broker.address, broker.prefix + "a.", 0, 7)
            disturbed = self.views(broker.address, broker.prefix + "b.", DISTURBANCES, 7)
            self.check(*undisturbed)
            self.check(*disturbed)
            self.assertEqual(undisturbed, disturbed)
            expected = undisturbed[0]
            # The log has something of everything, or the test would prove little.
            self.assertGreater(len(expected["states"]), 50)
            self.assertGreater(len(expected["sms"]), 50)
            self.assertEqual(set(expected["ignored"].values()), {"status", "expired"})
            statuses = {state["status"] for state in expected["states"].values()}
            self.assertEqual(statuses, {"Actual", "Exercise"})
            # What the kit publishes is valid, headers and keys included.
            print(run("/usr/bin/python3", "-B", os.path.join(SOURCE, "tests", "schema_check.py"), broker.address,
                      broker.prefix + "b.").strip(), flush=True)
            # Consumers that break a rule do not pass: one that keeps no ids or sequences sends twice.
            self.find_fault(broker.address, broker.prefix + "b.", expected)

    def find_fault(self, broker, prefix, expected):
        sys.path.insert(0, EXAMPLES)
        import contract
        sent = []
        contract.read(broker, [prefix + "cap.v1"], lambda message: sent.append(message.id), True, "careless")
        self.assertGreater(len(sent), len(expected["sms"]) + len(expected["ignored"]))


if __name__ == "__main__":
    unittest.main()

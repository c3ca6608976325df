"""The broker is stopped while alarms change, for CANHBAO_OUTAGE_S seconds (60), and comes back: nothing lost,
nothing out of order, the condition raised and cleared, the complete state sent again on demand. A second daemon
starts and alerts without any broker. Every message is valid against its schema."""
import json
import os
import sys
import time
import unittest

import history_check
from broker import Broker
from daemon import Daemon, Site
from harness import SOURCE, Sim, wait_for
from test_daemon_crash import scenario

sys.path.insert(0, os.path.join(SOURCE, "tests"))
from schema_check import Checker, read_all  # noqa: E402

OUTAGE_S = float(os.environ.get("CANHBAO_OUTAGE_S", "60"))


class Outage(unittest.TestCase):
    def classes(self, daemon):
        return {c["class"] for c in daemon.ctl("status")["conditions"]}

    @unittest.skipIf(os.environ.get("CANHBAO_KAFKA"), "a broker that is not ours cannot be stopped")
    def test_stopped_and_back(self):
        with Broker() as broker, Sim(text=scenario(6)) as sim, \
                Site(sim.ports, prefix=broker.prefix, period="500 ms") as site, \
                Daemon(site.folder, broker.address) as daemon:
            wait_for(lambda: daemon.ctl("status")["delivery"]["delivered"] > 50, "messages flow")
            events_before = daemon.ctl("events", "--limit", "1")[0]["number"]
            broker.stop()
            end = time.monotonic() + OUTAGE_S  # the length of the outage is what is tested
            wait_for(lambda: "kafka-unreachable" in self.classes(daemon), "the outage is told")
            while time.monotonic() < end:
                self.assertTrue(daemon.alarms())  # it answers all the time
                time.sleep(min(2.0, max(0.0, end - time.monotonic())))
            wait_for(lambda: daemon.ctl("status")["store"]["outbox_rows"] > 20, "messages wait")
            wait_for(lambda: daemon.ctl("events", "--limit", "1")[0]["number"] > events_before + 10, "decisions went on")
            broker.start()
            wait_for(lambda: "kafka-unreachable" not in self.classes(daemon), "the broker is seen again")
            daemon.wait_delivered()
            daemon.ctl("resend-state")
            self.assertEqual(daemon.stop(), 0)
            log = daemon.path("consumed")
            history_check.record(broker.address, log, prefix=broker.prefix)
            messages = history_check.read_log(log)
            store = history_check.read_store(daemon.store)
            self.assertEqual(history_check.check(store, messages, waiting_allowed=True), [])
            checker = Checker(prefix=broker.prefix)
            topics = [broker.prefix + name for name in ("alert.v1", "alert-state.v1", "observation.v1", "health.v1")]
            seen = {topic: 0 for topic in topics}
            for topic, _, key, headers, value in read_all(broker.address, topics):
                self.assertEqual(checker.check(topic, key, headers, value), [])
                seen[topic] += 1
            self.assertTrue(all(seen.values()), seen)
            print(f"{OUTAGE_S:.0f} s outage: {seen}", flush=True)

    def test_without_a_broker(self):
        with Sim(text=scenario(2)) as sim, Site(sim.ports, period="200 ms") as site, Daemon(site.folder) as daemon:
            wait_for(lambda: len(daemon.ctl("events")) > 5, "alarms are decided")
            wait_for(lambda: "kafka-unreachable" in self.classes(daemon), "the missing broker is told")
            self.assertEqual(daemon.stop(), 0)
            waiting = {identity for identity, in daemon.query("select id from outbox")}
            for body in daemon.events():
                self.assertIn(json.loads(body)["id"], waiting)


if __name__ == "__main__":
    unittest.main()

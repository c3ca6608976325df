"""SIGKILL at 50 random moments while alarms change, a real Apache Kafka broker, one consumer at the end.

Judged by history_check.py (nothing lost, nothing unknown, order per key, duplicates only with equal bytes),
by the schemas, and by a replay of the journal: the events of a run that was killed 50 times are byte for byte
those of one uninterrupted run over the same inputs."""
import os
import random
import subprocess
import sys
import time
import unittest

import history_check
from broker import Broker
from daemon import REPLAY, Daemon, Site
from harness import SOURCE, Sim, wait_for

sys.path.insert(0, os.path.join(SOURCE, "tests"))
from schema_check import Checker  # noqa: E402

KILLS = int(os.environ.get("CANHBAO_KILLS", "50"))
SEED = int(os.environ.get("CANHBAO_SEED", str(random.randrange(2**31))))


def scenario(stations):
    """Stages that swing through all alarm levels within seconds, each in its own rhythm."""
    text = """scenario: swing
about: stages that never rest
start: 2025-01-01T00:00:00Z
maps:
  stage: [{point: stage, table: holding, address: 0, type: float32}]
stations:
"""
    for i in range(stations):
        text += f"""  - id: st-{i}
    port: 0
    map: stage
    signals:
      stage: [{{constant: 7}}, {{sine: {{amplitude: 2, period: {4 + i} s, phase_deg: {30 * i}}}}}]
"""
    return text


class Crash(unittest.TestCase):
    def replayed(self, site, daemon):
        done = subprocess.run([REPLAY, site.folder, daemon.path("state")], capture_output=True, check=False)
        self.assertEqual(done.returncode, 0, done.stderr)
        return done.stdout.splitlines()

    def events(self, daemon):
        """How many there are, once it answers."""
        return len(wait_for(lambda: (lambda done: done if isinstance(done, list) else None)(
            daemon.ctl("events", "--limit", "1000", check=False)), "the daemon answers"))

    def test_fifty_kills(self):
        print(f"seed {SEED} (CANHBAO_SEED)", flush=True)
        chance = random.Random(SEED)
        with Broker() as broker, Sim(text=scenario(8)) as sim, \
                Site(sim.ports, prefix=broker.prefix, period="200 ms", stale_after="2 s") as site, \
                Daemon(site.folder, broker.address) as daemon:
            kills = 0
            while kills < KILLS or (self.events(daemon) <= KILLS and kills < 10 * KILLS):  # a slow machine needs more
                kills += 1
                # A random moment is the point of the test; nothing is waited for.
                time.sleep(chance.uniform(0.02, 1.0))
                if chance.random() < 0.3:
                    # refused or not (there may be nothing to acknowledge): both are on record
                    daemon.ctl("ack", "flood", f"st-{chance.randrange(8)}", check=False)
                daemon.kill()
                daemon.start(wait=chance.random() < 0.8)
            wait_for(lambda: os.path.exists(daemon.path("web")), "the daemon runs after the last kill")
            self.assertGreater(self.events(daemon), KILLS, "alarms changed between the kills")
            daemon.wait_delivered()
            self.assertEqual(daemon.stop(), 0)
            log = daemon.path("consumed")
            history_check.record(broker.address, log, prefix=broker.prefix)
            messages = history_check.read_log(log)
            problems = history_check.check(history_check.read_store(daemon.store), messages, waiting_allowed=True)
            self.assertEqual(problems, [])
            checker = Checker(prefix="")
            for message in messages:
                self.assertEqual(checker.check(message["topic"], message["key"], message["headers"],
                                               message["value"]), [])
            events = daemon.events()
            replayed = self.replayed(site, daemon)
            self.assertEqual(len(replayed), len(events))
            for number, (live, again) in enumerate(zip(events, replayed)):
                self.assertEqual(live, again, f"event {number + 1}")
            self.assertEqual(replayed, self.replayed(site, daemon))
            duplicates = len(messages) - len({m["headers"]["ce_id"] for m in messages})
            print(f"{kills} kills, {len(events)} events, {len(messages)} messages, {duplicates} duplicates", flush=True)


if __name__ == "__main__":
    unittest.main()

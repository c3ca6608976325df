"""The topics on a real broker: made as consumers rely on them, never by the way with the broker's defaults; and the daemon
says so when others made them otherwise, when one is missing, and when it may not see."""
import os
import subprocess
import unittest

from broker import Broker
from daemon import Daemon, Site
from harness import BINARY, Sim, wait_for

TOOL = os.path.join(BINARY, "tests", "integration", "topics_tool")
HIGH = """scenario: high
about: a stage above alarm level III
start: 2025-01-01T00:00:00Z
maps:
  stage: [{point: stage, table: holding, address: 0, type: float32}]
stations:
  - {id: st-0, port: 0, map: stage, signals: {stage: [{constant: 8.5}]}}
"""
USED = {"alert.v1": "delete", "alert-state.v1": "compact", "cap.v1": "delete", "observation.v1": "delete", "run.v1": "delete",
        "health.v1": "compact"}
# Everything is allowed to everyone until a rule of topics_tool says otherwise.
ACCESS = ("authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer\n"
          "allow.everyone.if.no.acl.found=true")
HURRIES = 5
PATIENCE_S = 120


class Topics(unittest.TestCase):
    def tool(self, *arguments):
        done = subprocess.run([TOOL, self.broker.address, *arguments], capture_output=True, text=True, check=False,
                              timeout=PATIENCE_S)
        self.assertEqual(done.returncode, 0, done.stderr)
        return done.stdout

    def told(self, daemon):
        """What the daemon says of its topics: {name without prefix: text}."""
        return {c["subject"].removeprefix(self.prefix): c["text"] for c in daemon.ctl("status")["conditions"]
                if c["class"] == "kafka-topic"}

    def states(self):
        """Records of the state topic."""
        done = subprocess.run(["kcat", "-C", "-e", "-q", "-b", self.broker.address, "-t", self.prefix + "alert-state.v1",
                               "-o", "beginning", "-f", "%k\n"], capture_output=True, text=True, check=False,
                              timeout=PATIENCE_S)
        return done.stdout.split()

    def run_daemon(self, sim, prefix, create):
        """A site and its daemon, for a with statement."""
        self.prefix = prefix
        site = Site(sim.ports, prefix=prefix)
        self.addCleanup(site.__exit__)
        with open(site.path("canhbao.yaml"), encoding="utf-8") as file:
            text = file.read()
        site.write("canhbao.yaml", text.replace("create_topics: true", f"create_topics: {create}"))
        return Daemon(site.folder, self.broker.address)

    def check_hurry(self):
        """A state that is sent before the broker has answered anything finds its topic compacted."""
        rows = [line.split() for line in self.tool("hurry", self.broker.prefix + "h", str(HURRIES)).splitlines()]
        print("milliseconds from the producer's making to the report:", *(row[0] for row in rows), flush=True)
        self.assertEqual([row[1] for row in rows], ["compact"] * HURRIES)

    def check_made_by_the_daemon(self, sim):
        with self.run_daemon(sim, self.broker.prefix + "a.", "true") as daemon:
            wait_for(self.states, "the state is delivered", PATIENCE_S)
            found = {name: self.tool("policy", self.prefix + name).strip() for name in USED}
            self.assertEqual(found, USED)
            wait_for(lambda: self.told(daemon) == {}, "nothing is wrong with the topics", PATIENCE_S)

    def check_made_by_others(self, sim):
        """The state topic was made so that old states are deleted, and nobody may make topics: alerts go out, and it is
        said."""
        prefix = self.broker.prefix + "b."
        for name in USED:
            self.tool("make", prefix + name, "compact,delete" if name == "alert-state.v1" else USED[name])
        self.tool("deny", prefix, "create")
        with self.run_daemon(sim, prefix, "true") as daemon:
            wait_for(self.states, "the state is delivered", PATIENCE_S)
            wait_for(lambda: self.told(daemon), "the topic is told", PATIENCE_S)
            self.assertEqual(list(self.told(daemon)), ["alert-state.v1"])
            self.assertIn('"compact,delete", expected "compact"', self.told(daemon)["alert-state.v1"])
            self.tool("alter", prefix + "alert-state.v1", "compact")
            wait_for(lambda: self.told(daemon) == {}, "it clears by itself", PATIENCE_S)

    def check_missing(self, sim):
        """Not told to make any, the daemon makes none, whatever the broker would do by itself; once made, all goes on."""
        with self.run_daemon(sim, self.broker.prefix + "c.", "false") as daemon:
            wait_for(lambda: len(self.told(daemon)) == len(USED), "the missing topics are told", PATIENCE_S)
            self.assertTrue(all("does not exist" in text for text in self.told(daemon).values()), self.told(daemon))
            found = {name: self.tool("policy", self.prefix + name).strip() for name in USED}
            self.assertEqual(set(found.values()), {"missing"})
            for name, policy in USED.items():
                self.tool("make", self.prefix + name, policy)
            wait_for(self.states, "the state is delivered", PATIENCE_S)
            wait_for(lambda: self.told(daemon) == {}, "nothing is missing", PATIENCE_S)

    def check_made_again(self, sim):
        """A topic that somebody deletes comes back as it was, not with the broker's defaults."""
        with self.run_daemon(sim, self.broker.prefix + "d.", "true") as daemon:
            wait_for(self.states, "the state is delivered", PATIENCE_S)
            self.tool("drop", self.prefix + "alert-state.v1")
            wait_for(lambda: self.tool("policy", self.prefix + "alert-state.v1").strip() == "compact", "it is back",
                     PATIENCE_S)
            daemon.ctl("resend-state")
            wait_for(self.states, "the state is delivered again", PATIENCE_S)

    def check_denied(self, sim):
        prefix = self.broker.prefix + "e."
        for name, policy in USED.items():
            self.tool("make", prefix + name, policy)
        self.tool("deny", prefix, "describe_configs")
        with self.run_daemon(sim, prefix, "false") as daemon:
            wait_for(lambda: len(self.told(daemon)) == len(USED), "it is told that it cannot be seen", PATIENCE_S)
            self.assertTrue(all("is not known" in text for text in self.told(daemon).values()), self.told(daemon))
            wait_for(self.states, "the state is delivered", PATIENCE_S)

    def test_topics(self):
        with Broker(properties=ACCESS) as self.broker, Sim(text=HIGH) as sim:
            self.check_hurry()
            for check in (self.check_made_by_the_daemon, self.check_made_by_others, self.check_missing,
                          self.check_made_again, self.check_denied):
                with self.subTest(check.__name__):
                    check(sim)


if __name__ == "__main__":
    unittest.main()

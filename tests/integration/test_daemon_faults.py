"""Every fault of the simulator against the daemon, all at once, with good stations beside them.

No value is invented: each stored value was served by that station. No level is lowered by a fault: what the
faulty stations show stays at alarm level II, known worse and worse, and is fresh again afterwards. The good
stations keep their cadence."""
import json
import threading
import time
import unittest

from daemon import Daemon, Site
from harness import Sim, wait_for

PERIOD_S = 1.0
FAULTS = {
    "silence": "", "dribble": "delay_ms: 400", "wrong-transaction": "", "wrong-unit": "", "wrong-protocol": "",
    "wrong-length": "", "wrong-function": "", "wrong-byte-count": "", "short": "", "surplus": "",
    "exception": "code: 4", "late": "delay_ms: 1500", "reset": "", "fin": "", "refuse": "", "nan": 'point: "*"',
    "stuck": "point: stage", "add": "point: stage, add: 40",
}
GOOD = 10
STATUS_OK = 0
# A stuck sensor answers, and what it says was good when it stuck: no test of one value can tell within
# seconds. A value 40 m too high is refused by its range.
# Surplus bytes follow a whole and right reply: that counts, they are thrown away.
STAYS_FRESH = {"stuck", "surplus"}


def scenario():
    text = """scenario: all-faults
about: every fault at once
start: now
speed: 1
seed: 7
maps:
  stage: [{point: stage, table: holding, address: 0, type: float32}]
stations:
"""
    for name in [f"bad-{kind}" for kind in FAULTS] + [f"good-{i}" for i in range(GOOD)]:
        text += f"""  - id: {name}
    port: 0
    map: stage
    signals:
      stage: [{{constant: 7.25}}, {{noise: {{sigma: 0.01, every: 200 ms}}}}]
"""
    text += "faults:\n"
    for kind, more in FAULTS.items():
        text += f"  - {{kind: {kind}, station: bad-{kind}, from: +8 s, to: +20 s{', ' + more if more else ''}}}\n"
    return text


def percentile(values, share):
    values = sorted(values)
    return values[min(len(values) - 1, int(share * len(values)))]


class Sleeper:
    """How late this machine wakes a program that has nothing else to do than to sleep: what the
    daemon cannot be asked to beat."""

    STEP_S = 0.02

    def __enter__(self):
        self.late, self.over = [], threading.Event()
        self.thread = threading.Thread(target=self.run)
        self.thread.start()
        return self

    def run(self):
        due = time.monotonic()
        while not self.over.is_set():
            due = max(due + self.STEP_S, time.monotonic())
            time.sleep(max(0.0, due - time.monotonic()))  # what is measured
            self.late.append(time.monotonic() - due)

    def __exit__(self, *_):
        self.over.set()
        self.thread.join()


class Faults(unittest.TestCase):
    def lateness(self, times):
        """How late each reading is against a grid of PERIOD_S that the earliest of them define."""
        phases = [moment % PERIOD_S for moment in times]
        first = min(phases, key=lambda phase: sum(((other - phase) % PERIOD_S) for other in phases))
        return [(phase - first) % PERIOD_S for phase in phases]

    def check_levels(self, alarms, fresh):
        for kind in FAULTS:
            alarm = alarms[("flood", f"bad-{kind}")]
            self.assertEqual(alarm["level"]["value"], 2, kind)
            if fresh or kind in STAYS_FRESH:
                self.assertEqual(alarm["knowledge"]["state"], "fresh", kind)
            else:
                self.assertIn(alarm["knowledge"]["state"], ("stale", "unknown"), kind)
        for i in range(GOOD):
            alarm = alarms[("flood", f"good-{i}")]
            self.assertEqual((alarm["level"]["value"], alarm["knowledge"]["state"]), (2, "fresh"), i)

    def test_all_faults(self):
        with Sim(text=scenario()) as sim, \
                Site(sim.ports, period="1 s", stale_after="4 s", timeout="300 ms") as site, \
                Sleeper() as sleeper, Daemon(site.folder) as daemon:
            begin = time.time()
            wait_for(lambda: all(a["level"]["value"] == 2 and a["knowledge"]["state"] == "fresh"
                                 for a in daemon.alarms().values()), "all stations are at level II")
            self.assertLess(time.time() - begin, 7, "the faults have not begun yet; is the machine overloaded?")
            wait_for(lambda: all(daemon.alarms()[("flood", f"bad-{kind}")]["knowledge"]["state"] != "fresh"
                                 for kind in FAULTS if kind not in STAYS_FRESH), "the faults show")
            self.check_levels(daemon.alarms(), fresh=False)
            conditions = {(c["class"], c["subject"]) for c in daemon.ctl("status")["conditions"]}
            silent = {subject for name, subject in conditions if name == "station-unreachable"}
            self.assertTrue(silent.isdisjoint({f"good-{i}" for i in range(GOOD)}))
            wait_for(lambda: all(a["knowledge"]["state"] == "fresh" for a in daemon.alarms().values()),
                     "all is well again")
            self.check_levels(daemon.alarms(), fresh=True)
            wait_for(lambda: not any(c["class"] == "station-unreachable"
                                     for c in daemon.ctl("status")["conditions"]), "the conditions clear")
            self.assertEqual(daemon.stop(), 0)
            readings = daemon.readings()
            events = [json.loads(body) for body in daemon.events()]
            truth = {}
            for line in sim.lines("truth"):
                truth.setdefault(line["station"], set()).add(round(line["stored"], 4) if line.get("stored") is not None
                                                             else None)
        self.assertEqual([e for e in events if e["event"] == "lowered"], [])
        self.assertFalse([e for e in events if e["level"]["value"] == 3])
        failed = {}
        for station, _, status, value, _ in readings:
            if status == STATUS_OK:
                self.assertIn(round(value, 4), truth[station], f"{station}: a value that it never served")
            else:
                self.assertIsNone(value, station)
                failed[station] = failed.get(station, 0) + 1
        for kind in FAULTS:
            if kind not in ("stuck", "add", "surplus"): # these answer
                self.assertGreater(failed.get(f"bad-{kind}", 0), 2, f"{kind} gave no failed reading")
        late = []
        for i in range(GOOD):
            self.assertNotIn(f"good-{i}", failed)
            times = [moment for station, moment, *_ in readings if station == f"good-{i}"]
            self.assertGreater(len(times), 10)
            gaps = [b - a for a, b in zip(times, times[1:])]
            self.assertLess(max(gaps), 2 * PERIOD_S + max(sleeper.late), "a good station missed a slot")
            late += self.lateness(times)
        p99 = percentile(late, 0.99)
        # A poll is woken for by the simulator, the network and the daemon in turn, and a commit is waited for.
        machine = percentile(sleeper.late, 0.99)
        print(f"{len(readings)} readings; good stations: p99 lateness {1000 * p99:.1f} ms of {1000 * PERIOD_S:.0f} ms; "
              f"a sleeper's {1000 * machine:.1f} ms")
        self.assertLess(p99, 0.1 * PERIOD_S + 5 * machine)


if __name__ == "__main__":
    unittest.main()

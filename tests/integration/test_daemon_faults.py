"""Every fault of the simulator against the daemon, all at once, with good stations beside them.

No value is invented: each stored value was served by that station. No level is lowered by a fault: what the
faulty stations show stays at alarm level II, known worse and worse, and is fresh again afterwards. The good
stations keep their cadence."""
import json
import os
import tempfile
import threading
import time
import unittest

from daemon import Daemon, Site
from harness import Sim, free_ports, wait_for

PERIOD_S = 1.0
LEADS_S = (8, 25, 70)  # how long all is well at first; a slow machine needs more of it
LENGTH_S = 12
TRIES = 3  # a machine that stops for a while now and then does not do so in each of these
FAULTS = {
    "silence": "", "dribble": "delay_ms: 400", "wrong-transaction": "", "wrong-unit": "", "wrong-protocol": "",
    "wrong-length": "", "wrong-function": "", "wrong-byte-count": "", "short": "", "surplus": "",
    "exception": "code: 4", "late": "delay_ms: 1500", "reset": "", "fin": "", "refuse": "", "nan": 'point: "*"',
    "stuck": "point: stage", "add": "point: stage, add: 40",
}
GOOD = 10
STATUS_OK, STATUS_SKIPPED = 0, 7
# A stuck sensor answers, and what it says was good when it stuck: no test of one value can tell within
# seconds. A value 40 m too high is refused by its range.
# Surplus bytes follow a whole and right reply: that counts, they are thrown away.
STAYS_FRESH = {"stuck", "surplus"}


def scenario(lead_s):
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
        text += f"  - {{kind: {kind}, station: bad-{kind}, from: +{lead_s} s, "
        text += f"to: +{lead_s + LENGTH_S} s{', ' + more if more else ''}}}\n"
    return text


def percentile(values, share):
    values = sorted(values)
    return values[min(len(values) - 1, int(share * len(values)))]


class Machine:
    """How late this machine wakes a program that has nothing else to do than to sleep, and how long it takes to put a
    page on the disk: what the daemon cannot be asked to beat."""

    STEP_S, WRITE_STEP_S = 0.02, 0.2

    def __enter__(self):
        self.late, self.synced, self.over = [], [], threading.Event()  # late: (when, s)
        self.threads = [threading.Thread(target=self.sleep), threading.Thread(target=self.write)]
        for thread in self.threads:
            thread.start()
        return self

    def sleep(self):
        due = time.monotonic()
        while not self.over.is_set():
            due = max(due + self.STEP_S, time.monotonic())
            time.sleep(max(0.0, due - time.monotonic()))  # what is measured
            self.late.append((time.time(), time.monotonic() - due))

    def write(self):
        with tempfile.NamedTemporaryFile(prefix="canhbao-disk-", buffering=0) as file:
            while not self.over.wait(self.WRITE_STEP_S):
                file.write(bytes(4096))
                begin = time.monotonic()
                os.fdatasync(file.fileno())
                self.synced.append(time.monotonic() - begin)

    def stalled(self, begin, end):
        """The longest that the sleeper overslept between the two."""
        return max((late for when, late in self.late if begin <= when <= end), default=0.0)

    def __exit__(self, *_):
        self.over.set()
        for thread in self.threads:
            thread.join()


class Faults(unittest.TestCase):
    def lateness(self, times, machine):
        """How late each reading is against a grid of PERIOD_S that the earliest of them define, without what the
        machine itself stood still just then."""
        phases = [moment % PERIOD_S for moment in times]
        first = min(phases, key=lambda phase: sum(((other - phase) % PERIOD_S) for other in phases))
        return [max(0.0, (phase - first) % PERIOD_S - machine.stalled(moment - PERIOD_S, moment + 0.1))
                for moment, phase in zip(times, phases)]

    def cadence(self, readings, machine):
        """None, or what is wrong with the cadence of the good stations."""
        late = []
        for i in range(GOOD):
            times = [moment for station, moment, *_ in readings if station == f"good-{i}"]
            self.assertGreater(len(times), 10)
            gaps = [(b - a - machine.stalled(a, b + 0.1), a) for a, b in zip(times, times[1:])]
            if max(gaps)[0] >= 2 * PERIOD_S:
                return f"good-{i} missed a slot: {max(gaps)[0]:.3f} s"
            late += self.lateness(times, machine)
        p99 = percentile(late, 0.99)
        # A poll is woken for by the simulator, the network and the daemon in turn, and a commit is waited for.
        woken, synced = percentile([late for _, late in machine.late], 0.99), percentile(machine.synced, 0.99)
        figures = (f"good stations: p99 lateness {1000 * p99:.1f} ms of {1000 * PERIOD_S:.0f} ms; a sleeper's "
                   f"{1000 * woken:.1f} ms, a page to the disk {1000 * synced:.1f} ms")
        print(f"{len(readings)} readings; {figures}", flush=True)
        return None if p99 < 0.1 * PERIOD_S + 5 * woken + 2 * synced else figures

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

    def site(self, ports):
        """Short limits for the faulty; the good ones must not fail because a busy machine holds up the simulator."""
        site = Site(ports, period="1 s", stale_after="4 s", timeout="300 ms")
        for i in range(GOOD):
            with open(site.path(f"stations/good-{i}.yaml"), encoding="utf-8") as file:
                text = file.read()
            site.write(f"stations/good-{i}.yaml", text.replace("request_timeout: 300 ms", "request_timeout: 5 s").replace(
                "stale_after: 4 s", f"stale_after: {LENGTH_S - 2} s"))
        return site

    def test_all_faults(self):
        leads, wrong = list(LEADS_S), []
        while len(wrong) < TRIES:
            played = self.play(leads[0])
            if played is None:
                self.assertGreater(len(leads), 1, "not all stations are read before the faults begin")
                leads.pop(0)
                continue
            problem = self.judge(*played)
            if problem is None:
                return
            wrong.append(problem)
        self.fail(f"the good stations do not keep their cadence: {wrong}")

    def play(self, lead_s):
        """What was stored, decided and served, and how the machine was; None: the faults began too early."""
        port, = free_ports(1)  # nobody takes it while it is refused
        text = scenario(lead_s).replace("- id: bad-refuse\n    port: 0", f"- id: bad-refuse\n    port: {port}")
        begin = time.monotonic()
        with Sim(text=text) as sim, self.site(sim.ports) as site, Machine() as machine, Daemon(site.folder) as daemon:
            def states():
                return {place: (a["level"]["value"], a["knowledge"]["state"]) for (_, place), a in daemon.alarms().items()}
            wait_for(lambda: set(states().values()) == {(2, "fresh")} or time.monotonic() > begin + lead_s,
                     "all stations are at level II")
            if time.monotonic() > begin + lead_s - 1:
                return None
            shown = []

            def faults_show():
                shown[:] = [daemon.alarms()]
                return all(shown[0][("flood", f"bad-{kind}")]["knowledge"]["state"] != "fresh"
                           for kind in FAULTS if kind not in STAYS_FRESH)
            wait_for(faults_show, "the faults show")
            self.check_levels(shown[0], fresh=False)
            conditions = {(c["class"], c["subject"]) for c in daemon.ctl("status")["conditions"]}
            silent = {subject for name, subject in conditions if name == "station-unreachable"}
            self.assertTrue(silent.isdisjoint({f"good-{i}" for i in range(GOOD)}))
            wait_for(lambda: {state for _, state in states().values()} == {"fresh"}, "all is well again")
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
        return readings, events, truth, machine

    def judge(self, readings, events, truth, machine):
        """Asserts all but the cadence, which it returns (see there): a machine that stands still disturbs only that."""
        self.assertEqual([e for e in events if e["event"] == "lowered"], [])
        self.assertFalse([e for e in events if e["level"]["value"] == 3])
        failed = {}
        for station, _, status, value, _ in readings:
            if status == STATUS_OK:
                self.assertIn(round(value, 4), truth[station], f"{station}: a value that it never served")
            else:
                self.assertIsNone(value, station)
                if status != STATUS_SKIPPED:
                    failed[station] = failed.get(station, 0) + 1
        for kind in FAULTS:
            if kind not in ("stuck", "add", "surplus"): # these answer
                self.assertGreater(failed.get(f"bad-{kind}", 0), 2, f"{kind} gave no failed reading")
        self.assertFalse([station for station in failed if station.startswith("good-")], failed)
        skipped = [station for station, _, status, *_ in readings if station.startswith("good-") and status != STATUS_OK]
        return f"slots left out: {skipped}" if skipped else self.cadence(readings, machine)


if __name__ == "__main__":
    unittest.main()

"""A running canhbaod on a generated site, for the integration tests."""
import json
import os
import shutil
import signal
import sqlite3
import subprocess
import tempfile

from harness import BINARY, DEADLINE_S, wait_for

DAEMON = os.path.join(BINARY, "daemon", "canhbaod")
CTL = os.path.join(BINARY, "daemon", "canhbaoctl")
MODEL = os.path.join(BINARY, "models", "canhbao-model")
REPLAY = os.path.join(BINARY, "tests", "journal_replay")

SITE = """site:
  id: {id}
  name: {{vi: Trạm thử, en: Test site}}
kafka:
  topic_prefix: "{prefix}"
  create_topics: true
scales:
  - id: flood_alarm
    kind: flood_alarm
    name: {{vi: báo động lũ, en: flood alarm}}
    levels:
      - {{vi: báo động I, en: alarm I}}
      - {{vi: báo động II, en: alarm II}}
      - {{vi: báo động III, en: alarm III}}
"""

STATION = """id: {id}
name: {{vi: Trạm {id}, en: Station {id}}}
kind: stage
alarm_levels:
  scale: flood_alarm
  unit: m
  level_1: 6 m
  level_2: 7 m
  level_3: 8 m
  source: made up
connection:
  host: {host}
  port: {port}
  unit: {unit}
  request_timeout: {timeout}
  reconnect_min: 50 ms
  reconnect_max: 500 ms
  probe_min: 100 ms
  probe_max: 500 ms
points:
  - id: stage
    quantity: stage
    unit: m
    period: {period}
    stale_after: {stale_after}
    register: {{table: holding, address: 0, type: float32}}
    quality:
      hard_min: -2 m
      hard_max: 20 m
      {quality}
"""

RULE = """id: flood
hazard: flood
text: {vi: mực nước theo cấp báo động, en: stage against the alarm levels}
source: made up
scale: flood_alarm
places: {station_kind: stage}
expires_after: 6 h
flap_moves: 0
indicators:
  - {name: stage, kind: latest, point: stage}
levels:
  - {level: 1, when: {indicator: stage, at_least: level 1, hysteresis: 0.1 m}, off_delay: OFF}
  - {level: 2, when: {indicator: stage, at_least: level 2, hysteresis: 0.1 m}, off_delay: OFF}
  - {level: 3, when: {indicator: stage, at_least: level 3, hysteresis: 0.1 m}, off_delay: OFF}
"""


class Site:
    """A folder with one stage gauge a simulated station and one rule for all of them."""

    def __init__(self, ports, prefix="canhbao.", period="1 s", stale_after="60 s", timeout="5 s",
                 off_delay="0 s", quality="", extra="", node="test"):
        self.folder = tempfile.mkdtemp(prefix="canhbao-site-")
        for name in ("stations", "rules", "areas"):
            os.mkdir(self.path(name))
        self.write("canhbao.yaml", SITE.format(id=node, prefix=prefix) + extra)
        self.write("rules/flood.yaml", RULE.replace("OFF", off_delay))
        for station, (host, port, unit) in ports.items():
            self.write(f"stations/{station}.yaml", STATION.format(
                id=station, host=host, port=port, unit=unit, period=period, stale_after=stale_after, timeout=timeout,
                quality=quality))

    def path(self, name):
        return os.path.join(self.folder, name)

    def write(self, name, text):
        with open(self.path(name), "w", encoding="utf-8") as file:
            file.write(text)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        shutil.rmtree(self.folder)


class Daemon:
    """Starts canhbaod; may be killed and started again on the same state."""

    def __init__(self, site, brokers="127.0.0.1:1", options=("--test",), model=MODEL):
        self.folder = tempfile.mkdtemp(prefix="canhbao-daemon-")
        self.site = site
        self.options = list(options)
        self.model = model
        self.brokers = brokers
        self.process = None
        self.errors = []
        os.mkdir(self.path("state"))

    def path(self, name):
        return os.path.join(self.folder, name)

    @property
    def store(self):
        return self.path("state/canhbao.db")

    def start(self, wait=True):
        if os.path.exists(self.path("web")):
            os.remove(self.path("web"))
        with open(self.path("log"), "ab") as log:
            self.process = subprocess.Popen(
                [DAEMON, "--config", self.site, "--state-dir", self.path("state"), "--brokers", self.brokers,
                 "--control", self.path("control"), "--web-port", "0", "--web-file", self.path("web"),
                 "--model-program", self.model] + self.options, stdout=log, stderr=log)
        if wait:
            wait_for(lambda: os.path.exists(self.path("web")) or self.process.poll() is not None, "the daemon runs")
            if self.process.poll() is not None:
                raise AssertionError(f"the daemon ended with {self.process.returncode}: {self.log()}")
        return self

    def kill(self):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait(DEADLINE_S)

    def stop(self):
        """SIGTERM and the exit code."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        return self.process.wait(DEADLINE_S)

    def log(self):
        with open(self.path("log"), encoding="utf-8", errors="replace") as file:
            return file.read()

    def web(self):
        with open(self.path("web"), encoding="utf-8") as file:
            return file.read().strip()

    def ctl(self, *arguments, check=True):
        done = subprocess.run([CTL, "--socket", self.path("control"), "--json", *arguments], capture_output=True,
                              text=True, timeout=DEADLINE_S, check=False)
        if check and done.returncode != 0:
            raise AssertionError(f"canhbaoctl {arguments}: {done.returncode} {done.stderr}")
        if done.returncode != 0:
            return done
        if arguments[0] == "events":
            return [json.loads(line) for line in done.stdout.splitlines()]
        return json.loads(done.stdout)

    def alarms(self):
        return {(alarm["rule"]["id"], alarm["place"]["id"]): alarm for alarm in self.ctl("alarms")}

    def level(self, place, rule="flood"):
        return self.alarms()[(rule, place)]["level"]["value"]

    def wait_delivered(self):
        """Until what is committed now is delivered. What is committed meanwhile may wait: while readings come, something
        is always on its way."""
        status = self.ctl("status")
        target = status["delivery"]["delivered"] + status["store"]["outbox_rows"]
        wait_for(lambda: self.ctl("status")["delivery"]["delivered"] >= target, "what was waiting is delivered")

    def query(self, statement):
        """Rows of a copy of the store; the daemon must have ended."""
        copy = self.path("copy.db")
        for suffix in ("", "-wal"):
            if os.path.exists(self.store + suffix):
                shutil.copy(self.store + suffix, copy + suffix)
        connection = sqlite3.connect(copy)
        try:
            return connection.execute(statement).fetchall()
        finally:
            connection.close()

    def events(self):
        """The committed events of a daemon that has ended, as they were published."""
        return [body if isinstance(body, bytes) else body.encode()
                for (body,) in self.query("select body from events order by seq")]

    def readings(self):
        """(station, received in s, status, value, flag) of every stored reading."""
        return [(station, received / 1e6, status, value, flag) for station, received, status, value, flag in self.query(
            "select p.station, r.received_us, r.status, r.value, r.flag from readings r join points p "
            "on p.handle = r.point order by r.received_us")]

    def __enter__(self):
        return self.start()

    def __exit__(self, kind, value, trace):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                code = self.process.wait(DEADLINE_S)
            except subprocess.TimeoutExpired:
                self.process.kill()
                code = "no clean stop"
            if kind is None:
                assert code == 0, f"the daemon ended with {code}: {self.log()}"
        if kind is not None:
            print("--- the daemon's log ---\n" + self.log())
        shutil.rmtree(self.folder)

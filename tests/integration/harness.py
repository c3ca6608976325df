"""What the integration tests share: where the binaries are, how the simulator is started and
stopped, how one waits for a condition. Nothing here sleeps as synchronisation: wait_for() polls a
condition until a deadline."""
import json
import os
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time

SOURCE = os.environ.get(
    "CANHBAO_SOURCE_DIR", os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))
BINARY = os.environ.get("CANHBAO_BINARY_DIR", os.path.join(SOURCE, "build-release"))
SIM = os.path.join(BINARY, "tests", "sim", "canhbao-sim")
SCENARIOS = os.path.join(SOURCE, "tests", "scenarios")
DEADLINE_S = 180.0  # what takes a second on a quiet machine may take this long on a busy one

sys.path.insert(0, os.path.join(SOURCE, "tests"))
from free_ports import free_ports  # noqa: E402,F401  (the tests take it from here)


def wait_for(condition, what, deadline_s=DEADLINE_S):
    """Polls condition() until it returns something true, and returns that. Leaves what is waited for at least half of
    the time: on a slow machine the asking itself would hold it up."""
    end = time.monotonic() + deadline_s
    while True:
        begin = time.monotonic()
        result = condition()
        if result:
            return result
        now = time.monotonic()
        if now > end:
            raise AssertionError(f"not within {deadline_s} s: {what}")
        time.sleep(min(max(0.01, now - begin), 0.5))


class Sim:
    """A running canhbao-sim in a folder of its own; use it in a with statement."""

    def __init__(self, scenario=None, text=None, options=(), inbox=False):
        self.folder = tempfile.mkdtemp(prefix="canhbao-sim-")
        if text is not None:
            scenario = self.path("scenario.yaml")
            with open(scenario, "w", encoding="utf-8") as file:
                file.write(text)
        command = [SIM, "--port-file", self.path("ports"), "--truth-log", self.path("truth"),
                   "--fault-log", self.path("faults")]
        if inbox:
            os.mkdir(self.path("inbox"))
            command += ["--inbox", self.path("inbox")]
        self.process = subprocess.Popen(command + list(options) + [scenario],
                                        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        try:
            wait_for(lambda: os.path.exists(self.path("ports")) or self.process.poll() is not None,
                     "the simulator listens")
            if self.process.poll() is not None:
                raise AssertionError(self.process.communicate()[1])
        except AssertionError:
            self.process.kill()
            shutil.rmtree(self.folder)
            raise
        self.ports = {}
        with open(self.path("ports"), encoding="utf-8") as file:
            for line in file:
                station, host, port, unit = line.split()
                self.ports[station] = (host, int(port), int(unit))

    def path(self, name):
        return os.path.join(self.folder, name)

    def lines(self, name):
        """The whole lines of a JSON lines file."""
        try:
            with open(self.path(name), encoding="utf-8") as file:
                return [json.loads(line) for line in file if line.endswith("\n")]
        except FileNotFoundError:
            return []

    def stop(self):
        """SIGTERM; returns (exit code, stdout, stderr)."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        out, errors = self.process.communicate(timeout=DEADLINE_S)
        return self.process.returncode, out, errors

    def __enter__(self):
        return self

    def __exit__(self, kind, value, trace):
        code, _, errors = self.stop()
        shutil.rmtree(self.folder)
        if kind is None:
            assert code == 0, f"the simulator ended with {code}: {errors}"
            assert errors == "", f"the simulator complained: {errors}"


def run_sim(*arguments, deadline_s=DEADLINE_S):
    return subprocess.run([SIM, *arguments], capture_output=True, text=True, timeout=deadline_s,
                          check=False)


def request(transaction, unit, function, address, count):
    """A Modbus TCP request, written from the specification."""
    return struct.pack(">HHHBBHH", transaction, 0, 6, unit, function, address, count)


def read_exactly(connection, count):
    data = b""
    while len(data) < count:
        more = connection.recv(count - len(data))
        if not more:
            raise EOFError(f"{len(data)} of {count} bytes")
        data += more
    return data


def connect(place, timeout_s=DEADLINE_S):
    connection = socket.create_connection(place[:2], timeout=timeout_s)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return connection

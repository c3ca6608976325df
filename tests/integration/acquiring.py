"""The program `acquire` without an end of its own: its readings can be looked at while they come. For tests that change
something under it, however long a slow machine takes to get there."""
import json
import os
import subprocess
import threading

from harness import BINARY, DEADLINE_S

ACQUIRE = os.path.join(BINARY, "tests", "integration", "acquire")
ROUNDS = "1000000"


class Acquiring:
    """Use it in a with statement; `words`, `place` (two arguments) and `points` as acquire.c tells them."""

    def __init__(self, words, place, timeout_ms, points):
        self.readings = []
        self.process = subprocess.Popen([ACQUIRE, *words, *map(str, place), ROUNDS, str(timeout_ms), *points],
                                        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.thread = threading.Thread(target=self.read, daemon=True)
        self.thread.start()

    def read(self):
        for line in self.process.stdout:
            if line.endswith("\n"):  # the last one may be cut by its end
                self.readings.append(json.loads(line))

    def statuses(self, since=0):
        """Of the readings from number `since` on, without slots that a busy machine left out."""
        return [r["status"] for r in self.readings[since:] if r["status"] != "skipped"]

    def end(self):
        """Its readings. It must not have ended before."""
        assert self.process.poll() is None, f"acquire ended: {self.process.communicate()}"
        self.process.kill()
        self.thread.join(DEADLINE_S)
        return self.readings

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait(DEADLINE_S)
        self.thread.join(DEADLINE_S)
        self.process.stdout.close()
        self.process.stderr.close()

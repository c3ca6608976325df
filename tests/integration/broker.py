"""The Apache Kafka broker of tests/kafka/broker as a Python object."""
import os
import shutil
import subprocess
import sys
import tempfile
import uuid

from harness import SOURCE

SCRIPT = os.path.join(SOURCE, "tests", "kafka", "broker")


class Broker:
    """Started on entry, stopped and removed on exit. `prefix` is of this run alone, so that a shared broker
    (CANHBAO_KAFKA) does not mix runs. Without Java, Maven or network the test program ends as skipped (77)."""

    def __init__(self, autostart=True, properties=""):
        self.properties = properties  # further lines of server.properties
        self.folder = tempfile.mkdtemp(prefix="canhbao-kafka-")
        self.prefix = f"t{uuid.uuid4().hex[:12]}."
        self.running = False
        self.autostart = autostart
        self.ours = not os.environ.get("CANHBAO_KAFKA")

    def command(self, word):
        done = subprocess.run([SCRIPT, word, self.folder], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                              check=False, env=dict(os.environ, CANHBAO_KAFKA_PROPERTIES=self.properties))
        if done.returncode == 77:
            print(f"SKIPPED: {os.path.basename(sys.argv[0])}: {done.stderr.strip()}", flush=True)
            os._exit(77)
        if done.returncode != 0:
            raise AssertionError(f"broker {word}: {done.stderr}")

    def start(self):
        self.command("start")
        self.running = True

    def stop(self):
        self.command("stop")
        self.running = False

    def kill(self):
        self.command("kill")
        self.running = False

    def freeze(self):
        self.command("freeze")

    def thaw(self):
        self.command("thaw")

    @property
    def address(self):
        with open(os.path.join(self.folder, "address"), encoding="utf-8") as file:
            return file.read().strip()

    def __enter__(self):
        if self.autostart:
            self.start()
        return self

    def __exit__(self, *_):
        if self.ours and os.path.exists(os.path.join(self.folder, "pid")):  # also one that did not get ready in time
            subprocess.run([SCRIPT, "kill", self.folder], stderr=subprocess.DEVNULL, check=False)
        shutil.rmtree(self.folder)

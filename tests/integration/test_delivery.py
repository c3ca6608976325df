"""Store, outbox and producer against a real Apache Kafka broker: nothing lost, nothing out of order per key,
doubles only with equal id and bytes, whatever happens to the broker or to the writing process.

CANHBAO_OUTAGE_S: how long the broker is away in the outage test (60)."""
import os
import random
import re
import shutil
import signal
import subprocess
import tempfile
import threading
import time
import unittest

import history_check
from broker import Broker
from harness import BINARY, DEADLINE_S, wait_for

DRIVER = os.path.join(BINARY, "tests", "integration", "delivery_driver")
OUTAGE_S = float(os.environ.get("CANHBAO_OUTAGE_S", "60"))
OURS = not os.environ.get("CANHBAO_KAFKA")


class Driver:
    """A running delivery_driver over a store folder; its newest report can be looked at."""

    def __init__(self, folder, broker, rate=100):
        self.committed = self.delivered = self.waiting = self.builds = 0
        self.connected = False
        self.process = subprocess.Popen([DRIVER, folder, broker.address, broker.prefix, str(rate)],
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.reader = threading.Thread(target=self.read, daemon=True)
        self.reader.start()

    def read(self):
        for line in self.process.stdout:
            found = re.match(r"committed (\d+)$", line)
            if found:
                self.committed = int(found[1])
            found = re.match(r"delivered (\d+) waiting (\d+) connected (\d) builds (\d+)$", line)
            if found:
                self.delivered, self.waiting, connected, self.builds = map(int, found.groups())
                self.connected = connected == 1

    def kill(self):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()
        self.reader.join()
        self.process.stdin.close()
        self.process.stdout.close()

    def stop(self):
        """Lets it deliver everything; its exit code is 0 when the outbox is empty."""
        self.process.stdin.close()
        code = self.process.wait(timeout=500)
        self.reader.join()
        self.process.stdout.close()
        return code


class Delivery(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="canhbao-delivery-")
        self.addCleanup(shutil.rmtree, self.folder)

    def start(self, broker, **arguments):
        driver = Driver(self.folder, broker, **arguments)
        self.addCleanup(lambda: driver.process.poll() is None and driver.kill())
        return driver

    def judge(self, broker, at_least):
        log = os.path.join(self.folder, "log")
        history_check.record(broker.address, log, broker.prefix)
        store = history_check.read_store(os.path.join(self.folder, "canhbao.db"))
        messages = history_check.read_log(log)
        self.assertEqual([], history_check.check(store, messages)[:20])
        self.assertGreaterEqual(len(store["events"]), at_least)
        ids = [message["headers"]["ce_id"] for message in messages]
        print(f"{self._testMethodName}: {len(store['events'])} events, {len(messages)} messages, "
              f"{len(ids) - len(set(ids))} doubles", flush=True)

    @unittest.skipUnless(OURS, "the broker is not ours to stop")
    def test_broker_stopped_and_back(self):
        with Broker() as broker:
            driver = self.start(broker)
            wait_for(lambda: driver.delivered > 500, "deliveries before the outage")
            broker.stop()
            away_until = time.monotonic() + OUTAGE_S
            before = driver.committed
            wait_for(lambda: time.monotonic() > away_until, "the outage itself", OUTAGE_S + DEADLINE_S)
            wait_for(lambda: driver.committed > before + OUTAGE_S * 20, "it goes on writing")
            wait_for(lambda: driver.waiting > OUTAGE_S * 40, "all of it waits")
            self.assertIsNone(driver.process.poll())
            self.assertFalse(driver.connected)
            backlog = driver.delivered + driver.waiting
            broker.start()
            wait_for(lambda: driver.delivered >= backlog, "the backlog is delivered")
            self.assertEqual(0, driver.stop())
            self.judge(broker, OUTAGE_S * 20)

    @unittest.skipUnless(OURS, "the broker is not ours to kill")
    def test_broker_killed_and_frozen(self):
        with Broker() as broker:
            driver = self.start(broker)
            for _ in range(2):
                delivered = driver.delivered
                wait_for(lambda: driver.delivered > delivered + 300, "deliveries")
                broker.kill()
                committed = driver.committed
                wait_for(lambda: driver.committed > committed + 200, "commits without broker")
                broker.start()
            delivered = driver.delivered
            wait_for(lambda: driver.delivered > delivered + 300, "deliveries")
            broker.freeze()
            committed = driver.committed
            wait_for(lambda: driver.committed > committed + 500, "commits with a silent broker")
            broker.thaw()
            self.assertEqual(0, driver.stop())
            self.judge(broker, 1000)

    def test_writer_killed_at_any_moment(self):
        chance = random.Random(20251119)
        with Broker() as broker:
            for _ in range(15):
                driver = self.start(broker, rate=400)
                wait_for(lambda: driver.committed > 0 and driver.delivered > 0, "the writer works")
                moment = time.monotonic() + chance.uniform(0, 0.5)  # the random moment itself
                wait_for(lambda: time.monotonic() > moment, "a random moment")
                driver.kill()
            self.assertEqual(0, self.start(broker).stop())
            self.judge(broker, 15 * 50)


    @unittest.skipUnless(OURS, "the broker is not ours to withhold")
    def test_starts_before_the_broker(self):
        with Broker() as broker:
            broker.stop()
            driver = self.start(broker)
            wait_for(lambda: driver.committed >= 200, "commits without ever having seen a broker")
            self.assertEqual(0, driver.delivered)
            broker.start()
            wait_for(lambda: driver.delivered > 0, "first delivery")
            self.assertEqual(0, driver.stop())
            self.judge(broker, 200)


if __name__ == "__main__":
    unittest.main(verbosity=2)

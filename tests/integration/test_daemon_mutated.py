"""Damaged NetCDF and GRIB2 frames in the inbox of the real daemon: it stays up, each refused file is in quarantine with
its reason and named by the condition, and good frames go on. The files are made here and mutated with a fixed seed."""
import os
import random
import shutil
import tempfile
import time
import unittest

from daemon import Daemon, Site
from harness import wait_for
from test_daemon_grids import AREA, EXTRA, RULE, frame
from test_mutated_grids import grib_message, mutate

FILES = {"nc": 24, "grib2": 12}


class DaemonMutated(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="canhbao-mutated-")
        self.addCleanup(shutil.rmtree, self.folder)
        site = Site({"silent": ("127.0.0.1", 1, 1)}, extra=EXTRA)
        self.addCleanup(site.__exit__)
        site.write("areas/basin.geojson", AREA)
        site.write("rules/areal.yaml", RULE)
        os.remove(site.path("rules/flood.yaml"))
        self.daemon = Daemon(site.folder).start()
        self.addCleanup(self.daemon.__exit__, None, None, None)
        self.inbox = self.daemon.path("state/inbox/radar")
        wait_for(lambda: os.path.isdir(self.inbox), "the inbox")

    def content(self, when, rate):
        path = os.path.join(self.folder, "frame.nc")
        frame(path, when, rate)
        with open(path, "rb") as file:
            return file.read()

    def drop(self, name, content):
        """One after another: a file that waits while a newer one is used gets no run of its own."""
        inside = os.path.join(self.inbox, "." + name)
        with open(inside, "wb") as file:
            file.write(content)
        os.rename(inside, os.path.join(self.inbox, name))
        done, refused = (os.path.join(self.inbox, folder, name) for folder in ("done", "quarantine"))
        wait_for(lambda: os.path.exists(done) or os.path.exists(refused + ".reason"), f"{name} has ended", 120)
        return os.path.exists(done)

    def value(self):
        evidence = self.daemon.alarms()[("areal", "basin")]["evidence"]
        return evidence[0]["value"] if evidence else None

    def conditions(self):
        return [c["text"] for c in self.daemon.ctl("status")["conditions"] if c["class"] in ("grid-rejected", "worker-failed")]

    def good(self, number, when):
        rate = 30.0 + number
        self.assertTrue(self.drop(f"good-{number:02}.nc", self.content(when, rate)), "a good frame is used")
        wait_for(lambda: self.value() is not None and abs(self.value() - rate) < 0.01, f"the rule sees {rate} mm/h")

    def test_it_survives_them_all(self):
        process = self.daemon.process.pid
        start = int(time.time()) // 60 * 60 - 3600
        number = 0
        refused = []
        self.good(0, start)
        for form, seed in (("nc", 11), ("grib2", 12)):
            chance = random.Random(seed)
            for i in range(FILES[form]):
                number += 1
                # older than the good frames: one whose damage does not show may be used, and is no news
                whole = self.content(start - 90000 - 60 * number, 3.0) if form == "nc" else grib_message(i)
                name = f"bad-{number:02}.{form}"
                if not self.drop(name, mutate(chance, whole)):
                    refused.append(name)
                    wait_for(lambda name=name: any(name in text for text in self.conditions()), f"{name} is named")
                if i % 6 == 5:
                    self.good(number, start + 60 * number)
        print(len(refused), "of", number, "were refused")
        self.assertGreater(len(refused), number // 3)  # the mutations do bite
        for name in refused:
            with open(os.path.join(self.inbox, "quarantine", name + ".reason"), encoding="utf-8") as file:
                self.assertTrue(file.read().strip(), name)
        self.assertEqual((self.daemon.process.pid, self.daemon.process.poll()), (process, None))
        wait_for(lambda: not self.conditions(), "the conditions clear")


if __name__ == "__main__":
    unittest.main()

"""Units of gases and dose rates mixed up in the example site: what does not convert is refused by name, at its place;
what converts is taken, in the unit of the point."""
import os
import shutil
import subprocess
import tempfile
import unittest

from daemon import DAEMON
from harness import DEADLINE_S, SOURCE

BINH_DINH = os.path.join(SOURCE, "deploy", "sites", "binh-dinh")


class UnitMixUps(unittest.TestCase):
    def check(self, name=None, old=None, new=None):
        with tempfile.TemporaryDirectory(prefix="canhbao-units-") as folder:
            site = os.path.join(folder, "site")
            shutil.copytree(BINH_DINH, site)
            if name:
                path = os.path.join(site, name)
                with open(path, encoding="utf-8") as file:
                    text = file.read()
                self.assertIn(old, text, name)
                with open(path, "w", encoding="utf-8") as file:
                    file.write(text.replace(old, new, 1))
            return subprocess.run([DAEMON, "--config", site, "--check"], capture_output=True, text=True, timeout=DEADLINE_S, check=False)

    def test_refused(self):
        self.assertEqual(self.check().returncode, 0)
        dose, gas = "stations/ld-quy-nhon.yaml", "stations/hc-cang-1.yaml"
        for name, old, new in (
                ("rules/cl2.yaml", "hysteresis: 0.1 ppm", "hysteresis: 0.1 mg/m3"),
                ("rules/dose-rise.yaml", "at_least: 100 nSv/h", "at_least: 100 nSv"),
                ("rules/dose-rise.yaml", "at_least: 100 nSv/h", "at_least: 100 ppm"),
                ("rules/dose-rise.yaml", "at_least: 100 nSv/h", "at_least: 100"),
                (gas, "quantity: cl2\n    unit: ppm", "quantity: cl2\n    unit: mg/m3"),
                (gas, "quantity: cl2\n    unit: ppm", "quantity: cl2\n    unit: nSv/h"),
                (gas, "hard_max: 655.34 ppm", "hard_max: 655.34 mg/m3"),
                (dose, "quantity: dose_rate\n    unit: nSv/h", "quantity: dose_rate\n    unit: nSv"),
                (dose, "quantity: dose_rate\n    unit: nSv/h", "quantity: dose_rate\n    unit: ppm"),
                (dose, "hard_max: 1e10 nSv/h", "hard_max: 1e10 mg/m3")):
            done = self.check(name, old, new)
            self.assertNotEqual(done.returncode, 0, (name, new))
            self.assertIn(os.path.basename(name), done.stdout + done.stderr, (name, new))

    def test_taken(self):
        for name, old, new in (("rules/dose-rise.yaml", "at_least: 100 nSv/h", "at_least: 0.1 uSv/h"),
                               ("stations/ld-quy-nhon.yaml", "hard_max: 1e10 nSv/h", "hard_max: 1e7 uSv/h"),
                               ("rules/cl2.yaml", "hysteresis: 0.1 ppm", "hysteresis: 100 ppb")):
            done = self.check(name, old, new)
            self.assertEqual(done.returncode, 0, done.stdout + done.stderr)


if __name__ == "__main__":
    unittest.main()

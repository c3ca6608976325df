"""What the models write, by the CF conventions as the IOOS compliance checker understands them: no error, no warning.

The checker is no package of Debian: deploy/install-deps --test has it from PyPI in the cache folder; CANHBAO_CF_CHECKER
names another. Without it this test reports itself as skipped. Its tables come with it: nothing is fetched."""
import os
import subprocess
import sys
import tempfile
import unittest

from test_nowcast_inputs import LAMBERT, MERCATOR, MODEL, Sequence, run

CACHE = os.environ.get("CANHBAO_CACHE") or os.path.join(os.environ.get("HOME", "/tmp"), ".cache", "canhbao")
CHECKER = os.environ.get("CANHBAO_CF_CHECKER") or os.path.join(CACHE, "compliance-checker", "bin", "compliance-checker")


class Conventions(unittest.TestCase):
    def test_written_files_pass(self):
        with tempfile.TemporaryDirectory() as folder:
            def path(name):
                return os.path.join(folder, name)
            Sequence(mapping=LAMBERT).write(path("lambert.nc"))
            Sequence(mapping=MERCATOR).write(path("vn2000.nc"))
            Sequence(plane=True).write(path("planes.nc"))
            Sequence().write(path("degrees.nc"))
            written = []
            for arguments in (("nowcast", "--in", path("lambert.nc"), "--leads", "3", "--motion-out", path("motion.nc")),
                              ("nowcast", "--in", path("vn2000.nc"), "--leads", "3"),
                              ("nowcast", "--in", path("planes.nc"), "--leads", "3"),
                              ("nowcast", "--in", path("degrees.nc"), "--leads", "3", "--members", "3"),
                              ("regrid", "--in", path("lambert.nc"), "--like", path("planes.nc"))):
                written.append(path(f"out{len(written)}.nc"))
                done = run(*arguments, "--out", written[-1])
                self.assertEqual(done.returncode, 0, done.stderr)
            for file in (*written, path("motion.nc")):
                done = subprocess.run([CHECKER, "-t", "cf:1.8", file], capture_output=True, text=True, timeout=300,
                                      check=False)
                self.assertIn("All tests passed!", done.stdout, done.stdout + done.stderr)
                self.assertEqual(done.returncode, 0)
            # and the judge does find what is wrong
            Sequence().write(path("bad.nc"))  # these frames do not name their conventions
            done = subprocess.run([CHECKER, "-t", "cf:1.8", path("bad.nc")], capture_output=True, text=True, timeout=300,
                                  check=False)
            self.assertNotIn("All tests passed!", done.stdout)


if __name__ == "__main__":
    if not os.path.exists(MODEL):
        sys.exit(f"no {MODEL}: set CANHBAO_BINARY_DIR")
    if not os.access(CHECKER, os.X_OK):
        print(f"skipped: no {CHECKER} (deploy/install-deps --test)")
        sys.exit(77)
    unittest.main()

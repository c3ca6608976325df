"""The technician's tools of canhbaoctl, run as a person would run them. Expected numbers are those of
Python's struct module."""
import json
import os
import shutil
import struct
import subprocess
import tempfile
import unittest

import harness

CTL = os.path.join(harness.BINARY, "daemon", "canhbaoctl")
DAEMON = os.path.join(harness.BINARY, "daemon", "canhbaod")
MINIMAL = os.path.join(harness.SOURCE, "tests", "data", "sites", "minimal")


def run(*arguments, program=CTL):
    return subprocess.run([program, *arguments], capture_output=True, text=True, timeout=60,
                          check=False)


def numbers(place):
    return {(n["type"], n["order"]): n for n in place["numbers"]}


class Tools(unittest.TestCase):
    def test_decode(self):
        wire = struct.pack(">f", 12.5)
        done = run("--json", "decode", wire.hex())
        self.assertEqual(done.returncode, 0, done.stderr)
        places = json.loads(done.stdout)
        self.assertEqual([p["raw"] for p in places], ["41 48", "00 00"])
        found = numbers(places[0])
        self.assertEqual(found["float32", "ABCD"]["value"], 12.5)
        self.assertTrue(found["float32", "ABCD"]["plausible"])
        self.assertEqual(found["float32", "BADC"]["value"],
                         struct.unpack(">f", bytes((0x48, 0x41, 0, 0)))[0])
        self.assertEqual(found["uint32", "CDAB"]["value"], 0x4148)
        self.assertEqual(found["int16", "BADC"]["value"], 0x4841)
        self.assertNotIn(("float64", "ABCD"), found)
        text = run("decode", "0x4148", "00:00").stdout
        self.assertRegex(text, r"float32 +ABCD 12\.5 \*")
        swapped = run("decode", wire[2:].hex(), wire[:2].hex()).stdout
        self.assertRegex(swapped, r"CDAB 12\.5 \*")

    def test_decode_refuses_what_is_no_register(self):
        for arguments in ([], ["4"], ["414"], ["4148", "0"], ["zz00"], ["41480"], ["00" * 252]):
            done = run("decode", *arguments)
            self.assertEqual((done.returncode, done.stdout), (2, ""), arguments)
            self.assertIn("expected 1 to 125 registers", done.stderr)

    def test_plan(self):
        done = run("--json", "plan", "--config", MINIMAL, "alpha")
        self.assertEqual(done.returncode, 0, done.stderr)
        plan = json.loads(done.stdout)
        self.assertEqual([(r["table"], r["start"], r["count"], r["thrown_away"], r["period_s"])
                          for r in plan["requests"]],
                         [("holding", 0, 2, 0, 60), ("input", 0, 2, 0, 60)])
        self.assertAlmostEqual(plan["endpoint_load_percent"], 100 * 2 / 60)
        self.assertEqual(plan["worst_case_s"], 2)
        self.assertIn("3.3 %", run("plan", "-c", MINIMAL, "alpha").stdout)
        self.assertEqual(run("plan", "--config", MINIMAL, "beta").returncode, 1)
        self.assertEqual(run("plan", "alpha").returncode, 2)
        self.assertEqual(run("plan", "--config", "/nonexistent", "alpha").returncode, 1)

    def test_the_daemon_warns_of_a_full_endpoint(self):
        with tempfile.TemporaryDirectory() as folder:
            site = shutil.copytree(MINIMAL, os.path.join(folder, "site"))
            good = run("--config", site, "--check", program=DAEMON)
            self.assertEqual(good.returncode, 0, good.stderr)
            self.assertNotIn("warning", good.stdout)
            path = os.path.join(site, "stations", "alpha.yaml")
            with open(path, encoding="utf-8") as file:
                text = file.read()
            with open(path, "w", encoding="utf-8") as file:
                file.write(text.replace("port: 15900", "port: 15900\n  request_timeout: 25 s"))
            full = run("--config", site, "--check", program=DAEMON)
            self.assertEqual(full.returncode, 0, full.stderr)
            self.assertRegex(full.stdout, r"warning: endpoint alpha .*2 requests .* 83 %")


if __name__ == "__main__":
    unittest.main()

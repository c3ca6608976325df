"""Damaged NetCDF and GRIB2 files: the worker refuses them, or dies of them (its libraries do), inside its cage and in
bounded time; it never hangs, never writes, and what it accepts is still an object with its results. The files are made
here, mutated with a fixed seed: bits turned, bytes set to extremes, pieces cut out, doubled, cut off.

CANHBAO_MUTATIONS=N runs N files of each form instead of a few."""
import json
import os
import random
import resource
import signal
import struct
import subprocess
import sys
import tempfile
import unittest

import netCDF4
import numpy

BINARY = os.environ.get("CANHBAO_BINARY_DIR", "build-release")
MODEL = os.path.join(BINARY, "models", "canhbao-model")
MUTATIONS = int(os.environ.get("CANHBAO_MUTATIONS", "20"))
DEADLINE_S, MEMORY_MB, CPU_S = 300, 1024, 20
AREA = {"type": "Feature", "id": "a", "properties": {},
        "geometry": {"type": "Polygon", "coordinates": [[[108.0, 13.7], [108.4, 13.7], [108.4, 14.0], [108.0, 14.0], [108.0, 13.7]]]}}


def netcdf(folder):
    path = os.path.join(folder, "seed.nc")
    with netCDF4.Dataset(path, "w") as data:
        for name, size in (("time", 3), ("y", 12), ("x", 14)):
            data.createDimension(name, size)
        for name, standard, unit, values in (("y", "latitude", "degrees_north", 14.1 - 0.05 * numpy.arange(12)),
                                             ("x", "longitude", "degrees_east", 107.9 + 0.05 * numpy.arange(14))):
            variable = data.createVariable(name, "f8", (name,))
            variable.standard_name, variable.units, variable[:] = standard, unit, values
        when = data.createVariable("time", "f8", ("time",))
        when.units, when.standard_name, when[:] = "minutes since 2025-11-19 07:00:00", "time", [0, 10, 20]
        rain = data.createVariable("rain", "i2", ("time", "y", "x"), fill_value=-32768, zlib=True, chunksizes=(1, 12, 14))
        rain.units, rain.standard_name, rain.scale_factor = "mm h-1", "rainfall_rate", 0.1
        rain[:] = numpy.arange(3 * 12 * 14).reshape(3, 12, 14) % 50 * 0.1
    with open(path, "rb") as file:
        return file.read()


def grib_message(minutes, columns=14, rows=12):
    """GRIB2 by the octets of the manual: regular latitude/longitude, simple packing of 8 bits, prate."""
    def section(number, body):
        return struct.pack(">IB", len(body) + 5, number) + body
    date = struct.pack(">HBBBBB", 2025, 11, 19, 7, 0, 0)
    one = section(1, struct.pack(">HHBBB", 0, 0, 2, 0, 1) + date + struct.pack(">BB", 0, 1))
    micro = 1000000
    three = section(3, struct.pack(">BIBBHBBIBIBI", 0, rows * columns, 0, 0, 0, 6, 0, 0, 0, 0, 0, 0)
                    + struct.pack(">IIIIiIBiIIIB", columns, rows, 0, 0xffffffff, int(14.1 * micro), int(107.9 * micro), 48,
                                  int(13.55 * micro), int(108.55 * micro), 50000, 50000, 0))
    four = section(4, struct.pack(">HHBBBBBHBBIBBIBBI", 0, 0, 1, 7, 2, 0, 0, 0, 0, 0, minutes, 1, 0, 0, 255, 0, 0))
    five = section(5, struct.pack(">IHfHHBB", rows * columns, 0, 0.0, 0x8004, 0, 8, 0))
    six = section(6, b"\xff")
    seven = section(7, bytes(i % 50 for i in range(rows * columns)))
    body = one + three + four + five + six + seven + b"7777"
    return b"GRIB\0\0\0\x02" + struct.pack(">Q", len(body) + 16) + body


def limit():
    resource.setrlimit(resource.RLIMIT_CPU, (3, 4))
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_MB << 20, MEMORY_MB << 20))


def wind(folder):
    path = os.path.join(folder, "wind.nc")
    with netCDF4.Dataset(path, "w") as data:
        for name, values in (("time", [0, 7200]), ("y", [-20000, 0, 20000]), ("x", [-20000, 0, 20000])):
            data.createDimension(name, len(values))
            variable = data.createVariable(name, "f8", (name,))
            variable.units = "seconds since 2025-11-18T06:00:00Z" if name == "time" else "m"
            if name != "time":
                variable.axis = name.upper()
            variable[:] = values
        for name, standard, value in (("u10", "eastward_wind", 3), ("v10", "northward_wind", 1)):
            variable = data.createVariable(name, "f4", ("time", "y", "x"), zlib=True)
            variable.units, variable.standard_name, variable[:] = "m s-1", standard, numpy.full((2, 3, 3), value)
    with open(path, "rb") as file:
        content = file.read()
    os.remove(path)
    return content


def sensitivities(folder):
    path = os.path.join(folder, "srs.nc")
    with netCDF4.Dataset(path, "w") as data:
        data.createDimension("obs", 12)
        data.createDimension("bin", 5)
        conc = data.createVariable("conc", "f8", ("obs",))
        srs = data.createVariable("srs", "f4", ("obs", "bin"))
        conc.units, srs.units = "mBq m-3", "mBq m-3 per TBq"
        matrix = numpy.random.default_rng(3).random((12, 5))
        srs[:], conc[:] = matrix, matrix @ numpy.array([0, 4, 0, 1, 0])
    with open(path, "rb") as file:
        content = file.read()
    os.remove(path)
    return content


def mutate(chance, seed):
    data = bytearray(seed)
    for _ in range(chance.choice((1, 1, 2, 4, 16))):
        at = chance.randrange(len(data))
        kind = chance.randrange(6)
        if kind == 0:
            data[at] ^= 1 << chance.randrange(8)
        elif kind == 1:
            data[at] = chance.choice((0, 1, 0x7f, 0x80, 0xff))
        elif kind == 2:
            data[at:at + 4] = chance.choice((b"\0\0\0\0", b"\xff\xff\xff\xff", b"\x7f\xff\xff\xff", b"\0\0\0\1"))
        elif kind == 3:
            del data[at:at + chance.randrange(1, 64)]
        elif kind == 4:
            data[at:at] = data[at:at + chance.randrange(1, 64)]
        else:
            del data[max(at, 8):]
        if not data:
            return seed[:8]
    return bytes(data)


class Mutated(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = folder.name
        with open(os.path.join(self.folder, "areas.geojson"), "w", encoding="utf-8") as file:
            json.dump(AREA, file)

    def run_far(self, content, words):
        """A model of releases, by hand: these read NetCDF outside the cage, so a library may die of a file, or run away
        with it: the limits are of this test."""
        path, out = os.path.join(self.folder, "in.nc"), os.path.join(self.folder, "out")
        with open(path, "wb") as file:
            file.write(content)
        if os.path.exists(out):
            os.remove(out)
        done = subprocess.run([MODEL, *(word.format(path=path, out=out, folder=self.folder) for word in words)],
                              capture_output=True, timeout=DEADLINE_S, check=False, preexec_fn=limit)
        self.assertEqual(os.path.exists(out), done.returncode == 0, done.stderr)  # all of it, or nothing
        self.assertTrue(done.returncode in (0, 1, 3) or -done.returncode in (signal.SIGSEGV, signal.SIGABRT, signal.SIGBUS,
                                                                              signal.SIGFPE, signal.SIGXCPU, signal.SIGKILL),
                        done.stderr)
        return done.returncode

    def check_far(self, seed, words, number):
        self.assertEqual(self.run_far(seed, words), 0)
        chance = random.Random(number)
        seen = {}
        for _ in range(MUTATIONS):
            code = self.run_far(mutate(chance, seed), words)
            seen[code] = seen.get(code, 0) + 1
        print(words[0], "exit codes:", dict(sorted(seen.items())))
        self.assertGreater(seen.get(3, 0), 0)

    def test_wind(self):
        for name, text in (("release.yaml", "release_height_m: 1\nmass_g: 5000\nduration_s: 600\nstart: 2025-11-18T06:10:00Z\n"),
                           ("receptors.csv", "x_east_m,y_north_m\n600,200\n")):
            with open(os.path.join(self.folder, name), "w", encoding="utf-8") as file:
                file.write(text)
        self.check_far(wind(self.folder), ("plume", "--release", "{folder}/release.yaml", "--weather", "{path}", "--receptors",
                                           "{folder}/receptors.csv", "--class", "D", "--out", "{out}"), 3)

    def test_sensitivities(self):
        self.check_far(sensitivities(self.folder), ("srs", "--srs", "{path}", "--out", "{out}"), 4)

    def run_worker(self, content):
        path = os.path.join(self.folder, "in")
        with open(path, "wb") as file:
            file.write(content)
        before = sorted(os.listdir(self.folder))
        done = subprocess.run(
            [MODEL, "areal", "--worker", "--quiet", "--in", path, "--areas", os.path.join(self.folder, "areas.geojson"),
             "--newest", "2030-01-01T00:00:00Z", "--step", "10min", "--windows", "30min", "--lead", "20min", "--forecast",
             "nowcast", "--members", "2", "--memory-mb", str(MEMORY_MB), "--cpu-s", str(CPU_S)],
            capture_output=True, timeout=DEADLINE_S, check=False)
        self.assertEqual(sorted(os.listdir(self.folder)), before)
        if done.returncode == 0:
            results = json.loads(done.stdout)["results"]
            self.assertTrue(all("cause" in r for r in results if r["value"] is None))
            self.assertTrue(all(r["value"] >= 0.0 for r in results if r["value"] is not None))
        elif done.returncode > 0:
            self.assertIn(done.returncode, (1, 3), done.stderr)
            self.assertTrue(done.stderr)
        else:
            self.assertIn(-done.returncode, (signal.SIGSEGV, signal.SIGABRT, signal.SIGBUS, signal.SIGFPE, signal.SIGXCPU,
                                             signal.SIGKILL))
        return done.returncode

    def check(self, seed, number):
        self.assertEqual(self.run_worker(seed), 0)
        chance = random.Random(number)
        seen = {}
        for _ in range(MUTATIONS):
            code = self.run_worker(mutate(chance, seed))
            seen[code] = seen.get(code, 0) + 1
        print("exit codes:", dict(sorted(seen.items())))
        self.assertGreater(seen.get(3, 0), 0)  # the mutations do bite

    def test_netcdf(self):
        self.check(netcdf(self.folder), 1)

    def test_grib2(self):
        self.check(b"".join(grib_message(m) for m in (0, 10, 20)), 2)

    def test_no_grid_at_all(self):
        for content in (b"", b"GRIB", b"GRIB\0\0\0\x02" + b"\xff" * 8, b"\x89HDF\r\n\x1a\n", b"CDF\1", os.urandom(5000)):
            self.assertEqual(self.run_worker(content), 3)


if __name__ == "__main__":
    if not os.path.exists(MODEL):
        sys.exit(f"no {MODEL}: set CANHBAO_BINARY_DIR")
    unittest.main()

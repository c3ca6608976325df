#!/usr/bin/python3
"""The dependency rule of the tree, checked from the #include lines.

daemon/base <- daemon/station <- drivers, models, alerts (never each other) <- the rest of daemon <- daemon/main.c
models/quality also serves the daemon; everything else of models only canhbao-model. The simulator uses daemon/base
alone: it is the independent counterpart (tests/conformance, its kit for consumers, plays a daemon and may use all).
Files have at most 1,000 lines; no write function of Modbus is compiled in.

layers.py [ROOT]; layers.py --self-test. Exit: 0 fine, 1 violations."""
import pathlib
import re
import sys
import tempfile

INCLUDE = re.compile(r'^\s*#\s*include\s+"([^"]+)"', re.M)
LIBRARIES = re.compile(r'^\s*#\s*include\s+<([^>]+)>', re.M)
MAY = {
    "base": {"base"},
    "station": {"base", "station"},
    "drivers": {"base", "station", "drivers"},
    "models": {"base", "station", "models", "quality"},
    "quality": {"base", "station", "quality"},
    "alerts": {"base", "station", "alerts"},
    "daemon": {"base", "station", "drivers", "quality", "alerts", "daemon"},
    "main": {"base", "station", "drivers", "quality", "alerts", "daemon"},
    "sim": {"base", "sim"},
}
# A library that only some layers may know.
ONLY = {"uv.h": {"base", "sim"}, "netcdf.h": {"models", "sim"}, "modbus.h": {"drivers"}, "sqlite3.h": {"daemon"},
        "librdkafka/rdkafka.h": {"alerts", "sim"}, "microhttpd.h": {"daemon"}, "hdf5.h": set(),
        "eccodes.h": {"models"}, "cairo.h": {"models"}}
LINES_MAX = 1000


def layer(path):
    parts = path.split("/")
    if path == "daemon/main.c":
        return "main"
    if parts[0] == "daemon":
        return parts[1] if parts[1] in ("base", "station") else "daemon"
    if path.startswith("models/quality/"):
        return "quality"
    if path.startswith("tests/sim/"):
        return "sim"
    return parts[0] if parts[0] in ("drivers", "models", "alerts") else None


def target(including, name):
    """The layer of an included file; quoted includes name it from the root, or beside the includer."""
    known = layer(name) if "/" in name else None
    return known or layer(including)


def check(root):
    problems = []
    for path in sorted(root.rglob("*.[ch]")):
        name = path.relative_to(root).as_posix()
        own = layer(name)
        if own is None or name.startswith("build"):
            continue
        text = path.read_text(encoding="utf-8")
        for included in INCLUDE.findall(text):
            other = target(name, included)
            if other not in MAY[own]:
                problems.append(f"{name}: {own} may not include {included} ({other})")
        for included in LIBRARIES.findall(text):
            if included in ONLY and own not in ONLY[included]:
                problems.append(f"{name}: {own} may not include <{included}>")
        lines = text.count("\n")
        if lines > LINES_MAX:
            problems.append(f"{name}: {lines} lines, at most {LINES_MAX}")
        if own == "drivers" and re.search(r"\bmodbus_(write|mask_write)\w*\s*\(", text):
            problems.append(f"{name}: a write function of Modbus")
    return problems


def self_test():
    plants = {
        "daemon/base/a.c": '#include "daemon/station/station.h"\n',
        "daemon/station/a.c": '#include "daemon/engine.h"\n',
        "drivers/a.c": '#include "alerts/rule.h"\n',
        "alerts/a.c": '#include "models/quality/quality.h"\n',
        "models/grid/a.c": '#include "daemon/config/site.h"\n',
        "daemon/a.c": '#include "models/grid/grid.h"\n',
        "daemon/b.c": "#include <uv.h>\n",
        "daemon/c.c": "#include <netcdf.h>\n",
        "daemon/d.c": "\n" * (LINES_MAX + 1),
        "drivers/modbus/b.c": "int f(void) { return modbus_write_register(c, 1, 2); }\n",
        "tests/sim/a.c": '#include "drivers/modbus/pdu.h"\n',
    }
    for name, text in plants.items():
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder) / name
            path.parent.mkdir(parents=True)
            path.write_text(text, encoding="utf-8")
            if len(check(pathlib.Path(folder))) != 1:
                print(f"a planted violation was not found: {name}")
                return 1
    return 0


if __name__ == "__main__":
    if "--self-test" in sys.argv:
        sys.exit(self_test())
    root = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else ".").resolve()
    found = check(root)
    print("\n".join(found) if found else "layers: fine")
    sys.exit(1 if found else 0)

#!/usr/bin/python3
"""No output can print a level without its scale.

Checked in the schemas (a level is an object that has its scale, or a number in an object or a message that has one), in
the sentences of the messages, in what canhbaoctl prints and on the operator's page.

scale_check.py [ROOT]; scale_check.py --self-test. Exit: 0 fine, 1 violations."""
import json
import pathlib
import re
import sys

TOLD = re.compile(r'level_name_(vi|en)|level\.name_vi|"level"')


def schema_faults(name, node, scaled=False, defs=None):
    """Numbers called level in objects where neither they nor what they stand in says the scale."""
    defs = defs if defs is not None else node.get("$defs", {})
    faults = []
    if isinstance(node, dict):
        properties = node.get("properties")
        if isinstance(properties, dict):
            level = properties.get("level")
            named = isinstance(level, dict) and "scale" in json.dumps(
                defs.get(str(level.get("$ref", "")).rsplit("/", 1)[-1], level))
            scaled = scaled or "scale" in properties or named
            faults += [f"{name}: {key} without a scale" for key in properties
                       if re.fullmatch(r"(\w+_)?level", key) and not scaled]
        for key, value in node.items():
            if key != "$defs":
                faults += schema_faults(name, value, scaled, defs)
    elif isinstance(node, list):
        for value in node:
            faults += schema_faults(name, value, scaled, defs)
    return faults


def sentence_faults(name, text):
    sentences = dict(line.split(" = ", 1) for line in text.splitlines() if " = " in line and not line.startswith("#"))
    faults = []
    for key, words in (("level.own", ["{scale}"]), ("level.risk", ["rủi ro", "risk"]),
                       ("level.risk_short", ["rủi ro", "risk"])):
        if not any(word in sentences.get(key, "") for word in words):
            faults.append(f"{name}: {key} does not say the scale")
    return faults + [f"{name}: {key} has a level's bare {{name}}" for key, sentence in sentences.items()
                     if "{name}" in sentence and not key.startswith("level.")]


def source_faults(name, text, separator):
    """Statements that show a level: the scale must be in them."""
    return [f"{name}: {' '.join(part.split())[:120]}" for part in text.split(separator)
            if TOLD.search(part) and re.search(r'printf|" \(" \+|: " \+|el\(', part) and "scale" not in part.lower() and
            "levelText(" not in part and "print_level(json" not in part]


def check(root):
    faults = []
    for path in sorted((root / "deploy" / "schemas").glob("*.json")):
        faults += schema_faults(path.name, json.loads(path.read_text(encoding="utf-8")))
    for language in ("vi", "en"):
        path = root / "alerts" / "message" / "templates" / f"{language}.txt"
        faults += sentence_faults(path.name, path.read_text(encoding="utf-8"))
    for path in sorted((root / "daemon" / "control").glob("ctl_*.c")):
        faults += source_faults(path.name, path.read_text(encoding="utf-8"), ";")
    page = root / "daemon" / "web" / "console" / "index.html"
    return faults + source_faults(page.name, page.read_text(encoding="utf-8"), ";")


def self_test():
    bare = {"properties": {"level": {"type": "integer"}}}
    assert schema_faults("s", bare) and schema_faults("s", {"properties": {"approval": bare}})
    assert not schema_faults("s", {"properties": {"level": {"type": "integer"}, "scale": {"type": "string"}}})
    assert not schema_faults("s", {"$defs": {"level": {"properties": {"value": {}, "scale": {}}}},
                                   "properties": {"level": {"$ref": "#/$defs/level"}, "annunciation": {
                                       "properties": {"acknowledged_level": {"type": "integer"}}}}})
    good = "level.own = {name} ({scale})\nlevel.risk = risk {name}\nlevel.risk_short = risk {name}\n"
    assert not sentence_faults("t", good)
    assert sentence_faults("t", good.replace(" ({scale})", "")) and sentence_faults("t", good + "sms.1 = {name}\n")
    assert source_faults("c", 'a; fprintf(out, "%s", text_of(l, "level_name_vi")); b;', ";")
    assert not source_faults("c", 'fprintf(out, "%s %s", text_of(l, "scale"), text_of(l, "level_name_vi"));', ";")
    assert source_faults("p", 'el("td", a.level.name_vi);', ";")
    assert not source_faults("p", "el(levelText(a.level))", ";")
    return []


def main():
    faults = self_test() if sys.argv[1:] == ["--self-test"] else check(
        pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else pathlib.Path(__file__).parent.parent))
    for fault in faults:
        print(fault)
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())

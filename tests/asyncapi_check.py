#!/usr/bin/python3
"""deploy/schemas/asyncapi.yaml against the sources: every topic that the code names and how its records are to be kept, every
header that it writes, every reference. asyncapi_check.py ROOT; asyncapi_check.py --self-test ROOT. Exit: 0 fine, 1 problems.
"""
import copy
import json
import pathlib
import re
import sys

import jsonschema
import yaml


def topic_table(root):
    return (root / "alerts/kafka_topics.c").read_text(encoding="utf-8")


def policies(root):
    """Of each topic: cleanup.policy as the daemon makes and expects it."""
    return {"canhbao." + name: [policy] for name, policy in re.findall(r'= \{"([^"]+\.v1)", "([a-z]+)"', topic_table(root))}


def topics(root):
    """Names of topics that something in daemon/ publishes, and the one that alerts/kafka_commands.c reads."""
    names = dict(re.findall(r'\[(KAFKA_TOPIC_\w+)\] = \{"([^"]+)"', topic_table(root)))
    sources = "".join(path.read_text(encoding="utf-8") for path in (root / "daemon").rglob("*.c"))
    read = re.findall(r'"%s([a-z-]+\.v1)"', (root / "alerts/kafka_commands.c").read_text(encoding="utf-8"))
    sent = [name for topic, name in names.items() if re.search(rf"\.topic = {topic}\b", sources)]
    return {"canhbao." + name for name in read + sent}


def headers(root):
    return set(re.findall(r'\{"((?:ce_|content-)[a-z_]+)"', (root / "alerts/kafka.c").read_text(encoding="utf-8")))


def walk(node, path=""):
    if isinstance(node, dict):
        for key, value in node.items():
            yield f"{path}/{key}", key, value
            yield from walk(value, f"{path}/{key}")
    elif isinstance(node, list):
        for i, value in enumerate(node):
            yield from walk(value, f"{path}/{i}")


def resolve(document, reference):
    node = document
    for part in reference[2:].split("/"):
        node = node[part]
    return node


def check(document, root):
    problems = []
    if document.get("asyncapi") != "3.0.0":
        problems.append("not AsyncAPI 3.0.0")
    for path, key, value in walk(document):
        if key != "$ref":
            continue
        try:
            if value.startswith("#/"):
                resolve(document, value)
            else:
                jsonschema.Draft202012Validator.check_schema(
                    json.loads((root / "deploy/schemas" / value).read_text(encoding="utf-8")))
        except (KeyError, OSError, ValueError, jsonschema.SchemaError) as error:
            problems.append(f"{path}: {value}: {error!r}")
    addresses = {channel["address"] for channel in document["channels"].values()}
    if addresses != topics(root):
        problems.append(f"topics: {sorted(addresses ^ topics(root))} are only in one of document and code")
    readme = (root / "deploy/schemas/README.md").read_text(encoding="utf-8")
    if set(re.findall(r"^\| `(canhbao\.[a-z0-9.-]+)` \|", readme, re.M)) != addresses:
        problems.append("the table of topics in README.md names others")
    kept = {c["address"]: c["bindings"]["kafka"]["topicConfiguration"]["cleanup.policy"] for c in document["channels"].values()}
    if kept != policies(root):
        problems.append("cleanup.policy of a topic is another one than in alerts/kafka_topics.c")
    written, told = headers(root), set(document["components"]["schemas"]["headers"]["properties"])
    if written != told:
        problems.append(f"headers: {sorted(written ^ told)} are only in one of document and code")
    sent = {operation["channel"]["$ref"] for operation in document["operations"].values()}
    if sent != {f"#/channels/{name}" for name in document["channels"]}:
        problems.append("not every channel has its operation")
    return problems


def self_test(document, root):
    def planted(change):
        wrong = copy.deepcopy(document)
        change(wrong)
        return check(wrong, root)

    plants = [lambda d: d["channels"].pop("cap"), lambda d: d["channels"]["cap"].update(address="canhbao.run.v1"),
              lambda d: d["components"]["schemas"]["headers"]["properties"].pop("ce_exercise"),
              lambda d: d["channels"]["alertState"]["bindings"]["kafka"]["topicConfiguration"].update(
                  {"cleanup.policy": ["delete"]}),
              lambda d: d["components"]["messages"].pop("alert"), lambda d: d.update(asyncapi="2.6.0"),
              lambda d: d["components"]["messages"]["alert"]["payload"]["schema"].update({"$ref": "./none.json"})]
    return [f"planted violation {i} was not found" for i, plant in enumerate(plants) if not planted(plant)]


def main():
    arguments = [a for a in sys.argv[1:] if a != "--self-test"]
    root = pathlib.Path(arguments[0])
    document = yaml.safe_load((root / "deploy/schemas/asyncapi.yaml").read_text(encoding="utf-8"))
    problems = self_test(document, root) if "--self-test" in sys.argv else check(document, root)
    for problem in problems:
        print(problem)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())

#!/usr/bin/python3
"""The sentences of the messages have words, in every language, for whatever a model gives to rules
(daemon/config/rule_load.c): its name, and what an SMS says of a number without a unit. Otherwise a probability would be told
as a measured value, or stand alone. And the operator's page has words for every cause and every condition.

phrases_check.py ROOT; phrases_check.py --self-test ROOT. Exit: 0 fine, 1 faults."""
import pathlib
import re
import sys


def variables(root):
    table = re.search(r"model_outputs\[\] = \{(.*?)\n\};", (root / "daemon/config/rule_load.c").read_text(encoding="utf-8"),
                      re.S)[1]
    return sorted({(name, '"1"' in units) for name, units in re.findall(r'\{"[a-z]+", "([a-z0-9_]+)", ([^}]*)\}', table)})


def keys_of(text):
    return {line.split(" = ")[0] for line in text.splitlines() if " = " in line and not line.startswith("#")}


def faults(wanted, sentences):
    keys = {language: keys_of(text) for language, text in sentences.items()}
    found = [f"{language}: no {key}" for language in keys for name, bare in wanted
             for key in [f"quantity.{name}"] + [f"brief.{name}"] * bare if key not in keys[language]]
    in_some = set.union(*keys.values()) - set.intersection(*keys.values())
    return found + [f"only in some languages: {key}" for key in sorted(in_some)]


def page_faults(root, page):
    """Codes of the sources that a table of the page lacks."""
    codes = {"CAUSE": ("alerts/evidence.c", r'\[CAUSE_(?!NONE)\w+\] = "(\w+)"'),
             "CONDITION": ("daemon/health.c", r'\[CONDITION_\w+\] = "([a-z-]+)"')}
    found = []
    for table, (path, pattern) in codes.items():
        wanted = set(re.findall(pattern, (root / path).read_text(encoding="utf-8")))
        told = re.search(rf"const {table} = \{{(.*?)\}};", page, re.S)
        keys = set(re.findall(r'"?([a-z_-]+)"?:"', told[1])) if told else set()
        found += [f"page: {table} lacks {code}" for code in sorted(wanted - keys)] + ([] if wanted else [f"no {table} in {path}"])
    return found


def main():
    root = pathlib.Path(sys.argv[-1])
    folder = root / "alerts/message/templates"
    sentences = {path.stem: path.read_text(encoding="utf-8") for path in sorted(folder.glob("*.txt"))}
    wanted = variables(root)
    page = (root / "daemon/web/console/index.html").read_text(encoding="utf-8")
    problems = page_faults(root, page) + faults(wanted, sentences)
    problems += [] if len(wanted) > 20 else ["the table of models was not found"]
    if "--self-test" in sys.argv:
        without = {name: text.replace("brief.ffg_ratio", "brief.none", name == "vi") for name, text in sentences.items()}
        planted = [faults(wanted, without), faults(wanted + [("new", False)], sentences),
                   page_faults(root, page.replace("outdated_run:", "outdated:")),
                   page_faults(root, page.replace('"loop-late":', '"late":'))]
        problems = [f"planted fault {i} was not found" for i, found in enumerate(planted) if not found]
    for problem in problems:
        print(problem)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())

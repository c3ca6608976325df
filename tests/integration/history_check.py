#!/usr/bin/python3
"""Judges a run afterwards: what the store committed against what a consumer saw.

history_check.py record BROKER LOG [PREFIX]            writes every message of the alert, alert-state and observation
                                                       topics as JSON lines, to the end of each
history_check.py check STORE LOG [--waiting]           STORE: the canhbao.db of a daemon that has ended (it is copied
                                                       first). --waiting: rows still in the outbox are not lost
history_check.py --self-test                           every planted violation must be found

Violations: lost (committed, never consumed), unknown (consumed, never committed), changed (other bytes than committed,
or two deliveries of one id that differ), reordered (first deliveries of a key in another order than committed),
sequence (transition numbers of a key with a hole), state (the newest state record of an alarm is not the stored one),
gap (an observation number that never came although nothing was shed).
Exit: 0 none, 1 some, 2 usage.
"""
import base64
import json
import pathlib
import shutil
import sqlite3
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))

ALERT, STATE, OBSERVATION = 0, 1, 3  # enum kafka_topic
NAMES = {ALERT: "alert.v1", STATE: "alert-state.v1", OBSERVATION: "observation.v1"}
TOPIC_SHIFT = 48


def record(broker, log, prefix="canhbao."):
    from schema_check import read_all
    count = 0
    with open(log, "w", encoding="utf-8") as file:
        for topic, partition, key, headers, value in read_all(broker, [prefix + n for n in NAMES.values()]):
            line = {"topic": topic[len(prefix):], "partition": partition, "key": key, "headers": headers,
                    "value": None if value is None else base64.b64encode(value).decode()}
            file.write(json.dumps(line) + "\n")
            count += 1
    return count


def read_log(path):
    messages = []
    with open(path, encoding="utf-8") as file:
        for line in file:
            message = json.loads(line)
            if message["value"] is not None:
                message["value"] = base64.b64decode(message["value"])
            messages.append(message)
    return messages


def read_store(path):
    """Events in order of commit, latest alarm states, ids that still wait per topic, observations shed."""
    with tempfile.TemporaryDirectory() as folder:
        copy = pathlib.Path(folder) / "copy.db"
        shutil.copy(path, copy)
        wal = pathlib.Path(str(path) + "-wal")
        if wal.exists():
            shutil.copy(wal, str(copy) + "-wal")
        db = sqlite3.connect(copy)
        text = lambda value: value if isinstance(value, (bytes, type(None))) else str(value).encode()
        events = [{"id": row[0], "key": row[1], "value": text(row[2]), "sequence": row[3]} for row in db.execute(
            "SELECT id,key,body,sequence FROM events WHERE topic=? ORDER BY seq", (ALERT,))]
        states = {f"{place}/{rule}": text(body)
                  for place, rule, body in db.execute("SELECT place,rule,body FROM alarm_state")}
        waiting = {topic: set() for topic in NAMES}
        for row, identity in db.execute("SELECT row,id FROM outbox"):
            waiting.setdefault(row >> TOPIC_SHIFT, set()).add(identity)
        shed = db.execute("SELECT value FROM meta WHERE key='observations_shed'").fetchone()
        db.close()
    return {"events": events, "states": states, "waiting": waiting,
            "shed": int.from_bytes(shed[0], "little") if shed else 0}


def first_deliveries(messages, problems):
    """Drops doubles by id, as a consumer must; a double that differs is a violation."""
    seen, kept = {}, []
    for message in messages:
        identity = message["headers"].get("ce_id")
        whole = (message["key"], message["value"], tuple(sorted(message["headers"].items())))
        if identity not in seen:
            seen[identity] = whole
            kept.append(message)
        elif seen[identity] != whole:
            problems.append(f"changed: {message['topic']} {identity}: two deliveries differ")
    return kept


def by_key(messages, identity):
    keys = {}
    for message in messages:
        keys.setdefault(message["key"], []).append(identity(message))
    return keys


def check_alerts(store, kept, problems, waiting_allowed):
    committed = {event["id"]: event for event in store["events"]}
    consumed = {message["headers"].get("ce_id"): message for message in kept}
    waiting = store["waiting"].get(ALERT, set()) if waiting_allowed else set()
    for identity, event in committed.items():
        if identity not in consumed:
            if identity not in waiting:
                problems.append(f"lost: {event['key']} {identity}")
        elif consumed[identity]["value"] != event["value"] or consumed[identity]["key"] != event["key"]:
            problems.append(f"changed: {event['key']} {identity}: not the committed bytes")
    for identity in consumed:
        if identity not in committed:
            problems.append(f"unknown: alert {identity} was never committed")
    wanted = by_key(store["events"], lambda event: event["id"])
    for key, ids in by_key(kept, lambda message: message["headers"].get("ce_id")).items():
        ids = [identity for identity in ids if identity in committed]
        if ids != [identity for identity in wanted.get(key, []) if identity in set(ids)]:
            problems.append(f"reordered: alerts of {key}")
    for key, numbers in by_key(store["events"], lambda event: event["sequence"]).items():
        if numbers != list(range(numbers[0], numbers[0] + len(numbers))):
            problems.append(f"sequence: the transitions of {key} are not numbered without holes")


def check_states(store, kept, problems, waiting_allowed):
    if waiting_allowed and store["waiting"].get(STATE):
        return
    newest = {}
    for message in kept:
        number = int(message["headers"].get("ce_sequence", "0"))
        if message["key"] in newest and number < newest[message["key"]][0]:
            problems.append(f"reordered: states of {message['key']}")
        newest[message["key"]] = (number, message["value"])
    for key, body in store["states"].items():
        if key not in newest:
            problems.append(f"lost: state of {key}")
        elif newest[key][1] != body:
            problems.append(f"state: the newest record of {key} is not the stored one")
    for key, (_, body) in newest.items():
        if key not in store["states"] and body is not None:
            problems.append(f"unknown: state of {key} was never committed")


def check_observations(store, kept, problems):
    last = {}
    for message in kept:
        body = json.loads(message["value"])
        if body.get("requalified"):
            continue
        for reading in body["readings"]:
            expected = last.get(message["key"], reading["seq"] - 1) + 1
            if reading["seq"] < expected:
                problems.append(f"reordered: observations of {message['key']} at {reading['seq']}")
            elif reading["seq"] > expected and store["shed"] == 0:
                problems.append(f"gap: observations of {message['key']} before {reading['seq']}")
            last[message["key"]] = max(reading["seq"], expected - 1)


def check(store, messages, waiting_allowed=False):
    """Violations as sentences."""
    problems = []
    topics = {name: [] for name in NAMES.values()}
    for message in messages:
        topics[message["topic"]].append(message)
    check_alerts(store, first_deliveries(topics["alert.v1"], problems), problems, waiting_allowed)
    check_states(store, first_deliveries(topics["alert-state.v1"], problems), problems, waiting_allowed)
    check_observations(store, first_deliveries(topics["observation.v1"], problems), problems)
    return problems


# ---- self-test ----

def sample():
    events, messages = [], []
    for n in range(12):
        key = f"place-{n % 3}"
        body = json.dumps({"n": n}).encode()
        events.append({"id": f"e{n}", "key": key, "value": body, "sequence": n // 3 + 1})
        messages.append({"topic": "alert.v1", "partition": 0, "key": key, "value": body,
                         "headers": {"ce_id": f"e{n}", "ce_sequence": f"{n // 3 + 1:020}"}})
        messages.append({"topic": "alert-state.v1", "partition": 0, "key": key + "/r", "value": body,
                         "headers": {"ce_id": f"s{n}", "ce_sequence": f"{n // 3 + 1:020}"}})
        reading = json.dumps({"requalified": False, "readings": [{"seq": n // 3 + 1}]}).encode()
        messages.append({"topic": "observation.v1", "partition": 0, "key": key, "value": reading,
                         "headers": {"ce_id": f"o{n}"}})
    states = {f"place-{i}/r": json.dumps({"n": 9 + i}).encode() for i in range(3)}
    return {"events": events, "states": states, "waiting": {}, "shed": 0}, messages


def find(messages, identity):
    return next(i for i, message in enumerate(messages) if message["headers"]["ce_id"] == identity)


def self_test():
    import copy

    def run(plant=None, **arguments):
        store, messages = copy.deepcopy(sample())
        if plant:
            plant(store, messages)
        return check(store, messages, **arguments)

    def swap(messages, one, other):
        i, j = find(messages, one), find(messages, other)
        messages[i], messages[j] = messages[j], messages[i]

    def double(messages, identity, **changes):
        messages.append({**copy.deepcopy(messages[find(messages, identity)]), **changes})

    good = [
        ("as committed", lambda s, m: None, {}),
        ("doubles", lambda s, m: [double(m, f"{t}{n}") for t in "eso" for n in (1, 4, 7)], {}),
        ("other key first", lambda s, m: swap(m, "e0", "e1"), {}),
        ("still waiting", lambda s, m: (m.pop(find(m, "e11")), s["waiting"].update({ALERT: {"e11"}})),
         {"waiting_allowed": True}),
        ("shed", lambda s, m: (m.pop(find(m, "o4")), s.update(shed=1)), {}),
    ]
    for name, plant, arguments in good:
        assert run(plant, **arguments) == [], f"{name}: {run(plant, **arguments)}"
    planted = [
        ("lost", lambda s, m: m.pop(find(m, "e5"))),
        ("lost", lambda s, m: (m.pop(find(m, "e11")), s["waiting"].update({ALERT: {"e11"}}))),
        ("lost", lambda s, m: m.clear()),
        ("unknown", lambda s, m: s["events"].pop(11)),
        ("unknown", lambda s, m: double(m, "e5", headers={"ce_id": "e99"})),
        ("unknown", lambda s, m: s["states"].pop("place-0/r")),
        ("changed", lambda s, m: m[find(m, "e5")].update(value=b"{}")),
        ("changed", lambda s, m: m[find(m, "e5")].update(key="place-0")),
        ("changed", lambda s, m: double(m, "e5", value=b"{}")),
        ("changed", lambda s, m: double(m, "s5", headers={"ce_id": "s5", "ce_time": "later"})),
        ("reordered", lambda s, m: swap(m, "e2", "e5")),
        ("reordered", lambda s, m: swap(m, "s2", "s5")),
        ("reordered", lambda s, m: swap(m, "o2", "o5")),
        ("sequence", lambda s, m: s["events"][4].update(sequence=9)),
        ("state", lambda s, m: s["states"].update({"place-1/r": b"{}"})),
        ("lost", lambda s, m: s["states"].update({"place-7/r": b"{}"})),
        ("gap", lambda s, m: m.pop(find(m, "o4"))),
    ]
    for words, plant in planted:
        found = run(plant)
        assert any(problem.startswith(words) for problem in found), f"{words}: found only {found}"
    print(f"history_check: {len(good) + len(planted)} self-tests passed")
    return 0


def main(arguments):
    if arguments == ["--self-test"]:
        return self_test()
    if arguments[:1] == ["record"] and len(arguments) in (3, 4):
        count = record(*arguments[1:])
        print(f"history_check: {count} messages recorded")
        return 0
    if arguments[:1] == ["check"] and len(arguments) in (3, 4) and arguments[3:] in ([], ["--waiting"]):
        store, messages = read_store(arguments[1]), read_log(arguments[2])
        problems = check(store, messages, arguments[3:] == ["--waiting"])
        for problem in problems:
            print(problem)
        print(f"history_check: {len(store['events'])} events, {len(store['states'])} alarms, {len(messages)} "
              f"messages, {len(problems)} violations")
        return 1 if problems else 0
    print(__doc__, file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

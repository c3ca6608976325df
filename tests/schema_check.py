#!/usr/bin/python3
"""Checks Kafka messages against deploy/schemas, headers included.

As a module:   checker = Checker(); problems = checker.check(topic, key, headers, value)
As a program:  schema_check.py BROKER [PREFIX]: reads every canhbao topic from its beginning to its end and prints each
               violation. Exit 0: none; 1: violations or no message.
               schema_check.py --self-test: the checker itself against planted violations.
"""
import json
import pathlib
import re
import sys

import jsonschema

STALLED_S = 60
FOLDER = pathlib.Path(__file__).resolve().parent.parent / "deploy" / "schemas"
NAMES = ("alert.v1", "alert-state.v1", "observation.v1", "run.v1", "health.v1", "reply.v1")
TIME = re.compile(r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,6})?Z$")
# Topics that a record leaves by a null value.
TOMBSTONES = ("alert-state.v1", "health.v1")


def is_time(text):
    return not isinstance(text, str) or bool(TIME.match(text))


class Checker:
    """Violations of one message as sentences; an empty list when it is as documented."""

    def __init__(self, prefix="canhbao.", folder=FOLDER):
        self.prefix = prefix
        formats = jsonschema.FormatChecker()
        formats.checks("date-time")(is_time)
        self.validators = {}
        for name in NAMES:
            schema = json.loads((folder / (name + ".json")).read_text(encoding="utf-8"))
            jsonschema.Draft202012Validator.check_schema(schema)
            self.validators[name] = jsonschema.Draft202012Validator(schema, format_checker=formats)

    def check_headers(self, name, headers, value):
        problems = []
        wanted = {"ce_specversion": re.compile("^1\\.0$"), "ce_id": re.compile("^.+$"),
                  "ce_source": re.compile("^.+$"), "ce_time": TIME,
                  "ce_type": re.compile("^canhbao\\." + re.escape(name) + "$")}
        for header, pattern in wanted.items():
            if not pattern.match(headers.get(header, "")):
                problems.append(f"header {header} is {headers.get(header)!r}")
        if value is not None and headers.get("content-type") != "application/json; charset=utf-8":
            problems.append(f"header content-type is {headers.get('content-type')!r}")
        if "ce_sequence" in headers and not re.match(r"^\d{20}$", headers["ce_sequence"]):
            problems.append(f"header ce_sequence is {headers['ce_sequence']!r}")
        return problems

    def check_key(self, name, key, body):
        """The key is what the topic's table in deploy/schemas/README.md says."""
        place = body.get("place", {})
        place_id = place.get("id") if isinstance(place, dict) else place
        rule = body.get("rule", {})
        rule_id = rule.get("id") if isinstance(rule, dict) else rule
        wanted = {"alert.v1": place_id, "alert-state.v1": f"{place_id}/{rule_id}",
                  "observation.v1": body.get("station"), "run.v1": body.get("model"), "health.v1": body.get("node"),
                  "reply.v1": key}[name]
        return [] if key == wanted else [f"key is {key!r}, its body says {wanted!r}"]

    def check(self, topic, key, headers, value):
        """topic, key: str; headers: dict of str; value: bytes or None (a tombstone)."""
        if not topic.startswith(self.prefix) or topic[len(self.prefix):] not in self.validators:
            return [f"no schema for topic {topic!r}"]
        name = topic[len(self.prefix):]
        problems = self.check_headers(name, headers, value)
        if value is None:
            return problems if name in TOMBSTONES else problems + ["null value on a topic without tombstones"]
        try:
            body = json.loads(value.decode("utf-8"), parse_constant=lambda word: 1 / 0)
        except (ValueError, ZeroDivisionError) as error:
            return problems + [f"not JSON: {error}"]
        for error in self.validators[name].iter_errors(body):
            problems.append(f"{'/'.join(map(str, error.absolute_path)) or 'body'}: {error.message[:200]}")
        if isinstance(body, dict):
            problems += self.check_key(name, key, body)
            if name == "alert.v1" and body.get("id") != headers.get("ce_id"):
                problems.append(f"ce_id {headers.get('ce_id')!r} but id {body.get('id')!r}")
            if (headers.get("ce_exercise") == "true") != (body.get("status") == "Exercise"):
                problems.append(f"ce_exercise {headers.get('ce_exercise')!r} but status {body.get('status')!r}")
        return problems


def read_all(broker, topics):
    """Every message of the topics as (topic, partition, key, headers, value), in order per partition, up to the end of
    each partition. Raises when the broker says nothing for STALLED_S before the ends are reached."""
    import confluent_kafka
    consumer = confluent_kafka.Consumer({"bootstrap.servers": broker, "group.id": "schema-check",
                                         "enable.auto.commit": False, "enable.partition.eof": True, "log_level": 0})
    known = consumer.list_topics(timeout=STALLED_S).topics
    ahead = {(topic, partition) for topic in topics if topic in known for partition in known[topic].partitions}
    consumer.assign([confluent_kafka.TopicPartition(topic, partition, confluent_kafka.OFFSET_BEGINNING)
                     for topic, partition in sorted(ahead)])
    while ahead:
        message = consumer.poll(STALLED_S)
        if message is None:
            raise TimeoutError(f"{broker} said nothing for {STALLED_S} s; not read to the end: {sorted(ahead)}")
        if message.error():
            if message.error().code() == confluent_kafka.KafkaError._PARTITION_EOF:
                ahead.discard((message.topic(), message.partition()))
            continue
        headers = {name: value.decode() for name, value in message.headers() or []}
        yield (message.topic(), message.partition(), (message.key() or b"").decode(), headers, message.value())
    consumer.close()


def sample():
    quality = {"flag": 1, "suspect": [], "fail": [], "revision": 1}
    reading = {"point": "stage", "quantity": "stage", "unit": "m", "seq": 1, "time": "2025-11-19T06:00:00Z",
               "requested": "2025-11-19T05:59:59.9Z", "status": "ok", "value": 8.2, "uncalibrated": 8.2,
               "calibration": None, "exception": None, "round_trip_ms": 1.5, "raw": "0334",
               "quality": quality, "late": False, "provisional": True}
    body = {"station": "thanh-hoa", "status": "Exercise", "reconstructed": True, "requalified": False,
            "readings": [reading]}
    headers = {"ce_specversion": "1.0", "ce_id": "x", "ce_source": "//s", "ce_type": "canhbao.observation.v1",
               "ce_time": "2025-11-19T06:00:00.25Z", "ce_exercise": "true",
               "content-type": "application/json; charset=utf-8", "ce_sequence": "0" * 19 + "1"}
    return body, headers


def self_test():
    """The good message passes; each planted violation is found, by the words it must be found by."""
    checker = Checker()

    def problems(change=None, change_headers=None, key="thanh-hoa", topic="canhbao.observation.v1", raw=None):
        body, headers = sample()
        if change:
            change(body["readings"][0], body)
        if change_headers:
            change_headers(headers)
        value = raw if raw is not None else json.dumps(body).encode()
        return "; ".join(checker.check(topic, key, headers, value))

    assert problems() == "", problems()
    planted = [
        ("status timeout with a value", "value", dict(change=lambda r, b: r.update(status="timeout"))),
        ("value missing though ok", "value", dict(change=lambda r, b: r.update(value=None))),
        ("NaN", "not JSON", dict(change=lambda r, b: r.update(value=float("nan")))),
        ("unknown field", "extra", dict(change=lambda r, b: b.update(extra=1))),
        ("no unit", "unit", dict(change=lambda r, b: r.pop("unit"))),
        ("local time", "time", dict(change=lambda r, b: r.update(time="2025-11-19T13:00:00+07:00"))),
        ("flag 5", "flag", dict(change=lambda r, b: r["quality"].update(flag=5))),
        ("other key", "key is", dict(key="other")),
        ("no id", "ce_id", dict(change_headers=lambda h: h.pop("ce_id"))),
        ("other type", "ce_type", dict(change_headers=lambda h: h.update(ce_type="canhbao.alert.v1"))),
        ("exercise unmarked", "ce_exercise", dict(change_headers=lambda h: h.pop("ce_exercise"))),
        ("no content type", "content-type", dict(change_headers=lambda h: h.pop("content-type"))),
        ("unknown topic", "no schema", dict(topic="canhbao.other.v1")),
        ("cut JSON", "not JSON", dict(raw=b'{"station":')),
    ]
    for name, words, arguments in planted:
        found = problems(**arguments)
        assert words in found, f"{name}: found only '{found}'"
    body, headers = sample()
    assert any("tombstones" in p for p in checker.check("canhbao.observation.v1", "k", headers, None))
    print(f"schema_check: {len(planted) + 2} self-tests passed")
    return 0


def main(arguments):
    if arguments == ["--self-test"]:
        return self_test()
    if not 1 <= len(arguments) <= 2 or arguments[0].startswith("-"):
        print(__doc__, file=sys.stderr)
        return 2
    checker = Checker(arguments[1] if len(arguments) > 1 else "canhbao.")
    messages, bad = 0, 0
    topics = [checker.prefix + name for name in NAMES]
    for topic, _, key, headers, value in read_all(arguments[0], topics):
        messages += 1
        for problem in checker.check(topic, key, headers, value):
            bad += 1
            print(f"{topic} {headers.get('ce_id')}: {problem}")
    print(f"schema_check: {messages} messages, {bad} violations")
    return 0 if messages > 0 and bad == 0 else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

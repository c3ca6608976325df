"""The rules of consumption of deploy/schemas/README.md, once for both examples. Needs python3-confluent-kafka."""
import sys
import time

import confluent_kafka

REMEMBER_S = 86400  # rule 1: ids are remembered for at least a day
REMEMBER_MAX = 1000000


class Message:
    """One delivery: headers as text, body None for a tombstone."""

    def __init__(self, message):
        headers = {name: (value or b"").decode("utf-8", "replace") for name, value in message.headers() or []}
        self.topic = message.topic()
        self.key = (message.key() or b"").decode("utf-8", "replace")
        self.body = message.value()
        self.id = headers.get("ce_id", "")
        self.source = headers.get("ce_source", "")
        self.time = headers.get("ce_time", "")
        self.sequence = int(headers.get("ce_sequence") or 0)  # 0: none, as in heartbeats and tombstones
        self.exercise = headers.get("ce_exercise") == "true"


class Inbox:
    """Says of each delivery whether it is news: not seen before (rule 1), and newer than its key's (rule 2)."""

    def __init__(self):
        self.seen = {}
        self.newest = {}

    def is_news(self, message):
        identity = (message.source, message.id)
        if identity in self.seen:
            return False
        if len(self.seen) >= REMEMBER_MAX:
            horizon = time.monotonic() - REMEMBER_S
            self.seen = {known: at for known, at in self.seen.items() if at > horizon}
        self.seen[identity] = time.monotonic()
        place = (message.topic, message.source, message.key)
        if message.sequence and message.sequence <= self.newest.get(place, 0):
            return False
        if message.sequence:
            self.newest[place] = message.sequence
        return True


def read(broker, topics, take, until_end=False, group="canhbao-example"):
    """Gives every delivery of the topics, from their beginning, to take(message). Returns at the end of all
    partitions with `until_end`, else never. A topic that does not exist yet is waited for."""
    consumer = confluent_kafka.Consumer({"bootstrap.servers": broker, "group.id": group, "enable.auto.commit": False,
                                         "enable.partition.eof": True, "auto.offset.reset": "earliest"})
    parts = []
    while not parts:
        known = consumer.list_topics(timeout=10).topics
        if all(topic in known and known[topic].partitions for topic in topics):
            parts = [confluent_kafka.TopicPartition(topic, number, confluent_kafka.OFFSET_BEGINNING)
                     for topic in topics for number in known[topic].partitions]
        else:
            time.sleep(1)
    consumer.assign(parts)
    open_parts = {(part.topic, part.partition) for part in parts}
    while open_parts or not until_end:
        message = consumer.poll(1.0)
        if message is None:
            continue
        if message.error():
            if message.error().code() == confluent_kafka.KafkaError._PARTITION_EOF:
                open_parts.discard((message.topic(), message.partition()))
            else:  # the library goes on by itself when the broker comes back
                print(f"{message.error()}", file=sys.stderr)
            continue
        take(Message(message))
    consumer.close()

#!/usr/bin/python3
"""A table of every alarm as it stands now, from canhbao.alert-state.v1 and the heartbeats alone.

  state_table.py BROKER [--prefix canhbao.] [--until-end]

A level is never shown without its scale, what is not known never as normal, and every line of a node that has been
silent for 30 s as of unknown freshness. --until-end: read to the end, print one JSON object, and exit."""
import argparse
import json
import sys
import time

from contract import Inbox, read

SILENT_S = 30  # rule 9


class Table:
    def __init__(self, prefix, live):
        self.inbox = Inbox()
        self.prefix = prefix
        self.live = live
        self.states = {}
        self.sources = {}
        self.heartbeats = {}
        self.heard = {}

    def take(self, message):
        if not self.inbox.is_news(message):
            return
        if message.topic == self.prefix + "health.v1":
            self.heartbeats[message.key] = max(message.time, self.heartbeats.get(message.key, ""))
            self.heard[message.source] = time.monotonic()
        elif message.body is None:
            self.states.pop(message.key, None)  # rule 4: gone, which is no all-clear
        else:
            self.states[message.key] = json.loads(message.body)  # rule 3: replaces all that was known
            self.sources[message.key] = message.source
        if self.live:
            self.show(message.key)

    def is_silent(self, key):
        heard = self.heard.get(self.sources.get(key))
        return heard is None or time.monotonic() - heard > SILENT_S

    def show(self, key):
        state = self.states.get(key)
        if state is None:
            return
        level, knowledge = state["level"], state["knowledge"]["state"]
        name = "never determined" if level["value"] is None else f"{level['value']} ({level['name_vi']})"
        marks = [mark for mark, holds in (
            (state["status"], state["status"] != "Actual"), ("PROVISIONAL", state["rule"]["provisional"]),
            (f"knowledge {knowledge}", knowledge != "fresh"),
            ("expired", state["publication"]["state"] == "expired"),
            ("freshness unknown: the node is silent", self.is_silent(key))) if holds]
        print(f"{state['place']['name_vi']}: {level['scale_name_vi']}: {name}, {state['trend']}"
              f"{' [' + ', '.join(marks) + ']' if marks else ''}", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("broker")
    parser.add_argument("--prefix", default="canhbao.")
    parser.add_argument("--until-end", action="store_true")
    options = parser.parse_args()
    table = Table(options.prefix, not options.until_end)
    read(options.broker, [options.prefix + "alert-state.v1", options.prefix + "health.v1"], table.take,
         options.until_end)
    json.dump({"states": table.states, "heartbeats": table.heartbeats}, sys.stdout, sort_keys=True, ensure_ascii=False)


if __name__ == "__main__":
    main()

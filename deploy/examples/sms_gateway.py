#!/usr/bin/python3
"""An SMS gateway that prints what it would send: one line for every CAP message that may reach the public.

  sms_gateway.py BROKER [--prefix canhbao.] [--plain] [--restricted] [--until-end] [--now TIME]

It sends only what is Actual and has not expired, each message once. Messages of scope Restricted were approved by no
person: they are sent only with --restricted, which the duty chief decides. --plain takes the text without diacritics
(153 instead of 67 characters a part). --until-end and --now are for tests: stop at the end of the topic and print one
JSON object; the time against which messages expire."""
import argparse
import datetime
import json
import sys
import xml.etree.ElementTree as xml

from contract import Inbox, read

CAP = "{urn:oasis:names:tc:emergency:cap:1.2}"


def text(node, name):
    found = node.find(CAP + name)
    return None if found is None else found.text


class Gateway:
    def __init__(self, options):
        self.inbox = Inbox()
        self.options = options
        self.now = datetime.datetime.fromisoformat(options.now.replace("Z", "+00:00")) if options.now else None
        self.sent = {}
        self.ignored = {}

    def refusal(self, alert, info):
        """Why a message is not sent; None: it is."""
        now = self.now or datetime.datetime.now(datetime.timezone.utc)
        if text(alert, "status") != "Actual":
            return "status"  # rule 8, before anything else
        if datetime.datetime.fromisoformat(text(info, "expires")) <= now:
            return "expired"  # rule 7
        if text(alert, "scope") != "Public" and not self.options.restricted:
            return "restricted"
        return None

    def take(self, message):
        if not self.inbox.is_news(message):
            return
        if message.body is None:
            return  # rule 4: says nothing about a danger
        try:
            alert = xml.fromstring(message.body)
            info = next(i for i in alert.findall(CAP + "info") if text(i, "language") == "vi-VN")
            parameters = {text(p, "valueName"): text(p, "value") for p in info.findall(CAP + "parameter")}
            words = parameters["smsPlain" if self.options.plain else "sms"]
            why = self.refusal(alert, info)
        except (xml.ParseError, StopIteration, KeyError, TypeError, ValueError) as fault:
            print(f"unreadable CAP message {message.id}: {fault}", file=sys.stderr)
            self.ignored[message.id] = "unreadable"
            return
        if why is not None:
            self.ignored[message.id] = why
            return
        self.sent[message.id] = words
        if not self.options.until_end:
            areas = [text(g, "value") for g in info.iter(CAP + "geocode") if text(g, "valueName") != "canhbao:place"]
            print(f"SMS to {', '.join(areas) or text(info.find(CAP + 'area'), 'areaDesc')}: {words}", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("broker")
    parser.add_argument("--prefix", default="canhbao.")
    parser.add_argument("--plain", action="store_true")
    parser.add_argument("--restricted", action="store_true")
    parser.add_argument("--until-end", action="store_true")
    parser.add_argument("--now")
    options = parser.parse_args()
    gateway = Gateway(options)
    read(options.broker, [options.prefix + "cap.v1"], gateway.take, options.until_end)
    json.dump({"sms": gateway.sent, "ignored": gateway.ignored}, sys.stdout, sort_keys=True, ensure_ascii=False)


if __name__ == "__main__":
    main()

#!/usr/bin/env python3
"""Prints N free TCP ports of 127.0.0.1 for servers that bind them later: `free_ports.py N`.

They lie below the range out of which the system serves outgoing connections: a port of that range may be taken by
any client between the question and the bind, or while a stopped server is to come back to it."""
import random
import socket
import sys

LOWEST, HIGHEST = 20000, 32767  # above the ports of the demo sites and of common services
RANGE_FILE = "/proc/sys/net/ipv4/ip_local_port_range"


def free_ports(count):
    with open(RANGE_FILE, encoding="ascii") as file:
        end = min(HIGHEST, int(file.read().split()[0]) - 1)
    if end < LOWEST + 1000:
        raise RuntimeError(f"{RANGE_FILE} begins at {end + 1}: fewer than 1000 ports from {LOWEST} on")
    held = []
    for _ in range(1000):
        if len(held) == count:
            break
        one = socket.socket()
        try:
            one.bind(("127.0.0.1", random.randint(LOWEST, end)))
            held.append(one)
        except OSError:
            one.close()
    if len(held) < count:
        raise RuntimeError(f"no {count} free ports from {LOWEST} to {end}")
    ports = [one.getsockname()[1] for one in held]
    for one in held:
        one.close()
    return ports


if __name__ == "__main__":
    print(*free_ports(int(sys.argv[1])))

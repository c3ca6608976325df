"""Each quirk against a device that has it: with the option the values come, without it they do not
(or are told as lost), and in neither case is one wrong. The devices are written here, from the
specification and the quirk; values are coded with unit and address."""
import json
import socket
import struct
import subprocess
import threading
import time
import unittest

import rtu_peer
from acquiring import ACQUIRE, Acquiring
from harness import DEADLINE_S, free_ports, wait_for

SHORT_MS, LONG_MS = 500, 30000  # for devices that do not answer; and where a busy machine must not cost an answer
PLACES = [(1, 0), (1, 3), (1, 40)]  # three requests


def tcp_answer(request):
    transaction, _, _, unit, function, start, count = struct.unpack(">HHHBBHH", request)
    values = [rtu_peer.coded(unit, start + i) for i in range(count)]
    return struct.pack(f">HHHBBB{count}H", transaction, 0, 3 + 2 * count, unit, function,
                       2 * count, *values)


class Device:
    """Serves TCP; each connection by serve(self, connection, number)."""

    def __init__(self, serve, rtu=False, backlog=8):
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=backlog)
        self.serve, self.rtu = serve, rtu
        self.size = 8 if rtu else 12
        self.connections = []
        self.request_times = []
        self.closing = False
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self.connections.append(connection)
            threading.Thread(target=self.run, args=(connection, len(self.connections)),
                             daemon=True).start()

    def run(self, connection, number):
        try:
            self.serve(self, connection, number)
        except (OSError, EOFError):
            pass
        connection.close()

    def request(self, connection):
        data = b""
        while len(data) < self.size:
            more = connection.recv(self.size - len(data))
            if not more:
                raise EOFError
            data += more
        self.request_times.append(time.monotonic())
        return data

    def answer(self, request):
        return rtu_peer.answer(request) if self.rtu else tcp_answer(request)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.listener.close()
        for connection in self.connections:
            connection.close()


def change(alter):
    """A device whose answers are altered."""
    def serve(device, connection, number):
        while True:
            request = device.request(connection)
            connection.sendall(alter(request, device.answer(request)))
    return serve


def with_crc(body):
    return rtu_peer.frame(body)


POINTS = [f"{unit}:holding:{at}:uint16:ABCD:1:0" for unit, at in PLACES]


class Quirks(unittest.TestCase):
    def judge(self, readings):
        statuses = []
        for reading in readings:
            if reading["status"] == "ok":
                self.assertEqual(reading["value"], rtu_peer.coded(*PLACES[reading["point"]]))
            else:
                self.assertIsNone(reading["value"])
            if reading["status"] != "skipped":  # a busy machine; nothing wrong is said
                statuses.append(reading["status"])
        return statuses

    def play(self, serve, words, rtu=False, timeout_ms=LONG_MS, period_ms=120):
        with Device(serve, rtu) as device:
            words = [f"period={period_ms}", *words] + (["rtu"] if rtu else [])
            port = device.listener.getsockname()[1]
            done = subprocess.run([ACQUIRE, *words, "127.0.0.1", str(port), "4", str(timeout_ms), *POINTS],
                                  capture_output=True, text=True, timeout=DEADLINE_S, check=False)
            self.assertEqual((done.returncode, done.stderr), (0, ""))
        return self.judge(map(json.loads, done.stdout.splitlines())), device

    def needs(self, serve, word, rtu=False):
        """All good with the option, nothing without."""
        self.assertEqual(set(self.play(serve, [word], rtu)[0]), {"ok"})
        without = set(self.play(serve, [], rtu, SHORT_MS)[0])
        self.assertFalse("ok" in without, without)

    def test_answers_with_unit_0_or_255(self):
        for unit in (0, 255):
            word = f"reply-unit-{unit}"
            self.needs(change(lambda _, reply, unit=unit: reply[:6] + bytes([unit]) + reply[7:]),
                       word)
            self.needs(change(lambda _, reply, unit=unit: with_crc(bytes([unit]) + reply[1:-2])),
                       word, rtu=True)

    def test_the_wrong_one_of_0_and_255_is_refused(self):
        serve = change(lambda _, reply: reply[:6] + b"\xff" + reply[7:])
        self.assertFalse("ok" in self.play(serve, ["reply-unit-0"], timeout_ms=SHORT_MS)[0])

    def test_wrong_byte_count(self):
        for wrong in (0, 1, 7, 255):
            self.needs(change(lambda _, reply, wrong=wrong: reply[:8] + bytes([wrong]) + reply[9:]),
                       "byte-count")
        self.needs(change(lambda _, reply: with_crc(reply[:2] + bytes([reply[2] + 2]) + reply[3:-2])),
                   "byte-count", rtu=True)

    def test_surplus_bytes_in_the_frame(self):
        def alter(_, reply):
            return (reply[:4] + struct.pack(">H", struct.unpack(">H", reply[4:6])[0] + 2) +
                    reply[6:] + b"\xab\xcd")
        self.needs(change(alter), "surplus")

    def test_more_registers_than_asked(self):
        def alter(_, reply):
            return (reply[:4] + struct.pack(">H", struct.unpack(">H", reply[4:6])[0] + 2) +
                    reply[6:8] + bytes([reply[8] + 2]) + reply[9:] + b"\xab\xcd")
        self.needs(change(alter), "surplus")

    def test_surplus_bytes_behind_the_frame(self):
        # Without the option the values of good frames count, but each costs the connection.
        for rtu in (False, True):
            serve = change(lambda _, reply: reply + b"\x00\x00\x00\x00")
            statuses, device = self.play(serve, ["surplus"], rtu)
            self.assertEqual((set(statuses), len(device.connections)), ({"ok"}, 1))
            statuses, device = self.play(serve, [], rtu)
            self.assertGreater(len(device.connections), 2)

    def test_echo(self):
        self.needs(change(lambda request, reply: request + reply), "echo", rtu=True)

    def test_closes_after_each_reply(self):
        def serve(device, connection, number):
            connection.sendall(device.answer(device.request(connection)))
        statuses, device = self.play(serve, ["close-after-reply"])
        self.assertEqual(set(statuses), {"ok"})
        # A connection for each request; the last one may have been opened for a request that the end cut off.
        self.assertIn(len(device.connections) - len(device.request_times), (0, 1))

    def test_needs_a_pause_after_connect(self):
        """Deaf for a while after the connection: what comes before is lost."""
        def serve(device, connection, number):
            time.sleep(0.3)  # the deafness itself
            try:
                connection.recv(1000, socket.MSG_DONTWAIT)
            except BlockingIOError:
                pass
            while True:
                connection.sendall(device.answer(device.request(connection)))
        self.assertEqual(set(self.play(serve, ["connect-pause=2000"], period_ms=500)[0]), {"ok"})
        self.assertFalse("ok" in self.play(serve, [], timeout_ms=SHORT_MS)[0])

    def test_needs_a_pause_between_requests(self):
        def serve(device, connection, number):
            answering = 0.0
            while True:
                request = device.request(connection)
                early = time.monotonic() - answering < 0.15
                answering = time.monotonic()  # before the answer: its receiver cannot be earlier
                if not early:
                    connection.sendall(device.answer(request))
        statuses, device = self.play(serve, ["request-pause=200"], period_ms=1000)
        self.assertEqual(set(statuses), {"ok"})
        times = device.request_times
        self.assertGreaterEqual(min(b - a for a, b in zip(times, times[1:])), 0.2)
        self.assertTrue("timeout" in self.play(serve, [], timeout_ms=SHORT_MS)[0])

    def test_accepts_one_connection_only(self):
        """A gateway that sees the end of a connection 80 ms late and resets who comes before; it
        loses its own connection after every third answer."""
        ended = [0.0]

        def serve(device, connection, number):
            if time.monotonic() - ended[0] < 0.08:
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER,
                                      struct.pack("ii", 1, 0))
                return
            for _ in range(2):
                connection.sendall(device.answer(device.request(connection)))
            request = device.request(connection)
            ended[0] = time.monotonic()
            # The last answer and the end in one segment: however slow this thread is, no request comes between.
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_CORK, 1)
            connection.sendall(device.answer(request))
            connection.shutdown(socket.SHUT_WR)
        self.assertEqual(set(self.play(serve, ["close-pause=120"], period_ms=400)[0]) - {"ok"},
                         set())

    def test_idle_close(self):
        def serve(device, connection, number):
            while True:
                connection.sendall(device.answer(device.request(connection)))
        statuses, device = self.play(serve, ["idle-close=50"], period_ms=1000)
        self.assertEqual(set(statuses), {"ok"})
        self.assertGreater(len(device.connections), 2)

    # ---- stations that dial in ----

    def dial(self, port, hello):
        def connected():
            try:
                return socket.create_connection(("127.0.0.1", port), timeout=DEADLINE_S)
            except ConnectionRefusedError:
                return None
        connection = wait_for(connected, "the port is there")
        connection.sendall(hello)
        return connection

    def answer_some(self, connection, count, rtu):
        size = 8 if rtu else 12
        for _ in range(count):
            data = b""
            while len(data) < size:
                more = connection.recv(size - len(data))
                if not more:
                    return
                data += more
            connection.sendall(rtu_peer.answer(data) if rtu else tcp_answer(data))

    def test_a_logger_dials_in(self):
        for rtu in (False, True):
            port, = free_ports(1)
            with self.listen("@IMEI860123", port, ["rtu"] if rtu else []) as acquiring:
                with self.dial(port, b"IMEI86") as connection:
                    time.sleep(0.05)  # the identity in two parts, a heartbeat between requests later
                    connection.sendall(b"0123\r\n")
                    self.answer_some(connection, 4, rtu)
                # It comes back, and says who it is again in the middle, as a sign of life.
                since = len(acquiring.readings)
                with self.dial(port, b"IMEI860123") as connection:
                    self.answer_some(connection, 4, rtu)
                    wait_for(lambda: acquiring.statuses(since).count("ok") > 2, "values of the second call")
                    connection.sendall(b"IMEI860123\r\n")
                    since = len(acquiring.readings)
                    self.answer_some(connection, 9, rtu)
                    wait_for(lambda: acquiring.statuses(since).count("ok") > 6, "values behind the sign of life")
                self.assertIn("ok", self.judge(acquiring.end()))

    def listen(self, place, port, words):
        return Acquiring(["period=120", *words], (place, port), LONG_MS, POINTS)

    def test_strangers_get_nothing(self):
        port, = free_ports(1)
        with self.listen("@IMEI860123", port, []) as acquiring:
            for hello in (b"IMEI999", b"\x00\x01\x00\x00\x00\x06", b"IMEI86012X"):
                with self.dial(port, hello) as connection:
                    self.assertEqual(connection.recv(100), b"")  # closed, never asked
            wait_for(lambda: acquiring.statuses(), "readings")
            self.assertEqual(set(self.judge(acquiring.end())), {"no_connection"})

    def test_a_second_call_replaces_the_first(self):
        port, = free_ports(1)
        with self.listen("@ABC", port, []) as acquiring:
            first = self.dial(port, b"ABC")
            self.answer_some(first, 2, False)
            with self.dial(port, b"ABC") as second:
                while first.recv(100):
                    pass  # an open request at most, then the end
                since = len(acquiring.readings)
                self.answer_some(second, 6, False)
                wait_for(lambda: "ok" in acquiring.statuses(since), "values of the second")
            first.close()
            self.assertIn("ok", self.judge(acquiring.end()))


if __name__ == "__main__":
    unittest.main()

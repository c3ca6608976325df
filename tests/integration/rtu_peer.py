"""A serial line with RTU units on a pseudo-terminal, written from the specification of Modbus over
Serial Line. Every register tells where it was read: unit * 4096 + address. A fault is a function
fault(line, request, reply) that sends what it likes instead of the reply."""
import os
import select
import struct
import threading
import time
import tty

REQUEST_SIZE = 8


def crc(data):
    value = 0xFFFF
    for byte in data:
        value ^= byte
        for _ in range(8):
            value = value >> 1 ^ (0xA001 if value & 1 else 0)
    return struct.pack("<H", value)


def frame(body):
    return body + crc(body)


def coded(unit, address):
    return unit * 4096 + address


def answer(request):
    unit, function, start, count = struct.unpack(">BBHH", request[:6])
    if start + count > 4096:
        return frame(bytes([unit, function | 0x80, 2]))
    registers = [coded(unit, start + i) for i in range(count)]
    return frame(struct.pack(f">BBB{count}H", unit, function, 2 * count, *registers))


class Line:
    """The line is known by `link`, as a stable name is. With `slave`: answers there instead, for
    one end of somebody else's pair."""

    def __init__(self, link, units=(1,), fault=None):
        self.link, self.units, self.fault = link, set(units), fault
        self.requests = []
        self.master = self.slave = None
        self.thread = None
        self.plug_in()

    def plug_in(self):
        """A new pseudo-terminal, with another name, behind the same link."""
        old = os.readlink(self.link) if os.path.islink(self.link) else None
        self.master, self.slave = os.openpty()
        tty.setraw(self.slave)
        self.name = os.ttyname(self.slave)
        if old is not None:
            os.remove(self.link)
        os.symlink(self.name, self.link)
        self.stop_read, self.stop_write = os.pipe()
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def unplug(self):
        os.close(self.stop_write)
        self.thread.join()
        for descriptor in (self.master, self.slave, self.stop_read):
            os.close(descriptor)

    def send(self, data):
        os.write(self.master, data)

    def run(self):
        buffer = b""
        while True:
            ready, _, _ = select.select([self.master, self.stop_read], [], [])
            if self.stop_read in ready:
                return
            buffer += os.read(self.master, 4096)
            while len(buffer) >= REQUEST_SIZE:
                request, buffer = buffer[:REQUEST_SIZE], buffer[REQUEST_SIZE:]
                assert crc(request[:6]) == request[6:], request
                self.requests.append((time.monotonic(), request))
                if self.fault is not None:
                    self.fault(self, request, answer(request))
                elif request[0] in self.units:
                    self.send(answer(request))

    def __enter__(self):
        return self

    def __exit__(self, kind, value, trace):
        self.unplug()
        os.remove(self.link)

# SPDX-License-Identifier: LGPL-2.1-or-later
"""A client of a bus that does what libraries do not: sends without reading, and leaves at any time."""

import os
import socket
import struct

NOBODY = 65534
DESTINATION = "org.vfiod1"
MANAGER = "/org/vfiod1"
CALL, RETURN, ERROR, SIGNAL = 1, 2, 3, 4
PATH, INTERFACE, MEMBER, ERROR_NAME, REPLY_SERIAL, TO, FROM, SIGNATURE, DESCRIPTORS = range(1, 10)


def pad(data, boundary):
    return data + bytes(-len(data) % boundary)


def text(value):
    data = value.encode()
    return struct.pack("<I", len(data)) + data + b"\0"


def call(serial, path, interface, member, arguments=(), destination=DESTINATION, signature="", body=b"", descriptors=0):
    """A call as bytes: its arguments are strings, or come marshalled."""
    fields = b""
    for argument in arguments:
        body = pad(body, 4) + text(argument)
    for code, kind, value in ((PATH, "o", path), (INTERFACE, "s", interface), (MEMBER, "s", member),
                              (TO, "s", destination)):
        fields = pad(fields, 8) + struct.pack("<BBcB", code, 1, kind.encode(), 0) + text(value)
    signature = signature or "s" * len(arguments)
    if signature:
        fields = pad(fields, 8) + struct.pack("<BBcBB", SIGNATURE, 1, b"g", 0, len(signature)) + signature.encode() + b"\0"
    if descriptors:
        fields = pad(fields, 8) + struct.pack("<BBcBI", DESCRIPTORS, 1, b"u", 0, descriptors)
    header = struct.pack("<cBBBIII", b"l", CALL, 0, 1, len(body), serial, len(fields)) + fields
    return pad(header, 8) + body


class Client:
    """Connects as that user, which needs root if it is another."""

    def __init__(self, path, uid=None, deadline=20):
        own = os.geteuid()
        uid = own if uid is None else uid
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.socket.settimeout(deadline)
        self.serial = 0
        self.buffer = b""
        try:
            os.seteuid(uid)
            self.socket.connect(str(path))
        finally:
            os.seteuid(own)
        self.socket.sendall(b"\0AUTH EXTERNAL " + str(uid).encode().hex().encode() + b"\r\n")
        self._read_line()
        self.socket.sendall(b"NEGOTIATE_UNIX_FD\r\n")
        self._read_line(b"AGREE_UNIX_FD")
        self.socket.sendall(b"BEGIN\r\n")
        self.bus("Hello")

    def _read_line(self, expected=b"OK"):
        while b"\r\n" not in self.buffer:
            self._receive()
        line, _, self.buffer = self.buffer.partition(b"\r\n")
        if not line.startswith(expected):
            raise ConnectionError(line)

    def _receive(self):
        data = self.socket.recv(1 << 20)
        if not data:
            raise ConnectionError("the bus has closed the connection")
        self.buffer += data

    def send(self, *arguments, count=1, **options):
        """Sends one call, or many at once; returns the serial of the last."""
        data = b""
        for _ in range(count):
            self.serial += 1
            data += call(self.serial, *arguments, **options)
        self.socket.sendall(data)
        return self.serial

    def send_descriptors(self, count, *arguments, **options):
        self.serial += 1
        socket.send_fds(self.socket, [call(self.serial, *arguments, descriptors=count, **options)],
                        [self.socket.fileno()] * count)
        return self.serial

    def read(self):
        """The next message: its type, the serial that it answers or 0, an error's name or '', its length."""
        while len(self.buffer) < 16:
            self._receive()
        _, kind, _, _, n_body, _, n_fields = struct.unpack_from("<cBBBIII", self.buffer)
        start = 16 + n_fields + (-n_fields % 8)
        chunks, length = [self.buffer], len(self.buffer)
        while length < start + n_body:
            self.buffer = b""
            self._receive()
            chunks.append(self.buffer)
            length += len(self.buffer)
        data = b"".join(chunks)
        self.buffer = data[start + n_body:]
        answers, name = self._fields(data[16:16 + n_fields])
        return kind, answers, name, start + n_body

    @staticmethod
    def _fields(data):
        at, answers, name = 0, 0, ""
        while at < len(data):
            code, _, kind, _ = struct.unpack_from("<BBcB", data, at)
            if kind == b"u":
                value, at = struct.unpack_from("<I", data, at + 4)[0], at + 8
            elif kind == b"g":
                value, at = "", at + 4 + data[at + 4] + 2
            else:
                size = struct.unpack_from("<I", data, at + 4)[0]
                value, at = data[at + 8:at + 8 + size].decode(), at + 8 + size + 1
            at += -at % 8
            if code == REPLY_SERIAL:
                answers = value
            elif code == ERROR_NAME:
                name = value
        return answers, name

    def wait(self, serial):
        """The answer to a call: the error's name or '', and its length."""
        while True:
            _, answers, name, length = self.read()
            if answers == serial:
                return name, length

    def call(self, *arguments, **options):
        return self.wait(self.send(*arguments, **options))

    def bus(self, member, *arguments):
        return self.call("/org/freedesktop/DBus", "org.freedesktop.DBus", member, arguments, destination="org.freedesktop.DBus")

    def get(self):
        """A cheap question to vfiod."""
        return self.call(MANAGER, "org.freedesktop.DBus.Properties", "Get", ("org.vfiod1.Manager", "State"))

    def send_expensive(self, count=1):
        return self.send(MANAGER, "org.freedesktop.DBus.ObjectManager", "GetManagedObjects", count=count)

    def close(self):
        self.socket.close()

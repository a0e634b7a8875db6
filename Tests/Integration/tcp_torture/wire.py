# SPDX-License-Identifier: Apache-2.0
"""A TCP in user space over a packet socket: it can send what no kernel sends. RFC 9293; options of RFC 7323 and RFC 2018."""
import json
import random
import socket
import struct
import subprocess

FIN, SYN, RST, PSH, ACK, URG = 1, 2, 4, 8, 16, 32
SERVER4, SERVER6 = "10.99.0.1", "fd99::1"
WRAP = 1 << 32


def checksum(data):
    """The sum of RFC 1071, not yet inverted."""
    if len(data) % 2:
        data += b"\0"
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return total


def hardware(interface):
    """The address of an interface of this namespace."""
    links = subprocess.run(["ip", "-json", "link", "show", interface], check=True, capture_output=True).stdout
    return json.loads(links)[0]["address"]


class Line:
    """The client's end of a pair of interfaces: frames out, segments in by the address and port they are for."""

    def __init__(self, interface, peer):
        self.socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16 << 20)
        self.socket.bind((interface, 0))
        self.socket.setblocking(False)
        self.ends = {}
        self.head = [bytes.fromhex(hardware(name).replace(":", "")) for name in (peer, interface)]

    def send(self, source, target, segment):
        if len(source) == 4:
            head = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(segment), 0, 0x4000, 64, 6, 0) + source + target
            head = head[:10] + struct.pack("!H", ~checksum(head) & 0xFFFF) + head[12:]
            kind = b"\x08\x00"
        else:
            head = struct.pack("!IHBB", 6 << 28, len(segment), 6, 64) + source + target
            kind = b"\x86\xdd"
        self.socket.send(b"".join(self.head) + kind + head + segment)

    def receive(self):
        """Hands out all that came."""
        while True:
            try:
                frame, address = self.socket.recvfrom(1 << 17)
            except BlockingIOError:
                return
            if address[2] == socket.PACKET_OUTGOING:
                continue
            if frame[12:14] == b"\x08\x00" and frame[23] == 6:
                start, target, end = 14 + (frame[14] & 15) * 4, frame[30:34], 14 + struct.unpack("!H", frame[16:18])[0]
            elif frame[12:14] == b"\x86\xdd" and frame[20] == 6:
                start, target, end = 54, frame[38:54], 54 + struct.unpack("!H", frame[18:20])[0]
            else:
                continue
            source, port, sequence, acknowledgment, offset, flags, window = struct.unpack("!HHIIBBH", frame[start:start + 16])
            options = frame[start + 20:start + (offset >> 4) * 4]
            end_ = self.ends.get((target, port))
            if end_ and end_.port == source:
                end_.take(sequence, acknowledgment, flags, window, options, frame[start + (offset >> 4) * 4:end])


class End:
    """One connection's client end. It acknowledges what comes; all that it sends, a script decides."""

    def __init__(self, line, address, port, source_port, start, timestamps=False, scaling=False, sack=False, window=60000):
        self.line, self.port, self.source_port = line, port, source_port
        self.source = socket.inet_pton(socket.AF_INET6 if ":" in address else socket.AF_INET, address)
        self.target = socket.inet_pton(socket.AF_INET6 if ":" in address else socket.AF_INET, SERVER6 if ":" in address else SERVER4)
        self.start, self.next = start % WRAP, start % WRAP
        self.timestamps, self.scaling, self.sack, self.window = timestamps, scaling, sack, window
        self.clock = random.randrange(1 << 20, WRAP - (1 << 20))
        self.expected, self.echo = 0, 0
        self.acknowledged, self.edge, self.shift = self.start, 0, 0
        self.received, self.segments = b"", 0
        self.is_open = self.is_reset = self.is_finished = False
        self.is_silent = False
        line.ends[self.source, source_port] = self

    def forget(self):
        self.line.ends.pop((self.source, self.source_port), None)

    def segment(self, flags=ACK | PSH, payload=b"", at=None, acknowledging=None, spoil=None, clock=None, urgent=0, window=None,
                first_options=b""):
        """The bytes of one; `spoil`: the checksum is "wrong" or "partial", that of the pseudo header alone."""
        options = first_options
        if self.timestamps:
            self.clock = (self.clock + 1) % WRAP
            options += struct.pack("!BBBBII", 1, 1, 8, 10, self.clock if clock is None else clock % WRAP, self.echo)
        options += b"\1" * (-len(options) % 4)
        sequence = (self.next if at is None else at) % WRAP
        acknowledgment = (self.expected if acknowledging is None else acknowledging) % WRAP
        head = struct.pack("!HHIIBBHHH", self.source_port, self.port, sequence, acknowledgment if flags & ACK or acknowledging else 0,
                           (20 + len(options)) // 4 << 4, flags, self.window if window is None else window, 0, urgent)
        whole = head + options + payload
        pseudo = self.source + self.target + struct.pack("!IHH", len(whole), 0, 6)
        value = ~checksum(pseudo + whole) & 0xFFFF
        if spoil == "partial":
            value = checksum(pseudo)
        elif spoil:
            value ^= 0x5555
        return whole[:16] + struct.pack("!H", value) + whole[18:]

    def send(self, flags=ACK | PSH, payload=b"", **more):
        self.line.send(self.source, self.target, self.segment(flags, payload, **more))

    def say_hello(self, payload=b"", **more):
        options = struct.pack("!BBH", 2, 4, 1400)
        if self.sack:
            options += b"\4\2"
        if self.scaling:
            options += b"\3\3\7"
        self.send(SYN, payload, at=self.start, first_options=options, **more)

    def say(self, payload, sizes=None, order=None, **more):
        """Sends bytes as segments of these sizes, in this order of places, and moves on."""
        pieces, place = [], 0
        for size in sizes or [1300] * (len(payload) // 1300 + 1):
            if place < len(payload):
                pieces.append((place, payload[place:place + size]))
                place += size
        for index in order or range(len(pieces)):
            place, piece = pieces[index]
            self.send(payload=piece, at=self.next + place, **more)
        self.next = (self.next + len(payload)) % WRAP

    def take(self, sequence, acknowledgment, flags, window, options, payload):
        self.segments += 1
        if flags & RST:
            # A challenge to a SYN, or an acknowledgment of nothing, may be one that is not for this connection.
            if not self.is_open or sequence == self.expected:
                self.is_reset = True
            return
        if self.timestamps:
            place = options.find(b"\x08\x0a")
            if place >= 0 and len(options) >= place + 10:
                self.echo = struct.unpack("!I", options[place + 2:place + 6])[0]
        if flags & SYN:
            if acknowledgment == (self.start + 1) % WRAP and not self.is_open:
                self.is_open, self.expected, self.next = True, (sequence + 1) % WRAP, acknowledgment
                place = options.find(b"\3\3")
                self.shift = options[place + 2] if place >= 0 and self.scaling else 0
                self.acknowledged, self.edge = acknowledgment, (acknowledgment + window) % WRAP
                self.send(ACK)
            return
        if not self.is_open:
            return
        self.acknowledged = acknowledgment
        self.edge = (acknowledgment + (window << self.shift)) % WRAP
        fresh = sequence == self.expected
        if fresh and payload:
            self.received += payload
            self.expected = (self.expected + len(payload)) % WRAP
        if fresh and flags & FIN:
            self.is_finished, self.expected = True, (self.expected + 1) % WRAP
        if (payload or flags & FIN) and not self.is_silent:
            self.send(ACK)

    def answers(self):
        """How many ReadyForQuery messages came."""
        count, place = 0, 0
        while len(self.received) >= place + 5:
            count += self.received[place:place + 1] == b"Z"
            place += 1 + struct.unpack("!I", self.received[place + 1:place + 5])[0]
        return count

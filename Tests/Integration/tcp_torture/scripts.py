# SPDX-License-Identifier: Apache-2.0
"""What one hostile client does: a generator that sends and then yields what it waits for, as (condition, seconds).

All texts of a script hold its number; those meant to be refused differ in letters only, so that whatever mixture the kernel
delivers is one statement.
"""
import random
import struct

from .judge import Judge, message
from .wire import ACK, FIN, PSH, RST, SYN, URG, End

FAR = 1 << 31


def startup(user):
    body = struct.pack("!I", 196608) + b"user\0" + user.encode() + b"\0database\0shop\0\0"
    return struct.pack("!I", len(body) + 4) + body


class Script:
    def __init__(self, number, seed, line, judge, others):
        self.number, self.line, self.judge, self.others = number, line, judge, others
        self.random = random.Random(f"{seed} {number}")
        self.user, self.victim = f"u{number}", f"v{number}"
        chance = self.random.random
        self.address = f"fd98::{number % 60000 + 1:x}" if chance() < 0.25 else f"10.98.{number // 250 % 250}.{number % 250 + 1}"
        self.options = {"timestamps": chance() < 0.6, "scaling": chance() < 0.5, "sack": chance() < 0.5}
        self.port = Judge.SMALL if chance() < 0.15 else Judge.USUAL
        self.source_port = self.random.randrange(20000, 60000)
        self.asked = 0
        self.done = []
        self.end = None

    # What is said

    def texts(self):
        """A Query and one that differs from it in some letters."""
        self.asked += 1
        size = self.random.choice([4, 12, 40, 400])
        texts = [f"select {letter * size}_{self.number}_{self.asked} from t" for letter in "qf"]
        return [message(b"Q", text.encode() + b"\0") for text in texts]

    def cuts(self, size):
        """Sizes of segments, or none: the usual ones."""
        if size > 5000 or self.random.random() < 0.4:
            return None
        most = self.random.choice([3, 20, 200])
        sizes = []
        while sum(sizes) < size:
            sizes.append(self.random.randint(1, most))
            if len(sizes) > 60:
                most = 1300
        return sizes

    @property
    def is_over(self):
        return self.end.is_reset or self.end.is_finished

    def answered(self, count=1):
        count += self.end.answers()
        return lambda: self.end.answers() >= count or self.is_over

    def ask(self):
        """A Query as honest clients send it, at times in pieces out of order, or twice."""
        real, _ = self.texts()
        condition = self.answered()
        sizes = self.cuts(len(real))
        start = self.end.next
        if sizes and self.random.random() < 0.3:
            pieces = min(len(sizes), len([1 for index in range(len(sizes)) if sum(sizes[:index]) < len(real)]))
            order = list(range(pieces))
            self.random.shuffle(order)
            self.end.say(real, sizes, order)
        else:
            self.end.say(real, sizes)
        if self.random.random() < 0.2:
            self.again(start, real)
        yield condition, 0.6

    def again(self, start, real):
        """The same bytes once more, cut otherwise."""
        cut = self.random.randrange(len(real))
        self.end.send(payload=real[:cut + 1], at=start)
        self.end.send(payload=real[cut // 2:], at=start + cut // 2)

    # Segments that a kernel may refuse

    def spoilt(self):
        """A way to spoil a segment, for `send`."""
        ways = ["wrong", "partial", "no acknowledgment", "no flags", "unsent", "old acknowledgment", "syn"]
        if self.options["timestamps"]:
            ways += ["old clock", "old clock"]
        way = self.random.choice(ways)
        self.done.append(way)
        far = self.random.choice([2, 1000, 100_000, 8_000_000, FAR - 1])
        return {"wrong": {"spoil": "wrong"}, "partial": {"spoil": "partial"}, "no acknowledgment": {"flags": PSH},
                "no flags": {"flags": 0}, "unsent": {"acknowledging": self.end.expected + far},
                "old acknowledgment": {"acknowledging": self.end.expected - far}, "syn": {"flags": SYN | ACK},
                "old clock": {"clock": self.end.clock - far}}[way]

    def insert(self):
        """Other bytes first, in a segment that is spoilt; at times only over a part of the place."""
        real, fake = self.texts()
        condition = self.answered()
        for _ in range(self.random.choice([1, 1, 2, 3])):
            first = self.random.choice([0, 0, 0, self.random.randrange(len(fake))])
            last = self.random.choice([len(fake), len(fake), self.random.randrange(first, len(fake)) + 1])
            self.end.send(payload=fake[first:last], at=self.end.next + first, **self.spoilt())
        if self.random.random() < 0.4:
            yield (lambda: False), 0.05
        start = self.end.next
        self.end.say(real, self.cuts(len(real)))
        if self.random.random() < 0.2:
            self.end.send(payload=fake, at=start)
        yield condition, 0.6

    def overlap(self):
        """Pieces with different bytes, all of them such as a kernel takes, in any order."""
        real, fake = self.texts()
        condition = self.answered()
        start = self.end.next
        for _ in range(self.random.randint(1, 4)):
            first = self.random.randrange(1, len(real))
            last = self.random.randrange(first, len(real)) + 1
            self.end.send(payload=self.random.choice([real, fake])[first:last], at=start + first)
        self.end.say(real, self.cuts(len(real)))
        yield condition, 0.6

    def beyond(self):
        """Behind the server's window."""
        _, fake = self.texts()
        self.end.send(payload=fake, at=self.end.edge + self.random.choice([-5, 0, 1, 1000, 1 << 20, 1 << 26]))
        yield from self.ask()

    def fill(self):
        """A window that closes, probes at its end, and what comes when it opens again."""
        self.asked += 1
        text = f"select {'q' * 4}_{self.number}_{self.asked} from t".encode()
        real = message(b"Q", b" " * self.random.randint(9000, 30000) + text + b"\0")
        condition = self.answered()
        if self.port == Judge.SMALL:
            self.judge.rest(self.user)
        start, place, stalls = self.end.next, 0, 0
        while place < len(real) and stalls < 12 and not self.is_over:
            room = (self.end.edge - start - place) % (1 << 32)
            room = 0 if room > FAR else room
            for offset in range(place, min(len(real), place + room), 1000):
                self.end.send(payload=real[offset:min(offset + 1000, place + room, len(real))], at=start + offset)
            if stalls == 1:
                self.end.send(payload=self.random.choice([real[place + room:place + room + 1], b"z"]), at=start + place + room)
            before = place
            yield (lambda: (self.end.acknowledged - start) % (1 << 32) != before), 0.06
            place = (self.end.acknowledged - start) % (1 << 32)
            stalls += place == before
            if stalls > 2:
                self.judge.wake(self.user)
        self.judge.wake(self.user)
        self.end.next = (start + len(real)) % (1 << 32)
        yield condition, 0.6

    def urge(self):
        """A byte of urgent data inside a Query: no part of the stream that the server reads."""
        real, _ = self.texts()
        condition = self.answered()
        place = self.random.randrange(1, len(real))
        self.end.send(ACK | PSH | URG, real[:place] + b"!" + real[place:], urgent=place + 1)
        self.end.next = (self.end.next + len(real) + 1) % (1 << 32)
        yield condition, 0.6

    def probe(self):
        """Keep-alives, and acknowledgments with strange numbers."""
        end = self.end
        self.random.choice([
            lambda: end.send(ACK, b"k", at=end.next - 1),
            lambda: end.send(ACK, b"", at=end.next - 1),
            lambda: end.send(ACK, acknowledging=end.expected + self.random.randrange(1, FAR)),
            lambda: end.send(ACK, acknowledging=end.expected - self.random.randrange(1, FAR)),
            lambda: end.send(ACK, clock=end.clock + self.random.randrange(1, 1 << 30), spoil="wrong"),
            lambda: end.send(PSH, b"x" * 9, clock=end.clock + self.random.randrange(1, 1 << 30)),
        ])()
        yield from self.ask()

    # Beginnings and ends

    def begin_inside(self):
        """SYNs and strangers' StartupMessages inside the connection."""
        fake = startup(self.victim)
        if self.random.random() < 0.5:
            self.end.send(SYN, at=self.end.next - len(fake) - 1, acknowledging=None)
            yield (lambda: False), 0.02
            self.end.send(payload=fake, at=self.end.next - len(fake))
        else:
            place = self.end.next + self.random.choice([0, 5, 70_000, 1 << 25, 1 << 30])
            self.end.send(SYN, at=place)
            yield (lambda: False), 0.02
            for offset in range(0, self.random.choice([1, 3])):
                self.end.send(payload=fake, at=place + 1 + offset * len(fake))
        yield from self.ask()

    def end_badly(self):
        """Resets and FINs that no kernel believes."""
        end, far = self.end, self.random.choice([-1, 1, 5, 500, 70_000, 1 << 28])
        self.random.choice([
            lambda: end.send(RST, spoil="wrong"), lambda: end.send(RST, spoil="partial"), lambda: end.send(RST | ACK, at=end.next + far),
            lambda: end.send(RST, at=end.next + far), lambda: end.send(FIN | ACK, spoil="wrong"), lambda: end.send(FIN),
            lambda: end.send(FIN | ACK, spoil="partial"), lambda: end.send(FIN | ACK, at=end.edge + max(1, far)),
            lambda: end.send(FIN | ACK, acknowledging=end.expected + 1000), lambda: end.send(RST | ACK, at=end.next + far, spoil="wrong"),
        ])()
        yield (lambda: self.is_over), 0.02
        yield from self.ask()

    def forge(self):
        """Blind segments in the name of others."""
        other = self.random.choice(self.others)
        if other.end and other.end.is_open:
            place = self.random.randrange(1 << 32)
            clock = other.end.clock
            for flags, payload, offset in self.random.choice([
                [(SYN, b"", 0), (ACK | PSH, startup(self.victim), 1)], [(RST, b"", 0)], [(RST | ACK, b"", 0)], [(FIN | ACK, b"", 0)],
                [(ACK | PSH, b"z" * 50, 50 * index) for index in range(4)],
            ]):
                other.end.send(flags, payload, at=place + offset, acknowledging=self.random.choice([place, other.end.expected]))
            other.end.clock = clock
        yield from self.ask()

    def connect(self, start):
        """A handshake, with decoys before and after the SYN."""
        end = self.end = End(self.line, self.address, self.port, self.source_port, start, **self.options)
        decoy = self.random.random()
        if decoy < 0.1:
            end.send(SYN, at=start + self.random.choice([0, 0, 77, 1 << 29]), spoil=self.random.choice(["wrong", "partial"]))
        elif decoy < 0.15:
            end.send(SYN | FIN, at=start + 99)
        end.say_hello(startup(self.victim) if decoy > 0.9 else b"")
        if 0.2 < decoy < 0.25:
            end.send(SYN, at=start + 12345)
        yield (lambda: end.is_open or end.is_reset), 0.5
        if not end.is_open:
            return
        real = startup(self.user)
        condition = self.answered()
        if self.random.random() < 0.15:
            fake = startup(self.victim)
            end.send(payload=fake, **self.spoilt())
        end.say(real, self.cuts(len(real)))
        yield condition, 0.6

    def leave(self):
        """One of the ways in which connections end."""
        end = self.end
        way = self.random.choice(["terminate", "terminate", "fin", "reset", "ask and reset", "ask and fin", "nothing", "abort"])
        self.done.append(way)
        if way == "terminate":
            end.say(message(b"X"))
            yield (lambda: self.is_over), 0.3
            end.send(FIN | ACK)
            end.next += 1
        elif way == "fin":
            end.send(FIN | ACK)
            end.next += 1
            yield (lambda: self.is_over), 0.3
        elif way in ("reset", "abort"):
            end.send(RST | ACK if way == "reset" else RST)
        elif way == "ask and reset":
            real, _ = self.texts()
            end.say(real)
            yield (lambda: False), self.random.choice([0, 0.001, 0.06])
            end.is_silent = True
            end.send(RST)
        elif way == "ask and fin":
            real, _ = self.texts()
            end.send(ACK | PSH | FIN, real)
            end.next += len(real) + 1
            yield (lambda: self.is_over), 0.3
        yield (lambda: False), 0.02

    STEPS = ["ask", "ask", "insert", "insert", "insert", "overlap", "beyond", "fill", "urge", "probe", "begin_inside", "end_badly", "forge"]

    def run(self):
        start = self.random.choice([self.random.randrange(1 << 32), (1 << 32) - self.random.randrange(1, 500)])
        for _ in range(self.random.choice([1, 1, 2, 3])):
            yield from self.connect(start)
            if self.end.is_open:
                for _ in range(self.random.randint(1, 8)):
                    if self.is_over:
                        break
                    step = self.random.choice(self.STEPS)
                    self.done.append(step)
                    yield from getattr(self, step)()
                if not self.is_over:
                    yield from self.leave()
                elif self.end.is_finished and not self.end.is_reset:
                    self.end.send(FIN | ACK)
                    yield (lambda: False), 0.02
            self.done.append("|")
            self.end.forget()
            start = (self.end.next + self.random.choice([-50, -1000, 0, 1, 100_000, 1 << 30])) % (1 << 32)

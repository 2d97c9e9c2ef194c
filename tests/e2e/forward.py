"""A client of the Forward protocol, for tests: every mode, exact bytes, acks, the handshake; and a
load client that behaves as Fluentd does (a chunk that was not acknowledged is sent again on the
next connection, same id and same bytes) and knows every record that it sent by its serial number.
"""
import base64
import collections
import gzip
import hashlib
import os
import random
import select
import socket
import struct
import threading
import time

import msgpack


# ---- encoding -------------------------------------------------------------------------------

def event_time(seconds, nanoseconds=0):
    return msgpack.ExtType(0, struct.pack(">II", seconds, nanoseconds))


def pack(value):
    return msgpack.packb(value, use_bin_type=True)


def entries(events):
    """[(time, record)] as the bytes of PackedForward."""
    return b"".join(pack([t, record]) for t, record in events)


def message(tag, event, option=None):
    """Message mode: one event."""
    return pack([tag, event[0], event[1]] + ([] if option is None else [option]))


def forward(tag, events, option=None):
    return pack([tag, [list(e) for e in events]] + ([] if option is None else [option]))


def packed(tag, events, option=None, compress=False, as_str=False):
    """PackedForward; `events` may be bytes already. as_str: the bytes as msgpack str32, as
    Fluentd's own sender has it."""
    data = events if isinstance(events, bytes) else entries(events)
    option = dict(option or {})
    if compress:
        data = gzip.compress(data, 1)
        option["compressed"] = "gzip"
    head = b"\xdb" + struct.pack(">I", len(data)) + data if as_str else pack(data)
    return bytes([0x93]) + pack(tag) + head + pack(option)


def encode(mode, tag, events, option=None):
    """`mode` is message, forward, packed or gzip. Message mode takes one event."""
    if mode == "message":
        (event,) = events
        return message(tag, event, option)
    if mode == "forward":
        return forward(tag, events, option)
    return packed(tag, events, option, compress=mode == "gzip")


def chunk_id():
    """As Fluentd makes it: base64 of 16 bytes, with the newline, 25 characters."""
    return base64.encodebytes(os.urandom(16)).decode()


# ---- a connection ---------------------------------------------------------------------------

class Closed(Exception):
    """The server closed the connection."""


class Connection:
    """A blocking connection, every wait bounded by `timeout`. `source`: the address it comes from;
    `user`: (name, password), for servers that ask for one."""

    def __init__(self, port, host="127.0.0.1", timeout=20, key=None, hostname="client.example",
                 source=None, user=None):
        self.timeout = timeout
        self.hostname = hostname
        self.user = user
        self.sock = socket.create_connection((host, port), timeout=timeout,
                                             source_address=source and (source, 0))
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.received = b""             # bytes not yet taken by receive()
        self.segments = []              # what each recv() gave
        if key is not None:
            self.handshake(key)

    def close(self):
        self.sock.close()

    def reset(self):
        """Ends the connection with RST."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.sock.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def send(self, data, cut="whole", rng=random):
        """cut: "whole" (one write), "bytes" (a write each), "random" (pieces of 1 to 200 bytes)."""
        try:
            if cut == "whole":
                self.sock.sendall(data)
            elif cut == "bytes":
                for i in range(len(data)):
                    self.sock.sendall(data[i:i + 1])
            else:
                at = 0
                while at < len(data):
                    n = rng.randint(1, 200)
                    self.sock.sendall(data[at:at + n])
                    at += n
        except (BrokenPipeError, ConnectionResetError) as e:
            raise Closed(str(e))

    def receive(self, timeout=None):
        """The next msgpack object that the server sent. Raises Closed, or TimeoutError."""
        end = time.monotonic() + (self.timeout if timeout is None else timeout)
        while True:
            unpacker = msgpack.Unpacker(raw=False)
            unpacker.feed(self.received)
            try:
                value = unpacker.unpack()
                self.received = self.received[unpacker.tell():]
                return value
            except msgpack.OutOfData:
                pass
            self._fill(end)

    def _fill(self, end):
        self.sock.settimeout(max(0.001, end - time.monotonic()))
        try:
            data = self.sock.recv(65536)
        except ConnectionResetError as e:
            raise Closed(str(e))
        except socket.timeout:
            raise TimeoutError("no answer in time")
        finally:
            self.sock.settimeout(self.timeout)
        if not data:
            raise Closed("end of stream")
        self.segments.append(data)
        self.received += data

    def ack(self, timeout=None):
        """The id in the next ack."""
        value = self.receive(timeout)
        if not isinstance(value, dict) or list(value) != ["ack"]:
            raise AssertionError("no ack: %r" % (value,))
        return value["ack"]

    def wait_closed(self, timeout=None):
        """Waits for the server's close. Bytes in between are kept in `received`."""
        end = time.monotonic() + (self.timeout if timeout is None else timeout)
        try:
            while True:
                self._fill(end)
        except Closed:
            pass

    def wait_data(self, timeout=None, count=1):
        """Waits until `received` holds so many bytes."""
        end = time.monotonic() + (self.timeout if timeout is None else timeout)
        while len(self.received) < count:
            self._fill(end)

    def silent(self, seconds):
        """Whether the server neither sends nor closes for so long."""
        if self.received:
            return False
        readable, _, _ = select.select([self.sock], [], [], seconds)
        return not readable

    # ---- the handshake ----------------------------------------------------------------------

    def helo(self):
        helo = self.receive()
        assert isinstance(helo, list) and helo[0] == "HELO" and len(helo) == 2, helo
        return helo[1]

    def ping(self, helo, key, salt=b"00112233445566778899aabbccddeeff"):
        """The bytes of PING."""
        nonce = helo["nonce"]
        assert isinstance(nonce, bytes), "the nonce must be bin (Node decodes str as UTF-8)"
        digest = hashlib.sha512(salt + self.hostname.encode() + nonce + key.encode()).hexdigest()
        auth, (user, password) = helo.get("auth", b""), self.user or ("", "")
        proof = ""
        if auth:
            proof = hashlib.sha512(auth + user.encode() + password.encode()).hexdigest()
        # salt as raw str: Fluent Bit sends 16 raw bytes as msgpack str.
        raw_salt = bytes([0xd9, len(salt)]) + salt
        return b"\x96" + pack("PING") + pack(self.hostname) + raw_salt + pack(digest) + \
            pack(user) + pack(proof)

    def pong(self, helo, key, salt=b"00112233445566778899aabbccddeeff"):
        pong = self.receive()
        assert isinstance(pong, list) and pong[0] == "PONG" and len(pong) == 5, pong
        if not pong[1]:
            raise Closed("refused: %s" % pong[2])
        assert pong[3] != self.hostname, "the server has the client's own name"
        want = hashlib.sha512(salt + pong[3].encode() + helo["nonce"] + key.encode()).hexdigest()
        assert pong[4] == want, "PONG's digest"
        return pong

    def handshake(self, key):
        helo = self.helo()
        self.send(self.ping(helo, key))
        return self.pong(helo, key)


# ---- load -----------------------------------------------------------------------------------

class Chunk:
    __slots__ = ("id", "data", "first", "count", "sent", "connection", "acked")

    def __init__(self, id, data, first, count):
        self.id = id
        self.data = data
        self.first = first              # serial of the first record; they are consecutive
        self.count = count
        self.sent = 0                   # on how many connections (a part of) it went out
        self.connection = None
        self.acked = False

    def serials(self):
        return range(self.first, self.first + self.count)


class LoadClient(threading.Thread):
    """Sends chunks with acks, at most `window` unacknowledged, at most `rate` records a second, on
    one connection at a time; through refused connections, resets and closes, until finish().

    Every record has the attributes `client` (the name) and `serial` (0, 1, ...). After finish() all
    that was sent was acknowledged. `resent` is the list of the chunks that went out on more than
    one connection: only their records may come twice.
    """

    def __init__(self, name, port, host="127.0.0.1", rate=2000, chunk=20, window=8, mode="packed",
                 tag="load.test", key=None, padding=0, tick=0.01):
        super().__init__(daemon=True, name="load-" + name)
        self.client = name
        self.address = (host, port)
        self.rate = rate
        self.records_per_chunk = 1 if mode == "message" else chunk
        self.window = window
        self.mode = mode
        self.tag = tag
        self.key = key
        self.padding = padding
        self.tick = tick
        self.pending = collections.OrderedDict()    # id -> Chunk, in the order of sending
        self.sent_records = 0
        self.acked_records = 0
        self.resent = []
        self.connects = 0
        self.refused = 0                # connections refused
        self.broken = 0                 # connections that ended without our doing
        self.error = None               # what ended the thread
        self.lock = threading.Condition()
        self._finish = False
        self._paused = False
        self._abort = False

    # ---- for the test -----------------------------------------------------------------------

    def progress(self, records, timeout=30):
        """Waits until so many more records are acknowledged."""
        with self.lock:
            target = self.acked_records + records
        self.wait(lambda: self.acked_records >= target, timeout, "%d more acks" % records)

    def wait(self, predicate, timeout, what):
        end = time.monotonic() + timeout
        with self.lock:
            while not predicate():
                if self.error:
                    raise AssertionError("load client: %r" % self.error)
                left = end - time.monotonic()
                if left <= 0:
                    raise AssertionError("timeout after %g s: %s; %s" % (timeout, what, self))
                self.lock.wait(min(left, 0.5))

    def finish(self, timeout=30):
        """No new chunks; waits until all are acknowledged, then ends."""
        with self.lock:
            self._finish = True
        self.wait(lambda: not self.pending, timeout, "all acks at the end")
        self.join(5)

    def pause(self, paused=True):
        with self.lock:
            self._paused = paused

    def abort(self):
        """Ends at once, without waiting for acks."""
        with self.lock:
            self._abort = True
        self.join(5)

    def unacked(self):
        with self.lock:
            return list(self.pending.values())

    def resent_serials(self):
        with self.lock:
            return {s for c in self.resent for s in c.serials()}

    def __str__(self):
        return "%s: %d sent, %d acked, %d chunks pending, %d connects, %d refused, %d broken, " \
            "%d chunks resent" % (self.client, self.sent_records, self.acked_records,
                                  len(self.pending), self.connects, self.refused, self.broken,
                                  len(self.resent))

    # ---- the thread -------------------------------------------------------------------------

    def _new_chunk(self):
        first, count = self.sent_records, self.records_per_chunk
        now = time.time()
        t = event_time(int(now), int(now % 1 * 1e9))
        events = []
        for serial in range(first, first + count):
            record = {"message": "load record", "level": "info", "client": self.client,
                      "serial": serial}
            if self.padding:        # of a kind that does not compress below half
                record["padding"] = os.urandom(self.padding // 2).hex()
            events.append((t, record))
        id = chunk_id()
        option = {"chunk": id}
        if self.mode != "message":
            option["size"] = count
        chunk = Chunk(id, encode(self.mode, self.tag, events, option), first, count)
        with self.lock:
            self.sent_records += count
            self.pending[id] = chunk
        return chunk

    def run(self):
        try:
            while not self._over():
                sock = self._connect()
                if sock is None:
                    continue
                try:
                    self._talk(sock)
                except (ConnectionError, socket.timeout):
                    self.broken += 1
                finally:
                    sock.close()
        except Exception as e:          # the test must see it, whatever it is
            with self.lock:
                self.error = e
                self.lock.notify_all()
            raise

    def _over(self):
        with self.lock:
            return self._abort or (self._finish and not self.pending)

    def _connect(self):
        try:
            sock = socket.create_connection(self.address, timeout=10)
        except ConnectionRefusedError:
            with self.lock:
                self.refused += 1
            time.sleep(self.tick)       # the pace of tries, not a wait for something
            return None
        except (ConnectionError, socket.timeout):
            self.broken += 1
            return None
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if self.key:
            try:
                connection = Connection.__new__(Connection)
                connection.sock, connection.timeout, connection.hostname = sock, 10, self.client
                connection.received, connection.segments, connection.user = b"", [], None
                connection.handshake(self.key)
            except (Closed, TimeoutError):
                self.broken += 1
                sock.close()
                return None
        self.connects += 1
        return sock

    def _talk(self, sock):
        """Until the connection ends, or all is done. First what is still unacknowledged."""
        sock.setblocking(False)
        number = self.connects
        unpacker = msgpack.Unpacker(raw=False)
        queue = collections.deque(self.unacked())
        out, at = b"", 0                # the chunk that is being written
        next_time = time.monotonic()
        while not self._over():
            now = time.monotonic()
            if at == len(out):
                chunk = None
                if queue:
                    chunk = queue.popleft()
                elif now >= next_time and self._may_send():
                    chunk = self._new_chunk()
                    next_time = max(next_time, now - 0.1) + chunk.count / self.rate
                if chunk is not None and not chunk.acked:
                    with self.lock:
                        chunk.sent += 1
                        if chunk.sent == 2:
                            self.resent.append(chunk)
                    out, at = chunk.data, 0
            busy = at < len(out)
            wait = self.tick if not queue else 0
            if not busy and not queue and self._may_send():
                wait = min(self.tick, max(0, next_time - now))
            readable, writable, _ = select.select([sock], [sock] if busy else [], [], wait)
            if readable and not self._take_acks(sock, unpacker, number):
                self.broken += 1
                return
            if writable:
                try:
                    at += sock.send(out[at:at + 262144])
                except ConnectionError:
                    # The server closed; acks that it sent before are still to be read.
                    sock.settimeout(5)
                    while self._take_acks(sock, unpacker, number):
                        pass
                    raise

    def _take_acks(self, sock, unpacker, number):
        """False at the end of the stream."""
        data = sock.recv(65536)
        unpacker.feed(data)
        for value in unpacker:
            self._acked(value, number)
        return bool(data)

    def _may_send(self):
        with self.lock:
            return not self._finish and not self._paused and len(self.pending) < self.window

    def _acked(self, value, number):
        if not isinstance(value, dict) or list(value) != ["ack"]:
            raise AssertionError("no ack: %r" % (value,))
        with self.lock:
            chunk = self.pending.pop(value["ack"], None)
            if chunk is None:
                raise AssertionError("an ack that was not asked for, or a second: %r" % (value,))
            chunk.acked = True
            chunk.connection = number
            self.acked_records += chunk.count
            self.lock.notify_all()


# ---- what arrived ---------------------------------------------------------------------------

def serial_of(record):
    """(client, serial) of a decoded OTLP record: a `project` for OtlpServer."""
    return (record["attributes"].get("client"), record["attributes"].get("serial"))


class Tally:
    """Counts what arrived against what the load clients sent."""

    def __init__(self, keys, clients):
        self.count = collections.Counter(keys)
        wanted = {(c.client, s) for c in clients for s in range(c.sent_records)}
        unacked = {(c.client, s) for c in clients for k in c.pending.values() for s in k.serials()}
        self.lost = sorted(wanted - unacked - set(self.count))
        self.strange = sorted((k for k in self.count if k not in wanted), key=str)
        self.duplicates = {k: n - 1 for k, n in self.count.items() if n > 1}
        self.resent = {(c.client, s) for c in clients for s in c.resent_serials()}

    def check(self, duplicates="none"):
        """No record lost, none that nobody sent; duplicates: "none", or "resent" (only in chunks
        that went out twice). Returns the number of duplicates."""
        assert not self.strange, "%d records that nobody sent: %s" % (
            len(self.strange), self.strange[:5])
        assert not self.lost, "%d acknowledged records lost: %s" % (
            len(self.lost), ranges(self.lost))
        bad = set(self.duplicates)
        if duplicates == "resent":
            bad -= self.resent
        assert not bad, "%d records twice that may not be: %s" % (len(bad), ranges(sorted(bad)))
        return sum(self.duplicates.values())


def ranges(keys):
    """[("a", 1), ("a", 2), ("a", 5)] as "a:1-2 a:5", cut at 10 ranges."""
    out = []
    for client, serial in keys:
        if out and out[-1][0] == client and out[-1][2] + 1 == serial:
            out[-1][2] = serial
        else:
            out.append([client, serial, serial])
    text = ["%s:%d" % (c, a) if a == b else "%s:%d-%d" % (c, a, b) for c, a, b in out[:10]]
    return " ".join(text) + (" and %d ranges more" % (len(out) - 10) if len(out) > 10 else "")

"""The recorded streams of captures/ and captures/malformed/: bytes, meaning, acks, resends.

    for stream in streams.all(): stream.data, stream.events, stream.acks ...

An event's record comes as Python values: str, bytes ($bin), int, float, bool, None, list, dict,
Ext ($ext), and Pairs for a map with duplicate or odd keys ($map).
"""
import collections
import functools
import gzip
import hashlib
import json
import os

import msgpack

HERE = os.path.dirname(os.path.abspath(__file__))
FOLDER = os.path.join(HERE, "captures")

Ext = collections.namedtuple("Ext", "type data")


class Pairs(list):
    """A map as its [(key, value)], where a dict cannot hold it."""


def _value(value):
    if isinstance(value, list):
        return [_value(v) for v in value]
    if not isinstance(value, dict):
        return value
    if len(value) == 1:
        (key, inner), = value.items()
        if key == "$bin":
            return bytes.fromhex(inner)
        if key == "$float":
            return float(inner)
        if key == "$ext":
            return Ext(inner[0], bytes.fromhex(inner[1]))
        if key == "$map":
            return Pairs((_value(k), _value(v)) for k, v in inner)
    return {k: _value(v) for k, v in value.items()}


def read(*path):
    """A file of captures/, or its NAME.gz; None if neither is there."""
    name = os.path.join(FOLDER, *path)
    try:
        with open(name, "rb") as f:
            return f.read()
    except FileNotFoundError:
        pass
    try:
        with gzip.open(name + ".gz") as f:
            return f.read()
    except FileNotFoundError:
        return None


class Stream:
    """One connection, client to server."""

    def __init__(self, row, folder=""):
        self.row = row
        self.file = row["file"]
        self.name = self.file[:-len(".bin")]
        self.folder = folder
        self.scenario = row.get("scenario")
        self.handshake = row.get("handshake")       # a dict; malformed: whether it is for a key

    def __repr__(self):
        return self.name

    @functools.cached_property
    def data(self):
        data = read(self.folder, self.file)
        if data:                        # a heartbeat has none, and no digest
            assert hashlib.sha256(data).hexdigest() == self.row["sha256"], self.file
        return data

    @functools.cached_property
    def events(self):
        """The lines of its events.jsonl, all of them."""
        text = read(self.folder, self.name + ".events.jsonl") or b""
        out = []
        for line in text.decode().splitlines():
            event = json.loads(line)
            for key in ("record", "metadata"):
                if key in event:
                    event[key] = _value(event[key])
            event["tag"] = _value(event["tag"])
            out.append(event)
        return out

    @property
    def is_json(self):
        return self.row.get("ack_format") == "json"

    @property
    def ack_bytes(self):
        """All acks that the server owes, as it must write them."""
        acks = self.row["acks"]
        if self.is_json:
            return b"".join(json.dumps({"ack": a}, separators=(",", ":")).encode() for a in acks)
        return b"".join(msgpack.packb({"ack": _value(a)}) for a in acks)

    @functools.cached_property
    def borders(self):
        """Where its objects end (PING is one)."""
        out, at, data = [], 0, self.data
        if self.is_json or data[:1] in (b"[", b"{"):
            text, decoder = data.decode(), json.JSONDecoder()
            chars = 0
            while chars < len(text):
                chars = decoder.raw_decode(text, chars)[1]
                out.append(len(text[:chars].encode()))
            return out
        unpacker = msgpack.Unpacker(raw=True, strict_map_key=False, max_buffer_size=1 << 30)
        unpacker.feed(data)
        while at < len(data):
            unpacker.skip()
            at = unpacker.tell()
            out.append(at)
        return out

    def with_ping(self, helo, key=None):
        """The bytes with PING made anew for this HELO (and another key than the recorded one)."""
        hand = self.handshake
        key = (hand["shared_key"] if key is None else key).encode()
        end = self.borders[0]
        ping = self.data[:end]
        _, host, salt, digest, user, password = msgpack.unpackb(ping, raw=True)
        nonce, auth = helo["nonce"], helo.get("auth") or b""
        want = hashlib.sha512(salt + host + nonce + key).hexdigest().encode()
        assert len(digest) == len(want)
        ping = ping.replace(digest, want)
        if password:
            want = hashlib.sha512(auth + user + hand["password"].encode()).hexdigest().encode()
            ping = ping.replace(password, want)
        return ping + self.data[end:]


@functools.lru_cache(None)
def all():
    return [Stream(row) for row in json.loads(read("index.json"))]


@functools.lru_cache(None)
def malformed():
    return [Stream(row, "malformed") for row in json.loads(read("malformed", "index.json"))]


def get(name):
    (stream,) = [s for s in all() if s.name == name]
    return stream


def resent():
    """{scenario: [streams]} of the runs in which a client sent a chunk again: the same ids, tags
    and bytes on a later connection of the same run."""
    runs = collections.OrderedDict()
    for stream in all():
        runs.setdefault(stream.scenario, []).append(stream)
    return {name: run for name, run in runs.items()
            if len(run) > 1 and any(s.row["same_chunk_ids_as"] for s in run)}

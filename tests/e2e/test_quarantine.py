"""A chunk that cannot be decoded is acknowledged and quarantined; its neighbours are unharmed."""
import gzip

import forward

from harness import cases, equal, wait_until

T = forward.event_time(1700000000, 1)
MARK = b"this is the poisoned chunk"


def packed(data, option):
    return b"\x93" + forward.pack("bad.tag") + forward.pack(data) + forward.pack(option)


def good(serial):
    return forward.packed("t", [(T, {"serial": serial})], {"chunk": "g%d" % serial})


ENTRY = forward.entries([(T, {"serial": 100})])
BAD = {
    "malformed msgpack": packed(b"\xc1" + MARK, {"chunk": "bad"}),
    "malformed behind good entries": packed(ENTRY + b"\xc1" + MARK, {"chunk": "bad"}),
    "corrupt gzip": packed(gzip.compress(ENTRY)[:12] + MARK, {"chunk": "bad",
                                                              "compressed": "gzip"}),
    "no gzip": packed(MARK * 10, {"chunk": "bad", "compressed": "gzip"}),
    "wrong crc": packed(gzip.compress(MARK + ENTRY, 0)[:-8] + b"\0" * 8,
                        {"chunk": "bad", "compressed": "gzip"}),
}


@cases(*BAD)
def test_corrupt(ctx, case):
    server = ctx.otlp()
    sluice = ctx.sluice(otlp=server)
    client = sluice.connect()
    client.send(good(0) + BAD[case] + good(1))
    equal([client.ack() for _ in range(3)], ["g0", "bad", "g1"], "acks")
    # Acknowledged means that it is on the disk.
    kept = sluice.quarantine()
    assert any(MARK in data for data in kept.values()), \
        {path: data[:100] for path, data in kept.items()}
    client.send(good(2))
    equal(client.ack(), "g2", "ack")
    server.wait_records(3)
    sluice.stop()
    equal(sorted(r["attributes"]["serial"] for r in server.records), [0, 1, 2], "serials")
    sluice.start()
    assert any(MARK in data for data in sluice.quarantine().values())
    sluice.stop()
    equal(len(server.records), 3, "records after a new start")


def test_bomb(ctx):
    """What becomes larger than processor.max_decompressed goes to quarantine."""
    sluice = ctx.sluice(options={"processor.max_decompressed": "1M"})
    client = sluice.connect()
    bomb = gzip.compress(forward.entries([(T, {"serial": 7, "x": "\0" * 100})]) * 20000)
    assert len(bomb) < 100000
    client.send(good(0) + packed(bomb, {"chunk": "bomb", "compressed": "gzip"}) + good(1))
    equal([client.ack() for _ in range(3)], ["g0", "bomb", "g1"], "acks")
    records = sluice.wait_file_records(2)
    equal(sorted(r["attributes"]["serial"] for r in records), [0, 1], "serials")
    wait_until(lambda: sluice.quarantine(), 10, "a file in quarantine")


def test_corrupt_without_ack(ctx):
    """Without a chunk id there is nothing to acknowledge, but the bytes are kept all the same."""
    sluice = ctx.sluice()
    client = sluice.connect()
    client.send(good(0) + packed(b"\xc1" + MARK, {}) + good(1))
    equal([client.ack(), client.ack()], ["g0", "g1"], "acks")
    wait_until(lambda: any(MARK in d for d in sluice.quarantine().values()), 10, "quarantine")


def test_end_early(ctx):
    """Packed bytes that end inside an entry: what is before it is delivered, all of it kept."""
    sluice = ctx.sluice()
    client = sluice.connect()
    data = forward.entries([(T, {"serial": 0}), (T, {"serial": 1})])
    client.send(forward.packed("t", data[:-3], {"chunk": "c"}))
    equal(client.ack(), "c", "ack")
    (record,) = sluice.wait_file_records(1)
    equal(record["attributes"]["serial"], 0, "serial")
    assert any(d.endswith(data[:-3]) for d in sluice.quarantine().values())


def test_other_signals(ctx):
    """Metrics and traces of Fluent Bit are acknowledged and not taken for logs."""
    sluice = ctx.sluice()
    client = sluice.connect()
    client.send(packed(b"\x81\xa1a\xc1", {"chunk": "m", "fluent_signal": 1}) +
                packed(b"\x00\x01", {"chunk": "t", "fluent_signal": 2}) + good(0))
    equal([client.ack() for _ in range(3)], ["m", "t", "g0"], "acks")
    records = sluice.wait_file_records(1)
    equal([r["attributes"]["serial"] for r in records], [0], "serials")
    equal(sluice.quarantine(), {}, "quarantine")

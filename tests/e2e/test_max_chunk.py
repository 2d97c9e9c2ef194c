"""forward.max_chunk: what is above it is refused by name; raised, it lets Fluentd's largest in."""
import random
import re
import time

import forward

from harness import chaos, equal, limit, wait_until
from test_malformed import MB, peaks

T = forward.event_time(1700000000, 1)
SERIAL = re.compile(rb'"key":"serial","value":\{"intValue":"(\d+)"\}')


def large_chunk(size):
    """(PackedForward as Fluentd has it, in a str32, of about `size` bytes, number of records)."""
    rng = random.Random(size)
    texts = [rng.randbytes(2000).hex() for _ in range(64)]
    entries, total = [], 0
    while total < size:
        serial = len(entries)
        entries.append(forward.entries([(T, {"serial": serial, "message": texts[serial % 64]})]))
        total += len(entries[-1])
    return forward.packed("large", b"".join(entries), {"chunk": "large", "size": len(entries)},
                          as_str=True), len(entries)


@chaos
@limit(240)
def test_large_chunk(ctx):
    """48 MB with 64M; `run --long`: the 256 MB of a Fluentd with a file buffer, with 300M. Stored
    once, acknowledged, delivered whole; and what is larger than the option is refused at once."""
    size, most = (256 * MB, 300) if ctx.long else (48 * MB, 64)
    sluice = ctx.sluice(options={"forward.max_chunk": "%dM" % most})
    other = sluice.load(rate=200)
    other.progress(20)
    data, count = large_chunk(size)
    client = sluice.connect(timeout=200)
    start = time.monotonic()
    client.send(data)
    sent = time.monotonic()
    equal(client.ack(), "large", "ack")
    acked = time.monotonic()
    del data

    too_large = sluice.connect()
    head = b"\x92\xa1t\xdb" + (most * MB).to_bytes(4, "big") + b"x" * 1000
    too_large.send(head)
    too_large.wait_closed()
    equal(too_large.received, b"", "what the refused client got")
    sluice.wait_log(r"%d\d+ bytes is above forward\.max_chunk = %d" % (most * MB // 1000000,
                                                                      most * MB))
    other.progress(20)
    other.finish()

    def delivered():
        return sluice.metric("records_delivered_total") >= count + other.sent_records
    wait_until(delivered, 200, "all records delivered", pause=0.2)
    done = time.monotonic()
    wait_until(lambda: sluice.file_bytes().endswith(b"\n"), 20, "the line's end")
    serials = sorted(int(s) for s in SERIAL.findall(sluice.file_bytes()))
    want = sorted(list(range(count)) + list(range(other.sent_records)))
    assert serials == want, "%d records, want %d" % (len(serials), len(want))
    equal((other.broken, other.connects), (0, 1), "the other client's broken connections, connects")
    ctx.note("%d MB: sent %.1f s, acked %.1f s, delivered %.1f s; peaks %s" % (
        size / MB, sent - start, acked - start, done - start,
        {n: "%d MB" % (p / MB) for n, p in peaks(sluice).items()}))
    sluice.stop()

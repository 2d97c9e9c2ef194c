"""What goes out, in every form: protobuf and JSON, with gzip, zstd or nothing, from a journal of any
codec. The same records each time, once, in requests that decoders of others read, within the limit."""
import os
import random
import shutil
import zlib

import forward

from forward import Tally, serial_of
from harness import cases, chaos, equal, limit, wait_until
from otlp_decode import same
from otlp_server import JSON, PROTOBUF, Answer

FAST = {"retry.min": "50ms", "retry.max": "500ms", "restart.delay_max": "500ms"}
RECORDS = 20000
LIMIT = 1 << 20
LARGE = 5 << 20                         # one record of more than four MiB, and than the limit
FORMS = [(e, c) for e in ("protobuf", "json") for c in ("auto", "gzip", "zstd", "none")]


def records():
    """Small ones and large ones, with values of every type, in chunks of every size."""
    rng = random.Random(5)
    out = []
    for serial in range(RECORDS):
        size = 20000 if serial % 97 == 5 else 600 if serial % 7 == 2 else rng.randrange(60)
        record = {"serial": serial, "message": "m %d ✓ " % serial + "".join(
            rng.choice("abcdef ghi\n\"\\\u00e4\u20ac\U0001f600") for _ in range(size)),
            "level": rng.choice(("info", "warn", "error"))}
        if serial % 3 == 0:
            record.update({"f": rng.random() * 10 ** rng.randrange(-30, 30), "n": -(1 << 62) + serial,
                           "yes": serial % 2 == 0, "nil": None, "list": [serial, "x", [None, 1.5]],
                           "map": {"k": {"l": b"\xff\x00\x01"}}, "empty": "",
                           "trace_id": "%032x" % (serial + 1)})
        out.append(record)
    out[12345]["message"] = "x" * LARGE
    return out


def send(sluice, what):
    """In chunks of 1 to 700 records; some small ones, so that frames of all sizes come."""
    rng = random.Random(6)
    client = sluice.connect(timeout=60)
    at = 0
    while at < len(what):
        count = rng.choice((1, 5, 100, 700))
        events = [(forward.event_time(1700000000 + r["serial"], 7), r)
                  for r in what[at:at + count]]
        client.send(forward.packed("t.%d" % (at % 3), events, {"chunk": str(at)}))
        client.ack()
        at += count
    client.close()


def fill(ctx, name, codec, what, data=None):
    """A data directory with these records in the journal, and nothing of them delivered."""
    server = ctx.otlp(start=False)
    sluice = ctx.sluice(otlp=server, name=name, start=False,
                        options=dict(FAST, **{"journal.compression": codec, "shutdown.grace": 0,
                                              "data_dir": data or ctx.path(name, "data")}))
    sluice.start()
    send(sluice, what)
    sluice.stop()
    return sluice.options["data_dir"]


def wanted_header(compression, codec):
    """Content-Encoding of a request: lower case, and none at all for plain bodies."""
    word = codec if compression == "auto" else compression
    return None if word == "none" else word


def deliver(ctx, data, name, encoding, compression, total, options=None, on_request=None):
    """Delivers what is in a copy of the data directory. Returns the server, and how many frames
    were made anew for it."""
    copy = ctx.path(name + ".data")
    shutil.copytree(data, copy)
    server = ctx.otlp(start=False, keep_bodies=True,
                      encoding=JSON if encoding == "json" else PROTOBUF)
    server.on_request = on_request
    server.start()
    sluice = ctx.sluice(otlp=server, name=name, options=dict(FAST, **dict({
        "data_dir": copy, "otlp.encoding": encoding, "otlp.compression": compression,
        "otlp.max_request": LIMIT}, **(options or {}))))
    server.wait_records(total, 60)
    recoded = sluice.metric("frames_recoded_total")
    sluice.stop()
    shutil.rmtree(copy)
    return server, recoded


def check_limit(server, largest):
    for request in server.requests:
        assert request.plain_size <= largest or len(request.records) == 1, \
            "a request of %d plain bytes, %d records" % (request.plain_size, len(request.records))


def check_foreign(ctx, server):
    """gzip and zstd, the tools, read what was sent, and there is exactly one gzip member."""
    seen = {}
    for request in server.requests:
        coding = request.headers.get("content-encoding")
        seen.setdefault(coding, []).append(request)
    for coding, requests in seen.items():
        if coding is None:
            continue
        for request in [requests[0], max(requests, key=lambda r: r.wire_size), requests[-1]]:
            path = ctx.path("body." + ("gz" if coding == "gzip" else "zst"))
            with open(path, "wb") as f:
                f.write(request.wire)
            ctx.run([coding, "-t", path])
            ctx.run([coding, "-d", "-f", "-k", path])
            with open(path.rpartition(".")[0], "rb") as f:
                assert f.read() == request.plain
            if coding == "gzip":
                member = zlib.decompressobj(wbits=31)
                assert member.decompress(request.wire) == request.plain
                assert member.eof and not member.unused_data, "a second member"


def by_serial(server):
    out = {r["attributes"]["serial"]: r for r in server.snapshot()}
    equal(len(server.snapshot()), len(out), "records, each once")
    return out


@limit(300)
@cases("gzip", "zstd", "none")
def test_matrix(ctx, case):
    """Each form from a journal of this codec; all forms say the same, field by field."""
    what = records()
    data = fill(ctx, "filled", case, what)
    first = None
    for encoding, compression in FORMS:
        server, recoded = deliver(ctx, data, "%s-%s" % (encoding, compression), encoding,
                                  compression, RECORDS)
        got = by_serial(server)
        equal(sorted(got), list(range(RECORDS)), "serials in %s, %s" % (encoding, compression))
        normal = encoding == "protobuf" and compression in ("auto", case)
        assert (recoded == 0) == normal, "%d frames were made anew" % recoded
        header = wanted_header(compression, case)
        for request in server.requests:
            equal(request.headers.get("content-encoding"), header, "Content-Encoding")
            equal(request.minimal in (True, None), True, "minimal protobuf")
        check_limit(server, LIMIT)
        sizes = [r.plain_size for r in server.requests]
        assert max(sizes) > LARGE, "the large record went alone"
        assert sum(s > LIMIT // 2 for s in sizes) > 3, "requests of a good size: %s" % sizes
        check_foreign(ctx, server)
        if first is None:
            first = got
            for serial in (0, 3, 7, 12345):
                equal(got[serial]["body"], what[serial]["message"], "the body")
            continue
        assert all(same(got[s], first[s]) for s in first), next(
            (got[s], first[s]) for s in first if not same(got[s], first[s]))


@limit(120)
@cases("auto", "gzip", "zstd", "none")
def test_journal_compression_changed(ctx, case):
    """Frames of all codecs in one journal: one codec to a request, and all become that which is
    asked for."""
    what = [{"serial": s, "message": "m %d " % s + "y" * (s % 300)} for s in range(3000)]
    data = ctx.path("data")
    for i, codec in enumerate(("gzip", "zstd", "none")):
        fill(ctx, codec, codec, what[i * 1000:i * 1000 + 1000], data)
    for encoding in ("protobuf", "json"):
        server, _ = deliver(ctx, data, encoding, encoding, case, 3000, {"otlp.requests": 1})
        equal(sorted(by_serial(server)), list(range(3000)), "serials")
        seen = {r.headers.get("content-encoding") for r in server.requests}
        equal(seen, {"gzip", "zstd", None} if case == "auto" else {wanted_header(case, "")},
              "Content-Encoding")
        check_foreign(ctx, server)


@limit(120)
@cases("protobuf", "json")
def test_too_large_for_the_server(ctx, case):
    """413 above so many bytes, far below the limit and a frame's size: halved until all fit, but
    for the one record that does not. It is kept, and goes out when the server takes it."""
    what = [{"serial": s, "message": "z" * (50000 if s == 777 else 100)} for s in range(3000)]
    data = fill(ctx, "filled", "gzip", what)
    mended = []

    def answer(request):
        return Answer(413 if request.plain_size > 40000 and not mended else 200)

    server = ctx.otlp(start=False, encoding=JSON if case == "json" else PROTOBUF)
    server.on_request = answer
    server.start()
    sluice = ctx.sluice(otlp=server, name="out", options=dict(FAST, **{
        "data_dir": data, "otlp.encoding": case}))
    server.wait_records(2999, 60)
    equal(sorted(by_serial(server)), [s for s in range(3000) if s != 777], "serials")
    refused = [r for r in server.requests if r.status == 413]
    assert refused and max(r.plain_size for r in server.requests if r.stored) <= 40000
    ctx.note("%d requests, %d of them refused" % (len(server.requests), len(refused)))
    mended.append(True)
    server.wait_records(3000, 60)
    sluice.stop()
    equal(sorted(by_serial(server)), list(range(3000)), "serials")


@limit(120)
@cases("protobuf", "json")
def test_bad_record(ctx, case):
    """400 to each request with one record in it holds up its own frame and no other."""
    mended = []

    def answer(request):
        bad = any(r["attributes"]["serial"] == 1234 for r in request.records)
        return Answer(400 if bad and not mended else 200)

    server = ctx.otlp(encoding=JSON if case == "json" else PROTOBUF)
    server.on_request = answer
    sluice = ctx.sluice(otlp=server, options=dict(FAST, **{"otlp.encoding": case}))
    send(sluice, [{"serial": s} for s in range(3000)])
    wait_until(lambda: sluice.metric("records_delivered_total") >= 2000, 40, "the others")
    mended.append(True)
    server.wait_records(3000, 40)
    sluice.stop()
    equal(sorted(by_serial(server)), list(range(3000)), "serials")


@cases("503", "429", "reset", "partial")
def test_json_answers(ctx, case):
    """A server that fails in JSON is understood as one that fails in protobuf."""
    answers = {"503": Answer(503), "429": Answer(429, headers={"Retry-After": "1"}),
               "reset": Answer(cut="reset"), "partial": Answer(partial=(3, "three are too old"))}
    server = ctx.otlp(encoding=JSON)
    server.script([answers[case]] * 3)
    sluice = ctx.sluice(otlp=server, options=dict(FAST, **{"otlp.encoding": "json",
                                                           "otlp.requests": 1}))
    for i in range(4):
        send(sluice, [{"serial": s} for s in range(i * 25, i * 25 + 25)])
    server.wait_records(100, 40)
    if case == "partial":
        sluice.wait_log("three are too old")
        wait_until(lambda: sluice.metric("records_rejected_total") >= 3, 20, "rejected, counted")
    elif case != "reset":
        sluice.wait_log(case + " from the server: scripted")
    sluice.stop()
    equal(sorted(by_serial(server)), list(range(100)), "serials")


@limit(120)
@cases("protobuf", "json")
def test_stopped_inside_a_frame(ctx, case):
    """Requests far smaller than a frame, and a stop in the middle of it: the next start goes on at
    the record after the last that was delivered."""
    what = [{"serial": s, "message": "w" * 200} for s in range(5000)]
    data = fill(ctx, "filled", "gzip", what)
    form = {"data_dir": data, "otlp.encoding": case, "otlp.max_request": 65536,
            "otlp.requests": 1, "shutdown.grace": 0}
    server = ctx.otlp(encoding=JSON if case == "json" else PROTOBUF)
    server.on_request = lambda request: Answer(delay=0.05)
    starts = 0
    while len(server.records) < 5000:
        before = len(server.records)
        sluice = ctx.sluice(otlp=server, name="start-%d" % starts, options=dict(FAST, **form))
        server.wait_records(min(before + 700, 5000))
        sluice.stop()
        starts += 1
        assert starts < 30
    check_limit(server, 65536)
    equal(sorted(by_serial(server)), list(range(5000)), "serials, after %d starts" % starts)
    assert starts > 2


@chaos
@limit(180)
def test_json_shipper_killed(ctx):
    """kill -9 of the shipper, with cut frames: nothing is lost, and what comes twice was in flight."""
    server = ctx.otlp(project=serial_of, encoding=JSON)
    server.on_request = lambda request: Answer(delay=0.01)
    sluice = ctx.sluice(otlp=server, options=dict(FAST, **{
        "otlp.encoding": "json", "otlp.max_request": 65536, "otlp.requests": 4,
        "journal.linger": "200ms"}))
    load = sluice.load("a", rate=6000, chunk=100, window=16)
    rounds = ctx.rounds(5)
    for _ in range(rounds):
        load.progress(2000, 60)
        sluice.wait_running("shipper", other_than=sluice.kill("shipper"))
    load.progress(1000, 60)
    load.finish()
    total = load.sent_records
    server.wait(lambda: len(set(server.records)) >= total, 60, "all %d records" % total)
    sluice.stop()
    tally = Tally(server.records, [load])
    assert not tally.lost and not tally.strange
    check_limit(server, 65536)
    first = {}
    for request in server.requests:
        if request.stored:
            for key in request.records:
                first.setdefault(key, request.number)
    twice = {first[key] for key in tally.duplicates}
    assert len(twice) <= 4 * rounds, "%d requests came twice, of %d kills" % (len(twice), rounds)
    ctx.note("%d records, %d twice" % (total, sum(tally.duplicates.values())))


def test_unwanted_words(ctx):
    """Other words than these are refused, with the option's name."""
    sluice = ctx.sluice(start=False)
    for option, word in (("otlp.encoding", "JSON"), ("otlp.compression", "deflate")):
        done = ctx.run([ctx.sluiced, "--config", sluice.config, "--check-config", "--set",
                        "%s=%s" % (option, word)], check=False, env=sluice.environment())
        assert done.returncode == 78 and option in done.stderr + done.stdout, done
    assert os.path.isdir(sluice.data_dir)

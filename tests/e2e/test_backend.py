"""The OTLP server fails in every way: everything arrives, exactly once, but for requests whose
outcome the sender cannot know."""
import email.utils
import time

import forward

from forward import Tally, serial_of
from harness import cases, equal, limit, wait_until
from otlp_server import Answer

T = forward.event_time(1700000000, 1)
FAST = {"retry.min": "50ms", "retry.max": "500ms", "otlp.timeout": "5s"}


def send(sluice, first, count, chunk=10):
    client = sluice.connect()
    for at in range(first, first + count, chunk):
        events = [(T, {"serial": s, "client": "a"}) for s in range(at, at + chunk)]
        client.send(forward.packed("t", events, {"chunk": str(at)}))
        client.ack()
    client.close()


def check_once(server, count):
    got = sorted(r["attributes"]["serial"] for r in server.snapshot())
    equal(got, list(range(count)), "serials")


def run(ctx, answers, options=None, count=50):
    """Answers of the script, then successes. Returns the server; everything arrived once."""
    server = ctx.otlp(api_key="auth_k", dataset="d")
    server.script(answers)
    sluice = ctx.sluice(otlp=server, options=dict(FAST, **(options or {})))
    send(sluice, 0, count)
    server.wait_records(count, 60)
    sluice.stop()
    check_once(server, count)
    assert server.script_left() == 0, "%d answers were not asked for" % server.script_left()
    return server


def test_down_at_start(ctx):
    server = ctx.otlp(start=False, api_key="auth_k", dataset="d")
    sluice = ctx.sluice(otlp=server, options=FAST)
    send(sluice, 0, 200)
    assert not server.requests
    server.start()
    server.wait_records(200)
    sluice.stop()
    check_once(server, 200)


def test_other_output_goes_on(ctx):
    """While the server is down the file gets everything, at once."""
    server = ctx.otlp(start=False)
    sluice = ctx.sluice(otlp=server, file=True, options=FAST)
    send(sluice, 0, 200)
    equal(sorted(r["attributes"]["serial"] for r in sluice.wait_file_records(200)),
          list(range(200)), "serials in the file")
    assert not server.requests
    server.start()
    server.wait_records(200)
    sluice.stop()
    check_once(server, 200)


@cases("429", "502", "503", "504")
def test_may_pass(ctx, case):
    run(ctx, [Answer(int(case))] * 4)


@cases("429", "503")
def test_retry_after(ctx, case):
    """Seconds and HTTP-date are honoured: no request comes before."""
    date = email.utils.formatdate(time.time() + 3, usegmt=True)
    server = run(ctx, [Answer(int(case), headers={"Retry-After": "2"})], {"otlp.requests": 1})
    gap = server.requests[1].received - server.requests[0].received
    assert gap > 1.8, "asked again after %.2f s" % gap
    ctx.note("Retry-After 2: asked again after %.2f s" % gap)
    server = ctx.otlp()
    server.script([Answer(int(case), headers={"Retry-After": date})])
    other = ctx.sluice(otlp=server, name="dated", options=dict(FAST, **{"otlp.requests": 1}))
    send(other, 0, 10)
    server.wait_records(10)
    other.stop()
    equal(len(server.requests), 2, "requests")


def test_a_flapping_server_is_told_of_seldom(ctx):
    """Every other request fails, for far less than the time between two log lines."""
    server = ctx.otlp()
    server.script([Answer(503), Answer(200)] * 40)
    sluice = ctx.sluice(otlp=server, options=dict(FAST, **{"otlp.requests": 1}))
    for i in range(40):
        send(sluice, i, 1, 1)
        server.wait_records(i + 1)
    sluice.stop()
    failed = sum(1 for r in server.requests if not r.stored)
    lines = [line for line in sluice.log() if "503" in line.get("message", "")]
    assert failed >= 20, "only %d requests failed" % failed
    assert 1 <= len(lines) <= 1 + failed // 4, "%d lines for %d failures" % (len(lines), failed)


@limit(120)
@cases("400", "401", "403", "404", "408", "413", "500", "302")
def test_not_thrown_away(ctx, case):
    """Whatever a server says, the data stays, and goes out when it says yes."""
    headers = {"Location": "http://127.0.0.1:1/"} if case == "302" else {}
    run(ctx, [Answer(int(case), headers=headers)] * 2)


@cases("200", "201", "202", "204")
def test_success(ctx, case):
    """Every 2xx is a success."""
    server = ctx.otlp()
    server.on_request = lambda r: Answer(int(case), body=b"")
    sluice = ctx.sluice(otlp=server, options=FAST)
    send(sluice, 0, 50)
    server.wait_records(50)
    sluice.stop()
    check_once(server, 50)


@cases("reset", "close", "half", "unread", "connection close", "garbage", "huge answer")
def test_cut(ctx, case):
    """Answers that are cut. Nothing was taken, so everything must arrive, once."""
    answers = {
        "reset": Answer(cut="reset"), "close": Answer(cut="close"),
        "half": Answer(503, cut="half"), "unread": Answer(read=False),
        "connection close": Answer(503, close=True),
        "garbage": Answer(503, body=b"\xff" * 1000),
        "huge answer": Answer(503, body=b"x" * 3000000),
    }
    run(ctx, [answers[case]] * 3)


@cases("reset", "close", "half", "hang")
def test_uncertain(ctx, case):
    """The server took the records, but its answer was lost: they may come again, and nothing
    else may. (A whole 2xx status line with half of its body may count as success.)"""
    server = ctx.otlp()
    server.script([Answer(cut=case, stored=True)] * 2)
    sluice = ctx.sluice(otlp=server, options=dict(FAST, **{"otlp.timeout": "500ms"}))
    send(sluice, 0, 50)
    wait_until(lambda: len({r["attributes"]["serial"] for r in server.snapshot()}) == 50, 30,
               "all serials")
    send(sluice, 50, 50)
    wait_until(lambda: len({r["attributes"]["serial"] for r in server.snapshot()}) == 100, 30,
               "all serials")
    sluice.stop()
    uncertain = [s["attributes"]["serial"] for r in server.requests
                 if r.stored and r.answered is None for s in r.records]
    got = [r["attributes"]["serial"] for r in server.snapshot()]
    twice = [s for s in set(got) if got.count(s) > 1]
    assert set(twice) <= set(uncertain), (twice, uncertain)
    ctx.note("%d of %d uncertain records came twice" % (len(twice), len(set(uncertain))))


def test_timeout(ctx):
    """A server that says nothing: otlp.timeout ends the request, and it is tried again."""
    run(ctx, [Answer(cut="hang"), Answer(cut="hang")], {"otlp.timeout": "400ms"})


def test_slow(ctx):
    """A slow server is no failed one: nothing is sent twice."""
    server = ctx.otlp()
    server.on_request = lambda r: Answer(delay=0.7)
    sluice = ctx.sluice(otlp=server, options=FAST)
    send(sluice, 0, 100)
    server.wait_records(100)
    sluice.stop()
    check_once(server, 100)


@limit(120)
def test_restarts_under_load(ctx):
    """The server goes away and comes back, three times, while clients send."""
    server = ctx.otlp(api_key="auth_k", dataset="d", project=serial_of)
    server.on_request = lambda r: Answer(delay=0.005)
    sluice = ctx.sluice(otlp=server, file=True, options=FAST)
    load = sluice.load("a", rate=3000, chunk=20)
    for _ in range(3):
        load.progress(500)
        server.stop()
        load.progress(500)
        server.start()
    load.finish()
    total = load.sent_records
    server.wait(lambda: len(set(server.records)) == total, 60, "%d serials" % total)
    sluice.stop()
    tally = Tally(server.records, [load])
    assert not tally.lost and not tally.strange
    uncertain = {k for r in server.requests if r.stored and r.answered is None for k in r.records}
    assert set(tally.duplicates) <= uncertain, "twice, though the answer went out"
    assert load.broken == load.refused == 0, load
    Tally([serial_of(r) for r in sluice.wait_file_records(total)], [load]).check()


def test_partial_success(ctx):
    """200 with partial_success is not sent again; the server's words are in the log."""
    server = ctx.otlp()
    server.script([Answer(partial=(3, "three are too old"))])
    sluice = ctx.sluice(otlp=server, options=FAST)
    send(sluice, 0, 10)
    server.wait_records(10)
    sluice.wait_log("three are too old")
    sluice.stop()
    check_once(server, 10)
    equal(len(server.requests), 1, "requests")


def test_backlog_in_large_requests(ctx):
    """After an outage requests carry many chunks, but no more than otlp.max_request plain bytes."""
    server = ctx.otlp(start=False)
    sluice = ctx.sluice(otlp=server, options=dict(FAST, **{"otlp.max_request": "256k"}))
    load = sluice.load("a", rate=20000, chunk=50, window=16, padding=200)
    load.progress(5000, 40)
    load.finish()
    server.start()
    server.wait_records(load.sent_records, 40)
    sluice.stop()
    Tally([serial_of(r) for r in server.records], [load]).check()
    sizes = [r.plain_size for r in server.requests if r.stored]
    assert max(sizes) <= 256 * 1024, "a request of %d plain bytes" % max(sizes)
    assert max(sizes) > 64 * 1024, "requests of at most %d plain bytes" % max(sizes)


@cases("gzip", "zstd", "none")
def test_compression(ctx, case):
    """gzip: one member, as the server checks. zstd: frames. none: plain, no Content-Encoding."""
    server = ctx.otlp()
    sluice = ctx.sluice(otlp=server, options={"journal.compression": case})
    send(sluice, 0, 200)
    server.wait_records(200)
    sluice.stop()
    check_once(server, 200)
    want = None if case == "none" else case
    assert all(r.headers.get("content-encoding") == want for r in server.requests)

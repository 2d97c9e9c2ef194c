"""Real clients in all their modes: what they send arrives, exactly (client_corpus.py says what),
and what they ask to have acknowledged is."""
import json
import re

import client_corpus as corpus
import clients

from clients import TIME_S
from harness import cases, equal, limit, wait_until
from otlp_decode import decode_lines

NS = 10**9
KEY = "s3cret-ü"
LABELS = ["a", "b.c"]


# ---- what came out --------------------------------------------------------------------------

def event_time(precision, number):
    """(lowest, highest) of record `number`, as moment() in the clients has it."""
    seconds, ms = TIME_S + number, 7 * number + 1
    exact = {"s": seconds * NS, "ms": seconds * NS + ms * 10**6,
             "ns": seconds * NS + ms * 10**6 + number}[precision]
    return exact, exact


class Sent:
    """What one run must have delivered. time: number -> (lowest, highest)."""

    def __init__(self, numbers, profile, time, labels=LABELS):
        self.numbers = numbers
        self.profile = profile
        self.time = time
        self.labels = labels

    def check(self, run, records):
        by_number = {}
        for record in records:
            number = record["attributes"]["number"]
            assert number not in by_number, "%s: record %s twice" % (run, number)
            by_number[number] = record
        equal(sorted(by_number), self.numbers, run + ": records")
        for at, number in enumerate(self.numbers):
            record = by_number[number]
            tag = "%s.%s" % (run, self.labels[at % len(self.labels)])
            equal(record["scope"]["attributes"]["fluent.tag"], tag, "%s, record %d: tag" % (
                run, number))
            corpus.check(record, run, number, self.profile, self.time(number))


def by_run(records):
    out = {}
    for record in records:
        out.setdefault(record["attributes"].get("run"), []).append(record)
    return out


class Place:
    """A sluiced with both outputs, and what must arrive at them."""

    def __init__(self, ctx, options=None, **kw):
        self.ctx = ctx
        self.server = ctx.otlp(api_key="auth_k")
        self.sluice = ctx.sluice(otlp=self.server, file=True, options=options, **kw)
        self.expected = {}
        self.others = 0                 # records that are not of the corpus

    def settings(self, runs, corpus_path=None):
        return {"host": "127.0.0.1", "port": self.sluice.port, "runs": runs,
                "corpus": corpus_path}

    def corpus(self, name, profile):
        """(path, numbers) of what this kind of client can send."""
        path = self.ctx.path(name + "-corpus.json")
        return path, corpus.write(path, profile)

    def server_records(self):
        return self.server.records

    def file_records(self):
        data = self.sluice.file_bytes()
        return decode_lines(data[:data.rfind(b"\n") + 1])

    def outputs(self):
        """The records of each output, when all have come."""
        count = sum(len(s.numbers) for s in self.expected.values()) + self.others
        self.server.wait_records(count, timeout=60)
        out = [self.server.records, self.sluice.wait_file_records(count, timeout=60)]
        self.sluice.stop()
        assert not self.sluice.quarantine(), self.sluice.quarantine().keys()
        return out

    def check(self):
        """Everything arrived, nothing else, and right. Returns the other records, of the file."""
        others = []
        for records in self.outputs():
            runs = by_run(records)
            others = [r for name in list(runs) if name not in self.expected
                      for r in runs.pop(name)]
            equal(len(others), self.others, "records that are not of the corpus")
            equal(sorted(runs), sorted(self.expected), "runs")
            for name, sent in self.expected.items():
                sent.check(name, runs[name])
        return others


def all_sent(got, runs, count=None):
    """The clients' own results."""
    equal(sorted(got), sorted(r["id"] for r in runs), "runs")
    for run in runs:
        result = got[run["id"]]
        want = dict(result, failed=[])
        want.update({k: [] for k in ("errors",) if k in result})
        want.update({k: count for k in ("acked", "sent") if count is not None and k in result})
        equal(result, want, "what %s says" % run["id"])


# ---- npm ------------------------------------------------------------------------------------

def node_run(lib, mode, wants_ack, time, security=None, **kw):
    ack = 30000 if wants_ack else 0
    name = "-".join(("org" if lib.startswith("@") else "lite", mode, "ack" if ack else "plain",
                     time))
    return dict({"id": name, "lib": lib, "mode": mode, "ack": ack, "time": time,
                 "security": security, "labels": LABELS, "group": 10}, **kw)


def node_runs(lib, modes, times, security=None):
    runs = [node_run(lib, mode, ack, time, security)
            for mode in modes for ack in (False, True) for time in times]
    # The oddities: records gathered for a while, all in one message; no time given.
    runs.append(node_run(lib, modes[-1], True, times[0], security, id="gathered",
                         flush_interval=50, group=1000))
    runs.append(node_run(lib, modes[0], True, "now", security, id="now"))
    return runs


def node_time(run, start):
    precision = {"seconds": "s", "date": "s", "number": "ms", "milliseconds": "ms",
                 "event_time": "ns", "now": None}[run["time"]]
    if precision is None:               # the loggers' own clock counts milliseconds, or seconds
        return lambda _: (start // NS * NS, start + 120 * NS)
    return lambda number: event_time(precision, number)


ORG = ("@fluent-org/logger", ("Message", "Forward", "PackedForward", "CompressedPackedForward"),
       ("seconds", "milliseconds", "event_time"), corpus.JavaScript())
LITE = ("fluent-logger", ("Message", "PackedForward", "CompressedPackedForward"),
        ("seconds", "date", "milliseconds", "event_time"), corpus.MsgpackLite())


def send_node(place, kind, security=None):
    lib, modes, times, profile = kind
    path, numbers = place.corpus("node", profile)
    runs = node_runs(lib, modes, times, security)
    start = clients.now_ns()
    got = clients.run(place.ctx, "node", "corpus", place.settings(runs, path))
    all_sent(got, runs, len(numbers))
    for run in runs:
        place.expected[run["id"]] = Sent(numbers, profile, node_time(run, start))


def security(key=KEY, hostname="node.example", **user):
    return dict({"clientHostname": hostname, "sharedKey": key}, **user)


USER = {"username": "alice", "password": "wörd"}
KEYED = {"FLUENTD_SHARED_KEY": KEY}
USERS = dict(KEYED, SLUICE_FORWARD_USERS=json.dumps(
    [{"name": "bob", "password": "b"}, {"name": USER["username"], "password": USER["password"]}]))
CLIENTS = dict(KEYED, SLUICE_FORWARD_CLIENTS=json.dumps(
    [{"host": "127.0.0.1", "shared_key": "its own"}, {"network": "10.0.0.0/8"}]))
LOCKS = {"no key": ({}, None), "key": (KEYED, security()), "user": (USERS, security(**USER)),
         "own key": (CLIENTS, security(key="its own"))}


@limit(120)
@cases(*LOCKS)
def test_fluent_org(ctx, case):
    env, key = LOCKS[case]
    place = Place(ctx, env=env)
    send_node(place, ORG, key)
    place.check()


@limit(120)
@cases(*LOCKS)
def test_fluent_logger(ctx, case):
    env, key = LOCKS[case]
    place = Place(ctx, env=env)
    send_node(place, LITE, key)
    place.check()


@limit(60)
def test_fluent_logger_stream(ctx):
    """toStream: a record for each line that is whole."""
    place = Place(ctx)
    got = clients.run(ctx, "node", "lines", {
        "host": "127.0.0.1", "port": place.sluice.port, "id": "app", "label": "out",
        "pieces": ["one\ntwo", " and more\n", "\n", "grün\nunfinished"]})
    equal(got, "done", "the client's result")
    place.others = 4
    others = place.check()
    equal([r["body"] for r in others], ["one", "two and more", "", "grün"], "bodies")
    for record in others:
        equal(record["scope"]["attributes"]["fluent.tag"], "app.out", "tag")
        equal(record["attributes"], {}, "attributes")


@limit(60)
def test_fluent_logger_winston(ctx):
    """Its transport for winston."""
    place = Place(ctx)
    got = clients.run(ctx, "node", "winston", {
        "host": "127.0.0.1", "port": place.sluice.port, "id": "winston", "infos": [
            {"level": "info", "message": "hello", "job_id": "job-1", "n": 7},
            {"level": "error", "message": "it failed", "stack": "Error: x\n    at y"}]})
    equal(got, "done", "the client's result")
    place.others = 2
    first, second = place.check()
    equal([(r["body"], r["severity"], r["attributes"]) for r in (first, second)],
          [("hello", 9, {"job_id": "job-1", "n": 7}),
           ("it failed", 17, {"stack": "Error: x\n    at y"})], "records")
    equal(first["scope"]["attributes"]["fluent.tag"], "winston", "tag")


# ---- Go -------------------------------------------------------------------------------------

def go_run(name, ack=True, sub_second=False, **kw):
    return dict({"id": name, "ack": ack, "sub_second": sub_second, "labels": LABELS,
                 "kind": "map", "retries": 3}, **kw)


@limit(120)
def test_go(ctx):
    place = Place(ctx)
    runs = [go_run("go-%s-%s-%s" % (how, "ack" if ack else "plain", "sub" if sub else "s"), ack,
                   sub, **{"async": how == "async"})
            for how in ("sync", "async") for ack in (False, True) for sub in (False, True)]
    runs.append(go_run("go-reconnecting", **{"async": True, "reconnect": 1}))
    runs.append(go_run("go-marshaler", sub_second=True, kind="marshaler"))
    path, numbers = place.corpus("go", corpus.Go())
    got = clients.run(ctx, "go", "corpus", place.settings(runs, path))
    all_sent(got, runs, len(numbers))
    for run in runs:
        precision = "ns" if run["sub_second"] else "s"
        place.expected[run["id"]] = Sent(
            numbers, corpus.Go(), lambda n, precision=precision: event_time(precision, n))
    struct = go_run("go-struct", kind="struct", take=1, labels=["s"])
    all_sent(clients.run(ctx, "go", "corpus", place.settings([struct], path)), [struct], 1)
    place.others = 1
    (record,) = place.check()
    equal(record["attributes"], {
        "run": "go-struct", "number": 0, "Plain": 1.5, "nested": {"a": [-300, "b"]}, "short": -7,
        "long": str(2**64 - 1)}, "attributes")
    equal((record["body"], record["severity"]), ("a struct", 13), "body, severity")
    equal(record["time"], TIME_S * NS, "time")


@limit(120)
def test_go_json(ctx):
    """MarshalAsJSON: a JSON connection, its acks JSON too."""
    place = Place(ctx)
    profile = corpus.GoJson()
    runs = [go_run("go-json-%s-%s" % (how, "ack" if ack else "plain"), ack,
                   **{"async": how == "async", "json": True})
            for how in ("sync", "async") for ack in (False, True)]
    path, numbers = place.corpus("go-json", profile)
    got = clients.run(ctx, "go", "corpus", place.settings(runs, path))
    all_sent(got, runs, len(numbers))
    for run in runs:
        place.expected[run["id"]] = Sent(numbers, profile, lambda n: event_time("s", n))
    place.check()


# ---- Python ---------------------------------------------------------------------------------

class Legacy(corpus.Profile):
    """No bytes: the old raw type is text to everybody else."""

    def bytes(self, v):
        raise corpus.Cannot("bytes")


def python_time(run, start):
    if run.get("time") == "now":
        return lambda _: (start, start + 120 * NS)
    if run.get("time", "seconds") == "seconds":
        return lambda n: ((TIME_S + n) * NS, (TIME_S + n) * NS)
    return lambda n: ((TIME_S + n) * NS + n % 8 * NS // 8,) * 2


FORMAT = {"level": "%(levelname)s", "logger": "%(name)s", "line": "%(lineno)d",
          "created": "%(created)f"}


@limit(120)
def test_python(ctx):
    place = Place(ctx)
    runs = [{"id": "py-%s-%s" % ("async" if wait else "sync", time), "kind": "sender",
             "time": time, "async": wait, "labels": LABELS}
            for wait in (False, True) for time in ("seconds", "float", "event_time", "now")]
    runs.append({"id": "py-event", "kind": "event", "labels": LABELS})
    path, numbers = place.corpus("python", corpus.Profile())
    start = clients.now_ns()
    got = clients.run(ctx, "python", "send", place.settings(runs, path))
    all_sent(got, runs, len(numbers))
    for run in runs:
        place.expected[run["id"]] = Sent(numbers, corpus.Profile(), python_time(run, start))
    legacy = {"id": "py-legacy", "kind": "legacy", "time": "seconds", "labels": LABELS}
    path, numbers = place.corpus("legacy", Legacy())
    got = clients.run(ctx, "python", "send", place.settings([legacy], path))
    all_sent(got, [legacy], len(numbers))
    place.expected["py-legacy"] = Sent(numbers, Legacy(), python_time(legacy, start))
    place.check()


LOGGED = (  # body, severity, its word, attributes beside those of FORMAT
    ("a debug line", 5, "DEBUG", {}),
    ("an info line with words and 42", 9, "INFO", {}),
    ("a map", 13, "WARNING", {"job_id": "job-1"}),
    ({"json": True, "n": [1, 2]}, 17, "ERROR", {"json": True, "n": [1, 2]}),
    (re.compile(r"it failed: ü 😀\nTraceback \(most.*\nValueError: no such job\Z", re.S), 17,
     "ERROR", {}),
    ("the last line", 18, "CRITICAL", {}),
)


@limit(60)
def test_python_logging(ctx):
    """logging with FluentHandler and FluentRecordFormatter; and what the sender says when it
    cannot encode a record."""
    place = Place(ctx)
    runs = [{"id": "log-%s-%s" % (wait, precise), "kind": "handler", "async": wait,
             "precise": precise, "format": FORMAT}
            for wait in (False, True) for precise in (False, True)]
    runs.append({"id": "unsayable", "kind": "unsayable"})
    path, _ = place.corpus("python", corpus.Profile())
    got = clients.run(ctx, "python", "send", place.settings(runs, path))
    equal(got.pop("unsayable"), {"sent": 1, "failed": [], "error": "TypeError"}, "unsayable")
    all_sent(got, runs[:-1], len(LOGGED))
    place.others = len(LOGGED) * 4 + 1
    by_tag = {}
    for record in place.check():
        by_tag.setdefault(record["scope"]["attributes"]["fluent.tag"], []).append(record)
    (record,) = by_tag.pop("unsayable.a")
    equal((record["body"], record["severity"]), ("Can't output to log", 18), "unsayable")
    assert "TypeError" in record["attributes"]["traceback"], record
    equal(sorted(by_tag), sorted(r["id"] for r in runs[:-1]), "tags")
    for run in runs[:-1]:
        equal(len(by_tag[run["id"]]), len(LOGGED), "records of " + run["id"])
        for record, want in zip(by_tag[run["id"]], LOGGED):
            check_logged(record, run, *want)


def check_logged(record, run, body, severity, word, more):
    attributes = dict(record["attributes"])
    created = float(attributes.pop("created"))
    assert int(attributes.pop("line")) > 0
    equal(attributes, dict(more, logger=run["id"]), run["id"])
    equal((record["severity"], record["text"]), (severity, word), run["id"])
    if isinstance(body, re.Pattern):
        assert body.match(record["body"]), record["body"]
    elif isinstance(body, dict):        # no message: all of the record
        equal(record["body"], dict(record["attributes"], level=word), run["id"])
    else:
        equal(record["body"], body, run["id"])
    if run["precise"]:
        assert abs(record["time"] - created * NS) < 2000, (record["time"], created)
    else:
        equal(record["time"], int(created) * NS, "time")


@limit(60)
@cases("sync", "async")
def test_python_server_away(ctx, case):
    """What is sent while the server is away is kept, and goes out with the next record."""
    from fluent import asyncsender, sender
    module = sender if case == "sync" else asyncsender
    place = Place(ctx)
    logger = module.FluentSender("py", host="127.0.0.1", port=place.sluice.port)

    def emit(number):
        return logger.emit_with_time("a", TIME_S, {"run": "py", "number": number,
                                                   "message": "hello %d" % number})

    assert emit(0) and emit(1)
    place.server.wait_records(2)
    place.sluice.stop()
    equal([emit(2), emit(3)], [case == "async"] * 2, "emit without a server")
    place.sluice.start()
    assert emit(4)
    logger.close()
    place.server.wait_records(5)
    place.sluice.wait_file_records(5)
    equal(counts(place.server_records()), {"py": dict.fromkeys(range(5), 1)}, "records")
    equal(counts(place.file_records()), {"py": dict.fromkeys(range(5), 1)}, "records")


@limit(60)
def test_large_messages(ctx):
    """A record of 12 MB arrives whole; one above forward.max_chunk is refused by name, and what the
    client sends after it is taken."""
    from fluent import sender
    place = Place(ctx)
    dropped = []
    logger = sender.FluentSender("py", host="127.0.0.1", port=place.sluice.port, timeout=20,
                                 buffer_overflow_handler=dropped.append)
    text = "twelve megabytes, ü " * 600000
    assert logger.emit_with_time("a", TIME_S, {"message": text})
    logger.emit_with_time("a", TIME_S, {"message": "x" * (17 << 20)})
    place.sluice.wait_log("forward.max_chunk")
    wait_until(lambda: logger.emit_with_time("a", TIME_S, {"message": "after it"}), 20,
               "the logger gave the large record up")
    logger.close()
    place.others = 2
    assert [r["body"] for r in place.check()] == [text, "after it"]


# ---- restarts -------------------------------------------------------------------------------

def counts(records):
    """{run: {number: how often it came}}."""
    out = {}
    for run, some in by_run(records).items():
        numbers = out.setdefault(run, {})
        for record in some:
            number = record["attributes"]["number"]
            equal(record["body"], "hello %d" % number, "body")
            numbers[number] = numbers.get(number, 0) + 1
    return out


def check_nothing_lost(place, done, sent):
    """Every record at least once; more often only as often as sent(run, number) says that the
    client sent it. A killed shipper may have had requests in flight, so the OTLP server may see
    them once more; the file knows better. Returns how many came more than once."""
    more = 0
    for records, killed in ((place.file_records(), 0), (place.server_records(), 1)):
        got = counts(records)
        equal(sorted(got), sorted(done), "runs")
        for run, said in done.items():
            equal(sorted(got[run]), list(range(said["sent"])), run + ": records")
            for number, times in got[run].items():
                more += times > 1
                assert times <= sent(run, number) + killed, "%s: record %d came %d times %s" % (
                    run, number, times, "to the server" if killed else "into the file")
    return more


def restart_all(sluice, stream):
    """The receiver is restarted, sluiced is stopped and started, and all is killed at once."""
    stream.progress(200)
    sluice.restart("receiver")
    stream.progress(300)
    sluice.stop()
    sluice.start()
    stream.progress(300)
    sluice.kill_all()
    sluice.start()
    stream.progress(300)
    return stream.finish()


def wait_all_delivered(place, done):
    """Until both outputs have each record once. (A duplicate could come before the last.)"""
    want = sum(said["sent"] for said in done.values())
    for count in (place.server_records, place.file_records):
        wait_until(lambda: sum(len(n) for n in counts(count()).values()) >= want, 30,
                   "all records at an output", pause=0.2)


@limit(120)
def test_restarts_node(ctx):
    """Both libraries of npm, with acks, through restarts of the receiver and of all: nothing is
    lost. What they send again has a new id, and may come twice."""
    place = Place(ctx)
    retry = {"attempts": 100, "delay": 50, "backoff": 1}
    runs = [node_run(lib, mode, True, "milliseconds", ack=1500, reconnect=100, flush_interval=5,
                     retry=retry if lib.startswith("@") else None)
            for lib, modes, _, _ in (ORG, LITE) for mode in modes]
    stream = clients.Stream(ctx, "node", place.settings(runs))
    done = restart_all(place.sluice, stream)
    wait_all_delivered(place, done)
    place.sluice.stop()
    more = check_nothing_lost(place, done, lambda run, number: done[run]["again"].get(
        str(number), 1))
    ctx.note("%d records, %d sent again, %d came more than once" % (
        sum(d["sent"] for d in done.values()), sum(len(d["again"]) for d in done.values()), more))


@limit(120)
def test_restarts_go(ctx):
    """The Go logger sends what was not acknowledged again under the same id: it is known, and
    comes once."""
    place = Place(ctx)
    runs = [go_run("go-%d" % i, sub_second=i % 2 == 1, retries=200) for i in range(4)]
    stream = clients.Stream(ctx, "go", place.settings(runs))
    done = restart_all(place.sluice, stream)
    wait_all_delivered(place, done)
    place.sluice.stop()
    more = check_nothing_lost(place, done, lambda run, number: 1)
    ctx.note("%d records, %d came more than once" % (
        sum(d["sent"] for d in done.values()), more))


# ---- refused --------------------------------------------------------------------------------

def refused(place, runs):
    """Runs the node clients with one record each. Returns {id: result}; nothing may arrive."""
    path, _ = place.corpus("node", corpus.JavaScript())
    for run in runs:
        run.update(take=1, give_up=True)
    got = clients.run(place.ctx, "node", "corpus", place.settings(runs, path))
    for run in runs:
        equal((got[run["id"]]["acked"], len(got[run["id"]]["failed"])), (0, 1), run["id"])
    return got


ORG_FIRST, LITE_FIRST = ORG[0], LITE[0]


def both(keys):
    """A run of each library in Message mode, with acks."""
    return [node_run(lib, "Message", True, "seconds", keys, id=name)
            for lib, name in ((ORG_FIRST, "org"), (LITE_FIRST, "lite"))]


def check_refusals(place, runs, client_says, log_says):
    got = refused(place, runs)
    for run in runs:
        said = " ".join(got[run["id"]]["errors"] + got[run["id"]]["failed"])
        assert re.search(client_says, said), "%s says %s" % (run["id"], said)

    def warned():
        return any(line.get("level") == "warn" and re.search(log_says, line.get("message", ""))
                   for line in place.sluice.log())
    wait_until(warned, 20, lambda: "a warning like %r: %s" % (log_says, place.sluice.log()[-5:]))


@limit(60)
@cases("no key", "wrong key", "wrong user", "wrong password", "no user", "same host name")
def test_refused(ctx, case):
    """The client is told, the log has a line, nothing is delivered, and others are served."""
    env, key = LOCKS["user" if case.endswith(("user", "password")) else "key"]
    place = Place(ctx, env=env, options={"self.host": "aggregator"})
    keys, client_says, log_says = {
        "no key": (None, "expected authentication|ack in response and chunk id",
                   "invalid ping message"),
        "wrong key": (security(key="other"), "shared_key mismatch", "shared_key mismatch"),
        "wrong user": (security(username="carol", password="wörd"), "username/password mismatch",
                       "username/password mismatch"),
        "wrong password": (security(username="alice", password="b"), "username/password mismatch",
                           "username/password mismatch"),
        "no user": (security(), "username/password mismatch", "username/password mismatch"),
        "same host name": (security(hostname="aggregator"), "[Hh]ost ?name", "self.host"),
    }[case]
    check_refusals(place, both(keys), client_says, log_says)
    assert not place.server.records and not place.sluice.file_bytes()
    send_node(place, (LITE[0], ["Message"], ["seconds"], LITE[3]), key)
    place.check()


@limit(60)
def test_refused_without_handshake(ctx):
    """The Go and Python loggers know no handshake: a server with a key takes nothing from them."""
    from fluent import sender
    place = Place(ctx, env=KEYED)
    path, _ = place.corpus("go", corpus.Go())
    runs = [go_run("go", take=1), go_run("go-json", take=1, json=True)]
    got = clients.run(ctx, "go", "corpus", place.settings(runs, path))
    for run in runs:
        equal(got[run["id"]], {"acked": 0, "failed": [
            "0: fluent#write: failed to write after 3 attempts"]}, run["id"])
    logger = sender.FluentSender("py", host="127.0.0.1", port=place.sluice.port)
    wait_until(lambda: not logger.emit("a", {"message": "x"}), 20, "Python's sender sees the end")
    place.sluice.wait_log("invalid ping message")
    place.sluice.stop()
    assert not place.server.records and not place.sluice.file_bytes()

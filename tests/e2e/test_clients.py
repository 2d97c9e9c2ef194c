"""Real clients, with acks: all records arrive once, in the file and at the OTLP server."""
import clients

from harness import cases, equal, limit

EXPECTED = {"ok": bool, "ratio": float}


def check(records, client, count):
    by_serial = {}
    for record in records:
        attributes = record["attributes"]
        equal(attributes["client"], client, "client")
        assert attributes["serial"] not in by_serial, "serial %d twice" % attributes["serial"]
        by_serial[attributes["serial"]] = record
    equal(sorted(by_serial), list(range(count)), "serials")
    for serial, record in by_serial.items():
        equal(record["body"], "hello %d" % serial, "body")
        equal(record["severity"], 13, "severity")
        equal(record["attributes"]["ratio"], serial + 0.5, "ratio")
        equal(record["attributes"]["ok"], serial % 2 == 0, "ok")
        equal(record["attributes"]["nested"], {"list": [1, "two", None]}, "nested")
        assert record["time"] > 1700000000 * 10**9


def run(ctx, send, count, key=None):
    server = ctx.otlp(api_key="auth_k", dataset="d")
    sluice = ctx.sluice(otlp=server, file=True, env={"FLUENTD_SHARED_KEY": key} if key else {})
    got = send(sluice)
    equal(got, {"acked": count, "failed": []}, "the client's result")
    server.wait_records(count)
    sluice.wait_file_records(count)
    sluice.stop()
    check(server.records, "c", count)
    check(sluice.wait_file_records(count), "c", count)


@limit(120)
@cases("@fluent-org/logger Message", "@fluent-org/logger Forward",
       "@fluent-org/logger PackedForward", "@fluent-org/logger CompressedPackedForward",
       "@fluent-org/logger PackedForward key", "fluent-logger Message",
       "fluent-logger PackedForward", "fluent-logger CompressedPackedForward",
       "fluent-logger Message key")
def test_node(ctx, case):
    lib, mode, *key = case.split()
    key = "s3cret" if key else None

    def send(sluice):
        return clients.node(ctx, "send.js", {
            "lib": lib, "mode": mode, "host": "127.0.0.1", "port": sluice.port, "count": 500,
            "client": "c", "tag": "app", "ack_timeout": 20000, "key": key})
    run(ctx, send, 500, key)


@limit(180)
@cases("seconds", "sub_second")
def test_go(ctx, case):
    def send(sluice):
        return clients.go(ctx, {"host": "127.0.0.1", "port": sluice.port, "count": 300,
                                "client": "c", "tag": "app.go",
                                "sub_second": case == "sub_second"})
    run(ctx, send, 300)

"""A second independent decoder, @opentelemetry/otlp-transformer, agrees with the first."""
import base64

import clients
import forward

from harness import equal, limit


def value(v):
    """A protobufjs AnyValue object as a plain value."""
    if not v:
        return None
    (kind, inner), = v.items()
    if kind == "intValue":
        return int(inner)
    if kind == "doubleValue":
        return float(inner)
    if kind == "bytesValue":
        return base64.b64decode(inner)
    if kind == "arrayValue":
        return [value(x) for x in inner.get("values", [])]
    if kind == "kvlistValue":
        return pairs(inner.get("values", []))
    return inner


def pairs(items):
    out = {p["key"]: value(p.get("value")) for p in items}
    assert len(out) == len(items)
    return out


def flat(request):
    for resource_logs in request["resourceLogs"]:
        resource = pairs(resource_logs.get("resource", {}).get("attributes", []))
        for scope_logs in resource_logs["scopeLogs"]:
            scope = scope_logs.get("scope", {})
            scope = {"name": scope.get("name", ""), "version": scope.get("version", ""),
                     "attributes": pairs(scope.get("attributes", []))}
            for r in scope_logs["logRecords"]:
                yield {
                    "time": int(r.get("timeUnixNano", 0)),
                    "observed": int(r.get("observedTimeUnixNano", 0)),
                    "severity": r.get("severityNumber", 0), "text": r.get("severityText", ""),
                    "body": value(r.get("body")), "attributes": pairs(r.get("attributes", [])),
                    "trace_id": base64.b64decode(r.get("traceId", "")).hex(),
                    "span_id": base64.b64decode(r.get("spanId", "")).hex(),
                    "flags": r.get("flags", 0), "dropped": r.get("droppedAttributesCount", 0),
                    "event_name": r.get("eventName", ""), "resource": resource, "scope": scope}


@limit(120)
def test_agreement(ctx):
    server = ctx.otlp(keep_bodies=True)
    sluice = ctx.sluice(otlp=server)
    client = sluice.connect()
    t = forward.event_time(1700000000, 123456789)
    sent = 0
    for tag in ("a", "b.c"):
        events = []
        for i in range(100):
            events.append((t, {
                "serial": sent + i, "message": "m %d ✓" % i, "level": ("info", "error")[i % 2],
                "trace_id": "%032x" % (i + 1), "span_id": "%016x" % (i + 1), "neg": -i - (1 << 40),
                "max": (1 << 63) - 1, "f": i / 3, "yes": True, "nil": None, "list": [i, "x", None],
                "map": {"k": [1.5, {"z": b"\xff\x00"}]}, "empty": "", "long": "y" * (i * 20)}))
        client.send(forward.packed(tag, events, {"chunk": tag}))
        client.ack()
        sent += len(events)
    server.wait_records(sent)
    sluice.stop()
    paths = []
    for request in server.requests:
        paths.append(ctx.path("body.%d" % request.number))
        with open(paths[-1], "wb") as f:
            f.write(request.plain)
    got = clients.node(ctx, "decode.js", {"files": paths})
    for request, decoded in zip(server.requests, got):
        equal(list(flat(decoded)), request.records, "the records of request %d" % request.number)
    equal(sorted(r["attributes"]["serial"] for r in server.records), list(range(sent)), "serials")
    ids = {r["attributes"]["serial"]: (r["trace_id"], r["span_id"]) for r in server.records}
    equal(ids[5], ("%032x" % 6, "%016x" % 6), "trace and span id")

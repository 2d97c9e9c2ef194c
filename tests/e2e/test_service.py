"""The record of the service's description comes out as described, at both outputs."""
import time

import forward

from harness import cases, equal

RECORD = {
    "timestamp": "2024-01-15T10:30:45.123Z", "level": "info", "message": "Job processing started",
    "trace_id": "abc123def456", "job_id": "job-789", "machine_id": "comfyui-prod-1",
    "worker_id": "comfyui-prod-1-worker-0", "source": "worker.comfyui",
    "component": "job-executor",
}


def check(record):
    equal(record["time"], 1705314645123000000, "time")
    equal(record["severity"], 9, "severityNumber")
    equal(record["text"], "INFO", "severityText")
    equal(record["body"], "Job processing started", "body")
    rest = {k: v for k, v in RECORD.items() if k not in ("timestamp", "level", "message")}
    equal(record["attributes"], rest, "attributes")
    equal(record["trace_id"], "00000000000000000000abc123def456", "traceId")
    equal(record["span_id"], "", "spanId")
    equal(record["flags"], 0, "flags")
    equal(record["dropped"], 0, "droppedAttributesCount")
    equal(record["resource"], {"host.name": "comfyui-prod-1", "service.name": "emp-job-queue",
                               "deployment.environment": "production"}, "resource")
    now = time.time()
    assert now - 60 < record["observed"] / 1e9 < now + 60, record["observed"]


@cases("message", "forward", "packed", "gzip")
def test_record(ctx, case):
    server = ctx.otlp(api_key="auth_secret", dataset="production")
    sluice = ctx.sluice(otlp=server, file=True)
    # The event's time is another one than the record's own, which counts.
    event = (forward.event_time(1700000000, 5), RECORD)
    client = sluice.connect()
    client.send(forward.encode(case, "worker.comfyui", [event], {"chunk": "c1"}))
    assert client.ack() == "c1"
    server.wait_records(1)
    (out,) = sluice.wait_file_records(1)
    check(server.records[0])
    check(out)
    equal(out, server.records[0], "the file's record and the server's")
    sluice.stop()
    assert len(server.records) == 1 and sluice.file_bytes().count(b"\n") == 1


def test_environment_and_name(ctx):
    """NODE_ENV and service.name end in the resource; no field of the record is lost."""
    sluice = ctx.sluice(env={"NODE_ENV": "development"}, options={"service.name": "other-service"})
    values = {"int": -5, "big": (1 << 63) - 1, "float": 2.5, "yes": True, "no": False, "nil": None,
              "text": "ünï", "list": [1, "a", [2.0]], "map": {"k": {"deep": [True]}}, "empty": "",
              "bytes": b"\x00\xff", "serial": 0}
    client = sluice.connect()
    client.send(forward.message("t", (forward.event_time(1700000000, 123456789), values),
                                {"chunk": "c"}))
    client.ack()
    (out,) = sluice.wait_file_records(1)
    equal(out["resource"], {"service.name": "other-service",
                            "deployment.environment": "development"}, "resource")
    equal(out["time"], 1700000000123456789, "the event's time, where the record has none")
    equal(out["attributes"], values, "attributes")
    equal((out["severity"], out["text"], out["trace_id"]), (0, "", ""), "what is not there")


def test_default_file(ctx):
    """Without an API key and an endpoint, development writes otlp.jsonl in the data directory."""
    sluice = ctx.sluice(file=False, env={"NODE_ENV": "development"})
    sluice.file_path = sluice.data_dir + "/otlp.jsonl"
    client = sluice.connect()
    client.send(forward.message("t", (1700000000, RECORD), {"chunk": "c"}))
    client.ack()
    (out,) = sluice.wait_file_records(1)
    equal(out["body"], "Job processing started", "body")


def test_free_port_on_all_addresses(ctx):
    """forward.port = 0 picks a port, which status shows; "*" takes IPv4 and IPv6."""
    sluice = ctx.sluice(env={"NODE_ENV": "development"},
                        options={"forward.port": 0, "forward.bind": "*"})
    assert sluice.port > 0
    for number, host in enumerate(("127.0.0.1", "::1")):
        client = sluice.connect(host=host)
        client.send(forward.message("t", (1700000000, {"serial": number}), {"chunk": "c"}))
        client.ack()
    sluice.wait_file_records(2)

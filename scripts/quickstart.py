#!/usr/bin/python3
"""The second half of ./quickstart: runs sluiced, sends it one log, shows what came out, and keeps a
line of figures until Ctrl-C. Needs nothing but Python's standard library, so msgpack is written here
by hand: a map of strings is all that a log is."""

import argparse
import ctypes
import datetime
import fcntl
import json
import os
import re
import secrets
import shutil
import signal
import socket
import struct
import subprocess
import sys
import time

READY_TIMEOUT_S = 30
PORT_TIMEOUT_S = 3
PORT_TAKEN = re.compile(r"is taken by another program|address already in use", re.I)
ACK_TIMEOUT_S = 15
ARRIVE_TIMEOUT_S = 15
STOP_TIMEOUT_S = 45
PR_SET_PDEATHSIG = 1


class Failed(Exception):
    """What the user reads; the text says what to do."""


# ---- the sample log, in the Forward protocol's Message mode -------------------------------------

def pack(value):
    """msgpack of dict, list, str, int (unsigned) and bytes (taken as encoded already)."""
    if isinstance(value, bytes):
        return value
    if isinstance(value, str):
        data = value.encode()
        if len(data) < 32:
            return bytes([0xA0 | len(data)]) + data
        return b"\xda" + struct.pack(">H", len(data)) + data
    if isinstance(value, int):
        return b"\xcf" + struct.pack(">Q", value)
    if isinstance(value, dict):
        items = b"".join(pack(k) + pack(v) for k, v in value.items())
        return b"\xde" + struct.pack(">H", len(value)) + items
    return bytes([0x90 | len(value)]) + b"".join(pack(v) for v in value)


def event_time(now):
    seconds = int(now)
    return b"\xd7\x00" + struct.pack(">II", seconds, int((now - seconds) * 1e9))


def sample_record(now):
    stamp = datetime.datetime.fromtimestamp(now, datetime.timezone.utc)
    return {
        "timestamp": stamp.strftime("%Y-%m-%dT%H:%M:%S.") + f"{stamp.microsecond // 1000:03d}Z",
        "level": "info",
        "message": "Job processing started",
        "trace_id": secrets.token_hex(16),
        "job_id": "job-789",
        "machine_id": "comfyui-prod-1",
        "worker_id": "comfyui-prod-1-worker-0",
        "source": "worker.comfyui",
        "component": "job-executor",
    }


def send(port, record, now):
    """Sends the record and returns when sluiced has acknowledged it."""
    chunk = secrets.token_urlsafe(16)
    message = pack(["quickstart.sample", event_time(now), record, {"chunk": chunk}])
    with socket.create_connection(("127.0.0.1", port), timeout=ACK_TIMEOUT_S) as client:
        client.sendall(message)
        answer = b""
        wanted = b"\xa3ack" + pack(chunk)
        while wanted not in answer:
            try:
                got = client.recv(4096)
            except socket.timeout:
                got = b""
            if not got:
                raise Failed("the sample log was sent, but no acknowledgement came")
            answer += got


# ---- sluiced ------------------------------------------------------------------------------------

def die_with_parent():
    """If this script is killed, sluiced gets SIGTERM and stops cleanly."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


class Sluiced:
    def __init__(self, arguments):
        self.build = arguments.build
        self.data = arguments.data
        self.control = os.path.join(self.data, "control")
        self.file = os.path.join(self.data, "otlp.jsonl")
        self.log = os.path.join(self.data, "sluiced.log")
        self.notify_path = os.path.join(self.data, "notify")
        os.makedirs(self.data, mode=0o700, exist_ok=True)
        # Before anything of a running quickstart is touched: its log, its sockets.
        self.lock = open(os.path.join(self.data, "quickstart.lock"), "w", encoding="utf-8")
        try:
            fcntl.flock(self.lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Failed(f"another quickstart runs and uses {self.data}: stop that first") from None
        if os.path.exists(self.notify_path):
            os.unlink(self.notify_path)
        self.notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
        self.notify.bind(self.notify_path)
        self.notify.settimeout(0.2)
        self.argv = [os.path.join(self.build, "supervisor/sluiced"), "--config", arguments.config]
        for setting in [f"data_dir={self.data}", f"control.path={self.control}", f"file.path={self.file}",
                        "log.format=text"] + arguments.set:
            self.argv += ["--set", setting]
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen(
                self.argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
                env=self.environment(), preexec_fn=die_with_parent)

    def environment(self):
        """Little of ours: a DASH0_API_KEY or NODE_ENV of the shell must not turn a local try into
        something that sends to production."""
        kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "TZ") if name in os.environ}
        return dict(kept, NOTIFY_SOCKET=self.notify_path)

    def said(self):
        with open(self.log, encoding="utf-8", errors="replace") as f:
            return f.read()

    def complaint(self, what):
        lines = self.said().rstrip().split("\n")[-15:]
        return f"{what}. It said:\n" + "\n".join("    | " + line for line in lines)

    def wait_ready(self):
        start = time.monotonic()
        while time.monotonic() < start + READY_TIMEOUT_S:
            try:
                if "READY=1" in self.notify.recv(65536).decode().split("\n"):
                    return
            except socket.timeout:
                pass
            if self.process.poll() is not None:
                raise self.why_not()
            # sluiced itself waits longer for the port, for the receiver of a sluiced that was killed.
            if time.monotonic() > start + PORT_TIMEOUT_S and PORT_TAKEN.search(self.said()):
                raise self.why_not()
        raise Failed(self.complaint(f"sluiced was not ready within {READY_TIMEOUT_S} seconds"))

    def why_not(self):
        said = self.said()
        if PORT_TAKEN.search(said):
            return Failed(self.complaint(
                "the port is taken by another program (perhaps another quickstart, or a Fluentd).\n"
                "Stop that, or choose another port with\n\n"
                "    ./quickstart --set forward.port=24300\n\nsluiced could not start"))
        if "another program answers" in said or "locked" in said:
            return Failed(self.complaint(f"another sluiced uses {self.data}, perhaps another quickstart. "
                                         "Stop that first"))
        return Failed(self.complaint(f"sluiced ended with status {self.process.returncode}"))

    def status(self):
        done = subprocess.run(
            [os.path.join(self.build, "supervisor/ctl/sluicectl"), "--socket", self.control, "status",
             "--json"], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=20)
        if done.returncode != 0:
            raise Failed(f"sluicectl status: {done.stderr.decode(errors='replace').strip()}")
        return json.loads(done.stdout)

    def stop(self):
        """Returns whether it ended by itself and well."""
        if self.process.poll() is None:
            self.process.terminate()
        try:
            status = self.process.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            status = None
        self.notify.close()
        if os.path.exists(self.notify_path):
            os.unlink(self.notify_path)
        return status == 0


def forward_port(status):
    for listener in status["listeners"]:
        if listener["name"] == "forward":
            return listener["port"]
    raise Failed("sluicectl status names no forward port")


def wait_for_line(sluiced, offset, marker):
    """The complete line with the marker that the file output got behind offset."""
    end = time.monotonic() + ARRIVE_TIMEOUT_S
    while time.monotonic() < end:
        if os.path.exists(sluiced.file):
            with open(sluiced.file, encoding="utf-8") as f:
                f.seek(offset)
                for line in f:
                    if marker in line and line.endswith("\n"):
                        return json.loads(line)
        if sluiced.process.poll() is not None:
            raise Failed(sluiced.complaint(f"sluiced ended with status {sluiced.process.returncode}"))
        # There is nothing to wait on from outside: the file belongs to the shipper.
        time.sleep(0.02)
    raise Failed(sluiced.complaint(f"the log was acknowledged but did not come out in {sluiced.file}"))


# ---- what the user sees -------------------------------------------------------------------------

def compact(value, indent=0, before=0, width=100):
    """JSON that a person can read: a value stays on one line where it fits behind what is before."""
    one = json.dumps(value, ensure_ascii=False)
    if indent + before + len(one) < width or not isinstance(value, (dict, list)) or not value:
        return one
    inner = " " * (indent + 2)
    if isinstance(value, dict):
        parts = [f"{inner}{json.dumps(k)}: {compact(v, indent + 2, len(json.dumps(k)) + 2)}"
                 for k, v in value.items()]
        return "{\n" + ",\n".join(parts) + "\n" + " " * indent + "}"
    parts = [inner + compact(v, indent + 2) for v in value]
    return "[\n" + ",\n".join(parts) + "\n" + " " * indent + "]"


MORE = """
Send more
  Fluent Bit, in its configuration:

    [OUTPUT]
        Name                  forward
        Match                 *
        Host                  127.0.0.1
        Port                  {port}
        Require_ack_response  true

  Node (npm install @fluent-org/logger):

    const {{ FluentClient }} = require("@fluent-org/logger");
    const log = new FluentClient("app", {{
      socket: {{ host: "127.0.0.1", port: {port} }}, ack: {{ ackTimeout: 10000 }} }});
    log.emit({{ level: "info", message: "hello", job_id: "job-790" }});

Look
    tail -f {file}
    {sluicectl} --socket {control} status
    less {log}
"""


def total(value, name):
    """The sum of a metric over everything that reports it."""
    if isinstance(value, dict):
        return sum(v if k == name and isinstance(v, int) else total(v, name) for k, v in value.items())
    if isinstance(value, list):
        return sum(total(v, name) for v in value)
    return 0


class Figures:
    NAMES = ("records_committed_total", "records_delivered_total", "output_lag_records",
             "journal_bytes", "connections_open")

    def __init__(self):
        self.before = None
        self.at = None

    def line(self, status):
        now = time.monotonic()
        values = {name: total(status, name) for name in self.NAMES}
        rate = 0.0
        if self.before is not None and now > self.at:
            rate = (values["records_committed_total"] - self.before["records_committed_total"]) / (now - self.at)
        self.before, self.at = values, now
        stages = status.get("stages", [])
        down = sum(1 for s in stages if s.get("state") != "running")
        restarts = sum(s.get("restarts", 0) for s in stages)
        line = (f"{max(rate, 0):,.0f}/s | stored {values['records_committed_total']:,} | "
                f"delivered {values['records_delivered_total']:,} | "
                f"waiting {values['output_lag_records']:,} | "
                f"disk {values['journal_bytes'] / 1e6:,.0f} MB | clients {values['connections_open']}")
        return line + (f" | {down} stages down" if down else "") + (f" | {restarts} restarts" if restarts else "")


def live(sluiced):
    """Until SIGINT or SIGTERM. A line of warnings from sluiced's log scrolls by above the figures."""
    figures = Figures()
    terminal = sys.stdout.isatty()
    seen = len(sluiced.said())
    while True:
        if sluiced.process.poll() is not None:
            raise Failed(sluiced.complaint(f"sluiced ended with status {sluiced.process.returncode}"))
        said = sluiced.said()
        for line in said[seen:].split("\n"):
            if re.search(r" (WARN|ERROR|FATAL|PANIC) ", line):
                print(("\r\033[K" if terminal else "") + line)
        seen = len(said)
        try:
            line = figures.line(sluiced.status())
        except (Failed, ValueError, subprocess.TimeoutExpired) as e:
            line = f"no figures: {e}"
        if terminal:
            width = shutil.get_terminal_size().columns
            print("\r\033[K" + line[:width - 1], end="", flush=True)
        else:
            print(line, flush=True)
        time.sleep(1)


def run(sluiced, once):
    sluiced.wait_ready()
    port = forward_port(sluiced.status())
    print(f"\nsluiced runs: Fluent Forward on 127.0.0.1:{port}, output {sluiced.file}")
    now = time.time()
    record = sample_record(now)
    offset = os.path.getsize(sluiced.file) if os.path.exists(sluiced.file) else 0
    print("\nSent, and acknowledged after it was durable\n    ", end="")
    started = time.monotonic()
    send(port, record, now)
    print(compact(record, 4))
    request = wait_for_line(sluiced, offset, record["trace_id"])
    print(f"\nCame out as OpenTelemetry ({(time.monotonic() - started) * 1000:.0f} ms after sending)\n    ", end="")
    print(compact(request, 4))
    print(MORE.format(port=port, file=sluiced.file, control=sluiced.control, log=sluiced.log,
                      sluicectl=os.path.join(sluiced.build, "supervisor/ctl/sluicectl")))
    if not once:
        print("Ctrl-C stops it.\n", flush=True)
        live(sluiced)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--build", required=True)
    parser.add_argument("--data", required=True)
    parser.add_argument("--config", required=True)
    parser.add_argument("--once", action="store_true")
    parser.add_argument("--set", action="append", default=[], metavar="PATH=VALUE")
    arguments = parser.parse_args()

    def interrupted(*_):
        raise KeyboardInterrupt
    signal.signal(signal.SIGTERM, interrupted)
    # A shell that starts this in the background ignores SIGINT for it; Ctrl-C must work all the same.
    signal.signal(signal.SIGINT, interrupted)
    try:
        sluiced = Sluiced(arguments)
    except (Failed, OSError) as e:
        print(f"\nquickstart: {e}", file=sys.stderr)
        return 1
    status = 0
    try:
        run(sluiced, arguments.once)
    except KeyboardInterrupt:
        print("\n\nStopping: what is in the journal is delivered first.")
        status = 1 if arguments.once else 0
    except (Failed, OSError) as e:
        print(f"\nquickstart: {e}", file=sys.stderr)
        status = 1
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if not sluiced.stop() and status == 0:
        print(f"\nquickstart: {sluiced.complaint('sluiced did not stop cleanly')}", file=sys.stderr)
        status = 1
    if status == 0:
        print("Arrived; sluiced stopped cleanly." if arguments.once else
              f"Stopped cleanly. Everything is kept in {arguments.data}.")
    return status


if __name__ == "__main__":
    sys.exit(main())

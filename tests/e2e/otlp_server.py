"""A strict OTLP/HTTP logs server for the tests, whose answers are scripted.

    server = OtlpServer(schema, api_key="auth_x", dataset="production")
    server.start()                      # its port is server.port, its URL server.url
    server.script([Answer(503), Answer(429, headers={"Retry-After": "1"}), Answer()])
    server.on_request = lambda request: Answer(delay=0.01)       # where the script has ended
    server.stop()                       # connections are refused from now on
    server.start()                      # the same port again

Each request is read and judged in full before its answer is chosen (but for Answer(read=False)).
A request that a strict server would not take gets 400 and is kept in `violations`; a test fails at
its end if there are any (Ctx checks), unless it asked for them.

`records` holds what the server has taken: the records of requests that were answered with a 2xx,
or whose Answer says stored=True. Whether the sender learned of it is another matter, and that is
the point of Answer(cut=...).
"""
import errno
import json
import random
import re
import socket
import struct
import threading
import time

from otlp_decode import Refused, decode_json, decode_request, gunzip_one, unzstd

PROTOBUF, JSON = "application/x-protobuf", "application/json"
# As the OTLP exporter specification has it: exporter, language, version.
USER_AGENT = re.compile(r"OTel-OTLP-Exporter-[A-Za-z0-9]+/[0-9A-Za-z.+~-]+\Z")
MAX_HEADER = 64 * 1024
MAX_BODY = 64 * 1024 * 1024


class Answer:
    """What becomes of one request.

    status, headers, body   the HTTP answer; body None: an empty success, or a google.rpc.Status
    delay                   seconds before the answer
    partial                 (rejected, message): a partial success
    read                    False: the connection is cut before the body is read
    cut                     None, or what happens instead of a whole answer: "reset" (RST), "close"
                            (FIN), "half" (all but the last byte of the body, then FIN), "hang"
                            (nothing until the sender closes or the server stops)
    close                   "Connection: close" after the answer
    stored                  whether the records count as taken; None: if the status is a 2xx and the
                            answer goes out whole
    """

    def __init__(self, status=200, headers=None, body=None, delay=0, partial=None, read=True,
                 cut=None, close=False, stored=None):
        self.status = status
        self.headers = dict(headers or {})
        self.body = body
        self.delay = delay
        self.partial = partial
        self.read = read
        self.cut = cut
        self.close = close
        self.stored = (200 <= status < 300 and cut is None and read) if stored is None else stored


class Request:
    """A request as received; `records` is None where it was refused or not read."""

    def __init__(self, number, connection):
        self.number = number            # 0, 1, ... in the order of arrival of their headers
        self.connection = connection    # number of the connection
        self.received = time.monotonic()
        self.answered = None            # when the last byte of the answer was handed to the kernel
        self.method = self.path = ""
        self.headers = {}               # lower-case names
        self.wire_size = 0
        self.wire = None                # the bytes as they came, and before compression
        self.plain_size = 0
        self.plain = None
        self.minimal = None
        self.records = None
        self.refused = None             # why it violates the protocol
        self.status = None
        self.stored = False


class OtlpServer:
    def __init__(self, schema, api_key=None, dataset=None, path="/v1/logs", host="127.0.0.1",
                 keep_bodies=False, project=None, encoding=None, compression="any"):
        """keep_bodies: requests keep their bytes. project: what to keep of each record (a function
        of the record), where a test counts many. encoding, compression: what Content-Type and
        Content-Encoding must be (None: there must be none)."""
        self.schema = schema
        self.api_key = api_key
        self.dataset = dataset
        self.path = path
        self.host = host
        self.port = 0
        self.keep_bodies = keep_bodies
        self.project = project
        self.encoding = encoding
        self.compression = compression
        self.on_request = None
        self.violations = []
        self.requests = []
        self.records = []
        self.connections = 0
        self._script = []
        self._listener = None
        self._sockets = set()
        self._changed = threading.Condition()
        self._generation = 0

    # ---- life -------------------------------------------------------------------------------

    @property
    def url(self):
        return "http://%s:%d%s" % (self.host, self.port, self.path)

    def reserve(self):
        """Chooses the port without listening: connections to it are refused until start()."""
        self._bind().close()
        return self

    def _bind(self):
        """A fixed port once chosen; outside of the kernel's own range, so that nobody is given it
        while this server is down."""
        for _ in range(200):
            port = self.port or random.randrange(15000, 32000)
            listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                listener.bind((self.host, port))
                self.port = port
                return listener
            except OSError as e:
                listener.close()
                if e.errno != errno.EADDRINUSE or self.port:
                    raise
        raise RuntimeError("no free port")

    def start(self):
        assert self._listener is None
        self._listener = self._bind()
        self._listener.listen(128)
        self._generation += 1
        threading.Thread(target=self._accept, args=(self._listener, self._generation),
                         daemon=True).start()
        return self

    def stop(self):
        """Stops listening and cuts all connections."""
        listener, self._listener = self._listener, None
        if listener is None:
            return
        with self._changed:
            self._generation += 1
            # shutdown wakes the thread in accept(); the port refuses from here on.
            listener.shutdown(socket.SHUT_RDWR)
            listener.close()
            for sock in self._sockets:
                _shut(sock)
            self._changed.notify_all()

    def _accept(self, listener, generation):
        while True:
            try:
                sock, _ = listener.accept()
            except OSError:
                return
            with self._changed:
                if generation != self._generation:
                    sock.close()
                    return
                number = self.connections
                self.connections += 1
                self._sockets.add(sock)
            threading.Thread(target=self._connection, args=(sock, number, generation),
                             daemon=True).start()

    # ---- what the test says -----------------------------------------------------------------

    def script(self, answers):
        with self._changed:
            self._script = list(answers)

    def script_left(self):
        with self._changed:
            return len(self._script)

    def _choose(self, request):
        with self._changed:
            if self._script:
                return self._script.pop(0)
        return self.on_request(request) if self.on_request else Answer()

    # ---- what the test asks -----------------------------------------------------------------

    def wait(self, predicate, timeout, what):
        """Waits until predicate() holds; it is tried after each request."""
        end = time.monotonic() + timeout
        with self._changed:
            while not predicate():
                left = end - time.monotonic()
                if left <= 0:
                    raise AssertionError("timeout after %g s: %s; %s" % (timeout, what, self))
                self._changed.wait(min(left, 0.5))

    def wait_records(self, count, timeout=30):
        self.wait(lambda: len(self.records) >= count, timeout, "%d records" % count)

    def wait_requests(self, count, timeout=30):
        self.wait(lambda: len(self.requests) >= count, timeout, "%d requests" % count)

    def snapshot(self):
        with self._changed:
            return list(self.records)

    def __str__(self):
        return "OTLP server: %d connections, %d requests %s, %d records, %d violations" % (
            self.connections, len(self.requests), [r.status for r in self.requests[-5:]],
            len(self.records), len(self.violations))

    # ---- one connection ---------------------------------------------------------------------

    def _connection(self, sock, number, generation):
        reader = sock.makefile("rb", 256 * 1024)
        try:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            while generation == self._generation and self._one(sock, reader, number):
                pass
        except (OSError, ValueError):
            pass                        # the sender went away, or stop() cut the connection
        finally:
            with self._changed:
                self._sockets.discard(sock)
                self._changed.notify_all()
            reader.close()
            sock.close()

    def _one(self, sock, reader, connection):
        """One request. Returns whether the connection goes on."""
        line = reader.readline(MAX_HEADER)
        if not line:
            return False
        with self._changed:
            request = Request(len(self.requests), connection)
            self.requests.append(request)
        why = self._read_head(reader, line, request)
        answer = None
        if why is None:
            if self._peek_unread():
                answer = self._choose(request)
                self._finish(request, answer, None)
                _reset(sock)
                return False
            body, why = self._read_body(sock, reader, request)
            if body is None and why is None:
                return False            # the sender went away inside the body
        else:
            body = None
        if why is None:
            status, why = self._judge(request, body)
        else:
            status = 400
        if why is not None:
            request.refused = why
            answer = Answer(status, close=body is None)
            with self._changed:
                self.violations.append("request %d: %s" % (request.number, why))
        else:
            answer = self._choose(request)
        return self._answer(sock, request, answer)

    def _peek_unread(self):
        with self._changed:
            return bool(self._script) and not self._script[0].read

    def _read_head(self, reader, line, request):
        parts = line.decode("latin-1").split()
        if len(parts) != 3 or parts[2] not in ("HTTP/1.1", "HTTP/1.0"):
            return "bad request line %r" % line
        request.method, request.path = parts[0], parts[1]
        size = len(line)
        while True:
            line = reader.readline(MAX_HEADER)
            size += len(line)
            if line in (b"\r\n", b""):
                return None
            if size > MAX_HEADER:
                return "headers of more than %d bytes" % MAX_HEADER
            name, colon, value = line.decode("latin-1").partition(":")
            name = name.lower()
            if not colon or name != name.strip() or not line.endswith(b"\r\n"):
                return "bad header line %r" % line
            if name in request.headers:
                return "header %s twice" % name
            request.headers[name] = value.strip()

    def _read_body(self, sock, reader, request):
        headers = request.headers
        if "expect" in headers:
            sock.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
        if "transfer-encoding" in headers:
            if headers["transfer-encoding"].lower() != "chunked" or "content-length" in headers:
                return None, "bad Transfer-Encoding"
            body = b""
            while True:
                size = int(reader.readline(100).split(b";")[0], 16)
                if len(body) + size > MAX_BODY:
                    return None, "body too large"
                data = reader.read(size)
                if len(data) != size:
                    return None, None
                body += data
                reader.readline(100)
                if size == 0:
                    return body, None
        length = headers.get("content-length", "")
        if not length.isdigit() or int(length) > MAX_BODY:
            return None, "bad Content-Length %r" % length
        body = reader.read(int(length))
        return (body, None) if len(body) == int(length) else (None, None)

    def _judge(self, request, body):
        """(status, reason) of a refusal, or (200, None); fills the request in."""
        headers = request.headers
        request.wire_size = len(body)
        if request.method != "POST":
            return 405, "method %s" % request.method
        if request.path != self.path:
            return 404, "path %s" % request.path
        if "host" not in headers:
            return 400, "no Host"
        if self.api_key is not None and headers.get("authorization") != "Bearer " + self.api_key:
            return 401, "wrong Authorization"
        if self.api_key is None and "authorization" in headers:
            return 401, "an Authorization that nobody asked for"
        if headers.get("dash0-dataset") != self.dataset:
            return 403, "wrong Dash0-Dataset: %r" % headers.get("dash0-dataset")
        kind = headers.get("content-type")
        if kind not in (PROTOBUF, JSON) or self.encoding not in (None, kind):
            return 415, "Content-Type %r" % kind
        if "expect" in headers:
            return 417, "Expect: %s" % headers["expect"]
        if not USER_AGENT.match(headers.get("user-agent", "")):
            return 400, "User-Agent %r" % headers.get("user-agent")
        coding = headers.get("content-encoding")
        try:
            if self.compression not in ("any", coding):
                raise Refused("Content-Encoding %r, not %r" % (coding, self.compression))
            if coding == "gzip":
                request.plain = gunzip_one(body)
            elif coding == "zstd":
                request.plain = unzstd(body)
            elif coding is None:
                request.plain = body
            else:
                raise Refused("Content-Encoding %r" % coding)
            if kind == JSON:
                # A quote inside of a string has a backslash before it: these are members.
                if re.search(rb'"(scopeLogs|logRecords)":\[\]', request.plain):
                    raise Refused("scopeLogs or logRecords without any")
                request.records = decode_json(request.plain.decode("utf-8"))
            else:
                request.records, request.minimal = decode_request(self.schema, request.plain)
        except (Refused, UnicodeDecodeError) as e:
            return 400, str(e)
        if self.project:
            request.records = [self.project(r) for r in request.records]
        request.plain_size = len(request.plain)
        request.wire = body
        if not self.keep_bodies:
            request.wire = request.plain = None
        return 200, None

    def _finish(self, request, answer, records):
        with self._changed:
            request.status = answer.status if answer.cut is None and answer.read else answer.cut
            if records and answer.stored:
                request.stored = True
                self.records.extend(records)
            self._changed.notify_all()

    def _answer(self, sock, request, answer):
        if answer.delay:
            generation = self._generation
            end = time.monotonic() + answer.delay
            with self._changed:
                while generation == self._generation and time.monotonic() < end:
                    self._changed.wait(max(0, end - time.monotonic()))
            if generation != self._generation:
                self._finish(request, Answer(cut="stopped"), None)
                return False
        # Taken before the answer goes out: whoever has the answer finds the records here.
        self._finish(request, answer, request.records)
        if answer.cut == "hang":
            sock.recv(1)
            return False
        if answer.cut == "reset":
            _reset(sock)
            return False
        if answer.cut == "close":
            return False
        data = self._encode(answer, request)
        if answer.cut == "half":
            sock.sendall(data[:-1])
            return False
        sock.sendall(data)
        request.answered = time.monotonic()
        return not answer.close and request.headers.get("connection", "").lower() != "close"

    def _encode(self, answer, request):
        is_json = request.headers.get("content-type") == JSON
        body = answer.body
        if body is None:
            body = self._json_body(answer, request) if is_json else self._body(answer, request)
        if answer.cut == "half" and not body:
            body = b"\x0a\x00"           # an empty partial_success
        headers = {"Content-Type": JSON if is_json else PROTOBUF, "Content-Length": str(len(body))}
        if answer.close:
            headers["Connection"] = "close"
        headers.update(answer.headers)
        lines = ["HTTP/1.1 %d Scripted" % answer.status]
        lines += ["%s: %s" % item for item in headers.items()]
        return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1") + body

    def _body(self, answer, request):
        if answer.partial:
            response = self.schema.ExportLogsServiceResponse()
            response.partial_success.rejected_log_records = answer.partial[0]
            response.partial_success.error_message = answer.partial[1]
            return response.SerializeToString()
        if 200 <= answer.status < 300:
            return b""
        status = self.schema.Status(code=3, message=request.refused or "scripted")
        return status.SerializeToString()

    def _json_body(self, answer, request):
        if answer.partial:
            body = {"partialSuccess": {"rejectedLogRecords": str(answer.partial[0]),
                                       "errorMessage": answer.partial[1]}}
        elif 200 <= answer.status < 300:
            body = {}
        else:
            body = {"code": 3, "message": request.refused or "scripted"}
        return json.dumps(body).encode()


def _shut(sock):
    try:
        sock.shutdown(socket.SHUT_RDWR)
    except OSError:
        pass


def _reset(sock):
    """The close that follows sends RST."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

"""A small Forward server in Python, to prove the harness's clients without Sluice: it stores what
it reads and acknowledges it, and misbehaves on request."""
import gzip
import hashlib
import socket
import threading

import msgpack


class FakeForward:
    """on_message(server, number, tag, events, option) returns True to store and acknowledge,
    "store" to store without ack and close, "close" to close at once, "hold" to do neither."""

    def __init__(self, key=None, on_message=None):
        self.key = key
        self.on_message = on_message or (lambda *_: True)
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.records = []
        self.messages = 0
        self.options = []
        self.lock = threading.Lock()
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()

    def _accept(self):
        while True:
            try:
                sock, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(sock,), daemon=True).start()

    def _serve(self, sock):
        try:
            self._talk(sock)
        except OSError:
            pass
        finally:
            sock.close()

    def _talk(self, sock):
        unpacker = msgpack.Unpacker(raw=False, strict_map_key=False, max_buffer_size=1 << 28)
        if self.key is not None and not self._handshake(sock, unpacker):
            return
        while True:
            for value in unpacker:
                if value is not None and not self._message(sock, value):
                    return
            data = sock.recv(65536)
            if not data:
                return
            unpacker.feed(data)

    def _message(self, sock, value):
        tag, second = value[0], value[1]
        if isinstance(second, (str, bytes)):
            option = value[2] if len(value) > 2 else {}
            data = second.encode() if isinstance(second, str) else second
            if option.get("compressed") == "gzip":
                data = gzip.decompress(data)
            inner = msgpack.Unpacker(raw=False)
            inner.feed(data)
            events = list(inner)
        elif isinstance(second, list):
            option = value[2] if len(value) > 2 else {}
            events = second
        else:
            option = value[3] if len(value) > 3 else {}
            events = [[second, value[2]]]
        option = option or {}
        with self.lock:
            number = self.messages
            self.messages += 1
            self.options.append(option)
            verdict = self.on_message(self, number, tag, events, option)
            if verdict in (True, "store"):
                self.records.extend((tag, t, record) for t, record in events)
        if verdict is True and option.get("chunk") is not None:
            sock.sendall(msgpack.packb({"ack": option["chunk"]}))
        return verdict in (True, "hold")

    def _handshake(self, sock, unpacker):
        nonce, auth = b"n" * 15 + b"\xff", b"a" * 16
        sock.sendall(msgpack.packb(["HELO", {"nonce": nonce, "auth": auth, "keepalive": True}]))
        raw = msgpack.Unpacker(raw=True)
        while True:
            data = sock.recv(65536)
            if not data:
                return False
            raw.feed(data)
            unpacker.feed(data)
            try:
                ping = raw.unpack()
            except msgpack.OutOfData:
                continue
            break
        unpacker.skip()
        _, client, salt, digest, _, password = ping
        want = hashlib.sha512(salt + client + nonce + self.key.encode()).hexdigest().encode()
        if digest != want or (password and password != hashlib.sha512(auth).hexdigest().encode()):
            sock.sendall(msgpack.packb(["PONG", False, "shared_key mismatch", "", ""]))
            return False
        mine = hashlib.sha512(salt + b"fake" + nonce + self.key.encode()).hexdigest()
        sock.sendall(msgpack.packb(["PONG", True, "", "fake", mine]))
        return True

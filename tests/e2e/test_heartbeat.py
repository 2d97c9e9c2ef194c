"""UDP heartbeats on the forward port. (Those that are empty connections: test_forward.py.)"""
import os
import select
import signal
import socket

import forward

from harness import cases, equal, wait_until

T = forward.event_time(1700000000, 1)


class Beater:
    """A Fluentd with `heartbeat_type udp`."""

    def __init__(self, ctx, port, host="127.0.0.1"):
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self.sock = socket.socket(family, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
        self.address = (host, port)
        ctx.on_exit(self.sock.close)

    def send(self, data=b"\0"):
        self.sock.sendto(data, self.address)

    def receive(self, timeout):
        """The next answer, or None."""
        if not select.select([self.sock], [], [], timeout)[0]:
            return None
        data, address = self.sock.recvfrom(1000)
        equal(address[:2], self.address, "who answers")
        return data

    def beat(self, data=b"\0"):
        self.send(data)
        equal(self.receive(20), b"\0", "the answer")


def test_answered(ctx):
    """Every datagram gets one byte 00, whatever is in it; nothing is said about it."""
    sluice = ctx.sluice()
    beater = Beater(ctx, sluice.port)
    log = len(sluice.stderr())
    for data in (b"\0", b"", b"hello", bytes(5000)):
        beater.beat(data)
    for _ in range(196):
        beater.beat()
    for _ in range(100):
        beater.send()
    for _ in range(100):
        equal(beater.receive(20), b"\0", "one of 100 answers")
    assert beater.receive(0) is None, "more answers than datagrams"
    equal(sluice.metric("heartbeats_total"), 300, "heartbeats_total")
    assert len(sluice.stderr()) == log, sluice.stderr()[log:]
    (listener,) = sluice.status()["listeners"]
    equal(listener["heartbeats"], True, "heartbeats in status")
    sluice.stop()


@cases("*", "127.0.0.1")
def test_addresses(ctx, case):
    """On the addresses that the forward port is on, and from the one that was asked."""
    sluice = ctx.sluice(options={"forward.bind": case, "forward.port": 0,
                                 "forward.allow_anonymous": True})
    Beater(ctx, sluice.port).beat()
    if case == "*":
        Beater(ctx, sluice.port, "127.0.0.9").beat()
        if os.path.exists("/proc/net/if_inet6") and "::" in socket_address(sluice):
            Beater(ctx, sluice.port, "::1").beat()


def socket_address(sluice):
    (listener,) = sluice.status()["listeners"]
    return listener["address"]


def test_restart(ctx):
    """A restarted receiver, and one that took the place of a killed one, answers again; what came
    in between is answered too."""
    sluice = ctx.sluice()
    beater = Beater(ctx, sluice.port)
    beater.beat()
    sluice.restart("receiver")
    beater.beat()
    pid = sluice.pid("receiver")
    os.kill(pid, signal.SIGSTOP)
    for _ in range(20):
        beater.send()
    sluice.kill("receiver")
    for _ in range(20):
        equal(beater.receive(30), b"\0", "an answer after the restart")
    sluice.wait_running("receiver", other_than=pid)
    beater.beat()


def test_while_paused(ctx):
    """Also while a full ring stops the clients: who is not answered is taken for dead."""
    sluice = ctx.sluice(options={"forward.max_chunk": "64k"})
    os.kill(sluice.pid("processor"), signal.SIGSTOP)
    client = sluice.connect()
    client.sock.setblocking(False)
    data = forward.message("t", (T, {"text": "x" * 60000}))

    def full():
        try:
            client.sock.send(data)
        except BlockingIOError:
            pass
        return sluice.metric("connections_paused") > 0

    wait_until(full, 20, "the receiver pauses")
    Beater(ctx, sluice.port).beat()
    os.kill(sluice.pid("processor"), signal.SIGCONT)


def test_none(ctx):
    """Switched off there is no socket, and no answer; a taken port is a warning and no failure."""
    sluice = ctx.sluice(options={"forward.heartbeat": False})
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("127.0.0.1", sluice.port))
        sluice.stop()
        sluice.options["forward.heartbeat"] = True
        sluice.write_config()
        sluice.start()
        sluice.wait_log(r"no UDP heartbeats on port %d of 127\.0\.0\.1: Address already" %
                        sluice.port)
        (listener,) = sluice.status()["listeners"]
        equal(listener["heartbeats"], False, "heartbeats in status")
        client = sluice.connect()
        client.send(forward.message("t", (T, {"serial": 0}), {"chunk": "a"}))
        equal(client.ack(), "a", "ack")
    sluice.stop()

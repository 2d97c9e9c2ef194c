"""A full journal holds the clients back: acks stop, nothing is refused, all arrives later."""
import os
import time

from forward import Tally, serial_of
from harness import limit, wait_until


@limit(180)
def test_journal_full(ctx):
    server = ctx.otlp(start=False, project=serial_of)
    sluice = ctx.sluice(otlp=server, options={
        "journal.total_limit": "8M", "journal.segment_size": "1M", "forward.max_chunk": "256k",
        "receiver.memory": "2M", "retry.min": "50ms", "retry.max": "500ms"})
    load = sluice.load("a", rate=50000, chunk=20, window=2000, padding=2000)
    last = [0, time.monotonic()]

    def held():
        if load.acked_records != last[0]:
            last[:] = [load.acked_records, time.monotonic()]
        return time.monotonic() - last[1] > 2
    wait_until(held, 90, "acks stop")
    at_hold = load.acked_records
    assert at_hold > 0 and load.unacked(), load
    assert load.broken == load.refused == 0 and load.connects == 1, load
    size = disk_usage(sluice.data_dir)
    ctx.note("held after %d records, %d kB on disk, %d chunks waiting" % (
        at_hold, size >> 10, len(load.unacked())))
    assert size <= 12 << 20, "%d bytes on disk" % size
    # New connections are still taken.
    with sluice.connect() as other:
        assert other.sock.getpeername()[1] == sluice.port
    server.start()
    load.progress(1000, 60)
    load.finish(60)
    server.wait(lambda: len(server.records) >= load.sent_records, 60, "all records")
    sluice.stop()
    assert load.broken == load.refused == 0 and load.connects == 1, load
    Tally(server.records, [load]).check()


def disk_usage(top):
    total = 0
    for folder, _, names in os.walk(top):
        for name in names:
            try:
                total += os.stat(os.path.join(folder, name)).st_blocks * 512
            except FileNotFoundError:
                pass
    return total


@limit(120)
def test_restart_while_full(ctx):
    """Killed while it is full, it starts again, and delivers when the server is there."""
    server = ctx.otlp(start=False, project=serial_of)
    sluice = ctx.sluice(otlp=server, options={
        "journal.total_limit": "4M", "journal.segment_size": "1M", "forward.max_chunk": "256k",
        "receiver.memory": "2M", "retry.min": "50ms", "retry.max": "500ms"})
    load = sluice.load("a", rate=50000, chunk=20, window=500, padding=2000)
    last = [0, time.monotonic()]

    def held():
        if load.acked_records != last[0]:
            last[:] = [load.acked_records, time.monotonic()]
        return time.monotonic() - last[1] > 2
    wait_until(held, 60, "acks stop")
    load.pause()
    sluice.kill_all()
    sluice.start()
    server.start()
    load.pause(False)
    load.progress(500, 60)
    load.finish(60)
    wanted = {("a", s) for s in range(load.sent_records)}
    server.wait(lambda: len(server.records) >= len(wanted) and wanted <= set(server.records), 60,
                "all records")
    sluice.stop()
    twice = Tally(server.records, [load]).check("resent")
    ctx.note("%d twice" % twice)

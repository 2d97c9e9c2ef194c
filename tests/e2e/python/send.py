"""Sends the corpus (client_corpus.py) with Python's fluent-logger in its modes, and prints for each
run's id {"sent": n, "failed": ["number: why", ...]}.

Argument: a JSON file. host, port, corpus (the file's path), runs: id (the tag's prefix), kind,
labels, and by kind:

    sender      FluentSender.emit_with_time: time ("seconds", "float", "event_time" or "now"), async
    legacy      strings and bytes both as the old raw type
    event       fluent.event.Event through the global sender
    handler     logging, with FluentHandler and FluentRecordFormatter: async, precise, format
    unsayable   an object that no encoder knows
"""
import base64
import datetime
import json
import logging
import sys
import threading

import fluent.asynchandler
import fluent.asyncsender
import fluent.event
import fluent.handler
import fluent.sender

TIME_S = 1700000000             # of record 0; clients.py knows it too


def value(typed):
    ((kind, v),) = typed.items()
    if kind == "n":
        return None
    if kind == "i":
        return int(v)
    if kind == "f":
        return float(v)
    if kind == "x":
        return base64.b64decode(v)
    if kind == "d":
        return datetime.datetime.fromtimestamp(v / 1000, datetime.timezone.utc)
    if kind == "a":
        return [value(one) for one in v]
    if kind == "m":
        return {key: value(one) for key, one in v}
    return v


def moment(run, number):
    """What the caller passes as time."""
    if run["time"] == "seconds":
        return TIME_S + number
    return TIME_S + number + number % 8 / 8     # exact in a float


def send_corpus(run, settings, corpus):
    module = fluent.asyncsender if run.get("async") else fluent.sender
    kwargs = {"datetime": True}
    if run["kind"] == "legacy":
        kwargs["use_bin_type"] = False
    sender = module.FluentSender(run["id"], host=settings["host"], port=settings["port"],
                                 timeout=20, msgpack_kwargs=kwargs,
                                 nanosecond_precision=run["time"] in ("event_time", "now"))
    failed = []
    for at, (number, fields) in enumerate(corpus[:run.get("take") or None]):
        record = dict(value(fields), run=run["id"], number=number)
        label = run["labels"][at % len(run["labels"])]
        if run["time"] == "now":
            ok = sender.emit(label, record)
        else:
            ok = sender.emit_with_time(label, moment(run, number), record)
        if not ok or sender.last_error:
            failed.append("%d: %r" % (number, sender.last_error))
    sender.close()
    return {"sent": at + 1, "failed": failed}


def send_events(run, settings, corpus):
    fluent.sender.setup(run["id"], host=settings["host"], port=settings["port"], timeout=20,
                        msgpack_kwargs={"datetime": True})
    for at, (number, fields) in enumerate(corpus):
        fluent.event.Event(run["labels"][at % len(run["labels"])],
                           dict(value(fields), run=run["id"], number=number),
                           time=TIME_S + number)
    error = fluent.sender.get_global_sender().last_error
    fluent.sender.close()
    return {"sent": len(corpus), "failed": [repr(error)] if error else []}


def send_logging(run, settings, _):
    module = fluent.asynchandler if run.get("async") else fluent.handler
    handler = module.FluentHandler(run["id"], host=settings["host"], port=settings["port"],
                                   timeout=20, nanosecond_precision=run["precise"])
    handler.setFormatter(fluent.handler.FluentRecordFormatter(run["format"]))
    logger = logging.getLogger(run["id"])
    logger.propagate = False
    logger.setLevel(logging.DEBUG)
    logger.addHandler(handler)
    logger.debug("a debug line")
    logger.info("an info line with %s and %d", "words", 42)
    logger.warning({"job_id": "job-1", "message": "a map"})
    logger.error('{"json": true, "n": [1, 2]}')
    try:
        raise ValueError("no such job")
    except ValueError:
        logger.exception("it failed: ü 😀")
    logger.critical("the last line")
    handler.close()
    return {"sent": 6, "failed": []}


def send_unsayable(run, settings, _):
    sender = fluent.sender.FluentSender(run["id"], host=settings["host"], port=settings["port"])
    sender.emit_with_time("a", TIME_S, {"message": object()})
    error = sender.last_error
    sender.close()
    return {"sent": 1, "failed": [], "error": type(error).__name__}


def main():
    with open(sys.argv[1]) as f:
        settings = json.load(f)
    with open(settings["corpus"]) as f:
        corpus = json.load(f)
    kinds = {"sender": send_corpus, "legacy": send_corpus, "event": send_events,
             "handler": send_logging, "unsayable": send_unsayable}
    done = {}

    def one(run):
        try:
            done[run["id"]] = kinds[run["kind"]](run, settings, corpus)
        except Exception as e:
            done[run["id"]] = {"sent": 0, "failed": [repr(e)]}

    threads = [threading.Thread(target=one, args=(run,)) for run in settings["runs"]]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    json.dump(done, sys.stdout)


main()

/*
 * The two Forward clients of npm behind one face, for corpus.js and stream.js:
 *
 *     const sender = open(run, host, port);
 *     sender.emit(label, record, time)    a promise, kept when the client says that it was sent (or
 *                                         acknowledged), broken with the client's error
 *     sender.errors                       what its socket said, as text
 *     sender.refused                      a promise, kept after the first of these
 *     sender.revive()                     fluent-logger's only: see stream.js
 *     await sender.close()
 *
 * run: id (the tag's prefix), lib ("@fluent-org/logger" or "fluent-logger"), mode, ack (ms; 0:
 * none), time (see moment), security (or null), flush_interval, reconnect (ms), retry
 * (@fluent-org/logger's eventRetry, or null).
 */
"use strict";

const TIME_S = 1700000000;      /* of record 0; clients.py knows it too */

/* The time of a record, in the form that run.time names; undefined: the client takes its own. */
function moment(run, number) {
    const seconds = TIME_S + number, ms = 7 * number + 1;

    switch (run.time) {
    case "seconds":             /* fluent-logger sends a number as it is */
        return run.lib === "fluent-logger" ? seconds : new Date(seconds * 1000 + ms);
    case "date":                /* cut to seconds, or with "milliseconds" not */
    case "milliseconds":
        return new Date(seconds * 1000 + ms);
    case "number":              /* @fluent-org/logger takes numbers as milliseconds */
        return seconds * 1000 + ms;
    case "event_time":
        return new (require(run.lib).EventTime)(seconds, ms * 1000000 + number);
    case "now":
        return undefined;
    }
    throw new Error(`no time ${run.time}`);
}

function openFluentOrg(run, host, port, sender) {
    const { FluentClient } = require("@fluent-org/logger");
    const client = new FluentClient(run.id, {
        eventMode: run.mode,
        milliseconds: run.time !== "seconds",
        ...(run.ack ? { ack: { ackTimeout: run.ack } } : {}),
        ...(run.retry ? { eventRetry: run.retry } : {}),
        flushInterval: run.flush_interval || 0,
        socket: { host, port, timeout: 20000,
                  reconnect: { delay: run.reconnect || 500, backoff: 1 } },
        ...(run.security ? { security: run.security } : {}),
    });
    client.socketOn("error", sender.say);
    client.socketOn("close", () => sender.errors.length > 0 && sender.give_up());
    /* How often each record went out: again after an error, under a new id. */
    const push = client.pushEvent.bind(client);
    client.pushEvent = (tag, time, record) => {
        sender.pushes.set(record, (sender.pushes.get(record) || 0) + 1);
        return push(tag, time, record);
    };
    sender.emit = (label, record, time) => client.emit(label, record, time);
    sender.close = () => client.shutdown();
}

function openFluentLogger(run, host, port, sender) {
    const waiting = new Set();
    let logger;

    function start() {
        logger = require("fluent-logger").createFluentSender(run.id, {
            host, port, timeout: 20000,
            eventMode: run.mode,
            milliseconds: run.time === "milliseconds",
            requireAckResponse: Boolean(run.ack),
            ackResponseTimeout: run.ack,
            flushInterval: run.flush_interval || 5,
            reconnectInterval: run.reconnect || 500,
            internalLogger: { info() {}, error() {} },
            ...(run.security ? { security: run.security } : {}),
        });
        logger.on("error", (error) => { sender.say(error); sender.give_up(); });
    }

    sender.emit = (label, record, time) => new Promise((resolve, reject) => {
        const said = (error) => {
            waiting.delete(reject);
            error ? reject(error) : resolve();
        };
        sender.pushes.set(record, (sender.pushes.get(record) || 0) + 1);
        waiting.add(reject);
        /* Behind an undefined time it would not see the callback. */
        logger.emit(label, record, ...(time === undefined ? [said] : [time, said]));
    });
    sender.close = () => new Promise((resolve) => logger.end(null, null, resolve));
    sender.revive = () => {
        logger.end();
        start();
        for (const reject of waiting)
            reject(new Error("the logger crashed"));
        waiting.clear();
    };
    start();
}

function open(run, host, port) {
    const sender = { errors: [], pushes: new Map() };

    sender.refused = new Promise((resolve) => { sender.give_up = resolve; });
    sender.say = (error) => sender.errors.push(`${error.name}: ${error.message}`);
    (run.lib === "fluent-logger" ? openFluentLogger : openFluentOrg)(run, host, port, sender);
    return sender;
}

module.exports = { open, moment };

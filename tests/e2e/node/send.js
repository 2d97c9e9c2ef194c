/*
 * Sends numbered records with one of the two Forward clients of npm, with acks, and prints what
 * became of them: {"acked": n, "failed": ["serial: why", ...]}.
 *
 * Argument, JSON: lib ("@fluent-org/logger" or "fluent-logger"), mode, host, port, count, client,
 * tag; ack_timeout (ms); key (optional): the shared key.
 */
"use strict";

const s = JSON.parse(process.argv[2]);

function record(serial) {
    return { client: s.client, serial, message: `hello ${serial}`, level: "warn",
             ratio: serial + 0.5, ok: serial % 2 === 0, nested: { list: [1, "two", null] } };
}

async function fluentOrg() {
    const { FluentClient } = require("@fluent-org/logger");
    const client = new FluentClient(s.tag, {
        eventMode: s.mode,
        milliseconds: true,
        ack: { ackTimeout: s.ack_timeout },
        socket: { host: s.host, port: s.port, timeout: 10000 },
        ...(s.key ? { security: { clientHostname: "node.example", sharedKey: s.key } } : {}),
    });
    const results = [];
    for (let i = 0; i < s.count; i++) {
        results.push(client.emit("node", record(i)).then(() => null, (e) => `${i}: ${e}`));
        if (i % 50 === 49)
            await Promise.all(results);     /* several messages, not one for all */
    }
    const done = await Promise.all(results);
    await client.disconnect();
    return done;
}

async function fluentLogger() {
    const logger = require("fluent-logger").createFluentSender(s.tag, {
        host: s.host, port: s.port, timeout: 10000, eventMode: s.mode, requireAckResponse: true,
        ackResponseTimeout: s.ack_timeout, flushInterval: 20,
        internalLogger: { info() {}, error() {} },
        ...(s.key ? { security: { clientHostname: "node.example", sharedKey: s.key } } : {}),
    });
    const results = [];
    for (let i = 0; i < s.count; i++)
        results.push(new Promise((resolve) =>
            logger.emit("node", record(i), (e) => resolve(e ? `${i}: ${e}` : null))));
    const done = await Promise.all(results);
    await new Promise((resolve) => logger.end(null, null, resolve));
    return done;
}

const send = s.lib === "fluent-logger" ? fluentLogger : fluentOrg;
send().then((done) => {
    const failed = done.filter((why) => why !== null);
    process.stdout.write(JSON.stringify({ acked: done.length - failed.length, failed }),
                         () => process.exit(0));
}, (e) => {
    process.stderr.write(`${e.stack}\n`, () => process.exit(1));
});

/*
 * Sends numbered records until it is told to stop, so that the service may be restarted meanwhile.
 * What the client reports as failed is sent again: that is the application's part.
 *
 * Argument: a JSON file. host, port, runs: see senders.js. Prints lines of JSON: {"acked": n}, of
 * all runs together, as n grows; and after a line on standard input, when all is acknowledged,
 * {"done": {id: {"sent": n, "again": {number: times sent, if more than once}, "errors": [...]}}}.
 */
"use strict";

const fs = require("fs");
const { open, moment } = require("./senders.js");

const settings = JSON.parse(fs.readFileSync(process.argv[2]));
const WINDOW = 40;              /* records under way, per run */
const senders = [];
let stop = false, acked = 0, crashes = 0;

function say(what) {
    process.stdout.write(`${JSON.stringify(what)}\n`);
}

function pause(ms) {
    return new Promise((resolve) => setTimeout(resolve, ms));
}

async function deliver(sender, run, record) {
    for (;;) {
        try {
            await sender.emit("s", record, moment(run, record.number));
            break;
        } catch (e) {
            await pause(20);
        }
    }
    if (++acked % 50 === 0)
        say({ acked });
}

async function send(run) {
    const sender = open(run, settings.host, settings.port);
    const under_way = new Set();
    const records = [];

    senders.push(sender);
    while (!stop) {
        const record = { run: run.id, number: records.length, message: `hello ${records.length}` };
        const one = deliver(sender, run, record);

        records.push(record);
        under_way.add(one);
        one.finally(() => under_way.delete(one));
        if (under_way.size >= WINDOW)
            await Promise.race(under_way);
        else
            await pause(1);
    }
    await Promise.all(under_way);
    await sender.close();
    const again = records.map((r) => [r.number, sender.pushes.get(r)]).filter(([, n]) => n > 1);
    return [run.id, { sent: records.length, again: Object.fromEntries(again),
                      errors: sender.errors }];
}

/*
 * fluent-logger throws where its connection ends between a write and the write's end, and sends
 * nothing any more. An application would end and start again; here its loggers do.
 */
process.on("uncaughtException", (e) => {
    if (!e.stack.includes("fluent-logger") || ++crashes > 20) {
        process.stderr.write(`${e.stack}\n`, () => process.exit(1));
        return;
    }
    senders.filter((s) => s.revive).forEach((s) => s.revive());
});
process.stdin.once("data", () => { stop = true; });
Promise.all(settings.runs.map(send)).then((done) => {
    say({ done: Object.fromEntries(done) });
    process.stdout.write("", () => process.exit(0));
}, (e) => {
    process.stderr.write(`${e.stack}\n`, () => process.exit(1));
});

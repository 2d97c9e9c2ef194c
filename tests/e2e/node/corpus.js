/*
 * Sends the corpus (client_corpus.py) through many loggers at once, and prints a JSON object: for
 * each run's id {"acked": n, "failed": ["number: why", ...], "errors": [...]}.
 *
 * Argument: a JSON file. host, port, corpus (the file's path), runs: see senders.js, and beside
 * that labels (the tags' ends, in turn), group (records that are sent in one go), take (only so
 * many records), give_up (stop at the first error).
 */
"use strict";

const fs = require("fs");
const { open, moment } = require("./senders.js");

const settings = JSON.parse(fs.readFileSync(process.argv[2]));
const corpus = JSON.parse(fs.readFileSync(settings.corpus));

function integer(text, lib) {
    const number = Number(text);

    if (Number.isSafeInteger(number))
        return number;
    if (lib !== "fluent-logger")
        throw new Error(`${text} is no number of this client's`);
    const { Uint64BE, Int64BE } = require("int64-buffer");      /* msgpack-lite's own types */
    return text.startsWith("-") ? new Int64BE(text) : new Uint64BE(text);
}

/* Records are made once per library: the loggers do not change them, but count them by identity. */
function value(typed, lib) {
    const [[kind, v]] = Object.entries(typed);

    switch (kind) {
    case "n": return null;
    case "i": return integer(v, lib);
    case "f": return Number(v.replace("inf", "Infinity").replace("nan", "NaN"));
    case "x": return Buffer.from(v, "base64");
    case "d": return new Date(v);
    case "a": return v.map((one) => value(one, lib));
    case "m": return Object.fromEntries(v.map(([key, one]) => [key, value(one, lib)]));
    }
    return v;
}

async function send(run) {
    const sender = open(run, settings.host, settings.port);
    const records = corpus.slice(0, run.take || corpus.length);
    const results = [];

    const all = (async () => {
        for (const [at, [number, fields]] of records.entries()) {
            const record = Object.assign(value(fields, run.lib), { run: run.id, number });
            const sent = sender.emit(run.labels[at % run.labels.length], record,
                                     moment(run, number));
            results.push(sent.then(() => null, (e) => `${number}: ${e.name}: ${e.message}`));
            if (at % run.group === run.group - 1)
                await Promise.all(results);
        }
        return Promise.all(results);
    })();
    if (run.give_up)
        await Promise.race([all, sender.refused]);
    else
        await all;
    await sender.close();
    /* A refused client may keep a promise open for ever. */
    const done = await Promise.all(results.map((r) => run.give_up
        ? Promise.race([r, new Promise((resolve) => setImmediate(resolve, "never said"))]) : r));
    const failed = done.filter((why) => why !== null);
    return [run.id, { acked: done.length - failed.length, failed, errors: sender.errors }];
}

Promise.all(settings.runs.map(send)).then((done) => {
    process.stdout.write(JSON.stringify(Object.fromEntries(done)), () => process.exit(0));
}, (e) => {
    process.stderr.write(`${e.stack}\n`, () => process.exit(1));
});

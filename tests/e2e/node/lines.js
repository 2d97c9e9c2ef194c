/*
 * Writes text into fluent-logger's stream (toStream): a record for each line. Prints "done" when
 * all but the last, unfinished line were acknowledged.
 *
 * Argument: a JSON file. host, port, id (the tag's prefix), label, pieces (the texts to write).
 */
"use strict";

const fs = require("fs");

const s = JSON.parse(fs.readFileSync(process.argv[2]));
const logger = require("fluent-logger").createFluentSender(s.id, {
    host: s.host, port: s.port, requireAckResponse: true, timeout: 20000,
    internalLogger: { info() {}, error() {} },
});
const stream = logger.toStream(s.label);
logger.on("error", (e) => process.stderr.write(`${e.stack}\n`, () => process.exit(1)));

(async () => {
    for (const piece of s.pieces)
        await new Promise((resolve) => stream.write(piece, resolve));
    logger.end(null, null, () => process.stdout.write("\"done\"", () => process.exit(0)));
})();

/*
 * Logs through fluent-logger's transport for winston, with acks, and prints "done".
 *
 * Argument: a JSON file. host, port, id (the tag), infos (what winston would give the transport).
 */
"use strict";

const fs = require("fs");

const s = JSON.parse(fs.readFileSync(process.argv[2]));
const Transport = require("fluent-logger").support.winstonTransport();
const transport = new Transport(s.id, {
    host: s.host, port: s.port, requireAckResponse: true, timeout: 20000,
    internalLogger: { info() {}, error() {} },
});
transport.on("error", (e) => process.stderr.write(`${e.stack}\n`, () => process.exit(1)));

(async () => {
    for (const info of s.infos)
        await new Promise((resolve) => transport.write(info, resolve));
    transport.end(() => process.stdout.write("\"done\"", () => process.exit(0)));
})();

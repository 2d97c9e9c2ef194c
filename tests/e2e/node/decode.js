/*
 * Decodes files, an ExportLogsServiceRequest each, with the protobuf definitions that
 * @opentelemetry/otlp-transformer carries, and prints them as an array of plain objects. 64-bit
 * numbers are strings, bytes base64, absent fields absent.
 *
 * Argument, JSON: {"files": [path, ...]}.
 */
"use strict";

const fs = require("fs");
const path = require("path");

const transformer = path.dirname(require.resolve("@opentelemetry/otlp-transformer"));
const root = require(path.join(transformer, "generated", "root.js"));
const type = root.opentelemetry.proto.collector.logs.v1.ExportLogsServiceRequest;

const { files } = JSON.parse(process.argv[2]);
const out = files.map((file) => type.toObject(type.decode(fs.readFileSync(file)),
                                              { longs: String, enums: Number, bytes: String }));
process.stdout.write(JSON.stringify(out));

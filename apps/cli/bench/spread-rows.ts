/**
 * Started by spread-columns.ts: `spread-rows.ts FILE ROWS COLUMNS SIZE PART` writes gradient rows [ROWS, COLUMNS], f32, as one part of SIZE columns, row by row. Their
 * distribution is that of huge-solve.ts: s_j times a uniform number in [-1, 1), with log-normal s_j, so that a row has a squared norm of about 1.
 */
import { closeSync, openSync, writeSync } from "node:fs";
import process from "node:process";
import { createRng } from "@secateur/core";
import { encodeNpyHeader } from "@secateur/formats";

const [path = "", ...numbers] = process.argv.slice(2);
const [rows = 0, cols = 0, size = 0, part = 0] = numbers.map(Number);
const draw = createRng(0).fork(`part ${part}`);
// Uniform numbers in [-1, 1) have a variance of 1/3, squares of log-normal ones a mean of e^2.
const unit = Math.sqrt(3 / (size * Math.E ** 2)) / 2 ** 31;
const scales = Float32Array.from({ length: cols }, () => unit * Math.exp(draw.normal()));
let state = draw.integer(2 ** 31 - 1) + 1;
const file = openSync(path, "w");
writeAll(encodeNpyHeader({ shape: [rows, cols], dtype: "f32" }));
const row = new Float32Array(cols);
for (let i = 0; i < rows; i++) {
  for (let j = 0; j < cols; j++) {
    // Marsaglia's xorshift, 2003.
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    row[j] = state * scales[j]!;
  }
  writeAll(new Uint8Array(row.buffer));
}
closeSync(file);

function writeAll(bytes: Uint8Array): void {
  for (let at = 0; at < bytes.length; ) at += writeSync(file, bytes, at);
}

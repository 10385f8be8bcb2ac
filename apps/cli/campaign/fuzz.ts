/**
 * `npm run fuzz [-- --format NAME --minutes 30 --seed 1 --cases 100000 --keep DIR]`: damaged files of every format, read as
 * users read them. Every verdict must be typed, within a second, and within 64 MB plus ten times the larger of the file and
 * its content. Prints a line a format; exits with 1 where a promise was broken, and keeps such files in DIR.
 * `--format onnx --differential FOLDER` judges each file beside the onnxruntime-node installed in FOLDER instead (fuzz/differential.ts).
 */
import { mkdirSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import process from "node:process";
import { parseArgs } from "node:util";
import { differentialOnnx } from "./fuzz/differential.ts";
import { fuzzFormats } from "./fuzz/formats.ts";
import { runFuzz } from "./fuzz/run-fuzz.ts";

const { values } = parseArgs({
  options: {
    format: { type: "string", multiple: true },
    minutes: { type: "string", default: "1" },
    seed: { type: "string", default: String(Date.now() % 1e9) },
    cases: { type: "string" },
    keep: { type: "string" },
    differential: { type: "string" },
  },
});
// npm starts scripts in the root of the repository and says here where it was called.
const runtimes = values.differential && resolve(process.env["INIT_CWD"] ?? "", values.differential);
const formats = runtimes ? { onnx: async () => differentialOnnx(runtimes) } : fuzzFormats;
const known = Object.keys(formats);
const chosen = values.format ?? known;
const unknown = chosen.find((name) => !known.includes(name));
if (unknown !== undefined) {
  process.stderr.write(`fuzz: there is no format '${unknown}'; known: ${known.join(", ")}\n`);
  process.exit(2);
}
const seed = Number(values.seed);
const minutes = Number(values.minutes);
const cases = values.cases === undefined ? Number.POSITIVE_INFINITY : Number(values.cases);
if (!Number.isSafeInteger(seed) || !(minutes > 0) || !(cases > 0)) {
  process.stderr.write("fuzz: --seed takes a whole number, --minutes and --cases numbers above 0\n");
  process.exit(2);
}

let isWhole = true;
for (const name of chosen) {
  const format = await (formats as typeof fuzzFormats)[name]!();
  const until = performance.now() + (minutes * 60_000) / chosen.length;
  const report = await runFuzz({ format, seed, cases, until, isTimed: !runtimes });
  format.close?.();
  const verdicts = [...report.verdicts].sort(([, a], [, b]) => b - a).map(([verdict, count]) => `${verdict} ${count}`);
  process.stdout.write(
    `${name}: seed ${seed}, ${report.cases} cases, ${report.faults.length} faults, slowest ${report.slowestMs.toFixed(0)} ms; ${verdicts.join(", ")}\n`,
  );
  for (const { kind, index, detail, file } of report.faults.slice(0, 20)) {
    process.stdout.write(`  ${kind} in case ${index} (${file.length} bytes): ${detail}\n`);
    if (values.keep === undefined) continue;
    mkdirSync(values.keep, { recursive: true });
    writeFileSync(join(values.keep, `${name}-${kind}-${seed}-${index}.bin`), file);
  }
  isWhole &&= report.faults.length === 0;
}
process.exitCode = isWhole ? 0 : 1;

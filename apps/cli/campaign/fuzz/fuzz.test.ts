import { describe, expect, test } from "vitest";
import { fuzzFormats } from "./formats.ts";
import { runFuzz } from "./run-fuzz.ts";

/** Formats that are run when they were read. */
const slow = new Set(["onnx", "secateur"]);

describe("damaged files of fixed seeds are read or refused with a code and one line", () => {
  for (const [name, open] of Object.entries(fuzzFormats)) {
    test(name, async () => {
      const format = await open();
      try {
        // Reading a folder or starting the JPEG decoder again costs milliseconds a case.
        const cases = name === "jpeg" ? 25 : name === "png" ? 80 : slow.has(name) || format.close ? 150 : 800;
        const report = await runFuzz({ format, seed: 1, cases, until: Number.POSITIVE_INFINITY, isTimed: false });
        expect(report.faults.map(({ kind, index, detail }) => `${kind} in case ${index}: ${detail}`)).toEqual([]);
        // Damage that is never noticed, or always fatal, tests nothing.
        expect(report.verdicts.get("accepted")).toBeGreaterThan(0);
        expect([...report.verdicts].some(([verdict]) => verdict.startsWith("ERR_"))).toBe(true);
      } finally {
        format.close?.();
      }
    });
  }

  test("and a reader that throws something else, or steers the terminal, is noticed", async () => {
    const corpus = [Uint8Array.of(1)];
    const run = (read: () => number) =>
      runFuzz({
        format: { name: "x", corpus, read },
        seed: 1,
        cases: 3,
        until: Number.POSITIVE_INFINITY,
        isTimed: false,
      });
    const untyped = await run(() => {
      throw new RangeError("Maximum call stack size exceeded");
    });
    expect(untyped.faults.map(({ kind }) => kind)).toEqual(["untyped", "untyped", "untyped"]);
    const steering = await run(() => {
      throw Object.assign(new Error("\u001b[2J"), { name: "PruneError", code: "ERR_X", fault: "input" });
    });
    expect(steering.faults.map(({ kind }) => kind)).toEqual(["message", "message", "message"]);
  });
});

import { spawnSync } from "node:child_process";
import { referenceKernels } from "@secateur/core";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { compileBuild } from "../builds.ts";
import { createWasmKernels } from "../create-wasm-kernels.ts";
import { type Engine, startEngine } from "../engine.ts";
import { Operands } from "../kernels.test-support.ts";
import { WasmMemory } from "../memory/wasm-memory.ts";
import { pretendToBeAPage } from "./web-worker.test-support.ts";

const THREADS = 3;

describe("threads", () => {
  let engine: Engine;
  beforeAll(async () => {
    const { module } = await compileBuild();
    engine = await startEngine(module, new WasmMemory(2 ** 28), THREADS);
  });
  afterAll(() => engine.close());

  /** Counts per thread after one dispatch: histograms are kept in each thread's own scratch. */
  function countedBy(units: number): number[] {
    const perUnit = 16384;
    const scores = engine.memory.alloc(units * perUnit, "f32").fill(1);
    const address = engine.memory.addressOf(scores) as number;
    for (const scratch of engine.scratch) engine.memory.u32.fill(0, scratch / 4, scratch / 4 + 4 * 2048);
    engine.run("histogram32", units, 1e9, address, scores.length, 21, 11, 0);
    engine.memory.free(scores);
    return engine.scratch.map((scratch) =>
      engine.memory.u32.subarray(scratch / 4, scratch / 4 + 4 * 2048).reduce((sum, count) => sum + count, 0),
    );
  }

  it("all take part, each in scratch of its own, and every unit is done once", () => {
    const took = new Set<number>();
    // A busy machine may let one thread do everything; it cannot do so for ever.
    for (let round = 0; round < 2000 && took.size < THREADS; round++) {
      const counts = countedBy(40);
      expect(counts.reduce((sum, count) => sum + count)).toBe(40 * 16384);
      counts.forEach((count, thread) => {
        if (count > 0) took.add(thread);
      });
    }
    expect(took.size).toBe(THREADS);
  });

  it("loses no unit over thousands of short dispatches in a row", () => {
    const vector = engine.memory.alloc(8 * 4096, "f64");
    const address = engine.memory.addressOf(vector) as number;
    const ones = engine.memory.alloc(8 * 4096, "f64").fill(1);
    const onesAddress = engine.memory.addressOf(ones) as number;
    for (let round = 0; round < 3000; round++) engine.run("axpy64", 8, 1e9, 1, onesAddress, address, vector.length);
    expect(vector.every((value) => value === 3000)).toBe(true);
  });

  it("a kernel that fails is an error, on whichever thread it fails, and the next call works", () => {
    const units = 12;
    // The last unit of f32 lies beyond the end of the memory.
    const address = engine.memory.memory.buffer.byteLength - (units - 1) * 4096 * 4;
    const failures = new Set<unknown>();
    // Any thread may take that unit; with enough rounds both kinds come up.
    for (let round = 0; round < 5000 && failures.size < 2; round++) {
      try {
        engine.run("relu32", units, 1e9, address, address, units * 4096);
        expect.unreachable("a kernel beyond the memory must fail");
      } catch (error) {
        failures.add(error instanceof WebAssembly.RuntimeError ? "here" : (error as { code?: string }).code);
      }
    }
    expect([...failures].sort()).toEqual(["ERR_WASM_THREAD", "here"]);
    expect(countedBy(3).reduce((sum, count) => sum + count)).toBe(3 * 16384);
  });

  it("a row of logits wider than scratch leaves the next thread's scratch alone", () => {
    const columns = 40_000;
    const vector = (length: number): number => engine.memory.addressOf(engine.memory.alloc(length, "f64")) as number;
    const [logits, labels, losses, delta] = [vector(columns), vector(1), vector(1), vector(columns)];
    const next = (engine.scratch[1] as number) / 4;
    engine.memory.u32.fill(0xabcdef, next, next + 10_000);
    engine.run("softmaxRows64", 1, 0, logits, columns, labels, losses, delta);
    // Equal logits: every class is as likely.
    expect(engine.memory.f64[losses / 8]).toBeCloseTo(Math.log(columns), 12);
    expect(engine.memory.u32.subarray(next, next + 10_000).every((word) => word === 0xabcdef)).toBe(true);
  });

  it("are independent of each other in two sets of kernels at once", async () => {
    const [first, second] = await Promise.all([createWasmKernels({ threads: 2 }), createWasmKernels({ threads: 2 })]);
    for (const kernels of [first, second]) {
      const make = new Operands(kernels, "f32", "inside");
      const [a, b, out] = [make.whole(200, 200), make.whole(200, 200), make.filled(200, 200, 0)];
      const expected = { ...out, data: out.data.slice() };
      kernels.gemm({ a, b, out });
      referenceKernels.gemm({ a, b, out: expected });
      expect(out.data).toEqual(expected.data);
      await kernels.close();
    }
  });

  it("are web workers in a cross-origin isolated page, one a core", async () => {
    const page = pretendToBeAPage(3);
    try {
      const kernels = await createWasmKernels();
      expect(kernels.threads).toBe(3);
      expect(page.started()).toBe(2);
      const x = kernels.alloc(1_000_000, "f32").fill(2);
      for (let round = 0; round < 20; round++) expect(kernels.dot(x, x)).toBe(4_000_000);
      await kernels.close();
      await vi.waitFor(() => expect(page.ended()).toBe(2), { timeout: 5000 });
    } finally {
      vi.unstubAllGlobals();
    }
  });

  it("do not keep a process alive that forgets to close", () => {
    const entry = new URL("../../dist/index.js", import.meta.url).href;
    const program = `import { createWasmKernels } from ${JSON.stringify(entry)};
      const kernels = await createWasmKernels({ threads: 2 });
      process.stdout.write(kernels.name);`;
    const { status, stdout } = spawnSync(process.execPath, ["--input-type=module", "--eval", program], {
      encoding: "utf8",
      timeout: 20_000,
    });
    expect(status).toBe(0);
    expect(stdout).toMatch(/^wasm-/);
  });
});

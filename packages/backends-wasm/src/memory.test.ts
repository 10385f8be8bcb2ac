import { setTimeout as pause } from "node:timers/promises";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { matrix, referenceKernels, type Vec } from "@secateur/core";
import { afterEach, describe, expect, it } from "vitest";
import { createWasmKernels, type WasmKernelOptions, type WasmKernels } from "./create-wasm-kernels.ts";
import { Operands, TINY_MEMORY } from "./kernels.test-support.ts";

setFlagsFromString("--expose-gc");
const collectGarbage = runInNewContext("gc") as () => void;

const started: WasmKernels[] = [];
async function start(options: WasmKernelOptions = {}): Promise<WasmKernels> {
  const kernels = await createWasmKernels({ threads: 1, ...options });
  started.push(kernels);
  return kernels;
}
afterEach(async () => {
  await Promise.all(started.splice(0).map((kernels) => kernels.close()));
});

/** Collects garbage until `isDone`, for at most about a second. */
async function collectUntil(isDone: () => boolean): Promise<boolean> {
  for (let round = 0; round < 100 && !isDone(); round++) {
    collectGarbage();
    await pause(10);
  }
  return isDone();
}

describe("memory", () => {
  it("alloc gives zeros, also where freed vectors left numbers", async () => {
    const kernels = await start();
    const first = kernels.alloc(1000, "f64");
    expect(first.every((value) => value === 0)).toBe(true);
    first.fill(5);
    kernels.free(first);
    expect(kernels.usedBytes()).toBe(0);
    for (const dtype of ["f32", "f64"] as const) {
      const again = kernels.alloc(1500, dtype);
      expect(again.every((value) => value === 0)).toBe(true);
      again.fill(Number.NaN);
      kernels.free(again);
    }
  });

  it("alloc refuses lengths that are not whole numbers, and takes 0", async () => {
    const kernels = await start();
    for (const length of [-1, 0.5, Number.NaN]) expect(() => kernels.alloc(length, "f32")).toThrow(/whole number.*got/);
    expect(kernels.usedBytes()).toBe(0);
    expect(kernels.alloc(0, "f64")).toHaveLength(0);
  });

  it("keeps vectors valid while the memory grows, and computes on old ones afterwards", async () => {
    const kernels = await start();
    const early = kernels.alloc(3, "f32");
    early.set([1, 2, 3]);
    const large = kernels.alloc(20_000_000, "f32");
    large[19_999_999] = 7;
    expect([...early]).toEqual([1, 2, 3]);
    expect(large.buffer).not.toBe(early.buffer);
    kernels.axpy(2, early, early);
    expect([...early]).toEqual([3, 6, 9]);
    expect(kernels.dot(large, large)).toBe(49);
  });

  it("knows its vectors while other memories grow", async () => {
    const first = await start();
    const early = first.alloc(3, "f32");
    const second = await start();
    second.alloc(20_000_000, "f32");
    const late = first.alloc(3, "f32");
    expect([early, late].map((vector) => first.holds!(vector))).toEqual([true, true]);
    expect(second.holds!(late)).toBe(false);
  });

  it("falls back to ordinary arrays when the memory is full, and works on them", async () => {
    const kernels = await start({ maxMemoryBytes: TINY_MEMORY });
    const vectors = Array.from({ length: 5 }, () => kernels.alloc(100_000, "f32").fill(1));
    const used = kernels.usedBytes();
    expect(used).toBeGreaterThan(0);
    expect(used).toBeLessThan(TINY_MEMORY);
    for (const x of vectors) for (const y of vectors) expect(kernels.dot(x, y)).toBe(100_000);
  });

  it("free ignores foreign vectors, copies and vectors given back before", async () => {
    const kernels = await start();
    const kept = kernels.alloc(10, "f32");
    const used = kernels.usedBytes();
    kernels.free(new Float32Array(10));
    kernels.free(kept.slice());
    kernels.free(kept.subarray(2));
    expect(kernels.usedBytes()).toBe(used);
    kernels.free(kept);
    kernels.free(kept);
    expect(kernels.usedBytes()).toBe(0);
  });

  it("takes back vectors that are garbage, but none that a view still shows", async () => {
    const kernels = await start();
    let view: Vec | undefined = kernels.alloc(1000, "f64").subarray(10, 990).subarray(5);
    view[0] = 3;
    // In a call of its own that has ended: a register of this function, which is kept while it waits, could still show the vector.
    await pause(0).then(() => {
      kernels.alloc(500, "f32").fill(1);
    });
    const both = kernels.usedBytes();
    expect(await collectUntil(() => kernels.usedBytes() < both)).toBe(true);
    const left = kernels.usedBytes();
    expect(left).toBeGreaterThanOrEqual(8000);
    for (let round = 0; round < 5; round++) {
      collectGarbage();
      await pause(5);
    }
    expect(kernels.usedBytes()).toBe(left);
    expect(view[0]).toBe(3);
    view = undefined;
    expect(await collectUntil(() => kernels.usedBytes() === 0)).toBe(true);
  });

  it("a memory that dies under load does not keep others from taking back what is garbage", async () => {
    // With a registry of its own that is collected between its vectors and its turn, V8 would call no finalizer any more.
    const dying: WasmKernels[] = [];
    await createWasmKernels({ threads: 1 }).then((kernels) => void dying.push(kernels));
    await pause(0).then(() => {
      dying[0]!.alloc(500, "f32").fill(1);
    });
    // The vector first, and then, before anything but promises has its turn, what held it.
    await Promise.resolve().then(() => {
      collectGarbage();
      dying.length = 0;
    });
    await Promise.resolve().then(() => {
      for (let round = 0; round < 3; round++) collectGarbage();
    });
    const kernels = await start();
    await pause(0).then(() => {
      kernels.alloc(500, "f32").fill(1);
    });
    expect(await collectUntil(() => kernels.usedBytes() === 0)).toBe(true);
  });

  it.each(["f32", "f64"] as const)("views of vectors are those of ordinary typed arrays, %s", async (dtype) => {
    const kernels = await start();
    const vector = kernels.alloc(10, dtype).map((_, i) => i) as Vec;
    const inside = kernels.alloc(10, dtype);
    inside.set(vector);
    for (const [begin, end] of [
      [2, 5],
      [-3, undefined],
      [-100, 100],
      [7, 3],
      [0, -1],
      [1.9, Number.NaN],
      [undefined, 4],
    ] as const) {
      expect([...inside.subarray(begin, end)]).toEqual([...vector.subarray(begin, end)]);
    }
    expect(inside.subarray(4).buffer).toBe(inside.buffer);
    expect(inside.slice(1, 3).buffer).not.toBe(inside.buffer);
    expect(inside).toBeInstanceOf(dtype === "f64" ? Float64Array : Float32Array);
    expect(inside).toEqual(vector);
  });

  it("factors and solves what does not fit the memory by tiles", async () => {
    const kernels = await start({ maxMemoryBytes: TINY_MEMORY });
    const make = new Operands(kernels, "f64", "outside");
    // 500 x 500 f64 is 2 MB, the whole memory.
    const n = 500;
    const l = make.wholeTriangle(n);
    for (let i = 0; i < n; i++) l.data.fill(0, i * n + i + 1, (i + 1) * n);
    const a = make.filled(n, n, 0);
    kernels.gram({ a: l, out: a });
    const expected = make.filled(n, n, 0);
    referenceKernels.gram({ a: l, out: expected });
    expect(Buffer.from(a.data.buffer).equals(Buffer.from(expected.data.buffer))).toBe(true);
    const indefinite = matrix(n, n, a.data.slice());
    indefinite.data[333 * n + 333] = -1;
    expect(kernels.cholesky(indefinite)).toBe(333);
    expect(kernels.cholesky(a)).toBe(-1);
    expect(Buffer.from(a.data.buffer).equals(Buffer.from(l.data.buffer))).toBe(true);
    const x = make.whole(n, 3);
    const b = make.filled(n, 3, 0);
    referenceKernels.gemm({ a: l, transposeA: true, b: x, out: b });
    kernels.triangularSolve({ l, transpose: true, b });
    // Powers of two on the diagonal and whole numbers elsewhere, within 2^53 as long as the solution is found step by step.
    expect([...b.data].every((value, i) => value === x.data[i])).toBe(true);
  });

  it("says when one row is larger than the memory", async () => {
    const kernels = await start({ maxMemoryBytes: TINY_MEMORY });
    const logits = matrix(1, 400_000, new Float64Array(400_000));
    const loss = new Float64Array(1);
    expect(() => kernels.softmaxCrossEntropy({ logits, labels: Uint32Array.of(0), loss })).toThrow(
      expect.objectContaining({
        code: "ERR_WASM_MEMORY",
        fault: "runtime",
        message: expect.stringMatching(/3200000.*2097152/),
      }),
    );
  });
});

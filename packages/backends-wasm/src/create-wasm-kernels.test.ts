import { type Kernels, matrix } from "@secateur/core";
import { describe, expect, it, vi } from "vitest";
import { supportedBuilds } from "./builds.ts";
import { createWasmKernels, type WasmKernelOptions } from "./create-wasm-kernels.ts";

describe("createWasmKernels", () => {
  it("takes the fastest build and names it", async () => {
    const kernels = await createWasmKernels({ threads: 1 });
    expect(kernels.name).toBe(`wasm-${supportedBuilds()[0]}`);
    expect(kernels.threads).toBe(1);
    await kernels.close();
  });

  it("uses the cores of the machine, at most 8, unless told otherwise", async () => {
    const kernels = await createWasmKernels();
    expect(kernels.threads).toBeGreaterThanOrEqual(1);
    expect(kernels.threads).toBeLessThanOrEqual(8);
    await kernels.close();
  });

  it("runs on one thread where memory cannot be shared between threads", async () => {
    // As in a browser page that is not cross-origin isolated: no Node, and workers that cannot share.
    vi.stubGlobal("process", undefined);
    try {
      const kernels = await createWasmKernels({ threads: 4 });
      expect(kernels.threads).toBe(1);
      expect(kernels.dot(Float32Array.of(1, 2), Float32Array.of(3, 4))).toBe(11);
      await kernels.close();
    } finally {
      vi.unstubAllGlobals();
    }
  });

  it.each([
    [{ threads: 0 }, "threads", "1 to 64"],
    [{ threads: 1.5 }, "threads", "1 to 64"],
    [{ threads: Number.NaN }, "threads", "1 to 64"],
    [{ maxMemoryBytes: 1000 }, "maxMemoryBytes", "2097152"],
    [{ maxMemoryBytes: 2 ** 33 }, "maxMemoryBytes", "4294967296"],
    [{ maxMemoryBytes: 2 ** 21, threads: 64 }, "maxMemoryBytes", "at least"],
    [{ build: "fast" as "simd" }, "build", "relaxed-simd"],
  ] satisfies [WasmKernelOptions, string, string][])("refuses %j by name", async (options, name, allowed) => {
    await expect(createWasmKernels(options)).rejects.toMatchObject({
      code: "ERR_WASM_OPTION",
      fault: "input",
      message: expect.stringMatching(new RegExp(`'${name}'.*${allowed}`)),
    });
  });

  it("says which build an engine cannot run", async () => {
    const validate = vi.spyOn(WebAssembly, "validate").mockReturnValue(false);
    try {
      await expect(createWasmKernels({ build: "relaxed-simd" })).rejects.toMatchObject({
        code: "ERR_WASM_BUILD",
        message: expect.stringContaining("'relaxed-simd'"),
      });
    } finally {
      validate.mockRestore();
    }
  });

  it("falls back to the plain build where relaxed SIMD is missing", async () => {
    const { validate } = WebAssembly;
    let calls = 0;
    // The first to be asked for is the relaxed build.
    const spy = vi.spyOn(WebAssembly, "validate").mockImplementation((bytes) => calls++ > 0 && validate(bytes));
    try {
      const kernels = await createWasmKernels({ threads: 1 });
      expect(kernels.name).toBe("wasm-simd");
      await kernels.close();
    } finally {
      spy.mockRestore();
    }
  });

  it("every kernel throws ERR_KERNELS_CLOSED after close, and vectors stay readable", async () => {
    const kernels = await createWasmKernels({ threads: 2 });
    const x = kernels.alloc(4, "f32");
    x.set([1, 2, 3, 4]);
    await kernels.close();
    await kernels.close();
    expect([...x]).toEqual([1, 2, 3, 4]);
    const a = matrix(2, 2, x);
    const out = matrix(2, 2, new Float32Array(4));
    const two = new Float32Array(2);
    const calls: Partial<Record<keyof Kernels, () => unknown>> = {
      alloc: () => kernels.alloc(1, "f32"),
      gemm: () => kernels.gemm({ a, b: a, out }),
      gram: () => kernels.gram({ a, out }),
      gemv: () => kernels.gemv({ a, x: two, out: two.slice() }),
      cholesky: () => kernels.cholesky(a),
      triangularSolve: () => kernels.triangularSolve({ l: a, b: out }),
      dot: () => kernels.dot(x, x),
      axpy: () => kernels.axpy(1, x, out.data),
      multiply: () => kernels.multiply(x, x, out.data),
      scaleRows: () => kernels.scaleRows(a, two, out),
      rowDots: () => kernels.rowDots(a, a, two, 0),
      columnSums: () => kernels.columnSums(a, two),
      addRow: () => kernels.addRow(out, two),
      gatherColumns: () => kernels.gatherColumns(a, Uint32Array.of(1, 0), out),
      largest: () => kernels.largest(x, 2),
      relu: () => kernels.relu(x, out.data),
      reluBackward: () => kernels.reluBackward(x, x, out.data),
      softmaxCrossEntropy: () =>
        kernels.softmaxCrossEntropy({ logits: a, labels: new Uint32Array(2), loss: new Float64Array(2) }),
    };
    for (const [name, call] of Object.entries(calls)) {
      expect(call, name).toThrow(expect.objectContaining({ code: "ERR_KERNELS_CLOSED" }));
    }
    kernels.free(x);
    expect(out.data.every((value) => value === 0)).toBe(true);
  });

  it("refuses shapes that do not fit, in the reference's words", async () => {
    const kernels = await createWasmKernels({ threads: 1 });
    const a = matrix(2, 3);
    expect(() => kernels.gemm({ a, b: a, out: matrix(2, 2) })).toThrow(RangeError);
    expect(() => kernels.largest(a.data, 7)).toThrow(/from 0 to 6/);
    await kernels.close();
  });
});

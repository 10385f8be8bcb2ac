import { afterEach, describe, expect, test, vi } from "vitest";
import { type InputTensor, type LoadOptions, load, type Session } from "./index.ts";
import { encodePacked, type PackGraph } from "./pack.ts";

/** y = w x with a batch that is left open. */
const product: PackGraph = {
  inputs: [{ name: "x", dims: ["batch", 3] }],
  outputs: [{ name: "y", dims: ["batch", 2] }],
  operators: [{ op: "Gemm", name: "fc", inputs: ["x"], tensors: ["w"], output: "y", attributes: {} }],
  tensors: new Map([["w", { dims: [2, 3], data: Float32Array.of(1, 0, 2, 0, 3, 0) }]]),
};
/** Rows of a table of four, chosen by whole numbers. */
const table: PackGraph = {
  inputs: [{ name: "token", dims: [1, 2], whole: true }],
  outputs: [{ name: "y", dims: [1, 2, 1] }],
  operators: [{ op: "Gather", name: "rows", inputs: ["token"], tensors: ["w"], output: "y", attributes: {} }],
  tensors: new Map([["w", { dims: [4, 1], data: Float32Array.of(5, 6, 7, 8) }]]),
};

/** The code and message that a call ends with. */
async function failureOf(call: () => Promise<unknown>): Promise<string> {
  return await call().then(
    () => "nothing",
    (error: { code: string; message: string }) => `${error.code}: ${error.message}`,
  );
}

afterEach(() => {
  vi.unstubAllGlobals();
  vi.resetModules();
});

describe("an input that does not fit is told with what was found and what is allowed:", () => {
  const right = { data: Float32Array.of(1, 2, 3), dims: [1, 3] };
  test.each<[string, unknown, RegExp]>([
    ["nothing at all", undefined, /found undefined, allowed is an object of inputs by name/],
    ["a missing one", {}, /input 'x': found nothing, allowed is \{ data: Float32Array, dims: \[1, 3\] \}/],
    ["an unknown one", { x: right, z: right }, /found an input named 'z', allowed is 'x'/],
    ["other extents", { x: { ...right, dims: [3, 1] } }, /input 'x': found dims \[3, 1\]/],
    [
      "more examples than the session was loaded for",
      { x: { data: new Float32Array(6), dims: [2, 3] } },
      /found dims \[2, 3\], allowed is .*, or a session of load\(network, \{ batch: 2 \}\)/,
    ],
    ["extents that are missing", { x: { data: right.data } }, /input 'x': found dims \[\]/],
    ["another type", { x: { ...right, data: Float64Array.of(1, 2, 3) } }, /input 'x': found data of type Float64Array/],
    ["a plain array", { x: { ...right, data: [1, 2, 3] } }, /input 'x': found data of type Array/],
    ["whole numbers for real ones", { x: { ...right, data: Int32Array.of(1, 2, 3) } }, /found data of type Int32Array/],
    [
      "fewer numbers",
      { x: { ...right, data: Float32Array.of(1) } },
      /input 'x': found 1 numbers, allowed is 3 numbers/,
    ],
  ])("%s", async (_, given, message) => {
    const session = await load(await encodePacked(product));
    const failure = await failureOf(() => session.run(given as Record<string, InputTensor>));
    expect(failure).toMatch(/^ERR_RUNTIME_ARGUMENT: /);
    expect(failure).toMatch(message);
    // What was wrong has written nothing: the next run is as any other.
    expect([...(await session.run({ x: right }))["y"]!.data]).toEqual([7, 6]);
  });

  test("no network at all", async () => {
    for (const source of [undefined, null, 7]) {
      const failure = await failureOf(() => load(source as unknown as string));
      expect(failure).toContain(`ERR_RUNTIME_ARGUMENT: load: found ${source}, allowed is an address`);
    }
  });

  test.each([
    ["beyond the table", Int32Array.of(0, 4), /found 4 at place 1, allowed is whole numbers from -4 to 3/],
    ["no whole number", Float32Array.of(0, 1.5), /found 1.5 at place 1/],
    ["too large for an address", BigInt64Array.of(0n, 2n ** 60n), /found 1152921504606846976 at place 1/],
  ])("%s", async (_, data, message) => {
    const session = await load(await encodePacked(table));
    expect(await failureOf(() => session.run({ token: { data, dims: [1, 2] } }))).toMatch(message);
    const { y } = await session.run({ token: { data: Int32Array.of(3, -1), dims: [1, 2] } });
    expect([...y!.data]).toEqual([8, 8]);
  });

  test("and a closed session says that it is", async () => {
    const session = await load(await encodePacked(product));
    await session.close();
    expect(await failureOf(() => session.run({ x: right }))).toMatch(/^ERR_RUNTIME_CLOSED: /);
  });
});

test.each<[unknown, RegExp]>([
  [{ thread: 2 }, /found the option 'thread', allowed is threads, batch, build, maxMemoryBytes/],
  [{ threads: 65 }, /load: threads: found 65, allowed is a whole number from 1 to 64/],
  [{ batch: 1.5 }, /load: batch: found 1.5/],
])("options that are none are told: %j", async (options, message) => {
  const bytes = await encodePacked(product);
  const failure = await failureOf(() => load(bytes, options as LoadOptions));
  expect(failure).toMatch(/^ERR_RUNTIME_ARGUMENT: /);
  expect(failure).toMatch(message);
});

test("a batch for a network of one size is refused", async () => {
  expect(await failureOf(async () => load(await encodePacked(table), { batch: 2 }))).toMatch(
    /load: batch: found 2, allowed is 1: the network was packed for inputs of one size/,
  );
});

test("a batch of more numbers than can be held is told with what to do", async () => {
  const wide: PackGraph = {
    ...product,
    outputs: [{ name: "y", dims: ["batch", 2048] }],
    tensors: new Map([["w", { dims: [2048, 3], data: new Float32Array(6144).fill(1) }]]),
  };
  expect(await failureOf(async () => load(await encodePacked(wide), { batch: 2 ** 20 }))).toMatch(
    /^ERR_PACKED_GRAPH: .*gives 2147483648 numbers; at most 2\^30 can be held; take smaller inputs or a smaller batch/,
  );
});

describe("an address that gives no network says so:", () => {
  const answer = (response: () => Response | Promise<Response>): void => {
    vi.stubGlobal("fetch", async () => response());
  };
  test.each<[string, () => Response | Promise<Response>, RegExp]>([
    ["404", () => new Response("", { status: 404, statusText: "Not Found" }), /the answer is 404 Not Found/],
    [
      "a page",
      () => new Response("<!doctype html>", { headers: { "content-type": "text/html; charset=utf-8" } }),
      /the answer is an HTML page/,
    ],
    ["nobody answers", () => Promise.reject(new TypeError("fetch failed")), /nothing answered/],
    [
      "an answer that breaks off",
      () => new Response(new ReadableStream({ start: (stream) => stream.error(new Error("reset")) })),
      /the answer broke off/,
    ],
  ])("%s", async (_, response, message) => {
    answer(response);
    const failure = await failureOf(() => load("https://example.com/net.secateur"));
    expect(failure).toMatch(/^ERR_PACKED_FETCH: fetching 'https:\/\/example.com\/net.secateur': /);
    expect(failure).toMatch(message);
  });

  test("a page that a server calls a stream of bytes", async () => {
    answer(() => new Response("<!DOCTYPE html><html>not here"));
    expect(await failureOf(() => load("https://example.com/net.secateur"))).toMatch(
      /^ERR_PACKED_MAGIC: .*it is an HTML page/,
    );
  });

  test("a file that is not there", async () => {
    expect(await failureOf(() => load("no-such-folder/net.secateur"))).toMatch(
      /^ERR_PACKED_FETCH: reading .*: ENOENT; check the path/,
    );
  });
});

describe("an engine that lacks something is told what:", () => {
  /** Loads with an engine of these parts in place of the usual ones, by a module that has compiled nothing yet. */
  async function loadBy(parts: object): Promise<Session> {
    const { Memory, compile, instantiate, validate } = WebAssembly;
    vi.stubGlobal("WebAssembly", { Memory, compile, instantiate, validate, ...parts });
    vi.resetModules();
    const fresh = await import("./session.ts");
    return await fresh.load(await encodePacked(product));
  }

  test("SIMD", async () => {
    expect(await failureOf(() => loadBy({ validate: () => false }))).toMatch(/^ERR_RUNTIME_SIMD: .*Safari 16.4/);
  });

  test("relaxed SIMD, without which the plain build runs", async () => {
    let asked = 0;
    const session = await loadBy({ validate: () => asked++ > 0 });
    expect([session.build, asked]).toEqual(["simd", 2]);
  });

  test("memory", async () => {
    const Memory = class {
      constructor() {
        throw new RangeError("could not allocate memory");
      }
    };
    expect(await failureOf(() => loadBy({ Memory }))).toMatch(
      /^ERR_RUNTIME_MEMORY: the engine gives no WebAssembly memory of \d+ bytes; close other sessions/,
    );
  });
});

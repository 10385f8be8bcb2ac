import {
  defineEntry,
  definePlugin,
  defineSaliency,
  defineSolver,
  type EntryKind,
  noOptions,
  PruneError,
} from "@secateur/core";
import { describe, expect, test } from "vitest";
import { guardPlugin } from "./guard-plugin.ts";

class Counter {
  readonly #needs = {};
  get needs(): object {
    return this.#needs;
  }
  async solve(): Promise<never> {
    await Promise.resolve();
    throw new TypeError("x is not a function");
  }
}

const plugin = (create: () => never) =>
  guardPlugin(
    definePlugin({
      api: 2,
      name: "anything",
      entries: [
        defineSolver({ name: "broken", summary: "fails", options: noOptions, create }),
        defineSaliency({
          name: "half",
          summary: "is none",
          options: noOptions,
          create: () => ({ needs: {} }) as never,
        }),
      ],
    }),
    "secateur-plugin-broken",
  );

describe("a guarded plugin", () => {
  test("names itself where a method of what it makes fails later on, with the cause", async () => {
    const [entry] = plugin(() => new Counter() as never).entries;
    const solver = entry!.create({} as never) as unknown as { solve(): Promise<unknown>; needs: object };
    expect(solver.needs).toEqual({});
    const error = await solver.solve().catch((caught: unknown) => caught);
    expect(error).toMatchObject({ code: "ERR_PLUGIN_CRASH", cause: expect.any(TypeError) });
    expect(String(error)).toMatch(/secateur-plugin-broken.*solver broken.*x is not a function/);
  });

  test("names itself where making fails, and where nothing of the kind is made", () => {
    const [broken, half] = plugin(() => {
      throw new RangeError("no");
    }).entries;
    expect(() => broken!.create({} as never)).toThrow(/secateur-plugin-broken/);
    expect(() => half!.create({} as never)).toThrow(/saliency half.*without score\(\)/);
  });

  const loss = { loss: () => 5 };
  const task = {
    ...{ name: "t", targetsFrom: "data", measures: [], loss: () => ({ sum: 1, count: 1 }) },
    outputFactor: () => ({ times: () => undefined }),
  };
  const format = (decode: () => unknown) => ({ endings: [".x"], detects: () => true, decode });
  const tensor = { name: "w", dtype: "f32", shape: [2, 3], data: new Float32Array(5) };
  test.each<[string, EntryKind, object, string | undefined, RegExp]>([
    ["a solver without needs", "solver", { solve: () => undefined }, undefined, /create returned .* without 'needs'/],
    ["a task without measures", "task", { ...task, measures: undefined }, undefined, /without 'measures'/],
    ["a rule without settings", "training-rule", { name: "r", begin: () => ({}) }, undefined, /without 'settings'/],
    ["a loss that is a number", "task", { ...task, ...loss }, "loss", /loss returned 5 without numbers/],
    ["a factor without columns", "task", task, "outputFactor", /outputFactor returned 'columns' undefined/],
    ["a list of tensors", "format", format(() => [tensor]), "decode", /decode returned a list without 'tensors'/],
    [
      "a tensor that is one number short",
      "format",
      format(() => ({ tensors: [tensor] })),
      "decode",
      /'w' with 5 numbers for the shape \[2, 3\]/,
    ],
    [
      "a tensor without a dtype",
      "format",
      format(() => ({ tensors: [{ ...tensor, dtype: undefined }] })),
      "decode",
      /'w' with the dtype undefined, known: f32/,
    ],
    [
      "a list of bytes",
      "format",
      { ...format(Array), encode: () => [1] },
      "encode",
      /encode returned a list, no Uint8/,
    ],
  ])("tells its name where it makes %s", async (_what, kind, made, method, message) => {
    const entry = defineEntry({ kind, name: "odd", summary: "x", options: noOptions, create: () => made as never });
    const { entries } = guardPlugin(definePlugin({ api: 2, name: "p", entries: [entry] }), "secateur-plugin-odd");
    const use = async () => {
      const product = entries[0]!.create({} as never) as unknown as Readonly<Record<string, () => unknown>>;
      if (method) await product[method]!();
    };
    await expect(use()).rejects.toMatchObject({ code: "ERR_PLUGIN", message: expect.stringMatching(message) });
    await expect(use()).rejects.toThrow(/plugin 'secateur-plugin-odd' \(.* odd\): /);
  });

  test("lets errors that say all themselves pass", () => {
    const own = new PruneError("ERR_OWN", "the plugin's own words");
    const [entry] = plugin(() => {
      throw own;
    }).entries;
    expect(() => entry!.create({} as never)).toThrow(own);
  });
});

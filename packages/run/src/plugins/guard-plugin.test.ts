import { definePlugin, defineSaliency, defineSolver, noOptions, PruneError } from "@secateur/core";
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

  test("lets errors that say all themselves pass", () => {
    const own = new PruneError("ERR_OWN", "the plugin's own words");
    const [entry] = plugin(() => {
      throw own;
    }).entries;
    expect(() => entry!.create({} as never)).toThrow(own);
  });
});

import {
  classification,
  defineEntry,
  defineSaliency,
  defineSolver,
  noOptions,
  type OptionsSchema,
  type Plugin,
  type PluginEntry,
  selectorFrom,
  solverFrom,
} from "@secateur/core";
import { describe, test } from "vitest";
import { testPlanted } from "./planted.test-support.ts";
import { describePlugin, type EntryClaims, pluginChecks } from "./plugin-checks.ts";

interface Options {
  readonly power: number;
}

/** A schema written out, as any library of Standard Schemas makes it. */
function schema(change: { property?: object; parsed?: number; isOpen?: boolean } = {}): OptionsSchema<Options> {
  const property = { type: "number", description: "power of |w|", default: 1, ...change.property };
  const input = (): Record<string, unknown> => ({ type: "object", properties: { power: property } });
  return {
    "~standard": {
      version: 1,
      vendor: "test",
      validate(value) {
        const given = value as Partial<Options>;
        const stray = Object.keys(given).find((key) => key !== "power");
        if (stray !== undefined && !change.isOpen) return { issues: [{ message: `there is no option ${stray}` }] };
        return { value: { power: given.power ?? change.parsed ?? 1 } };
      },
      jsonSchema: { input, output: input },
    },
  };
}

const powers = (options: OptionsSchema<Options> = schema()): PluginEntry =>
  defineSaliency({
    name: "powers",
    summary: "largest |w|^power",
    options,
    create: ({ power }) => ({ needs: {}, score: ({ w }) => w.data.map((value) => Math.abs(value) ** power) }),
  });

/** An option that `prune --examples` hides. */
function flagged(): PluginEntry {
  const input = (): Record<string, unknown> => ({ properties: { examples: { type: "integer", description: "x" } } });
  const { "~standard": standard } = schema();
  const options = { "~standard": { ...standard, jsonSchema: { input, output: input } } };
  return { ...powers(), options } as unknown as PluginEntry;
}

const task: PluginEntry = defineEntry({
  kind: "task",
  name: "classes",
  summary: "x",
  options: noOptions,
  create: () => classification(),
});

const writes = (): Uint8Array => Uint8Array.of(7);
const format = (change: object): PluginEntry =>
  defineEntry({
    kind: "format",
    name: "seven",
    summary: "x",
    options: noOptions,
    create: () => ({ endings: [".seven"], detects: (head: Uint8Array) => head[0] === 7, ...change }),
  });

const plugin = (change: object = {}, entry: PluginEntry = powers()): Plugin =>
  ({ api: 2, name: "secateur-plugin-powers", entries: [entry], ...change }) as Plugin;

describePlugin({
  test,
  plugin: plugin(),
  claims: { "saliency powers": { claims: ["identity"], options: { power: 2 } } },
});

const manifest = /plugin of api 2/;

describe("the suite rejects a plugin", () => {
  testPlanted([
    ["of another interface", () => pluginChecks({ plugin: plugin({ api: 1 }) }), manifest],
    ["without a name", () => pluginChecks({ plugin: plugin({ name: "" }) }), manifest],
    ["without entries", () => pluginChecks({ plugin: plugin({ entries: [] }) }), manifest],
    [
      "with two entries of one name",
      () => pluginChecks({ plugin: plugin({ entries: [powers(), powers()] }) }),
      manifest,
    ],
    [
      "with a name that cannot be typed",
      () => pluginChecks({ plugin: plugin({}, { ...powers(), name: "My Powers" } as PluginEntry) }),
      manifest,
    ],
    [
      "with a summary of several lines",
      () => pluginChecks({ plugin: plugin({}, { ...powers(), summary: "a\nb" } as PluginEntry) }),
      manifest,
    ],
    [
      "with claims for an entry that it has not",
      () => pluginChecks({ plugin: plugin(), claims: { "saliency power": {} } }),
      manifest,
    ],
    [
      "with an option that is not described",
      () => pluginChecks({ plugin: plugin({}, powers(schema({ property: { description: undefined } }))) }),
      /documents every option/,
    ],
    [
      "with an option that is a flag of the command line",
      () => pluginChecks({ plugin: plugin({}, flagged()) }),
      /documents every option/,
    ],
    [
      "that says one default and takes another",
      () => pluginChecks({ plugin: plugin({}, powers(schema({ parsed: 2 }))) }),
      /documents every option/,
    ],
    [
      "that swallows misspelt options",
      () => pluginChecks({ plugin: plugin({}, powers(schema({ isOpen: true }))) }),
      /refuses an option/,
    ],
    [
      "whose entry does not keep its claim",
      () => pluginChecks({ plugin: plugin(), claims: { "saliency powers": { claims: ["any-k"] } } }),
      /saliency powers .*any k weights/,
    ],
    [
      "with a field that no entry has",
      () => pluginChecks({ plugin: plugin({}, { ...powers(), sumary: "x" } as unknown as PluginEntry) }),
      manifest,
    ],
    [
      "with a misspelt claim",
      () => pluginChecks({ plugin: plugin(), claims: { "saliency powers": { claim: ["any-k"] } as EntryClaims } }),
      manifest,
    ],
    ["with a task that nothing is claimed of", () => pluginChecks({ plugin: plugin({}, task) }), /outputs .*tried on/],
    [
      "with a format that only reads, without samples",
      () => pluginChecks({ plugin: plugin({}, format({ decode: () => ({ tensors: [] }) })) }),
      /samples to be tried on/,
    ],
    [
      "with a misspelt method of what it makes",
      () => pluginChecks({ plugin: plugin({}, format({ decod: () => ({ tensors: [] }), encode: writes })) }),
      /documents every option/,
    ],
    [
      "with a format that only writes, and any shape",
      () => pluginChecks({ plugin: plugin({}, format({ encode: writes })) }),
      /refuses to write a shape/,
    ],
    [
      "with a format that does not know its own files",
      () => pluginChecks({ plugin: plugin({}, format({ detects: () => false, encode: writes })) }),
      /its own files/,
    ],
    [
      "with a solver that lacks what it needs to say",
      () => {
        const create = () => ({ solve: () => Promise.reject(new Error("never called")) }) as never;
        return pluginChecks({
          plugin: plugin({}, defineSolver({ name: "half", summary: "x", options: noOptions, create })),
        });
      },
      /documents every option/,
    ],
    [
      "that explains options it does not have",
      () => {
        const solver = defineSolver({
          name: "powers",
          summary: "x",
          options: schema(),
          optionsOnlyWith: { pool: ["kfac"] },
          create: () => solverFrom(selectorFrom({ needs: {}, score: ({ w }) => w.data.map(Math.abs) })),
        });
        return pluginChecks({ plugin: plugin({}, solver) });
      },
      /documents every option/,
    ],
  ]);
});

/** Networks, datasets and reporters: what can be said of each without running a network. */
import {
  type Architecture,
  type Batch,
  type BatchRoom,
  type DatasetSource,
  type Evaluation,
  isPruneError,
  type ReportContent,
  type Reporter,
} from "@secateur/core";
import { ensure, ensureSameBytes } from "../assertions.ts";
import type { Check } from "../check.ts";

/** The checks of an architecture. */
export function architectureChecks(create: () => Architecture | Promise<Architecture>): readonly Check[] {
  return [
    {
      name: "is plain JSON, the same every time",
      async run() {
        const [first, again] = [await create(), await create()];
        ensure(JSON.stringify(first) === JSON.stringify(again), () => "two networks of the name differ");
        ensure(isPlain(first), () => "found something that JSON does not hold, such as a function or NaN");
      },
    },
    {
      name: "has a shape of inputs, classes, and layers whose names differ",
      async run() {
        const { inputShape, classes, layers } = await create();
        const isWhole = (value: number) => Number.isSafeInteger(value) && value >= 1;
        ensure(inputShape.length > 0 && inputShape.every(isWhole), () => `inputShape is [${inputShape.join(", ")}]`);
        ensure(isWhole(classes), () => `classes is ${classes}`);
        ensure(layers.length > 0, () => "there are no layers");
        ensure(
          layers.every(({ kind }) => typeof kind === "string" && kind !== ""),
          () => "a layer has no kind",
        );
        const names = layers.flatMap((layer) =>
          "name" in layer && typeof layer.name === "string" ? [layer.name] : [],
        );
        const twice = names.find((name, i) => names.indexOf(name) !== i);
        ensure(twice === undefined, () => `two layers are called '${twice}'`);
      },
    },
  ];
}

function isPlain(value: unknown): boolean {
  if (value === null || typeof value === "string" || typeof value === "boolean") return true;
  if (typeof value === "number") return Number.isFinite(value);
  if (typeof value !== "object") return false;
  const prototype = Object.getPrototypeOf(value);
  return (Array.isArray(value) || prototype === Object.prototype) && Object.values(value).every(isPlain);
}

/** What a dataset source claims. */
export interface DatasetClaims {
  /** The part after the colon of data that are there: they are opened and read. */
  readonly argument?: string;
}

/**
 * The checks of a dataset source.
 *
 * @param name - of the entry: every form begins with it
 */
export function datasetChecks(
  name: string,
  create: () => DatasetSource | Promise<DatasetSource>,
  { argument }: DatasetClaims,
): readonly Check[] {
  return [
    {
      name: "says in what forms it is typed",
      async run() {
        const { usages } = await create();
        ensure(usages.length > 0, () => "usages is empty");
        const stray = usages.find((usage) => usage !== name && !usage.startsWith(`${name}:`));
        ensure(stray === undefined, () => `found the usage '${stray}', expected '${name}' or '${name}:...'`);
      },
    },
    {
      name: "ends with a PruneError for a place where nothing is",
      async run() {
        const source = await create();
        const nowhere = "/no/such/place/secateur-conformance";
        try {
          await source.open({ spec: `${name}:${nowhere}`, argument: nowhere, options: {} });
        } catch (error) {
          ensure(isPruneError(error), () => `found ${String(error)}, expected a PruneError`);
          return;
        }
        throw new Error("it opened a place that does not exist");
      },
    },
    ...(argument === undefined ? [] : [openingCheck(name, create, argument)]),
  ];
}

function openingCheck(name: string, create: () => DatasetSource | Promise<DatasetSource>, argument: string): Check {
  return {
    name: "opens its data: two splits that have examples, the same ones where room for them is given",
    async run() {
      const { train, test } = await (await create()).open({ spec: `${name}:${argument}`, argument, options: {} });
      for (const split of [train, test]) {
        ensure(Number.isSafeInteger(split.size) && split.size >= 1, () => `${split.name}: size is ${split.size}`);
        const indices = Uint32Array.of(0, split.size - 1, 0);
        const expected = await split.batch(indices);
        const given: Float32Array[] = [];
        // It holds what was there before.
        const room: BatchRoom = (length) => {
          given.push(new Float32Array(length).fill(Number.NaN));
          return given.at(-1)!;
        };
        ensureSameInputs(await split.batch(indices, room), expected, `${split.name}: a batch where room is given`);
        for (const used of given) used.fill(Number.NaN);
        ensureSameInputs(await split.batch(indices), expected, `${split.name}: a batch after one where room was given`);
      }
    },
  };
}

function ensureSameInputs(found: Batch, expected: Batch, what: string): void {
  for (const [name, { data }] of Object.entries(expected.inputs)) {
    ensureSameBytes(found.inputs[name]?.data ?? new Uint8Array(0), data, `${what}, '${name}'`);
  }
}

function evaluation(accuracy: number): Evaluation {
  const measures = [{ name: "accuracy", unit: "%", better: "higher", value: accuracy }] as const;
  return { accuracy, loss: 0.1, examples: 1000, task: "classification", measures };
}

/** A run, with text that is not harmless. */
const content: ReportContent = {
  title: "A & B",
  summary: "</script><b>bold</b>",
  runs: [
    {
      ...{ solver: "magnitude", sparsity: 0.9, nonzeros: 10, prunable: 100, objective: 0.25, plan: {} },
      dense: evaluation(98),
      pruned: evaluation(97.5),
      layers: [{ name: "fc1.weight", shape: [10, 10], size: 100, kept: 10, nonzeros: 10 }],
      stages: [],
      timing: { gradientMs: 0, solveMs: 3, totalMs: 4 },
    },
  ],
  command: "secateur prune 'a b'",
  versions: { secateur: "1.0.0" },
  facts: [["seed", "0"]],
};

/** The checks of a reporter. */
export function reporterChecks(create: () => Reporter | Promise<Reporter>): readonly Check[] {
  return [
    {
      name: "names endings with a dot, in lower case",
      async run() {
        const { endings } = await create();
        ensure(endings.length > 0, () => "endings is empty");
        const odd = endings.find((ending) => !/^\.[a-z0-9]+$/.test(ending));
        ensure(odd === undefined, () => `found the ending '${odd}'`);
      },
    },
    {
      name: "writes the same file from the same run, and leaves the run alone",
      async run() {
        const reporter = await create();
        const before = JSON.stringify(content);
        const [first, again] = [await reporter.report(content), await reporter.report(content)];
        ensure(first.length > 0, () => "the file is empty");
        ensure(String(first) === String(again), () => "two files of one run differ");
        ensure(JSON.stringify(content) === before, () => "the content was changed");
      },
    },
  ];
}

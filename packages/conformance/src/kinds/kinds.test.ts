import { type Allocation, type Dataset, matrix, type Phase, type Quantizer, type Schedule } from "@secateur/core";
import { describe, test } from "vitest";
import { testPlanted } from "../planted.test-support.ts";
import { allocationChecks, describeAllocation } from "./allocation-checks.ts";
import { architectureChecks, datasetChecks, reporterChecks } from "./named-thing-checks.ts";
import { describeQuantizer, quantizerChecks } from "./quantizer-checks.ts";
import { describeSchedule, scheduleChecks } from "./schedule-checks.ts";

/** First layers first, within bounds. */
const greedy: Allocation = {
  floors: (layers) => layers.map(() => 0.1),
  counts({ layers, keep }) {
    let left = keep - layers.reduce((sum, { least }) => sum + least, 0);
    return layers.map(({ least, most }) => {
      const more = Math.min(left, most - least);
      left -= more;
      return least + more;
    });
  },
};

describeAllocation({ test, name: "a greedy allocation", create: () => greedy });
describeAllocation({ test, name: "an allocation that leaves all to the scores", create: () => ({}) });

describe("the suite of allocations rejects one", () => {
  const counts = (change: (found: number[]) => number[]) => () =>
    allocationChecks({ create: () => ({ counts: (asked, ctx) => change([...greedy.counts!(asked, ctx)]) }) });
  let calls = 0;
  testPlanted([
    ["that keeps one too many", counts(([first = 0, ...rest]) => [first + 1, ...rest]), /as many in all/],
    ["that moves one over a bound", counts((found) => found.reverse()), /as many in all/],
    ["that keeps fractions", counts((found) => found.map((count, l) => count + (l === 0 ? 0.5 : 0))), /as many in all/],
    [
      "that depends on what came before",
      counts((found) =>
        calls++ % 2 === 0 && found.length > 1 ? [found[0]! - 1, found[1]! + 1, ...found.slice(2)] : found,
      ),
      /same counts/,
    ],
    [
      "that changes the weights",
      () => {
        const create = (): Allocation => ({
          counts(asked, ctx) {
            asked.weights[0] = 7;
            return greedy.counts!(asked, ctx);
          },
        });
        return allocationChecks({ create });
      },
      /leaves the weights alone/,
    ],
    [
      "whose floors are above 1",
      () => allocationChecks({ create: () => ({ floors: () => [2] }) }),
      /fraction from 0 to 1/,
    ],
  ]);
});

const halves: Schedule = {
  phases: ({ target, from, epochs }) =>
    [(target + from) / 2, target].map(
      (sparsity, i): Phase => ({
        sparsity,
        epochs: i === 0 ? Math.floor(epochs / 2) : Math.ceil(epochs / 2),
        rates: (steps) => new Float64Array(steps).fill(0.1),
      }),
    ),
};

describeSchedule({ test, name: "a schedule of two halves", create: () => halves });

describe("the suite of schedules rejects one", () => {
  const phases = (change: (phase: Phase, index: number) => Phase) => () =>
    scheduleChecks({ create: () => ({ phases: (asked) => halves.phases(asked).map(change) }) });
  testPlanted([
    [
      "that stops before the target",
      phases((phase) => ({ ...phase, sparsity: phase.sparsity * 0.99 })),
      /target exactly/,
    ],
    [
      "whose sparsity falls",
      phases((phase, i) => (i === 0 ? { ...phase, sparsity: 0.99 } : phase)),
      /never prunes less/,
    ],
    ["that spends an epoch more", phases((phase) => ({ ...phase, epochs: phase.epochs + 1 })), /exactly the epochs/],
    [
      "without a last rate",
      phases((phase) => ({ ...phase, rates: (steps) => new Float64Array(Math.max(0, steps - 1)) })),
      /every step/,
    ],
    [
      "of negative rates",
      phases((phase) => ({ ...phase, rates: (steps) => new Float64Array(steps).fill(-1) })),
      /every step/,
    ],
  ]);
});

/** Round to nearest on 4 bits, symmetric: scale = max |w| / 7. */
const nearest: Quantizer = {
  quantize({ w, mask }) {
    const scales = Float32Array.from({ length: w.rows }, (_, i) => {
      const row = Array.from(w.data.subarray(i * w.cols, (i + 1) * w.cols), Math.abs);
      return Math.max(...row) / 7 || 1;
    });
    const data = Float32Array.from(w.data, (value, j) => {
      if (mask?.[j] === 0) return 0;
      const scale = scales[Math.floor(j / w.cols)]!;
      return scale * Math.round(value / scale);
    });
    return { w: matrix(w.rows, w.cols, data), grid: { bits: 4, scales } };
  },
};

describeQuantizer({ test, name: "rounding to nearest", create: () => nearest });

describe("the suite of quantizers rejects one", () => {
  const change = (made: (found: Awaited<ReturnType<Quantizer["quantize"]>>) => unknown) => () =>
    quantizerChecks({
      create: () => ({ quantize: async (spec, ctx) => made(await nearest.quantize(spec, ctx)) as never }),
    });
  testPlanted([
    [
      "that leaves weights as they were",
      () =>
        quantizerChecks({
          create: () => ({ quantize: async (spec, ctx) => ({ ...(await nearest.quantize(spec, ctx)), w: spec.w }) }),
        }),
      /on its row's grid/,
    ],
    [
      "that loses the mask",
      () => quantizerChecks({ create: () => ({ quantize: ({ w }, ctx) => nearest.quantize({ w }, ctx) }) }),
      /pruned ones at 0/,
    ],
    [
      "whose levels outgrow its bits",
      change((found) => ({ ...found, grid: { ...found.grid, bits: 2 } })),
      /on its row's grid/,
    ],
    [
      "of a scale of 0",
      change((found) => ({ ...found, grid: { ...found.grid, scales: new Float32Array(5) } })),
      /finite scales above 0/,
    ],
  ]);
});

describe("the suites of networks, datasets and reporters reject", () => {
  const network = { name: "a", inputShape: [2], classes: 2, layers: [{ kind: "dense", name: "fc" }] };
  const source = { usages: ["a:DIR"], open: async () => Promise.reject(new Error("no")) };
  /** A source of one number an example, made by `fill` of what room or zeros there are. */
  const opening = (fill: (data: Float32Array) => Float32Array) => {
    const split: Dataset = {
      name: "planted",
      size: 2,
      inputs: [{ name: "input", shape: [1], dtype: "f32" }],
      batch: ({ length }, room) => {
        const data = fill(room?.(length) ?? new Float32Array(length));
        return { size: length, inputs: { input: { shape: [length, 1], data } } };
      },
    };
    return { usages: ["a:DIR"], open: async () => ({ train: split, test: split }) } as never;
  };
  let turn = 0;
  testPlanted([
    [
      "a network with a function in it",
      () => architectureChecks(() => ({ ...network, layers: [{ kind: "dense", f: () => 1 }] })),
      /plain JSON/,
    ],
    [
      "a network of two layers of one name",
      () => architectureChecks(() => ({ ...network, layers: [...network.layers, ...network.layers] })),
      /names differ/,
    ],
    ["a network without classes", () => architectureChecks(() => ({ ...network, classes: 0 })), /has a shape/],
    ["a dataset that is typed otherwise", () => datasetChecks("b", () => source as never, {}), /forms it is typed/],
    ["a dataset whose error is no PruneError", () => datasetChecks("a", () => source as never, {}), /PruneError/],
    [
      "a dataset that takes the room it is given for empty",
      () => datasetChecks("a", () => opening((data) => data), { argument: "x" }),
      /opens its data/,
    ],
    [
      "a dataset that keeps what it wrote into room",
      () => {
        let kept: Float32Array | undefined;
        const remember = (data: Float32Array): Float32Array => {
          if (Number.isNaN(data[0])) kept = data.fill(1);
          return kept ?? data.fill(1);
        };
        return datasetChecks("a", () => opening(remember), { argument: "x" });
      },
      /opens its data/,
    ],
    ["a reporter without endings", () => reporterChecks(() => ({ endings: [], report: () => "x" })), /names endings/],
    [
      "a reporter that tells the time",
      () => reporterChecks(() => ({ endings: [".x"], report: () => `${turn++}` })),
      /same file/,
    ],
  ]);
});

import { binary, classification, createRng, referenceKernels, type Task } from "@secateur/core";
import { expect, test } from "vitest";
import { ofClasses } from "./of-classes.ts";
import { logOdds, logSigmoids, throughMap } from "./through-map.ts";

const rng = createRng(3);
const z = Float64Array.from({ length: 15 }, () => 2 * rng.normal());
const labels = { labels: { shape: [3], data: Uint32Array.of(0, 4, 2) } };
const oneHot = {
  output: { shape: [3, 5], data: Float32Array.from({ length: 15 }, (_, k) => +(k === 0 || k === 9 || k === 12)) },
};
const outputs = (data: Float64Array) => ({ output: { shape: [3, 5], data } });
const kernels = referenceKernels;

const sigmoid = (x: number): number => 1 / (1 + Math.exp(-x));
const softmax = (row: Float64Array): number[] => {
  const sum = row.reduce((total, x) => total + Math.exp(x), 0);
  return Array.from(row, (x) => Math.exp(x) / sum);
};

/** The definition: a loss of probabilities, example by example. */
const cases: readonly (readonly [string, Task, (row: Float64Array, label: number) => number])[] = [
  [
    "the categorical cross-entropy of sigmoids",
    throughMap(classification({ output: "output" }), { output: "output", map: logSigmoids }),
    (row, label) => -Math.log(sigmoid(row[label]!) / row.reduce((sum, x) => sum + sigmoid(x), 0)),
  ],
  [
    "the binary cross-entropy of a softmax",
    ofClasses(throughMap(binary({ output: "output" }), { output: "output", map: logOdds }), {
      output: "output",
      threshold: 0,
    }),
    (row, label) => -softmax(row).reduce((sum, p, c) => sum + Math.log(c === label ? p : 1 - p), 0),
  ],
];

for (const [what, task, definition] of cases) {
  const lossAt = (at: Float64Array): number => task.loss({ outputs: outputs(at), targets: labels, kernels }).sum;

  test(`${what} is what the definition says`, () => {
    const expected = [0, 4, 2].reduce((sum, label, i) => sum + definition(z.subarray(5 * i, 5 * i + 5), label), 0);
    expect(lossAt(z)).toBeCloseTo(expected, 10);
  });

  test(`${what} has the slope of its differences, also where probabilities round to one`, () => {
    for (const scale of [1, 12]) {
      const at = z.map((x) => scale * x);
      const delta = outputs(new Float64Array(15));
      task.loss({ outputs: outputs(at), targets: labels, kernels, delta });
      for (let k = 0; k < 15; k++) {
        const shifted = (by: number): number => lossAt(at.map((x, j) => (j === k ? x + by : x)));
        // Central differences in f64: 1e-10 by truncation, as much by rounding of losses of some hundreds.
        expect(delta.output.data[k]).toBeCloseTo((shifted(1e-5) - shifted(-1e-5)) / 2e-5, 6);
      }
    }
  });

  test(`${what} has a root R of a Hessian whose R' is the transpose, and whose draws have it for covariance`, () => {
    const factor = task.outputFactor({ outputs: outputs(z), targets: labels });
    const columns = 3 * factor.columns;
    const R = Array.from({ length: columns }, (_, c) => {
      const out = outputs(new Float64Array(15));
      const unit = new Float64Array(columns);
      unit[c] = 1;
      factor.times(unit, out);
      return out.output.data;
    });
    const t = Float64Array.from({ length: 15 }, (_, k) => Math.cos(k));
    const found = new Float64Array(columns);
    factor.transposeTimes(outputs(t), found);
    for (let c = 0; c < columns; c++) {
      expect(found[c]).toBeCloseTo(
        R[c]!.reduce((sum, x, k) => sum + x * t[k]!, 0),
        10,
      );
    }
    const draws = 20_000;
    let sum = 0;
    for (let i = 0; i < draws; i++) {
      const out = outputs(new Float64Array(15));
      factor.draw(rng, out);
      sum += out.output.data.reduce((dot, x, k) => dot + x * t[k]!, 0) ** 2;
    }
    const variance = found.reduce((total, x) => total + x * x, 0);
    // A variance over so many draws is off by 1 %; three times that.
    expect(sum / draws / variance).toBeCloseTo(1, 1);
  });
}

test("class numbers are compared one-hot, and counted as correct where the largest output is theirs", () => {
  const task = ofClasses(binary({ output: "output" }), { output: "output", threshold: 0 });
  const given = { outputs: outputs(z), kernels };
  expect(task.loss({ ...given, targets: labels })).toEqual(binary().loss({ ...given, targets: oneHot }));
  const best = [0, 1, 2].map((i) => z.subarray(5 * i, 5 * i + 5)).map((row) => row.indexOf(Math.max(...row)));
  const correct = best.filter((label, i) => label === labels.labels.data[i]).length;
  expect(task.measures[0]!.add(outputs(z), labels)).toEqual({ sum: 100 * correct, count: 3 });
  expect(() => task.loss({ ...given, targets: { labels: { shape: [3], data: Uint32Array.of(0, 1, 5) } } })).toThrow(
    /label 5/,
  );
});

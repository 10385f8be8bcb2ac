import {
  arrayDataset,
  type Curvature,
  createRng,
  createRunContext,
  factorCurvature,
  matrix,
  referenceKernels,
} from "@secateur/core";
import { createNetwork, mlp } from "@secateur/nn";
import { describe, expect, test } from "vitest";
import { empiricalFisher } from "../rows/empirical-fisher.ts";
import { denseFactor } from "../rows/row-factor.ts";
import { expandRows } from "../rows/take-rows.ts";
import { kfac, kroneckerFactors } from "./kfac.ts";
import { kroneckerCurvature } from "./kronecker-curvature.ts";

const ctx = createRunContext();
const rng = createRng("kfac");
const random = (length: number): Float64Array => Float64Array.from({ length }, () => rng.normal());

async function columns({ dim, apply }: Curvature): Promise<readonly Float64Array[]> {
  const found: Float64Array[] = [];
  for (let j = 0; j < dim; j++) {
    const unit = new Float64Array(dim);
    unit[j] = 1;
    const out = new Float64Array(dim);
    await apply(unit, out);
    found.push(out);
  }
  return found;
}

/** Every input with every label: at zero weights the output gradients depend on the label only. */
function independent() {
  const [features, count, classes] = [4, 6, 3];
  const inputs = Float32Array.from(random(features * count));
  const repeated = Float32Array.from({ length: count * classes * features }, (_, i) => inputs[i % inputs.length]!);
  const labels = Uint32Array.from({ length: count * classes }, (_, i) => Math.floor(i / count));
  const data = arrayDataset({ inputs: matrix(count * classes, features, repeated), labels });
  const spec = mlp({ sizes: [features, classes], bias: false });
  const weights = [{ name: "fc1.weight", shape: [classes, features], data: new Float32Array(classes * features) }];
  return { model: createNetwork(spec, { weights }), data, params: ["fc1.weight"], examples: data.size, ridge: 0 };
}

test("on one layer with inputs independent of output gradients, K-FAC is the exact Fisher", async () => {
  const request = independent();
  const [exact, approximate] = [await empiricalFisher().estimate(request, ctx), await kfac().estimate(request, ctx)];
  const [expected, found] = [await columns(exact.curvature()), await columns(approximate.curvature())];
  // Gradients are f32; entries are of order 0.1 to 1.
  expected.forEach((column, j) => {
    column.forEach((value, i) => {
      expect(Math.abs(found[j]![i]! - value)).toBeLessThan(1e-6);
    });
  });
  // and where inputs and labels go together it is not
  const labels = Uint32Array.from({ length: request.data.size }, (_, i) => i % 3);
  const inputs = matrix(labels.length, 4, tied(labels));
  const dependent = { ...request, data: arrayDataset({ inputs, labels }) };
  const [a, b] = [await empiricalFisher().estimate(dependent, ctx), await kfac().estimate(dependent, ctx)];
  const [left, right] = [await columns(a.curvature()), await columns(b.curvature())];
  expect(
    Math.max(...left.flatMap((column, j) => [...column].map((v, i) => Math.abs(v - right[j]![i]!)))),
  ).toBeGreaterThan(0.01);
});

/** Inputs that tell their label. */
function tied(labels: Uint32Array): Float32Array {
  return Float32Array.from({ length: labels.length * 4 }, (_, i) => (labels[Math.floor(i / 4)] === i % 4 ? 1 : 0));
}

test("on a convolution whose positions' gradients are independent of inputs and of one another, K-FAC is the exact Fisher", async () => {
  const [positions, inputs, outputs] = [2, 3, 2];
  const patches = Array.from({ length: 4 }, () => random(positions * inputs));
  // At every position one of four output gradients, each with its negative, so that they have mean zero.
  const half = [random(outputs), random(outputs)];
  const gradients = half.flatMap((delta) => [delta, delta.map((value) => -value)]);
  const examples = patches.flatMap((input) =>
    gradients.flatMap((first) => gradients.map((second) => ({ input, delta: [...first, ...second] }))),
  );
  const count = examples.length * positions;
  const block = {
    kind: "factored" as const,
    param: "conv.weight",
    group: positions,
    delta: matrix(count, outputs, Float64Array.from(examples.flatMap(({ delta }) => delta))),
    input: matrix(count, inputs, Float64Array.from(examples.flatMap(({ input }) => [...input]))),
  };
  const rows = expandRows(block, referenceKernels);
  const exact = await columns(factorCurvature(denseFactor({ rows, kernels: referenceKernels })));
  const factors = [kroneckerFactors(block, referenceKernels)];
  const found = await columns(kroneckerCurvature({ factors, damping: 0, kernels: referenceKernels }));
  // Sums of 64 products of f64 numbers of order one.
  exact.forEach((column, j) => {
    column.forEach((value, i) => {
      expect(Math.abs(found[j]![i]! - value)).toBeLessThan(1e-12);
    });
  });
});

describe("the damped Kronecker curvature", () => {
  const factors = [3, 2].map((out, l) => {
    const block = {
      kind: "factored" as const,
      param: `fc${l + 1}.weight`,
      group: 1,
      delta: matrix(9, out, random(9 * out)),
      input: matrix(9, 4, random(36)),
    };
    return kroneckerFactors(block, referenceKernels);
  });
  const curvature = kroneckerCurvature({ factors, damping: 0.01, kernels: referenceKernels });

  test("has the diagonal of its products, and no entries between layers", async () => {
    const H = await columns(curvature);
    const diagonal = curvature.diagonal();
    H.forEach((column, j) => {
      expect(diagonal[j]).toBeCloseTo(column[j]!, 12);
      column.forEach((value, i) => {
        if (i < 12 !== j < 12) expect(value).toBe(0);
      });
    });
    expect(curvature.blocks!().map(({ start, size }) => [start, size])).toEqual([
      [0, 12],
      [12, 8],
    ]);
  });

  test("its inverse times its products is the identity, and columns, blocks and diagonal belong to it", async () => {
    const inverse = await curvature.inverse!();
    const diagonal = await inverse.diagonal();
    const block = await inverse.block(Uint32Array.of(1, 11, 12));
    for (let j = 0; j < curvature.dim; j++) {
      const [column, back] = [new Float64Array(curvature.dim), new Float64Array(curvature.dim)];
      await inverse.column(j, column);
      await curvature.apply(column, back);
      // f64, condition numbers of a few hundred
      back.forEach((value, i) => {
        expect(Math.abs(value - (i === j ? 1 : 0))).toBeLessThan(1e-10);
      });
      expect(diagonal[j]).toBeCloseTo(column[j]!, 12);
      if (j === 1) expect(block.data[3]).toBeCloseTo(column[11]!, 12);
      if (j === 12) expect([block.data[2], block.data[5]]).toEqual([0, 0]);
    }
  });

  test("inverts whole layers and refuses parts of them", async () => {
    const second = await curvature.inverse!(Uint32Array.from({ length: 8 }, (_, i) => 12 + i));
    expect([...(await second.diagonal())]).toEqual([...(await (await curvature.inverse!()).diagonal())].slice(12));
    expect(() => curvature.inverse!(Uint32Array.of(0, 1, 2))).toThrow(
      expect.objectContaining({ code: "ERR_INCOMPATIBLE", message: expect.stringContaining("whole layers") }),
    );
  });

  test("without damping a dead input makes it singular, and the error names layer, pivot and damping", () => {
    const dead = factors.map(({ param, A, B }) => ({ param, B, A: { ...A, data: A.data.slice().fill(0, 0, 4) } }));
    const undamped = kroneckerCurvature({ factors: dead, damping: 0, kernels: referenceKernels });
    expect(() => undamped.inverse!()).toThrow(/factor A \(inputs\) of layer 'fc1\.weight'.*pivot 0 .*damping 0\)/);
  });
});

test("an automatic ridge is that of the empirical Fisher up to what K-FAC changes of the trace", async () => {
  const request = { ...independent(), ridge: "auto" as const };
  const [exact, approximate] = [await empiricalFisher().estimate(request, ctx), await kfac().estimate(request, ctx)];
  // Equal traces here, from f32 gradients.
  expect(approximate.chosen.ridge / exact.chosen.ridge).toBeCloseTo(1, 5);
});

/** Calls of the products of chains of dense layers, which a backend may leave out. */
import { type PanelChain, type PanelLayer, panelWidth, referenceKernels, type Vec } from "@secateur/core";
import { exact, judgedInF64, type KernelCase, rounded } from "./kernel-case.ts";
import type { Operands } from "./kernel-operands.ts";
import { patternOf } from "./sparse-cases.ts";

/** Features from layer to layer, panels, which layers a ReLU follows. */
const shapes: readonly (readonly [features: readonly number[], count: number, gates: readonly boolean[]])[] = [
  [[3, 5], 2, [false]],
  [[17, 8, 5], 3, [true, false]],
  // No ReLU between the first two, one behind the last; several blocks of columns; panels enough for several groups.
  [[150, 9, 6, 4], 37, [false, true, true]],
  [[4, 3], 0, [true]],
];

function chainOf(make: Operands, [features, count, gates]: (typeof shapes)[number]): PanelChain {
  // Something in front of, between and behind the entries of the layers belongs to none.
  let size = 2;
  const layers = gates.map((isGated, l): PanelLayer => {
    const [cols, rows] = [features[l]!, features[l + 1]!];
    const pattern = patternOf(rows, cols);
    const start = size;
    size += pattern.columns.length + 1;
    return {
      inputs: make.whole(count * cols * panelWidth, 2),
      pattern,
      start,
      ...(l > 0 && { weights: make.wholeMatrix(rows, cols, 2) }),
      ...(isGated && { gate: make.whole(count * rows * panelWidth, 2) }),
    };
  });
  return { count, size, layers };
}

/** Of the classes of every example in panels, with the sum 1; of the first and last examples one class is nearly certain. */
function probabilitiesOf(make: Operands, { count, layers }: PanelChain, length: number): Vec {
  const p = Array.from(make.real(length), (value) => Math.abs(value) + 0.01);
  const { rows: classes } = layers.at(-1)!.pattern;
  for (let example = 0; example < count * panelWidth; example++) {
    const first = Math.floor(example / panelWidth) * classes * panelWidth + (example % panelWidth);
    const places = Array.from({ length: classes }, (_, c) => first + c * panelWidth);
    if (example % (count * panelWidth - 1) === 0) p[places[example % classes]!] = 1e6;
    const sum = places.reduce((total, place) => total + p[place]!, 0);
    for (const place of places) p[place]! /= sum;
  }
  return make.given(p);
}

const cases = (
  kind: typeof exact,
  run: (chain: PanelChain, outputs: number) => KernelCase["run"],
): readonly KernelCase[] =>
  shapes.map((shape) => {
    const [features, count] = shape;
    return kind(`${features.join(" - ")}, ${count} panels`, (kernels, make, dtype) => {
      const chain = chainOf(make, shape);
      return run(chain, count * features.at(-1)! * panelWidth)(kernels, make, dtype);
    });
  });

/** Cases of chainTimes; a backend without it agrees. */
export const chainTimesCases: readonly KernelCase[] = cases(exact, (chain, outputs) => (kernels, make) => {
  const out = make.output(outputs);
  (kernels.chainTimes ?? referenceKernels.chainTimes!)({ chain, x: make.whole(chain.size, 2), out });
  return [out];
});

/** Cases of chainTransposeTimes; a backend without it agrees. */
export const chainTransposeTimesCases: readonly KernelCase[] = cases(exact, (chain, outputs) => (kernels, make) => {
  const out = make.output(chain.size);
  (kernels.chainTransposeTimes ?? referenceKernels.chainTransposeTimes!)({ chain, u: make.whole(outputs, 2), out });
  return [out];
});

/** Cases of chainGram; a backend without it agrees. */
export const chainGramCases: readonly KernelCase[] = [
  ...cases(rounded, (chain, outputs) => (kernels, make) => {
    const out = make.output(chain.size, 7);
    const probabilities = probabilitiesOf(make, chain, outputs);
    (kernels.chainGram ?? referenceKernels.chainGram!)({ chain, x: make.whole(chain.size, 2), probabilities, out });
    return [out];
  }),
  judgedInF64("confident examples alone, whose tangents have much in common", (kernels, make) => {
    const chain = shiftedChain(make);
    const out = make.output(chain.size, 7);
    const x = make.given(chain.x);
    const probabilities = make.given(confidentOf(chain));
    (kernels.chainGram ?? referenceKernels.chainGram!)({ chain, x, probabilities, out });
    return [out];
  }),
];

/** 1 - p of the likeliest class: beside what f32 rounds of p, 3e-8 at most, times `commonTangent`, nothing is left of t less its mean as it is. */
const doubt = 1e-6;
/** What the tangents of all classes have in common, which takes no part in the product; beside it whole numbers are exact in f32. */
const commonTangent = 4096;

/**
 * One layer of whole numbers whose first input is 1 and has the weight `commonTangent` for every class. Tangents are exact in f32 too, and every product in f32 is
 * off by some 2^-24 of itself, since the small probabilities keep their digits: so the sums over 96 examples keep to what the checks allow for sums of
 * a hundred rounded terms, beside the largest of them, which is as small as `doubt` makes all.
 */
function shiftedChain(make: Operands): PanelChain & { readonly x: readonly number[] } {
  const [count, rows, cols] = [3, 5, 4];
  const inputs = Array.from(make.whole(count * cols * panelWidth, 2), (value, i) =>
    Math.floor(i / panelWidth) % cols === 0 ? 1 : value,
  );
  const pattern = {
    rows,
    cols,
    starts: Uint32Array.from({ length: rows + 1 }, (_, row) => row * cols),
    columns: Uint32Array.from({ length: rows * cols }, (_, e) => e % cols),
  };
  const x = Array.from(make.whole(rows * cols, 4), (value, e) => (e % cols === 0 ? commonTangent : value));
  return { count, size: x.length, layers: [{ inputs: make.given(inputs), pattern, start: 0 }], x };
}

/** One class nearly certain in every example, another one from example to example; the others share what is left unevenly. */
function confidentOf({ count, layers }: PanelChain): readonly number[] {
  const { rows: classes } = layers.at(-1)!.pattern;
  const parts = (classes * (classes - 1)) / 2;
  return Array.from({ length: count * classes * panelWidth }, (_, i) => {
    const [panel, line] = [Math.floor(i / (classes * panelWidth)), Math.floor(i / panelWidth) % classes];
    const example = panel * panelWidth + (i % panelWidth);
    const behind = (line + example) % classes;
    return behind === 0 ? 1 - doubt : (doubt * behind) / parts;
  });
}

/** Cases of chainSquares; a backend without it agrees. */
export const chainSquaresCases: readonly KernelCase[] = cases(rounded, (chain, outputs) => (kernels, make) => {
  const out = chain.layers.map(({ pattern }) => make.output(chain.count * pattern.rows * panelWidth));
  const probabilities = probabilitiesOf(make, chain, outputs);
  (kernels.chainSquares ?? referenceKernels.chainSquares!)({ chain, probabilities, out });
  return out;
});

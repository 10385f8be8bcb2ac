/** Calls of elementwise programs and of softmax, which a backend may leave out. */
import {
  type ElementwiseFunction,
  type ElementwiseSpec,
  type ElementwiseStep,
  type Kernels,
  matrix,
  referenceElementwise,
  referenceSoftmax,
} from "@secateur/core";
import { exact, type KernelCase, rounded } from "./kernel-case.ts";
import type { Operands } from "./kernel-operands.ts";

function program(kernels: Kernels, spec: ElementwiseSpec): readonly [ElementwiseSpec["out"]] {
  (kernels.elementwise ?? referenceElementwise)(spec);
  return [spec.out];
}

/** Row-major strides. */
function along(shape: readonly number[]): readonly number[] {
  return shape.map((_, axis) => shape.slice(axis + 1).reduce((size, extent) => size * extent, 1));
}

const sizeOf = (shape: readonly number[]): number => shape.reduce((size, extent) => size * extent, 1);

/** A step on all of the inputs. */
const single = (name: ElementwiseFunction, count: number): KernelCase["run"] => {
  return (kernels, make) => {
    const shape = [3, 7, 5];
    const strides = along(shape);
    const inputs = Array.from({ length: count }, () => ({ data: make.whole(105), strides }));
    const step: ElementwiseStep = [name, ...inputs.map((_, k) => k)];
    return program(kernels, { shape, inputs, steps: [step], out: make.output(105) });
  };
};

/** Whole numbers divide exactly by powers of two, and the other functions of whole numbers are whole. */
const exactFunctions: readonly (readonly [ElementwiseFunction, number])[] = [
  ["add", 2],
  ["subtract", 2],
  ["multiply", 2],
  ["max", 2],
  ["min", 2],
  ["prelu", 2],
  ["select", 3],
  ["negate", 1],
  ["abs", 1],
];
const roundedFunctions: readonly ElementwiseFunction[] = ["exp", "sigmoid", "tanh", "erf"];

/** How two inputs lie over the shape. */
interface Lie {
  readonly label: string;
  readonly shape: readonly number[];
  /** Lengths, strides and offsets of both. */
  readonly inputs: readonly (readonly [length: number, strides: readonly number[], offset?: number])[];
}

const lies: readonly Lie[] = [
  {
    label: "the same number twice",
    shape: [],
    inputs: [
      [1, []],
      [1, []],
    ],
  },
  {
    label: "nothing",
    shape: [0, 4],
    inputs: [
      [0, [4, 1]],
      [4, [0, 1]],
    ],
  },
  {
    label: "a row over a matrix",
    shape: [130, 7],
    inputs: [
      [910, [7, 1]],
      [7, [0, 1]],
    ],
  },
  {
    label: "a column over a matrix",
    shape: [7, 300],
    inputs: [
      [2100, [300, 1]],
      [7, [1, 0]],
    ],
  },
  {
    label: "two axes between others",
    shape: [2, 5, 3, 4],
    inputs: [
      [120, along([2, 5, 3, 4])],
      [10, [5, 1, 0, 0]],
    ],
  },
  {
    label: "a transposed one",
    shape: [65, 33],
    inputs: [
      [65 * 33, [33, 1]],
      [65 * 33, [1, 65]],
    ],
  },
  {
    label: "every third number, backwards",
    shape: [40, 30],
    inputs: [
      [1200, [30, 1]],
      [3600, [-90, 3], 39 * 90],
    ],
  },
  {
    label: "six axes",
    shape: [2, 3, 2, 3, 2, 3],
    inputs: [
      [216, along([2, 3, 2, 3, 2, 3])],
      [27, [0, 9, 0, 3, 0, 1]],
    ],
  },
  // More than a backend may have room for.
  {
    label: "eight axes",
    shape: [2, 3, 2, 3, 2, 3, 2, 3],
    inputs: [
      [1296, along([2, 3, 2, 3, 2, 3, 2, 3])],
      [81, [0, 27, 0, 9, 0, 3, 0, 1]],
    ],
  },
];

const operandsOf = (lie: Lie, make: Operands): ElementwiseSpec["inputs"] =>
  lie.inputs.map(([length, strides, offset = 0]) => ({ data: make.whole(length), strides, offset }));

/** Cases of elementwise; a backend without it agrees. */
export const elementwiseCases: readonly KernelCase[] = [
  ...exactFunctions.map(([name, count]) => exact(name, single(name, count))),
  ...roundedFunctions.map((name) => rounded(name, single(name, 1))),
  ...lies.map((lie) =>
    exact(`a program over ${lie.label}`, (kernels, make) => {
      const inputs = [...operandsOf(lie, make), 3, -2];
      const steps: readonly ElementwiseStep[] = [
        ["multiply", 0, 1],
        ["add", 4, 2],
        ["max", 5, 3],
      ];
      return program(kernels, { shape: lie.shape, inputs, steps, out: make.output(sizeOf(lie.shape)) });
    }),
  ),
  ...lies.map((lie) =>
    exact(`a copy of the second of ${lie.label}`, (kernels, make) => {
      const [, second] = operandsOf(lie, make);
      return program(kernels, { shape: lie.shape, inputs: [second!], steps: [], out: make.output(sizeOf(lie.shape)) });
    }),
  ),
  exact("a chain of more steps than may fit, in place", (kernels, make) => {
    const out = make.changed(1027);
    const steps = Array.from({ length: 90 }, (_, s): ElementwiseStep => ["add", s === 0 ? 0 : s + 1, 1]);
    return program(kernels, { shape: [1027], inputs: [{ data: out, strides: [1] }, 2], steps, out });
  }),
  exact(
    "bounds, products and sums that are read once and twice, from the same steps with other numbers and shapes",
    (kernels, make) => {
      const steps: readonly ElementwiseStep[] = [
        ["add", 0, 1],
        ["max", 4, 2],
        ["min", 3, 5],
        ["multiply", 0, 6],
        ["add", 7, 0],
        ["multiply", 8, 8],
        ["add", 9, 8],
        ["max", 2, 10],
        ["min", 11, 11],
      ];
      return [
        [[1027], 3, 0],
        [[1027], 2, 0],
        [[13, 79], 2, -1],
      ].flatMap(([shape, most, least]) => {
        const extents = shape as readonly number[];
        const inputs = [{ data: make.whole(1027), strides: along(extents) }, 2, least as number, most as number];
        return program(kernels, { shape: extents, inputs, steps, out: make.output(1027) });
      });
    },
  ),
  rounded("quotients and roots", (kernels, make) => {
    const inputs = [make.real(1027), make.real(1027)].map((data) => ({ data, strides: [1] }));
    const steps: readonly ElementwiseStep[] = [
      ["abs", 1],
      ["add", 2, 3],
      ["sqrt", 4],
      ["divide", 0, 5],
    ];
    return program(kernels, { shape: [1027], inputs: [...inputs, 0.5], steps, out: make.output(1027) });
  }),
  exact("NaN, infinities and what is as far from zero", (kernels, make) => {
    const data = make.given([Number.NaN, 1 / 0, -1 / 0, 1e4, -1e4, 200, -200]);
    return roundedFunctions.flatMap((name) =>
      program(kernels, { shape: [7], inputs: [{ data, strides: [1] }], steps: [[name, 0]], out: make.output(7) }),
    );
  }),
];

/** Cases of softmax; a backend without it agrees. */
export const softmaxCases: readonly KernelCase[] = (
  [
    [1, 1],
    [3, 5],
    [17, 130],
    [0, 4],
    [2, 4],
  ] as const
).flatMap(([rows, cols]) =>
  [false, true].map((isLogarithm) =>
    rounded(`${rows} x ${cols}${isLogarithm ? ", its logarithm" : ""}, also in place`, (kernels, make) => {
      const softmax = kernels.softmax ?? referenceSoftmax;
      const out = make.outputMatrix(rows, cols);
      softmax({ a: make.wholeMatrix(rows, cols), out, isLogarithm });
      const same = matrix(rows, cols, make.changed(rows * cols));
      // What attention masks out.
      if (cols > 1)
        for (let row = 0; row < rows; row++) same.data[row * cols] = isLogarithm ? -90 : Number.NEGATIVE_INFINITY;
      softmax({ a: same, out: same, isLogarithm });
      return [out.data, same.data];
    }),
  ),
);

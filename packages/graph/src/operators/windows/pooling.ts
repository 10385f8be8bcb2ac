/** Pools over windows and over whole images, with channels stored last. A maximum's delta goes to where it was taken, a mean's to all it was taken over. */
import { type ElementwiseStep, matrix, type Pool, type Vec } from "@secateur/core";
import type { Applied, Call, Operator, Question } from "../../operator.ts";
import { type ProgramInput, runProgram, runsPrograms } from "../../run/programs.ts";
import { realOf, type Shape, sizeOf } from "../../value.ts";
import { lazily } from "../lazily.ts";
import { inputOf, listOf, numberOf, refuse, showShape } from "../node-facts.ts";
import { type Windows, windowsOf } from "./window-facts.ts";

function geometry(question: Question, space: Shape): Windows {
  const kernel = listOf(question, "kernel_shape");
  return windowsOf(question, space, kernel ?? refuse(question, "no kernel_shape", "one"));
}

/** Visits every window: the range of taps inside the image along both axes, and how many taps lie inside of image and padding. */
function eachWindow(
  windows: Windows,
  visit: (position: number, taps: { rows: readonly number[]; columns: readonly number[]; padded: number }) => void,
): void {
  const { positions } = windows;
  const along = (axis: 0 | 1) =>
    Array.from({ length: positions[axis] }, (_, position) => {
      const start = position * windows.stride[axis] - windows.before[axis];
      const all = Array.from({ length: windows.kernel[axis] }, (_, tap) => start + tap * windows.dilation[axis]);
      const inside = all.filter((place) => place >= 0 && place < windows.image[axis]);
      const padded = all.filter((place) => place < windows.image[axis] + windows.after[axis]).length;
      return { inside, padded };
    });
  const [down, across] = [along(0), along(1)];
  let position = 0;
  for (const row of down) {
    for (const column of across) {
      visit(position++, { rows: row.inside, columns: column.inside, padded: row.padded * column.padded });
    }
  }
}

/** The most taps that are one program of kernels. */
const mostProgramTaps = 30;

/**
 * Pools as a program: the image, padded with `filler`, is seen shifted by each tap, and `step` joins what is seen. Undefined where kernels
 * run no programs or windows are too large for one.
 */
function pooled(
  x: Vec,
  at: {
    readonly pool: Pool;
    readonly windows: Windows;
    readonly batch: number;
    readonly channels: number;
    readonly step: "max" | "add";
    /** What the joined numbers are multiplied with, by position. */
    readonly scales?: Vec;
  },
): Vec | undefined {
  const { pool, windows, batch, channels, step, scales } = at;
  const { image, kernel, stride, dilation, before, positions } = windows;
  const taps = kernel[0] * kernel[1];
  if (!runsPrograms(pool) || taps > mostProgramTaps || image[0] * image[1] * channels * batch === 0) return undefined;
  const reach = ([0, 1] as const).map((axis) => {
    const seen = (positions[axis] - 1) * stride[axis] + (kernel[axis] - 1) * dilation[axis] + 1;
    return Math.max(seen, before[axis] + image[axis]);
  }) as [number, number];
  const isPadded = reach[0] !== image[0] || reach[1] !== image[1];
  const data = isPadded ? pool.take(batch * reach[0] * reach[1] * channels) : x;
  if (isPadded) {
    data.fill(step === "max" ? Number.NEGATIVE_INFINITY : 0);
    const row = image[1] * channels;
    for (let n = 0; n < batch; n++) {
      for (let y = 0; y < image[0]; y++) {
        const from = (n * image[0] + y) * row;
        const to = ((n * reach[0] + before[0] + y) * reach[1] + before[1]) * channels;
        data.set(x.subarray(from, from + row), to);
      }
    }
  }
  const line = reach[1] * channels;
  const shape = [batch, positions[0], positions[1], channels];
  const strides = [reach[0] * line, stride[0] * line, stride[1] * channels, 1];
  const inputs: ProgramInput[] = [];
  for (let ky = 0; ky < kernel[0]; ky++) {
    for (let kx = 0; kx < kernel[1]; kx++) {
      inputs.push({ data, strides, offset: ky * dilation[0] * line + kx * dilation[1] * channels });
    }
  }
  if (scales) inputs.push({ data: scales, strides: [0, positions[1], 1, 0] });
  const steps: ElementwiseStep[] = [];
  for (let tap = 1; tap < taps; tap++) steps.push([step, tap === 1 ? 0 : inputs.length + tap - 2, tap]);
  if (scales) steps.push(["multiply", taps === 1 ? 0 : inputs.length + taps - 2, taps]);
  const out = runProgram(pool, { shape, inputs, steps, out: pool.take(sizeOf(shape)) });
  if (isPadded) pool.give(data);
  return out;
}

function inferPool(question: Question) {
  const { shape } = inputOf(question, 0);
  const { positions, rank } = geometry(question, shape.slice(2));
  const out = { kind: "real" as const, shape: [...shape.slice(0, 2), ...positions.slice(2 - rank)] };
  return question.node.outputs.length > 1 ? refuse(question, "indices asked for", "the maxima alone") : [out];
}

function maxPool(call: Call): Applied {
  const { pool } = call;
  const { shape } = call.inputs[0]!;
  const x = realOf(call.inputs[0]!);
  const [batch, channels] = [shape[0]!, shape.at(-1)!];
  const windows = geometry(call, shape.slice(1, -1));
  const perImage = windows.image[0] * windows.image[1] * channels;
  const size = batch * windows.positions[0] * windows.positions[1] * channels;
  const count = windows.positions[0] * windows.positions[1];
  /** Where each maximum was taken. */
  const places = lazily(() => {
    const taken = new Int32Array(size);
    eachWindow(windows, (position, { rows, columns }) => {
      for (let n = 0; n < batch; n++) {
        const at = (n * count + position) * channels;
        for (let c = 0; c < channels; c++) {
          let best = -1;
          for (const row of rows) {
            for (const column of columns) {
              const i = n * perImage + (row * windows.image[1] + column) * channels + c;
              if (best < 0 || x[i]! > x[best]! || Number.isNaN(x[i]!)) best = i;
            }
          }
          taken[at + c] = best;
        }
      }
    });
    return taken;
  });
  const taken = (): Vec => {
    const y = pool.take(size);
    places().forEach((i, k) => {
      y[k] = x[i] ?? Number.NEGATIVE_INFINITY;
    });
    return y;
  };
  return {
    outputs: [pooled(x, { pool, windows, batch, channels, step: "max" }) ?? taken()],
    backward([delta]) {
      const out = pool.take(x.length).fill(0);
      const taken = places();
      for (let k = 0; k < size; k++) if (taken[k]! >= 0) out[taken[k]!] = out[taken[k]!]! + delta![k]!;
      pool.give(delta!);
      return [out];
    },
    tangent([t]) {
      if (!t) return [undefined];
      const out = pool.take(size);
      const taken = places();
      for (let k = 0; k < size; k++) out[k] = t[taken[k]!] ?? 0;
      return [out];
    },
  };
}

/** A mean over windows is linear: the same loop, forward and as its adjoint. */
function averagePool(call: Call): Applied {
  const { pool } = call;
  const { shape } = call.inputs[0]!;
  const [batch, channels] = [shape[0]!, shape.at(-1)!];
  const windows = geometry(call, shape.slice(1, -1));
  const counts = numberOf(call, "count_include_pad", 0) === 1;
  const [width, perImage] = [windows.image[1], windows.image[0] * windows.image[1] * channels];
  const count = windows.positions[0] * windows.positions[1];
  const eachTap = (visit: (y: number, x: number, weight: number) => void): void => {
    eachWindow(windows, (position, { rows, columns, padded }) => {
      const weight = 1 / (counts ? padded : rows.length * columns.length);
      for (let n = 0; n < batch; n++) {
        for (const row of rows) {
          for (const column of columns) {
            visit((n * count + position) * channels, n * perImage + (row * width + column) * channels, weight);
          }
        }
      }
    });
  };
  const scales = lazily(() => {
    const all = new Float32Array(count);
    eachWindow(windows, (position, { rows, columns, padded }) => {
      // A window that lies in the padding sees zeros alone.
      all[position] = 1 / Math.max(1, counts ? padded : rows.length * columns.length);
    });
    return all;
  });
  const forward = (x: Vec): Vec => {
    if (runsPrograms(pool)) {
      const known = pooled(x, { pool, windows, batch, channels, step: "add", scales: scales() });
      if (known) return known;
    }
    const out = pool.take(batch * count * channels).fill(0);
    eachTap((y, from, weight) => {
      for (let c = 0; c < channels; c++) out[y + c] = out[y + c]! + weight * x[from + c]!;
    });
    return out;
  };
  return {
    outputs: [forward(realOf(call.inputs[0]!))],
    backward([delta]) {
      const out = pool.take(batch * perImage).fill(0);
      eachTap((y, from, weight) => {
        for (let c = 0; c < channels; c++) out[from + c] = out[from + c]! + weight * delta![y + c]!;
      });
      pool.give(delta!);
      return [out];
    },
    tangent: ([t]) => [t && forward(t)],
  };
}

function globalAverage(call: Call): Applied {
  const { pool } = call;
  const { shape } = call.inputs[0]!;
  const [batch, channels] = [shape[0]!, shape.at(-1)!];
  const count = sizeOf(shape.slice(1, -1));
  const forward = (x: Vec): Vec => {
    const out = pool.take(batch * channels);
    const size = count * channels;
    for (let n = 0; n < batch; n++) {
      const image = matrix(count, channels, x.subarray(n * size, (n + 1) * size));
      pool.kernels.columnSums(image, out.subarray(n * channels, (n + 1) * channels));
    }
    for (let i = 0; i < out.length; i++) out[i] = out[i]! / count;
    return out;
  };
  return {
    outputs: [forward(realOf(call.inputs[0]!))],
    backward([delta]) {
      const out = pool.take(batch * count * channels);
      for (let n = 0, i = 0; n < batch; n++) {
        for (let p = 0; p < count; p++) {
          for (let c = 0; c < channels; c++, i++) out[i] = delta![n * channels + c]! / count;
        }
      }
      pool.give(delta!);
      return [out];
    },
    tangent: ([t]) => [t && forward(t)],
  };
}

function globalMax(call: Call): Applied {
  const { shape } = call.inputs[0]!;
  const space = shape.slice(1, -1);
  if (space.length > 2) refuse(call, showShape(space), "one or two axes of space");
  const attributes = { ...call.node.attributes, kernel_shape: space };
  return maxPool({ ...call, node: { ...call.node, attributes } });
}

const inferGlobal = (question: Question) => {
  const { shape, kind } = inputOf(question, 0);
  return [{ kind, shape: shape.map((extent, axis) => (axis < 2 ? extent : 1)) }];
};

const taps = (question: Question): number => sizeOf(listOf(question, "kernel_shape") ?? [1]);

/** Pools. */
export const poolingOperators: readonly Operator[] = [
  {
    name: "MaxPool",
    layout: "last",
    derivative: "yes",
    infer: inferPool,
    apply: maxPool,
    flops: (question, [y]) => taps(question) * sizeOf(y!.shape),
  },
  {
    name: "AveragePool",
    layout: "last",
    derivative: "yes",
    infer: inferPool,
    apply: averagePool,
    flops: (question, [y]) => taps(question) * sizeOf(y!.shape),
  },
  {
    name: "GlobalAveragePool",
    layout: "last",
    derivative: "yes",
    infer: inferGlobal,
    apply: globalAverage,
    flops: (question) => sizeOf(inputOf(question, 0).shape),
  },
  {
    name: "GlobalMaxPool",
    layout: "last",
    derivative: "yes",
    infer: inferGlobal,
    apply: globalMax,
    flops: (question) => sizeOf(inputOf(question, 0).shape),
  },
];

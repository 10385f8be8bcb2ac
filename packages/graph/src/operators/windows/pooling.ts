/** Pools over windows and over whole images, with channels stored last. A maximum's delta goes to where it was taken, a mean's to all it was taken over. */
import type { Vec } from "@secateur/core";
import type { Applied, Call, Operator, Question } from "../../operator.ts";
import { realOf, type Shape, sizeOf } from "../../value.ts";
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
  const y = pool.take(size);
  const taken = new Int32Array(size);
  const count = windows.positions[0] * windows.positions[1];
  eachWindow(windows, (position, { rows, columns }) => {
    for (let n = 0; n < batch; n++) {
      const at = (n * count + position) * channels;
      for (let c = 0; c < channels; c++) {
        let best = -1;
        let value = Number.NEGATIVE_INFINITY;
        for (const row of rows) {
          for (const column of columns) {
            const i = n * perImage + (row * windows.image[1] + column) * channels + c;
            if (best < 0 || x[i]! > value || Number.isNaN(x[i]!)) {
              best = i;
              value = x[i]!;
            }
          }
        }
        y[at + c] = value;
        taken[at + c] = best;
      }
    }
  });
  return {
    outputs: [y],
    backward([delta]) {
      const out = pool.take(x.length).fill(0);
      for (let k = 0; k < size; k++) if (taken[k]! >= 0) out[taken[k]!] = out[taken[k]!]! + delta![k]!;
      pool.give(delta!);
      return [out];
    },
    tangent([t]) {
      if (!t) return [undefined];
      const out = pool.take(size);
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
  const forward = (x: Vec): Vec => {
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
    const sums = new Float64Array(channels);
    for (let n = 0, i = 0; n < batch; n++) {
      sums.fill(0);
      for (let p = 0; p < count; p++) for (let c = 0; c < channels; c++, i++) sums[c]! += x[i]!;
      for (let c = 0; c < channels; c++) out[n * channels + c] = sums[c]! / count;
    }
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

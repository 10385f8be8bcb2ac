/** Sums, concatenations along channels, and the shortcut without parameters (He et al. 2016, option A): all linear. */
import type { Mat } from "@secateur/core";
import type { LayerOf } from "../graph/layer-spec.ts";
import { positionsOf, sizeOf } from "../graph/value-shape.ts";
import { type OpCall, type Step, take } from "./op.ts";

/** The sum of all inputs. */
export function add(call: OpCall): Step {
  const { pool, node, inputs } = call;
  const { kernels } = pool;
  const [first, ...rest] = inputs as readonly [Mat, ...Mat[]];
  const output = node.isInPlace ? first : copyOf(first, call);
  for (const other of rest) kernels.axpy(1, other.data, output.data);
  return {
    output,
    kept: [],
    backward(delta) {
      // The delta itself goes to the first input that needs one, copies to the others.
      let isUsed = false;
      const deltas = node.needsDelta.map((needs) => {
        if (!needs) return undefined;
        const own = isUsed ? copyOf(delta, call) : delta;
        isUsed = true;
        return own;
      });
      if (!isUsed) pool.give(delta.data);
      return deltas;
    },
    tangent(tangents) {
      const [start, ...others] = tangents.filter((t) => t !== undefined);
      if (!start) return undefined;
      const out = copyOf(start, call);
      for (const other of others) kernels.axpy(1, other.data, out.data);
      return out;
    },
  };
}

/** The channels of all inputs, one input after the other. */
export function concat(call: OpCall): Step {
  const { pool, node, inputs } = call;
  const { channels } = node.shape;
  const widths = node.inputShapes.map((shape) => shape.channels);
  const starts = widths.map((_, i) => widths.slice(0, i).reduce((sum, width) => sum + width, 0));
  const place = (part: Mat, out: Mat, i: number): void => {
    copyColumns({
      from: part,
      fromCols: widths[i]!,
      fromStart: 0,
      to: out,
      toCols: channels,
      toStart: starts[i]!,
      width: widths[i]!,
    });
  };
  const output = take(pool, inputs[0]!.rows, sizeOf(node.shape));
  inputs.forEach((part, i) => {
    place(part, output, i);
  });
  return {
    output,
    kept: [],
    backward(delta) {
      const deltas = inputs.map((part, i) => {
        if (!node.needsDelta[i]) return undefined;
        const own = take(pool, part.rows, part.cols);
        copyColumns({
          from: delta,
          fromCols: channels,
          fromStart: starts[i]!,
          to: own,
          toCols: widths[i]!,
          toStart: 0,
          width: widths[i]!,
        });
        return own;
      });
      pool.give(delta.data);
      return deltas;
    },
    tangent(tangents) {
      if (tangents.every((t) => t === undefined)) return undefined;
      const out = take(pool, output.rows, output.cols);
      out.data.fill(0);
      tangents.forEach((t, i) => {
        if (t) place(t, out, i);
      });
      return out;
    },
  };
}

/** Every `stride`-th position, with channels of zeros before and after. */
export function subsampleAndPad(call: OpCall, layer: LayerOf<"subsample-and-pad">): Step {
  const { pool, node } = call;
  const x = call.inputs[0]!;
  const [from, to] = [node.inputShapes[0]!, node.shape];
  const start = (to.channels - from.channels) / 2;
  /** Places of the positions that are kept: in the input, and in the output behind its first channels of zeros. */
  const eachPosition = (visit: (inside: number, outside: number) => void): void => {
    for (let n = 0; n < x.rows; n++) {
      for (let y = 0; y < to.height; y++) {
        for (let column = 0; column < to.width; column++) {
          const inside = ((n * from.height + y * layer.stride) * from.width + column * layer.stride) * from.channels;
          visit(inside, (n * positionsOf(to) + y * to.width + column) * to.channels + start);
        }
      }
    }
  };
  const apply = (input: Mat): Mat => {
    const out = take(pool, input.rows, sizeOf(to));
    out.data.fill(0);
    eachPosition((inside, outside) => {
      for (let c = 0; c < from.channels; c++) out.data[outside + c] = input.data[inside + c]!;
    });
    return out;
  };
  return {
    output: apply(x),
    kept: [],
    backward(delta) {
      const previous = take(pool, x.rows, x.cols);
      previous.data.fill(0);
      eachPosition((inside, outside) => {
        for (let c = 0; c < from.channels; c++) previous.data[inside + c] = delta.data[outside + c]!;
      });
      pool.give(delta.data);
      return [previous];
    },
    tangent: ([t]) => t && apply(t),
  };
}

function copyOf(source: Mat, { pool }: OpCall): Mat {
  const out = take(pool, source.rows, source.cols);
  out.data.set(source.data);
  return out;
}

interface ColumnCopy {
  readonly from: Mat;
  readonly fromCols: number;
  readonly fromStart: number;
  readonly to: Mat;
  readonly toCols: number;
  readonly toStart: number;
  readonly width: number;
}

/** Columns of one matrix of positions into another of as many rows. */
function copyColumns({ from, fromCols, fromStart, to, toCols, toStart, width }: ColumnCopy): void {
  const rows = from.data.length / fromCols;
  for (let r = 0; r < rows; r++) {
    const [source, target] = [r * fromCols + fromStart, r * toCols + toStart];
    for (let c = 0; c < width; c++) to.data[target + c] = from.data[source + c]!;
  }
}

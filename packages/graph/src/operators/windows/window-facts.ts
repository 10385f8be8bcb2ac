/** Kernels, strides, dilations and pads of convolutions and pools over one or two axes of space; one axis is taken as an image of one row. */
import type { Question } from "../../operator.ts";
import type { Shape } from "../../value.ts";
import { listOf, numberOf, refuse, showShape, textOf } from "../node-facts.ts";

type Pair = readonly [down: number, across: number];

/** Geometry of windows over images [height, width]. */
export interface Windows {
  /** Axes of space that the node has: 1 or 2. */
  readonly rank: number;
  readonly image: Pair;
  readonly kernel: Pair;
  readonly stride: Pair;
  readonly dilation: Pair;
  readonly before: Pair;
  readonly after: Pair;
  /** Positions of the output. */
  readonly positions: Pair;
}

/** An extent of space or a setting of one or two axes as a pair. */
function pair(values: readonly number[], single: number): Pair {
  return values.length === 1 ? [single, values[0]!] : [values[0]!, values[1]!];
}

/** The geometry of a node over the spatial extents of its input. */
export function windowsOf(question: Question, space: Shape, kernel: readonly number[]): Windows {
  const rank = space.length;
  if (rank < 1 || rank > 2 || kernel.length !== rank) {
    refuse(
      question,
      `${rank} axes of space and a kernel ${showShape(kernel)}`,
      "one or two axes, with a tap count each",
    );
  }
  const list = (key: string): readonly number[] => {
    const values = listOf(question, key) ?? new Array<number>(rank).fill(1);
    if (values.length !== rank || values.some((value) => value < 1)) {
      refuse(question, `${key} ${showShape(values)}`, `${rank} numbers of 1 or more`);
    }
    return values;
  };
  const [strides, dilations] = [list("strides"), list("dilations")];
  const pads = padsOf(question, { space, kernel, strides, dilations });
  if (pads.length !== 2 * rank) refuse(question, `pads ${showShape(pads)}`, `${2 * rank} numbers`);
  const geometry = {
    rank,
    image: pair(space, 1),
    kernel: pair(kernel, 1),
    stride: pair(strides, 1),
    dilation: pair(dilations, 1),
    before: pair(pads.slice(0, rank), 0),
    after: pair(pads.slice(rank), 0),
  };
  const isCeil = numberOf(question, "ceil_mode", 0) === 1;
  const positions = [0, 1].map((axis) => positionsAlong(geometry, axis, isCeil)) as [number, number];
  if (positions.some((count) => count < 0)) {
    refuse(
      question,
      `a kernel ${showShape(kernel)} over ${showShape(space)}`,
      "windows that fit into the padded image",
    );
  }
  return { ...geometry, positions };
}

function positionsAlong(geometry: Omit<Windows, "positions">, axis: number, isCeil: boolean): number {
  const { image, kernel, stride, dilation, before, after } = geometry;
  const [extent, step] = [image[axis]!, stride[axis]!];
  const reach = dilation[axis]! * (kernel[axis]! - 1) + 1;
  const room = extent + before[axis]! + after[axis]! - reach;
  if (room < 0) return room + 1 <= 0 && isCeil && room > -step ? 1 : -1;
  if (!isCeil) return Math.floor(room / step) + 1;
  const count = Math.ceil(room / step) + 1;
  // A window that would start behind the image and its padding in front is left out.
  return (count - 1) * step >= extent + before[axis]! ? count - 1 : count;
}

function padsOf(
  question: Question,
  spec: { space: Shape; kernel: readonly number[]; strides: readonly number[]; dilations: readonly number[] },
): readonly number[] {
  const { space, kernel, strides, dilations } = spec;
  const auto = textOf(question, "auto_pad", "NOTSET");
  const zeros = new Array<number>(2 * space.length).fill(0);
  if (auto === "NOTSET" || auto === "") return listOf(question, "pads") ?? zeros;
  if (auto === "VALID") return zeros;
  const totals = space.map((extent, i) => {
    const reach = dilations[i]! * (kernel[i]! - 1) + 1;
    return Math.max(0, (Math.ceil(extent / strides[i]!) - 1) * strides[i]! + reach - extent);
  });
  const small = totals.map((total) => Math.floor(total / 2));
  const large = totals.map((total, i) => total - small[i]!);
  return auto === "SAME_LOWER" ? [...large, ...small] : [...small, ...large];
}

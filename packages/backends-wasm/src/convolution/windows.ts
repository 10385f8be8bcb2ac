/** Windows of images, their adjoint, and transposition block by block. */
import {
  checkMaxWindows,
  checkTransposeBlocks,
  checkWindows,
  dtypeOf,
  type MaxWindowsSpec,
  referenceKernels,
  type Vec,
  type WindowsSpec,
} from "@secateur/core";
import type { Engine } from "../engine.ts";
import { withResidents } from "../memory/residents.ts";

/** Writes the windows of images. */
export function gatherWindows(engine: Engine, spec: WindowsSpec): void {
  const { outHeight } = checkWindows("gatherWindows", spec);
  const values = windowValues(engine, spec);
  if (values === undefined) referenceKernels.gatherWindows(spec);
  else run(engine, "gatherWindows", { spec, units: spec.shape.batch * outHeight, values });
}

/** Sums windows into images. */
export function scatterWindows(engine: Engine, spec: WindowsSpec): void {
  checkWindows("scatterWindows", spec);
  const values = windowValues(engine, spec);
  if (values === undefined) referenceKernels.scatterWindows(spec);
  else run(engine, "scatterWindows", { spec, units: spec.shape.batch * spec.shape.height, values });
}

/** The largest entry of every window, and where it is. */
export function maxWindows(engine: Engine, spec: MaxWindowsSpec): void {
  const { outHeight, outWidth } = checkMaxWindows(spec);
  const { shape, images, out, taken } = spec;
  const { batch, height, width, channels, kernel, stride, padding, dilation } = shape;
  const operands = [
    { vector: images, use: "in" },
    { vector: out, use: "out" },
  ] as const;
  const isDone = withResidents(engine, { operands, workspace: out.length * 4 }, (addresses) => {
    const [source, target, indices] = addresses as [number, number, number];
    engine.run(
      `maxWindows${out.BYTES_PER_ELEMENT * 8}`,
      batch * outHeight,
      out.length * kernel[0] * kernel[1] * 2,
      ...[source, target, indices, height, width, channels, kernel[0], kernel[1], stride, padding, dilation],
      ...[outHeight, outWidth],
    );
    taken.set(engine.memory.u32.subarray(indices / 4, indices / 4 + taken.length));
  });
  if (!isDone) referenceKernels.maxWindows(spec);
}

interface WindowsRun {
  readonly spec: WindowsSpec;
  readonly units: number;
  readonly values: readonly number[];
}

function run(engine: Engine, kernel: string, { spec, units, values }: WindowsRun): void {
  engine.run(`${kernel}${spec.images.BYTES_PER_ELEMENT * 8}`, units, spec.windows.data.length * 0.3, ...values);
}

// undefined when an operand is outside the memory or has nothing in it.
function windowValues(engine: Engine, { shape, images, windows }: WindowsSpec): number[] | undefined {
  const source = engine.memory.addressOf(images);
  const target = engine.memory.addressOf(windows.data);
  if (source === undefined || target === undefined || images.length === 0 || windows.data.length === 0)
    return undefined;
  const { height, width, channels, kernel, stride, padding, dilation } = shape;
  const [from, to] = shape.channelRange ?? [0, channels];
  const { outHeight, outWidth } = checkWindows("windows", { shape, images, windows });
  const image = [height, width, channels, from, to - from];
  return [source, target, ...image, kernel[0], kernel[1], stride, padding, dilation, outHeight, outWidth];
}

/** Transposes each of `count` matrices [rows, cols]. */
export function transposeBlocks(
  engine: Engine,
  { a, shape, out }: { a: Vec; shape: { count: number; rows: number; cols: number }; out: Vec },
): void {
  checkTransposeBlocks(a, shape, out);
  const operands = [
    { vector: a, use: "in" },
    { vector: out, use: "out" },
  ] as const;
  const kernel = dtypeOf(a) === "f64" ? "transposeBlocks64" : "transposeBlocks32";
  const isDone = withResidents(engine, { operands, workspace: 0 }, ([source, target]) => {
    engine.run(kernel, shape.count, a.length * 0.6, source!, shape.rows, shape.cols, target!);
  });
  if (!isDone) referenceKernels.transposeBlocks(a, shape, out);
}

/** The steps of products over planes: convolutions, and matrices times many positions. */
import type { Builder } from "../../plan/builder.ts";
import { kernels, tilePositions } from "../../plan/kernel-numbers.ts";
import { geometryOf, originOf, type PlaneShape, type Region, uniteRows } from "../../plan/region.ts";
import type { Value } from "../../plan/value.ts";
import { activationWords, type Call } from "../operator.ts";
import { type TapMatrix, tapBlocks, tapRows } from "./taps.ts";

/** Pieces that a step is cut into at least, where it can be, so that threads have something to share. */
const pieces = 8;
/** What a tile's taps may read in one round. */
const nearBytes = 24_576;
/** A round over fewer taps of an output costs more than it saves. */
const leastTaps = 4;

/**
 * Adds one step: out = activation(weights . taps + bias + residual).
 *
 * @param spec.from - what taps read; its planes and out's keep one distance from row to row
 * @param spec.isByBlocks - four outputs at once, which read the same places
 * @param spec.isDense - whether zeros take part
 */
export function lowerProduct(
  spec: {
    readonly call: Call;
    readonly from: Region & { readonly planes: PlaneShape };
    readonly output: Value;
    readonly matrix: TapMatrix;
    readonly isByBlocks: boolean;
    readonly isDense: boolean;
    /** Whether every output reads the plane of its own number alone. */
    readonly isPlanewise?: boolean;
    /** Bytes that the taps of one output read for so many bytes of positions. */
    readonly reach: (tileBytes: number) => number;
  },
  builder: Builder,
): void {
  const { call, from, output, matrix, isByBlocks, isDense } = spec;
  const to = builder.newPlanes(output.dims);
  output.planes = to;
  uniteRows(from.planes, to.planes);
  const residual = call.inputs[1] ? builder.planes(call.inputs[1]) : undefined;
  if (residual) uniteRows(residual.planes, to.planes);
  const { outputs } = matrix;
  const bias = builder.numbers(call.tensors[1]?.data ?? new Float32Array(outputs));
  /** Parts that the taps come in, so that what each reads for one tile stays in the nearest cache. */
  const rounds = (): number => {
    const { vectors } = geometryOf(to.planes);
    const tile = 16 * Math.ceil(vectors / Math.ceil((4 * vectors) / tilePositions.sparse));
    const wanted = Math.ceil(spec.reach(tile) / nearBytes);
    return Math.max(1, Math.min(wanted, Math.floor(table.count / (outputs * leastTaps))));
  };
  const table = isByBlocks
    ? tapBlocks(matrix, isDense, builder.constant)
    : tapRows(matrix, isDense, builder.constant, rounds);
  const activation = activationWords(call);
  const perRow = isByBlocks ? Math.ceil(outputs / 4) : outputs;
  const cut = (): { tiles: number; ranges: number } => {
    const tile = isByBlocks ? tilePositions.block : tilePositions.sparse;
    const tiles = Math.ceil((4 * geometryOf(to.planes).vectors) / tile);
    const wanted = builder.threads === 1 ? 1 : Math.ceil(pieces / (tiles * to.planes.images));
    return { tiles, ranges: Math.min(wanted, perRow) };
  };
  const positions = to.planes.images * to.planes.height * to.planes.width;
  builder.step({
    kernel: isByBlocks ? kernels.block : kernels.sparse,
    units: () => cut().tiles * cut().ranges * to.planes.images,
    reads: residual ? [from, residual] : [from],
    writes: to,
    ...(spec.isPlanewise ? { readsPlanewise: from } : {}),
    work: table.count * (isByBlocks ? 4 : 1) * positions,
    words: () => {
      const [source, target] = [geometryOf(from.planes), geometryOf(to.planes)];
      const rest = residual ? geometryOf(residual.planes) : undefined;
      const { tiles, ranges } = cut();
      return [
        from.address,
        4 * from.planes.channels * source.plane,
        originOf(to),
        4 * target.plane,
        4 * to.planes.channels * target.plane,
        table.ends(),
        bias.address,
        residual ? originOf(residual) : 0,
        4 * (rest?.plane ?? 0),
        4 * (rest?.plane ?? 0) * to.planes.channels,
        builder.maskOf(to),
        target.vectors,
        tiles,
        ranges,
        outputs,
        ...activation,
        ...(isByBlocks ? [] : [rounds()]),
      ];
    },
  });
}

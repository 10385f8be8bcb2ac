/** A graph without the channels that do nothing, checked against the one it came from. */
import { isPruneError, type Kernels } from "@secateur/core";
import {
  type ChannelSpec,
  type CutGraph,
  compareGraphs,
  cutGraph,
  cuttableChannels,
  type GraphDifference,
  type GraphSpec,
  type Shape,
  type TracedGraph,
  type ValueSpec,
} from "@secateur/graph";
import { cutDiffers, cutUnchecked, nothingToCut, operatorsToCut, shapesToTell } from "../../errors.ts";

/** A graph that is to be cut. */
export interface CutRequest {
  readonly graph: GraphSpec;
  readonly opsets: Readonly<Record<string, number>>;
  /** For messages. */
  readonly source: string;
  /** Extents of inputs that were told, by name. */
  readonly told: ReadonlyMap<string, readonly (number | "batch")[]>;
  /** Of which the widths that are left are multiples; default 1. */
  readonly multiple?: number | undefined;
  readonly kernels: Kernels;
  readonly seed: number;
  /** What of a cut graph will be read from what is written, which is then what is compared; default: the graph itself. */
  readonly written?: ((graph: GraphSpec) => GraphSpec) | undefined;
}

/** What was cut, and how the result compares. */
export interface CheckedCut extends CutGraph {
  /** The largest difference of an output on random inputs, as a share of the largest output. */
  readonly difference: number;
  /** Operations of a run of one example, before and after. */
  readonly flops: readonly [number, number];
}

/** Stand-ins for extents that vary: large enough for windows and strides, no multiples of each other. */
const standIns = [64, 97, 512, 1999] as const;
/** Share of outputs that have to be numbers for a comparison to say anything. */
const enough = 0.5;
/** Sums in another order round otherwise: in f32 some 1e-7 a layer, which deep networks amplify. */
const tolerance = 1e-4;

/**
 * Cuts a graph and runs both on random inputs, of two sets of shapes where extents vary.
 *
 * @throws ERR_NOTHING_TO_CUT, ERR_CUT where the outputs differ by more than rounding, ERR_USAGE where extents have to be told; ERR_OPERATOR, ERR_GRAPH_NODE
 */
export function cutChecked(request: CutRequest): CheckedCut {
  const { graph, opsets, source, kernels, seed, written = (one) => one } = request;
  const { found: cut, extent } = somewhere(request, (spec) => cutGraph({ ...spec, multiple: request.multiple }));
  if (cut.gone === 0) throw nothingToCut({ source, groups: cut.groups, frozen: cut.frozen.map(({ why }) => why) });
  const other = written(cut.graph);
  const at = (batch: number, size: number, isPositive = false): GraphDifference => {
    const shapes = shapesAt(graph.inputs, request.told, { batch, other: size });
    return compareGraphs({ graph, other, opsets, shapes, kernels, seed, isPositive });
  };
  const first = at(2, extent);
  // The original may refuse other extents; the cut may not where it takes them.
  const second = attempt(() => at(3, extent + 33)) ?? first;
  // Roots and logarithms make no numbers of negative inputs, and nothing can be compared then.
  const third = first.finite < enough ? at(2, extent, true) : first;
  if (third.finite < enough) throw cutUnchecked({ source, finite: third.finite });
  const difference = Math.max(first.relative, second.relative, third.relative);
  if (difference > tolerance) throw cutDiffers({ source, difference });
  return { ...cut, difference, flops: at(1, extent).flops };
}

/** The channels of a graph that can be cut, in the first shapes of its inputs that it can be planned for. @throws as cutChecked */
export function traceSomewhere(request: Pick<CutRequest, "graph" | "opsets" | "told" | "source">): TracedGraph {
  return somewhere(request, (spec) => cuttableChannels(spec)).found;
}

/** What `work` gives for the first stand-ins for which it does not throw. */
function somewhere<T>(
  request: Pick<CutRequest, "graph" | "opsets" | "told" | "source">,
  work: (spec: ChannelSpec) => T,
): { readonly found: T; readonly extent: number } {
  const { graph, opsets, told, source } = request;
  const isOpen = graph.inputs.some(({ name, shape = [] }) =>
    (told.get(name) ?? shape).slice(1).some((extent) => typeof extent !== "number"),
  );
  let refusal: unknown;
  for (const extent of isOpen ? standIns : standIns.slice(0, 1)) {
    try {
      const shapes = shapesAt(graph.inputs, told, { batch: 2, other: extent });
      return { found: work({ graph, opsets, shapes }), extent };
    } catch (error) {
      if (isPruneError(error) && error.code === "ERR_OPERATOR") {
        throw operatorsToCut({ source, operators: (error.details?.["operators"] ?? []) as readonly string[] });
      }
      if (!isOpen || !isPruneError(error) || error.code !== "ERR_GRAPH_NODE") throw error;
      refusal ??= error;
    }
  }
  throw shapesToTell({ source, inputs: graph.inputs, cause: refusal });
}

/** Shapes of inputs: as the model has them or as they were told, else stand-ins. */
function shapesAt(
  inputs: readonly ValueSpec[],
  told: CutRequest["told"],
  { batch, other }: { batch: number; other: number },
): ReadonlyMap<string, Shape> {
  return new Map(
    inputs.map(({ name, shape = [] }) => {
      const extents = told.get(name) ?? shape;
      return [name, extents.map((extent, i) => (typeof extent === "number" ? extent : i === 0 ? batch : other))];
    }),
  );
}

function attempt<T>(work: () => T): T | undefined {
  try {
    return work();
  } catch (error) {
    if (isPruneError(error)) return undefined;
    throw error;
  }
}

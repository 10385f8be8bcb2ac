/**
 * A stretch of a network, forward with tangents and back with the tangents of the backward pass: what products with Hessians are made of (Pearlmutter 1994).
 * In eval mode, batch normalisations by themselves, not folded.
 */
import type { Mat, Vec } from "@secateur/core";
import { type Graph, type Node, networkInput } from "../graph/graph.ts";
import { applyLayer } from "../ops/apply-layer.ts";
import { backwardTangent, nowhere } from "../ops/backward-tangent.ts";
import { type Direction, type GradientSink, type Step, take, type Weights } from "../ops/op.ts";
import type { Pool } from "../pool.ts";

/** A stretch that a batch went through. Its vectors are the pool's, to be closed with it. */
export interface CurvedPass {
  /** What a node of the stretch gave, or one before it. */
  output(node: number): Mat;
  /** How that changes along the direction; undefined = not. */
  tangent(node: number): Mat | undefined;
  /** Hands every parameter's gradient to the sink. @param slopes - dL/doutput by node; kept as they are */
  gradient(slopes: ReadonlyMap<number, Mat>, sink: GradientSink): void;
  /** Adds the change of every parameter's gradient to what `target` gives. @param seeds - dL/doutput and its change, by node; kept as they are */
  gradientChange(
    seeds: ReadonlyMap<number, { readonly delta: Mat; readonly change: Mat }>,
    target: (param: string) => Vec | undefined,
  ): void;
}

/**
 * Runs the nodes `first` to `last`.
 *
 * @param spec.before - values that come from before the stretch, by node; networkInput is the input, images with channels last
 * @param spec.direction - a change of parameters; default: none
 */
export function curvedPass(spec: {
  graph: Graph;
  first: number;
  last: number;
  before: (node: number) => Mat;
  weights: Weights;
  pool: Pool;
  direction?: Direction;
}): CurvedPass {
  const { graph, first, last, before, weights, pool, direction } = spec;
  const nodes = graph.nodes.map((node) => asEntrance(unfolded(node), first));
  const steps: Step[] = [];
  const tangents: (Mat | undefined)[] = [];
  const output = (from: number): Mat => (from < first || from === networkInput ? before(from) : steps[from]!.output);
  const inputsOf = (node: Node): Mat[] => node.inputs.map(output);
  const tangentsOf = (node: Node): (Mat | undefined)[] => node.inputs.map((from) => tangents[from]);
  for (let index = first; index <= last; index++) {
    const node = nodes[index]!;
    steps[index] = applyLayer({ node, inputs: inputsOf(node), weights, pool, mode: "eval" });
    if (direction) tangents[index] = steps[index]!.tangent(tangentsOf(node), direction);
  }
  /** Adds what goes to the inputs of a node. */
  const pass = (sums: (Mat | undefined)[], node: Node, parts: readonly (Mat | undefined)[]): void =>
    parts.forEach((part, i) => {
      const from = node.inputs[i]!;
      if (from < first || from === networkInput || !node.needsDelta[i] || !part) return;
      sums[from] = summed(sums[from], part, pool);
    });
  const seeded = (seeds: Iterable<readonly [number, Mat]>): (Mat | undefined)[] => {
    const sums: (Mat | undefined)[] = [];
    for (const [index, seed] of seeds) sums[index] = copyOf(seed, pool);
    return sums;
  };
  return {
    output,
    tangent: (node) => tangents[node],
    gradient(slopes, sink) {
      const deltas = seeded(slopes);
      for (let index = last; index >= first; index--) {
        const own = deltas[index];
        if (own) pass(deltas, nodes[index]!, steps[index]!.backward(own, sink));
      }
    },
    gradientChange(seeds, target) {
      const deltas = seeded([...seeds].map(([index, { delta }]) => [index, delta]));
      const changes = seeded([...seeds].map(([index, { change }]) => [index, change]));
      for (let index = last; index >= first; index--) {
        const [delta, change] = [deltas[index], changes[index]];
        if (!delta || !change) continue;
        const [node, step] = [nodes[index]!, steps[index]!];
        const layer = { node, step, inputs: inputsOf(node), tangents: tangentsOf(node), weights, pool };
        const parts = backwardTangent({ ...layer, direction: direction ?? still, delta, change, target });
        pass(changes, node, parts);
        pass(deltas, node, step.backward(delta, nowhere));
      }
    },
  };
}

const still: Direction = () => undefined;

/** The node with its batch normalisation beside it, and its own ReLU where that is nobody else's. */
function unfolded({ norm: _, rectified, ...node }: Node): Node {
  return { ...node, isFolded: false, ...(rectified === "always" ? { rectified } : {}) };
}

/** A node that takes what comes from before the stretch leaves it as it is; a ReLU whose convolution stands there applies itself, once more. */
function asEntrance(node: Node, first: number): Node {
  if (node.inputs.every((from) => from >= first)) return node;
  const { rectified, ...rest } = { ...node, isInPlace: false };
  return rectified && node.layer.kind !== "relu" ? { ...rest, rectified } : rest;
}

function summed(sum: Mat | undefined, part: Mat, pool: Pool): Mat {
  if (!sum) return part;
  pool.kernels.axpy(1, part.data, sum.data);
  return sum;
}

/** A copy in the pool's memory. */
function copyOf(source: Mat, pool: Pool): Mat {
  const out = take(pool, source.rows, source.cols);
  out.data.set(source.data);
  return out;
}

/** A batch on its way through a network, one stretch at a time: between stretches only what later layers need is kept. */
import type { Mat, Vec } from "@secateur/core";
import { graphOf, type Node, networkInput } from "../graph/graph.ts";
import type { NetworkSpec } from "../graph/network-spec.ts";
import { applyLayer } from "../ops/apply-layer.ts";
import type { Weights } from "../ops/op.ts";
import type { Pool } from "../pool.ts";
import { channelsLast } from "./tape.ts";

/** A batch at its place. Values are [batch, features], images with channels last. */
export interface Walk {
  /** Applies the layers before `node` that are still to come, with these weights; returns what `node` takes first. It stays until the walk goes on. */
  inputOf(node: Node, weights: Weights): Mat;
  /** Gives its vectors back to the pool. */
  release(): void;
}

/** Starts before the first layer. @param input - [batch, features] in the network's layout; kept as it is */
export function startWalk(network: NetworkSpec, input: Mat, pool: Pool): Walk {
  const graph = graphOf(network);
  const first = channelsLast(input, graph, pool);
  const values: (Mat | undefined)[] = [];
  const owned = new Map<Vec, number>();
  if (first !== input) owned.set(first.data, graph.nodes.filter(({ inputs }) => inputs.includes(networkInput)).length);
  const valueFrom = (from: number): Mat => (from === networkInput ? first : values[from]!);
  const used = (vector: Vec): void => {
    const left = owned.get(vector);
    if (left === undefined) return;
    if (left > 1) owned.set(vector, left - 1);
    else {
      owned.delete(vector);
      pool.give(vector);
    }
  };
  let next = 0;
  return {
    inputOf(node, weights) {
      for (; next < node.index; next++) {
        const at = graph.nodes[next]!;
        const inputs = at.inputs.map(valueFrom);
        const { output, kept } = applyLayer({ node: at, inputs, weights, pool, mode: "eval" });
        for (const vector of kept) pool.give(vector);
        values[next] = output;
        // A layer may hand on its input's vector, which then has the consumers of both.
        if (output.data !== input.data) owned.set(output.data, (owned.get(output.data) ?? 0) + at.consumers);
        for (const { data } of inputs) used(data);
        if (owned.get(output.data) === 0) used(output.data);
      }
      return valueFrom(node.inputs[0]!);
    },
    release() {
      for (const vector of owned.keys()) pool.give(vector);
      owned.clear();
    },
  };
}

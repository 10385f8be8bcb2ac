/**
 * One batch through a network: forward, then from what the layers remember backward (reverse mode) and along tangents
 * (forward mode). The loss is summed over examples, so that deltas are per example.
 */
import { dtypeOf, type Mat, type Vec } from "@secateur/core";
import { type Graph, graphOf, networkInput } from "../graph/graph.ts";
import type { NetworkSpec } from "../graph/network-spec.ts";
import { positionsOf } from "../graph/value-shape.ts";
import { applyLayer } from "../ops/apply-layer.ts";
import { type Direction, type GradientSink, type OpCall, type Step, take, type Weights } from "../ops/op.ts";
import { applyInPanels } from "../panels/apply-in-panels.ts";
import type { PanelPlan } from "../panels/panel-plan.ts";
import { toPanels, toRows } from "../panels/panels.ts";
import type { Pool } from "../pool.ts";

/** A batch that went through a network. */
export interface Tape {
  /** [batch, classes]; of the tape, valid until `release`. */
  readonly logits: Mat;
  /** Hands every parameter's gradient to the sink. @param delta - dL/dlogits [batch, classes]; kept as it is */
  backward(delta: Mat, sink: GradientSink): void;
  /** out [batch, classes] = the change of the logits for a change of parameters. Eval mode only. */
  tangent(direction: Direction, out: Mat): void;
  /** Gives its vectors back to the pool. */
  release(): void;
}

/** How a batch is run. */
export interface RunSpec extends Partial<Pick<OpCall, "mode" | "onStatistics" | "random" | "reuse">> {
  readonly network: NetworkSpec;
  readonly weights: Weights;
  /** [batch, features], images in the network's layout; kept as it is */
  readonly input: Mat;
  readonly pool: Pool;
  /** Runs the batch in panels of 32 examples, products over kept weights; such a tape has no tangents, and goes backward in mode "train" alone. Default: in rows. */
  readonly panels?: PanelPlan;
}

/** Runs a batch and remembers what backward and tangents need. Memory: about `valuesPerExample` numbers an example. */
export function record(spec: RunSpec): Tape {
  const graph = graphOf(spec.network);
  const { pool, panels } = spec;
  const { steps, input } = run(graph, spec, () => undefined);
  const last = steps[graph.logits]!.output;
  const logits = panels ? toRows(last, pool) : last;
  const owned = new Set<Vec>([...steps.flatMap((step) => [step.output.data, ...step.kept]), logits.data]);
  if (input !== spec.input) owned.add(input.data);
  owned.delete(spec.input.data);
  return {
    logits,
    backward(delta, sink) {
      const own = copied(delta, pool);
      backward({ graph, steps, input, pool, seed: panels ? intoPanels(own, pool) : own, sink });
    },
    tangent: (direction, out) => tangent({ graph, steps, pool, direction, out }),
    release() {
      for (const vector of owned) pool.give(vector);
    },
  };
}

/** Only the logits [batch, classes], in a vector of the pool that the caller gives back. Memory: the widest layers. */
export function logitsOf(spec: RunSpec): Mat {
  const graph = graphOf(spec.network);
  const { pool } = spec;
  const counts = new Map<Vec, number>();
  const uses = graph.nodes.map(({ consumers, index }) => consumers + (index === graph.logits ? 1 : 0));
  let first: Mat | undefined;
  const { steps, input } = run(
    graph,
    spec,
    (steps, index) => {
      const { output, kept } = steps[index]!;
      for (const vector of kept) pool.give(vector);
      counts.set(output.data, (counts.get(output.data) ?? 0) + uses[index]!);
      for (const from of graph.nodes[index]!.inputs) {
        const data = from === networkInput ? undefined : steps[from]!.output.data;
        if (data === undefined) continue;
        const left = counts.get(data)! - 1;
        counts.set(data, left);
        if (left === 0 && data !== first?.data) pool.give(data);
      }
    },
    (converted) => {
      first = converted;
    },
  );
  const { output } = steps[graph.logits]!;
  if (input !== spec.input && input.data !== output.data) pool.give(input.data);
  if (spec.panels) {
    const rows = toRows(output, pool);
    pool.give(output.data);
    return rows;
  }
  if (output.data !== spec.input.data) return output;
  return copied(output, pool);
}

/** Rows of the pool become panels of it. */
function intoPanels(rows: Mat, pool: Pool): Mat {
  const panels = toPanels(rows, pool);
  pool.give(rows.data);
  return panels;
}

function copied(source: Mat, pool: Pool): Mat {
  const copy = take(pool, source.rows, source.cols);
  copy.data.set(source.data);
  return copy;
}

function run(
  graph: Graph,
  spec: RunSpec,
  visit: (steps: readonly Step[], index: number) => void,
  onInput: (input: Mat) => void = () => undefined,
): { steps: readonly Step[]; input: Mat } {
  const { weights, pool, mode = "eval", onStatistics, random, reuse = false, panels } = spec;
  const rows = channelsLast(spec.input, graph, pool);
  const input = panels ? (rows === spec.input ? toPanels(rows, pool) : intoPanels(rows, pool)) : rows;
  onInput(input);
  const steps: Step[] = [];
  for (const node of graph.nodes) {
    const inputs = node.inputs.map((from) => (from === networkInput ? input : steps[from]!.output));
    const optional = { ...(onStatistics ? { onStatistics } : {}), ...(random ? { random } : {}) };
    const call = { node, inputs, weights, pool, mode, reuse, ...optional };
    steps.push(panels ? applyInPanels(call, panels) : applyLayer(call));
    visit(steps, node.index);
  }
  return { steps, input };
}

/** Images of the network's layout as [batch, (y, x, c)], in kernel memory; rows of features as they are. */
export function channelsLast(input: Mat, { inputShape, layout }: Graph, pool: Pool): Mat {
  const positions = positionsOf(inputShape);
  if (positions === 1) return input;
  const out = take(pool, input.rows, input.cols);
  if (inputShape.channels === 1 || layout === "nhwc") {
    out.data.set(input.data);
    return out;
  }
  const copy = pool.take(input.data.length);
  copy.set(input.data);
  pool.kernels.transposeBlocks(copy, { count: input.rows, rows: inputShape.channels, cols: positions }, out.data);
  pool.give(copy);
  return out;
}

function backward(spec: {
  graph: Graph;
  steps: readonly Step[];
  input: Mat;
  pool: Pool;
  seed: Mat;
  sink: GradientSink;
}): void {
  const { graph, steps, input, pool, seed, sink } = spec;
  const deltas = new Array<Mat | undefined>(graph.nodes.length);
  deltas[graph.logits] = seed;
  for (let index = graph.logits; index >= 0; index--) {
    const own = deltas[index];
    if (!own) continue;
    deltas[index] = undefined;
    const node = graph.nodes[index]!;
    const inputs = node.inputs.map((from) => (from === networkInput ? input : steps[from]!.output));
    sink.visit?.(node, inputs, own);
    steps[index]!.backward(own, sink).forEach((part, i) => {
      const from = node.inputs[i]!;
      if (!part) return;
      const sum = from === networkInput ? undefined : deltas[from];
      if (from !== networkInput && node.needsDelta[i] && !sum) {
        deltas[from] = part;
        return;
      }
      if (sum && node.needsDelta[i]) pool.kernels.axpy(1, part.data, sum.data);
      pool.give(part.data);
    });
  }
}

function tangent(spec: { graph: Graph; steps: readonly Step[]; pool: Pool; direction: Direction; out: Mat }): void {
  const { graph, steps, pool, direction, out } = spec;
  const tangents: (Mat | undefined)[] = [];
  // Several nodes may share a vector; it goes back once the last of their consumers is done.
  const counts = new Map<Vec, number>();
  for (const node of graph.nodes) {
    const inputs = node.inputs.map((from) => (from === networkInput ? undefined : tangents[from]));
    const result = steps[node.index]!.tangent(inputs, direction);
    tangents.push(result);
    const uses = node.consumers + (node.index === graph.logits ? 1 : 0);
    if (result) counts.set(result.data, (counts.get(result.data) ?? 0) + uses);
    for (const t of inputs) {
      if (!t) continue;
      const left = counts.get(t.data)! - 1;
      counts.set(t.data, left);
      if (left === 0) pool.give(t.data);
    }
  }
  const logits = tangents[graph.logits];
  if (logits) out.data.set(logits.data);
  else out.data.fill(0);
  if (logits && counts.get(logits.data) === 1) pool.give(logits.data);
}

/** The dtype a network computes in. */
export function dtypeOfWeights(weights: Weights): "f32" | "f64" {
  for (const { data } of weights.values()) return dtypeOf(data);
  return "f32";
}

/** Which function applies which kind of layer to panels of examples. */
import { type Mat, panelWidth } from "@secateur/core";
import type { Node } from "../graph/graph.ts";
import { positionsOf, type ValueShape } from "../graph/value-shape.ts";
import { applyLayer } from "../ops/apply-layer.ts";
import { type OpCall, type Step, take } from "../ops/op.ts";
import { unchanged } from "../ops/reshaping.ts";
import { toPanels, toRows } from "./panels.ts";
import { type KeptWeights, sparseProduct } from "./sparse-product.ts";

/**
 * Applies a node's layer to panels: products over their kept weights, layers that work channel by channel as they are, on images of 32
 * times the channels, and what needs an example's values together by way of rows.
 *
 * @param kept - the kept weights of the layers whose products are sparse, by layer
 */
export function applyInPanels(call: OpCall, kept: ReadonlyMap<string, KeptWeights>): Step {
  const { layer } = call.node;
  switch (layer.kind) {
    case "dense":
    case "conv2d": {
      const weights = kept.get(layer.name);
      return weights ? sparseProduct(call, layer, weights) : byRows(call);
    }
    case "layer-norm":
    // Drawn for one example after the other.
    case "dropout":
      return byRows(call);
    case "flatten":
      return flattenPanels(call);
    default:
      return applyLayer({ ...call, node: widened(call.node), lanes: panelWidth });
  }
}

const wider = new WeakMap<Node, Node>();

/** A node of images of 32 times the channels. */
function widened(node: Node): Node {
  const known = wider.get(node);
  if (known) return known;
  const widen = (shape: ValueShape): ValueShape => ({ ...shape, channels: shape.channels * panelWidth });
  const made = { ...node, shape: widen(node.shape), inputShapes: node.inputShapes.map(widen) };
  wider.set(node, made);
  return made;
}

/** A layer that is applied to rows of examples. */
function byRows(call: OpCall): Step {
  const { pool } = call;
  const inputs = call.inputs.map((input) => toRows(input, pool));
  const step = applyLayer({ ...call, node: { ...call.node, isInPlace: false }, inputs });
  return {
    output: toPanels(step.output, pool),
    kept: [...new Set([step.output.data, ...step.kept, ...inputs.map(({ data }) => data)])],
    backward(delta, sink) {
      const rows = toRows(delta, pool);
      pool.give(delta.data);
      return step.backward(rows, sink).map((part) => {
        if (!part) return undefined;
        const panels = toPanels(part, pool);
        pool.give(part.data);
        return panels;
      });
    },
    tangent: () => undefined,
  };
}

/** Features in the order of the border: lines of 32 numbers change places. */
function flattenPanels(call: OpCall): Step {
  const { node, pool } = call;
  const x = call.inputs[0]!;
  const { channels } = node.inputShapes[0]!;
  const positions = positionsOf(node.inputShapes[0]!);
  if (node.layout === "nhwc" || positions === 1 || channels === 1) return unchanged(x);
  const moved = (from: Mat, rows: number, cols: number): Mat => {
    const out = take(pool, from.rows, from.cols);
    for (let panel = 0; panel < from.data.length; panel += from.cols) {
      for (let line = 0; line < rows * cols; line++) {
        const [row, col] = [Math.floor(line / cols), line % cols];
        const source = panel + line * panelWidth;
        const target = panel + (col * rows + row) * panelWidth;
        for (let i = 0; i < panelWidth; i++) out.data[target + i] = from.data[source + i]!;
      }
    }
    return out;
  };
  return {
    output: moved(x, positions, channels),
    kept: [],
    backward(delta) {
      const previous = moved(delta, channels, positions);
      pool.give(delta.data);
      return [previous];
    },
    tangent: () => undefined,
  };
}

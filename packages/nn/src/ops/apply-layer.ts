/** Which function applies which kind of layer. */
import { relu, smoothActivation } from "./activation.ts";
import { batchNorm } from "./batch-norm.ts";
import { convolution } from "./convolution.ts";
import { dense } from "./dense.ts";
import { add, concat, subsampleAndPad } from "./joining.ts";
import { layerNorm } from "./layer-norm.ts";
import type { OpCall, Step } from "./op.ts";
import { averagePool, globalAveragePool, maxPool } from "./pooling.ts";
import { dropout, flatten, unchanged } from "./reshaping.ts";

/** Applies a node's layer to a batch. */
export function applyLayer(call: OpCall): Step {
  const { layer } = call.node;
  switch (layer.kind) {
    case "dense":
      return dense(call, layer);
    case "conv2d":
      return convolution(call, layer);
    case "batch-norm":
      return batchNorm(call, layer);
    case "layer-norm":
      return layerNorm(call, layer);
    case "relu":
      return relu(call);
    case "relu6":
    case "silu":
    case "gelu":
      return smoothActivation(call, layer.kind);
    case "max-pool":
      return maxPool(call, layer);
    case "average-pool":
      return averagePool(call, layer);
    case "global-average-pool":
      return globalAveragePool(call);
    case "flatten":
      return flatten(call);
    case "add":
      return add(call);
    case "concat":
      return concat(call);
    case "subsample-and-pad":
      return subsampleAndPad(call, layer);
    case "dropout":
      return dropout(call, layer);
    case "log-softmax":
      // The loss is computed from the logits before it.
      return unchanged(call.inputs[0]!);
    default:
      return layer satisfies never;
  }
}

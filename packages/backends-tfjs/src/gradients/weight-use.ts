/** How an operation uses a weight, told from the kernel that ran: what its gradient rows are made of. */

import type { Tensor, TensorInfo, Tf } from "../tf.ts";
import { type ConvGeometry, convGeometry } from "./conv-geometry.ts";
import type { KernelCall } from "./watched-kernels.ts";

/** Columns [column, column + width) of a weight's last dimension, seen as a tensor of its own. */
export interface WeightAlias {
  readonly weight: string;
  readonly column: number;
  readonly width: number;
}

/**
 * The linear maps whose gradient rows are outer products of inputs and output gradients. A product may take some columns only,
 * [column, column + width) of all.
 */
export type UseKind =
  | { readonly kind: "matmul"; readonly column: number; readonly width: number; readonly of: number }
  | { readonly kind: "conv" | "depthwise" | "conv-transpose"; readonly geometry: ConvGeometry };

/** One use of a weight in a forward pass. */
export interface WeightUse {
  readonly weight: string;
  readonly use: UseKind;
  /** The other operand, owned by whoever asked for the recording. */
  readonly input: Tensor;
  /** The gradient at the operation's output, once the backward pass reached it; owned likewise. */
  delta?: Tensor;
}

/** Kernels that are linear maps by a weight. */
export const linearKernels = [
  "BatchMatMul",
  "_FusedMatMul",
  "Conv2D",
  "FusedConv2D",
  "DepthwiseConv2dNative",
  "FusedDepthwiseConv2D",
  "Conv2DBackpropInput",
] as const;

/** Kernels whose outputs are a weight again, or columns of one. */
export const aliasKernels = ["Identity", "Cast", "Transpose", "SplitV"] as const;

/**
 * What a call of a linear kernel does with a weight; undefined when it is none of the uses above, as for a weight that is the
 * left operand of a product.
 *
 * @param aliasOf - the weight that a tensor is, by its data
 * @param shapeOf - shape of a weight
 */
export function useOf(
  tf: Tf,
  call: KernelCall,
  spec: { aliasOf: (info: TensorInfo) => WeightAlias | undefined; shapeOf: (weight: string) => readonly number[] },
): { readonly alias: WeightAlias; readonly use: UseKind; readonly input: TensorInfo } | undefined {
  const operands = operandsOf(call);
  if (!operands) return undefined;
  const { input, weight } = operands;
  const alias = spec.aliasOf(weight);
  if (!alias || spec.aliasOf(input)) return undefined;
  const use = kindOf(tf, call, { ...operands, alias, stored: spec.shapeOf(alias.weight) });
  return use && { alias, use, input };
}

function operandsOf({ name, inputs }: KernelCall): { input: TensorInfo; weight: TensorInfo } | undefined {
  const [input, weight] =
    name === "BatchMatMul" || name === "_FusedMatMul"
      ? [inputs["a"], inputs["b"]]
      : name === "Conv2DBackpropInput"
        ? [inputs["dy"], inputs["filter"]]
        : [inputs["x"], inputs["filter"]];
  return input && weight ? { input, weight } : undefined;
}

function kindOf(
  tf: Tf,
  { name, attributes, output }: KernelCall,
  spec: { input: TensorInfo; weight: TensorInfo; alias: WeightAlias; stored: readonly number[] },
): UseKind | undefined {
  const { input, weight, alias, stored } = spec;
  const activation = attributes["activation"];
  if (activation !== undefined && activation !== null && activation !== "linear") return undefined;
  if (name === "BatchMatMul" || name === "_FusedMatMul") {
    if (attributes["transposeA"] === true) return undefined;
    const seen = withoutLeadingOnes(weight.shape);
    const whole = attributes["transposeB"] === true ? stored : [stored[0]!, alias.width];
    if (stored.length !== 2 || seen.join() !== whole.join()) return undefined;
    const of = attributes["transposeB"] === true ? stored[0]! : stored[1]!;
    return { kind: "matmul", column: alias.column, width: attributes["transposeB"] === true ? of : alias.width, of };
  }
  if (weight.shape.filter((extent) => extent !== 1).join() !== stored.filter((extent) => extent !== 1).join()) {
    return undefined;
  }
  const filter = weight.shape;
  if (name === "Conv2DBackpropInput") {
    // The adjoint of a convolution: its output is that convolution's input.
    const geometry = convGeometry(tf, { input: output.shape, filter, attributes, depthwise: false });
    return geometry && { kind: "conv-transpose", geometry };
  }
  const depthwise = name === "DepthwiseConv2dNative" || name === "FusedDepthwiseConv2D";
  const geometry = convGeometry(tf, { input: input.shape, filter, attributes, depthwise });
  // A filter with fewer input channels than the image makes a grouped convolution.
  if (!geometry || filter[2] !== geometry.inChannels) return undefined;
  return { kind: depthwise ? "depthwise" : "conv", geometry };
}

/** The aliases that the outputs of a call are, in their order; undefined where one is none. */
export function aliasesOf(
  { name, inputs, attributes, outputs }: KernelCall,
  aliasOf: (info: TensorInfo) => WeightAlias | undefined,
): readonly WeightAlias[] | undefined {
  const x = inputs["x"];
  const alias = x && aliasOf(x);
  if (!x || !alias) return undefined;
  switch (name) {
    case "Identity":
      return [alias];
    case "Cast":
      return outputs[0]!.dtype === x.dtype ? [alias] : undefined;
    case "Transpose": {
      const perm = attributes["perm"] as unknown as readonly number[];
      return perm.every((from, to) => from === to) ? [alias] : undefined;
    }
    case "SplitV": {
      if ((attributes["axis"] as number) !== x.shape.length - 1) return undefined;
      let column = alias.column;
      return outputs.map(({ shape }) => {
        const width = shape[shape.length - 1]!;
        column += width;
        return { weight: alias.weight, column: column - width, width };
      });
    }
    default:
      return undefined;
  }
}

function withoutLeadingOnes(shape: readonly number[]): readonly number[] {
  return shape.length > 2 && shape[0] === 1 ? withoutLeadingOnes(shape.slice(1)) : shape;
}

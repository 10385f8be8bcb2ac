/**
 * Whether element types go together: what operators take, what they give, and what the graph says of its outputs. Types follow the nodes of
 * ONNX's own domain as far as they are known; where one is not, nothing is said.
 */
import { quote } from "../../text/quote.ts";
import { onnxDtypeName } from "../onnx-dtype.ts";
import type { OnnxAttribute, OnnxGraph, OnnxNode } from "../onnx-model.ts";

const named = (names: string): ReadonlySet<string> => new Set(names.split(" "));

/** All inputs are of one type. */
const ofOneType = named(
  "Add Sub Mul Div Mod MatMul Gemm Conv ConvTranspose PRelu Max Min Concat Equal Greater GreaterOrEqual Less LessOrEqual",
);
/** What comes out is of the type of the first input. */
const likeFirst = named(
  "Add Sub Mul Div Mod Pow MatMul Gemm Conv ConvTranspose PRelu Max Min Concat Sqrt Reciprocal Exp Log Neg Abs Sin Cos Tanh Erf Sigmoid Softplus Softsign Relu LeakyRelu ThresholdedRelu Elu Celu Selu HardSigmoid HardSwish Swish Mish Gelu Clip Softmax LogSoftmax BatchNormalization LayerNormalization InstanceNormalization GroupNormalization MaxPool AveragePool GlobalAveragePool GlobalMaxPool ReduceSum ReduceMean ReduceSumSquare ReduceL1 ReduceL2 ReduceMax ReduceMin Split Reshape Squeeze Unsqueeze Flatten Identity Dropout Transpose Slice Pad Expand Tile DepthToSpace SpaceToDepth Gather GatherElements Resize Upsample Range Floor Ceil Round Sign LSTM GRU",
);
/** Of those, the ones that move elements and may hold texts. */
const moving = named(
  "Concat Split Reshape Squeeze Unsqueeze Flatten Identity Transpose Slice Pad Expand Tile DepthToSpace SpaceToDepth Gather GatherElements",
);
const truths = named("Equal Greater GreaterOrEqual Less LessOrEqual And Or Xor Not");
const wholes = named("Shape Size ArgMax");
/** What is no tensor, or not of numbers. */
const notNumbers = named("STRING sequence map optional sparse opaque");

/**
 * What does not go together, in words; undefined where everything does. O(nodes).
 *
 * @param graph - nodes in an order that runs; bodies of its nodes are not looked at
 */
export function typeProblem(graph: OnnxGraph): { readonly found: string; readonly expected: string } | undefined {
  const types = new Map<string, string>();
  for (const { name, dtype } of [...graph.initializers, ...graph.inputs]) types.set(name, dtype);
  for (const node of graph.nodes) {
    const taken = node.inputs.map((name) => types.get(name) || undefined);
    const problem = node.domain === "" ? takenProblem(node, taken) : undefined;
    if (problem) return problem;
    const given = node.domain === "" ? givenType(node, taken) : undefined;
    const count = node.op === "Split" ? node.outputs.length : 1;
    node.outputs.forEach((name, i) => {
      if (given !== undefined && i < count) types.set(name, given);
      else types.delete(name);
    });
  }
  for (const { name, dtype } of graph.outputs) {
    const made = types.get(name);
    if (dtype === "" || made === undefined || made === dtype) continue;
    return { found: `the output ${quote(name)} said to be ${dtype} and made as ${made}`, expected: "one type" };
  }
  return undefined;
}

function takenProblem({ op, name, outputs }: OnnxNode, taken: readonly (string | undefined)[]) {
  const known = taken.filter((type) => type !== undefined);
  const where = `node ${quote(name || outputs[0] || "?")} (${op})`;
  const isOfNumbers = (likeFirst.has(op) && !moving.has(op)) || truths.has(op);
  const strange = isOfNumbers && op !== "Equal" ? known.find((type) => notNumbers.has(type)) : undefined;
  if (strange !== undefined)
    return { found: `an input of type ${strange} of ${where}`, expected: "tensors of numbers" };
  const others = ofOneType.has(op) ? [...new Set(known)] : [];
  if (others.length < 2) return undefined;
  return { found: `inputs of types ${others.join(" and ")} of ${where}`, expected: "inputs of one type" };
}

/** The type of the first output. */
function givenType({ op, attributes }: OnnxNode, taken: readonly (string | undefined)[]): string | undefined {
  if (likeFirst.has(op)) return taken[0];
  if (truths.has(op)) return "bool";
  if (wholes.has(op)) return "i64";
  if (op === "Where") return taken[1];
  if (op === "Cast") return onnxDtypeName(Number(attributes["to"]));
  if (op === "ConstantOfShape") return attributes["value"] === undefined ? "f32" : tensorType(attributes["value"]);
  if (op === "Constant") return tensorType(attributes["value"]);
  return undefined;
}

function tensorType(value: OnnxAttribute | readonly OnnxAttribute[] | undefined): string | undefined {
  return typeof value === "object" && "dtype" in value ? value.dtype : undefined;
}

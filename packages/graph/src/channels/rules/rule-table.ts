/** The rule of every operator whose channels can be followed. */

import type { NodeSpec } from "../../graph-spec.ts";
import { binaryOperators, comparisonOperators } from "../../operators/binary.ts";
import { reducingOperators } from "../../operators/reducing.ts";
import { roundingOperators, unaryOperators } from "../../operators/unary.ts";
import { poolingOperators } from "../../operators/windows/pooling.ts";
import { type ChannelRule, front, frozen, listOf, numberOf, passing, type RuleCall } from "./channel-rule.ts";
import { byChannel, elementwise, normalised } from "./elementwise.ts";
import { concatenated, depth, expanded, gathered, reduced, sliced, split, tiled, transposed } from "./moving.ts";
import { conv, convTranspose, gemm, matmul } from "./multiplying.ts";
import { reshaped } from "./reshaping.ts";

const each = (names: readonly string[], rule: ChannelRule): readonly (readonly [string, ChannelRule])[] =>
  names.map((name) => [name, rule]);
const namesOf = (operators: readonly { readonly name: string }[]): readonly string[] =>
  operators.map(({ name }) => name);

const rankOf = ({ inputs }: RuleCall): number => inputs[0]!.shape.length;
const last = (call: RuleCall): number => front(numberOf(call, "axis", -1), rankOf(call));

/** Axes over which probabilities sum to one: before operator set 13 all from the axis on. */
const softmax = passing((call, axis) => {
  if (call.opset >= 13) return axis === last(call);
  return axis >= front(numberOf(call, "axis", 1), rankOf(call));
});

/** An axis in front of or behind which something is added. */
const padded = passing((call, axis) => {
  const pads = listOf(call, "pads", 1) ?? listOf(call, "paddings", 1);
  if (!pads) return true;
  const axes = call.inputs[3]?.data;
  const at = axes ? Array.from(axes).findIndex((own) => front(own, rankOf(call)) === axis) : axis;
  return at >= 0 && (pads[at] !== 0 || pads[at + pads.length / 2] !== 0);
});

const rules: ReadonlyMap<string, ChannelRule> = new Map([
  ...each(namesOf([...unaryOperators, ...binaryOperators, ...comparisonOperators, ...roundingOperators]), elementwise),
  ...each(["Identity", "Dropout", "Cast", "Clip", "Where", "PRelu", "Not"], elementwise),
  ...each(namesOf(reducingOperators), reduced),
  ...each(
    namesOf(poolingOperators),
    passing((_, axis) => axis > 1),
  ),
  ...each(["Softmax", "LogSoftmax"], softmax),
  ...each(["BatchNormalization", "InstanceNormalization"], byChannel),
  ["LayerNormalization", normalised(last)],
  ["GroupNormalization", normalised(() => 1)],
  ["Conv", conv],
  ["ConvTranspose", convTranspose],
  ["MatMul", matmul],
  ["Gemm", gemm],
  ...each(["Reshape", "Flatten", "Squeeze", "Unsqueeze"], reshaped),
  ["Transpose", transposed],
  ["Concat", concatenated],
  ["Split", split],
  ["Slice", sliced],
  ["Gather", gathered],
  ["Expand", expanded],
  ["Tile", tiled],
  ["Pad", padded],
  ["DepthToSpace", depth],
  ["SpaceToDepth", depth],
  ...each(
    ["Resize", "Upsample"],
    passing((call, axis) => call.inputs[0]!.shape[axis] !== call.outputs[0]!.shape[axis]),
  ),
]);

const moves: ReadonlySet<string> = new Set([
  "Reshape",
  "Flatten",
  "Squeeze",
  "Unsqueeze",
  "Transpose",
  "Split",
  "Slice",
  "Gather",
  "Expand",
  "Tile",
]);

/** Whether an operator only moves numbers of its first input. */
export function isMove({ op, domain }: Pick<NodeSpec, "op" | "domain">): boolean {
  return domain === "" && moves.has(op);
}

/** Whether an operator takes numbers by place. */
export function isElementwise(node: Pick<NodeSpec, "op" | "domain">): boolean {
  return ruleOf(node) === elementwise;
}

/** The rule of an operator; what has none freezes whatever goes in. */
export function ruleOf({ op, domain }: Pick<NodeSpec, "op" | "domain">): ChannelRule {
  const isOwn = domain === "" || (domain === "com.microsoft" && op === "Gelu");
  return (isOwn ? rules.get(op) : undefined) ?? frozen;
}

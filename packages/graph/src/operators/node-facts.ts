/** What operators read off their nodes: attributes with their defaults, and inputs that have to be known before anything runs. */
import { badNode, fixRemedy } from "../errors.ts";
import type { NodeSpec } from "../graph-spec.ts";
import type { Applied, Call, Operator, Question } from "../operator.ts";
import type { Shape, ValueType } from "../value.ts";

/** Attribute of a product: which share of its operations the operator that it is written for would do. */
export const countedShare = "counted share";

/** A node in a message: its name and operator. */
export function describeNode({ name, op, outputs }: NodeSpec): string {
  const label = (name || outputs[0] || "?").slice(0, 100).replace(/[\p{Cc}\p{Cf}\p{Surrogate}]/gu, "?");
  return `'${label}' (${op})`;
}

/** Refuses a node. */
export function refuse({ node }: Pick<Question, "node">, found: string, expected: string): never {
  throw badNode({ node: describeNode(node), found, expected });
}

/** Applies an operator. @throws ERR_GRAPH_NODE */
export function applied(operator: Operator, call: Call): Applied {
  return ofNode(call.node, () => operator.apply(call));
}

/** Does the work of a node. Kernels and arrays refuse sizes and types that do not go together: such a node came from a file. @throws ERR_GRAPH_NODE */
export function ofNode<T>(node: NodeSpec, work: () => T): T {
  try {
    return work();
  } catch (cause) {
    if (!(cause instanceof RangeError)) throw cause;
    const found = `inputs that do not go together (${cause.message})`;
    throw badNode({ node: describeNode(node), found, expected: "sizes and types that do", cause });
  }
}

/** A number attribute. */
export function numberOf({ node }: Pick<Question, "node">, key: string, otherwise: number): number {
  const value = node.attributes[key];
  return typeof value === "number" ? value : otherwise;
}

/** A text attribute. */
export function textOf({ node }: Pick<Question, "node">, key: string, otherwise: string): string {
  const value = node.attributes[key];
  return typeof value === "string" ? value : otherwise;
}

/** A list attribute; undefined where it is left out. */
export function listOf({ node }: Pick<Question, "node">, key: string): readonly number[] | undefined {
  const value = node.attributes[key];
  return Array.isArray(value) ? (value as readonly number[]) : undefined;
}

/** An input that must be there. */
export function inputOf(question: Question, i: number): NonNullable<Question["inputs"][number]> {
  return question.inputs[i] ?? refuse(question, `no input ${i}`, "one");
}

/** The numbers of an input that decide shapes; undefined where the input is left out. @throws ERR_GRAPH_NODE where they are not known */
export function knownInput(question: Question, i: number): readonly number[] | undefined {
  const input = question.inputs[i];
  if (!input) return undefined;
  if (input.data) return Array.from(input.data);
  throw badNode({
    node: describeNode(question.node),
    found: `input ${i}, which is known only while the graph runs`,
    expected: "one that follows from shapes",
    remedy: fixRemedy,
  });
}

/** A list that older operator sets have as an attribute and newer ones as an input. */
export function listOrInput(question: Question, key: string, i: number): readonly number[] | undefined {
  return listOf(question, key) ?? knownInput(question, i);
}

/** An axis counted from the front. */
export function axisIn(question: Question, axis: number, rank: number): number {
  const front = axis < 0 ? axis + rank : axis;
  if (!Number.isInteger(front) || front < 0 || front >= Math.max(rank, 1)) {
    refuse(question, `axis ${axis} of ${rank} dimensions`, "an axis that is there");
  }
  return front;
}

/** The type of the first input. */
export function sameAs(question: Question, i = 0): ValueType {
  const { shape, kind } = inputOf(question, i);
  return { shape, kind };
}

/** An extent in words. */
export function showShape(shape: Shape): string {
  return `[${shape.join(", ")}]`;
}

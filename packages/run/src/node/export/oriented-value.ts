/**
 * Values of a graph whose source keeps channels last (Keras: [batch, ..., channels]) while ONNX's convolutions want them first
 * ([batch, channels, ...]). A value is turned only when somebody asks for the other order, and once, so that a chain of convolutions is
 * not turned between its layers.
 */
import type { GraphWriter } from "./graph-writer.ts";

/** A value under one or both orders of its dimensions. */
export interface OrientedValue {
  /** Number of dimensions, the batch among them. With two or fewer both orders are the same. */
  readonly rank: number;
  /** Name of the value with its channels last, once there is one. */
  last?: string;
  /** Name of the value with its channels first, once there is one. */
  first?: string;
}

/** A value in the order in which it was computed. */
export function oriented(name: string, rank: number, order: "first" | "last" = "last"): OrientedValue {
  return rank <= 2 ? { rank, last: name, first: name } : { rank, [order]: name };
}

/** Its name with channels last; a Transpose is written where there is none yet. The value is changed: it remembers. */
export function channelsLast(value: OrientedValue, writer: GraphWriter): string {
  const { rank, first } = value;
  value.last ??= writer.node("Transpose", [first!], { perm: [0, ...range(2, rank), 1] });
  return value.last;
}

/** Its name with channels first; a Transpose is written where there is none yet. The value is changed: it remembers. */
export function channelsFirst(value: OrientedValue, writer: GraphWriter): string {
  const { rank, last } = value;
  value.first ??= writer.node("Transpose", [last!], { perm: [0, rank - 1, ...range(1, rank - 1)] });
  return value.first;
}

/** One name for each of several values, all in one order: channels first where each has that already. */
export function inOneOrder(
  values: readonly OrientedValue[],
  writer: GraphWriter,
): { readonly names: readonly string[]; readonly order: "first" | "last" } {
  const order = values.every(({ first }) => first !== undefined) ? "first" : "last";
  const turned = order === "first" ? channelsFirst : channelsLast;
  return { names: values.map((value) => turned(value, writer)), order };
}

function range(from: number, to: number): readonly number[] {
  return Array.from({ length: to - from }, (_, i) => from + i);
}

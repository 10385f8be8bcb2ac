/** The stack machine that a pickle is a program for, with bounds on everything a hostile pickle could make grow. */
import { badPytorch } from "../errors.ts";
import { MAX_PICKLE_VALUES, maxPickleNodes } from "../limits.ts";
import type { PickleEntry, PickleGlobal, PickleReference, PickleValue } from "./pickle-value.ts";

/** The state of reading one pickle. */
export interface PickleMachine {
  readonly bytes: Uint8Array;
  readonly view: DataView;
  /** name of the file, for messages */
  readonly source: string;
  /** index of the next byte */
  at: number;
  readonly stack: PickleValue[];
  /** heights of the stack where a mark lies */
  readonly marks: number[];
  readonly memo: PickleValue[];
  /** entries that the memo has */
  remembered: number;
  /** every name that was imported, in order */
  readonly globals: PickleGlobal[];
  /** every reference to something outside, in order */
  readonly references: PickleReference[];
  /** values pushed so far */
  pushed: number;
  /** lists, dictionaries, entries, byte strings and calls made so far */
  nodes: number;
  readonly maxNodes: number;
}

/** A machine before its first step. @param start - index of the pickle's first byte */
export function pickleMachine(bytes: Uint8Array, start: number, source: string): PickleMachine {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const fresh = { stack: [], marks: [], memo: [], globals: [], references: [] };
  const maxNodes = maxPickleNodes(bytes.length - start);
  return { bytes, view, source, at: start, ...fresh, pushed: 0, remembered: 0, nodes: 0, maxNodes };
}

/** What is wrong with the pickle, said with its place. */
export function pickleFault(machine: PickleMachine, found: string, expected: string): Error {
  const { source, at } = machine;
  return badPytorch({ source, found: `${found} before byte ${at} of its pickle`, expected });
}

/** The next `count` bytes, as a view. @throws ERR_PYTORCH where the pickle ends before */
export function takeBytes(machine: PickleMachine, count: number): Uint8Array {
  const start = skip(machine, count);
  return machine.bytes.subarray(start, start + count);
}

/** The next little-endian unsigned number of 1, 2, 4 or 8 bytes; beyond 2^53 inexact, and so refused by `takeBytes`. */
export function takeCount(machine: PickleMachine, width: 1 | 2 | 4 | 8): number {
  const start = skip(machine, width);
  let value = 0;
  for (let i = width - 1; i >= 0; i--) value = value * 256 + machine.bytes[start + i]!;
  return value;
}

/** Goes over the next `count` bytes and returns the index of the first. */
export function skip(machine: PickleMachine, count: number): number {
  const { bytes, at } = machine;
  if (!(count >= 0 && count <= bytes.length - at)) {
    const found = `a value of ${count} bytes with ${bytes.length - at} left`;
    throw pickleFault(machine, found, "a whole pickle (truncated or damaged)");
  }
  machine.at += count;
  return at;
}

/** The text up to the next line end, which is skipped. */
export function takeLine(machine: PickleMachine): string {
  const { bytes, at } = machine;
  const end = bytes.indexOf(0x0a, at);
  if (end < 0) throw pickleFault(machine, "a line without end", "a whole pickle (truncated or damaged)");
  machine.at = end + 1;
  return decodeText(bytes.subarray(at, end));
}

const utf8 = new TextDecoder("utf-8", { ignoreBOM: true });

/** UTF-8 text; Python allows halves of surrogate pairs there, which become replacement characters. */
export function decodeText(bytes: Uint8Array): string {
  return utf8.decode(bytes);
}

/** Puts a value on the stack. @throws ERR_PYTORCH for more values than a pickle may have, or than its size explains */
export function push(machine: PickleMachine, value: PickleValue): void {
  if (typeof value === "object" && value !== null) countNodes(machine, 1);
  place(machine, value);
}

function place(machine: PickleMachine, value: PickleValue): void {
  if (++machine.pushed > MAX_PICKLE_VALUES) {
    throw pickleFault(machine, `more than ${MAX_PICKLE_VALUES} values`, `at most ${MAX_PICKLE_VALUES}`);
  }
  machine.stack.push(value);
}

/** Counts what takes memory of its own. @throws ERR_PYTORCH above the limit for a pickle of this size */
function countNodes(machine: PickleMachine, count: number): void {
  machine.nodes += count;
  if (machine.nodes <= machine.maxNodes) return;
  const allowed = `at most ${machine.maxNodes} in a pickle of this size`;
  throw pickleFault(machine, `more than ${machine.maxNodes} lists, dictionaries and entries`, allowed);
}

/** Takes the topmost value above the last mark. */
export function pop(machine: PickleMachine): PickleValue {
  const { stack, marks } = machine;
  const value = stack.length > (marks[marks.length - 1] ?? 0) ? stack.pop() : undefined;
  if (value === undefined) throw pickleFault(machine, "a step that needs more values than there are", "a whole pickle");
  return value;
}

/** Looks at the topmost value above the last mark. */
export function top(machine: PickleMachine): PickleValue {
  const value = pop(machine);
  machine.stack.push(value);
  return value;
}

/** Takes all values above the last mark, and the mark. */
export function popToMark(machine: PickleMachine): PickleValue[] {
  const height = machine.marks.pop();
  if (height === undefined)
    throw pickleFault(machine, "a step that needs a mark where there is none", "a whole pickle");
  return machine.stack.splice(height);
}

/** Takes all values above the last mark as keys and values in turn. */
export function popEntries(machine: PickleMachine): PickleEntry[] {
  const items = popToMark(machine);
  if (items.length % 2 !== 0) throw pickleFault(machine, "a dictionary key without a value", "a whole pickle");
  countNodes(machine, items.length / 2);
  return Array.from({ length: items.length / 2 }, (_, i) => [items[2 * i]!, items[2 * i + 1]!] as const);
}

/** Remembers the topmost value under a number. Python counts them from 0, so none is above the number of values. */
export function remember(machine: PickleMachine, index: number): void {
  const { memo } = machine;
  if (index >= MAX_PICKLE_VALUES) {
    throw pickleFault(machine, `memo entry ${index}`, `entries below ${MAX_PICKLE_VALUES}`);
  }
  if (memo[index] === undefined) machine.remembered++;
  memo[index] = top(machine);
}

/** Pushes the value remembered under a number. */
export function recall(machine: PickleMachine, index: number): void {
  const value = machine.memo[index];
  if (value === undefined) {
    throw pickleFault(machine, `a use of memo entry ${index}, which was never set`, "a whole pickle");
  }
  place(machine, value);
}

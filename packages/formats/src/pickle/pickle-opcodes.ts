/**
 * What each pickle opcode does, protocols 0 to 5. Source: CPython's Lib/pickletools.py. The difference to Python: GLOBAL
 * imports nothing, and REDUCE, NEWOBJ, INST, OBJ and BUILD call nothing; they leave a record of what was asked for.
 */
import {
  decodeText,
  type PickleMachine,
  pickleFault,
  pop,
  popEntries,
  popToMark,
  push,
  recall,
  remember,
  skip,
  takeBytes,
  takeCount,
  takeLine,
  top,
} from "./pickle-machine.ts";
import { isPickleNode, type PickleEntry, type PickleSequence, type PickleValue } from "./pickle-value.ts";

/** One step of the machine. */
export type PickleStep = (machine: PickleMachine) => void;

/** Longer numbers than this have no use in a checkpoint, and making one takes more than linear time. */
const MAX_NUMBER_BYTES = 1024;

/** Every opcode but STOP, by its byte as a character. */
export const PICKLE_STEPS: Readonly<Record<string, PickleStep>> = {
  // Structure.
  "\x80": protocol,
  "\x95": (m) => void skip(m, 8), // FRAME: a hint for readers of streams
  "(": (m) => void m.marks.push(m.stack.length),
  "0": (m) => {
    if (m.marks.at(-1) === m.stack.length) m.marks.pop();
    else pop(m);
  },
  "1": (m) => void popToMark(m),
  "2": (m) => push(m, top(m)),

  // Memo.
  p: (m) => remember(m, wholeNumber(m, takeLine(m))),
  q: (m) => remember(m, takeCount(m, 1)),
  r: (m) => remember(m, takeCount(m, 4)),
  "\x94": (m) => remember(m, m.remembered),
  g: (m) => recall(m, wholeNumber(m, takeLine(m))),
  h: (m) => recall(m, takeCount(m, 1)),
  j: (m) => recall(m, takeCount(m, 4)),

  // Constants and numbers.
  N: (m) => push(m, null),
  "\x88": (m) => push(m, true),
  "\x89": (m) => push(m, false),
  I: (m) => push(m, lineNumber(m)),
  L: (m) => push(m, lineNumber(m)),
  F: (m) => push(m, Number(takeLine(m))),
  G: (m) =>
    push(
      m,
      numberAt(m, 8, (view, at) => view.getFloat64(at)),
    ),
  J: (m) =>
    push(
      m,
      numberAt(m, 4, (view, at) => view.getInt32(at, true)),
    ),
  K: (m) => push(m, takeCount(m, 1)),
  M: (m) => push(m, takeCount(m, 2)),
  "\x8a": (m) => push(m, longNumber(m, takeCount(m, 1))),
  "\x8b": (m) => push(m, longNumber(m, takeCount(m, 4))),

  // Text and bytes. Python 2 wrote its strings, also the names of tensors, as STRING.
  S: (m) => push(m, takeLine(m).slice(1, -1)),
  T: (m) => push(m, decodeText(takeBytes(m, takeCount(m, 4)))),
  U: (m) => push(m, decodeText(takeBytes(m, takeCount(m, 1)))),
  V: (m) => push(m, escapedText(m)),
  X: (m) => push(m, decodeText(takeBytes(m, takeCount(m, 4)))),
  "\x8c": (m) => push(m, decodeText(takeBytes(m, takeCount(m, 1)))),
  "\x8d": (m) => push(m, decodeText(takeBytes(m, takeCount(m, 8)))),
  B: (m) => push(m, takeBytes(m, takeCount(m, 4))),
  C: (m) => push(m, takeBytes(m, takeCount(m, 1))),
  "\x8e": (m) => push(m, takeBytes(m, takeCount(m, 8))),
  "\x96": (m) => push(m, takeBytes(m, takeCount(m, 8))),

  // Containers.
  ")": (m) => push(m, sequence("tuple", [])),
  t: (m) => push(m, sequence("tuple", popToMark(m))),
  "\x85": (m) => push(m, sequence("tuple", popSome(m, 1))),
  "\x86": (m) => push(m, sequence("tuple", popSome(m, 2))),
  "\x87": (m) => push(m, sequence("tuple", popSome(m, 3))),
  "]": (m) => push(m, sequence("list", [])),
  l: (m) => push(m, sequence("list", popToMark(m))),
  a: (m) => addItems(m, [pop(m)]),
  e: (m) => addItems(m, popToMark(m)),
  "\x8f": (m) => push(m, sequence("set", [])),
  "\x90": (m) => addItems(m, popToMark(m)),
  "\x91": (m) => push(m, sequence("set", popToMark(m))),
  "}": (m) => push(m, { kind: "dict", entries: [] }),
  d: (m) => push(m, { kind: "dict", entries: popEntries(m) }),
  s: (m) => {
    const [key, value] = popSome(m, 2);
    addEntries(m, [[key!, value!]]);
  },
  u: (m) => addEntries(m, popEntries(m)),

  // What Python would import, call or fetch from outside.
  c: (m) => pushGlobal(m, takeLine(m), takeLine(m)),
  "\x93": (m) => {
    const [module, name] = popSome(m, 2);
    if (typeof module !== "string" || typeof name !== "string") {
      throw pickleFault(m, "an import whose name is not text", "a whole pickle");
    }
    pushGlobal(m, module, name);
  },
  "\x82": (m) => pushGlobal(m, "copyreg", `extension ${takeCount(m, 1)}`),
  "\x83": (m) => pushGlobal(m, "copyreg", `extension ${takeCount(m, 2)}`),
  "\x84": (m) => pushGlobal(m, "copyreg", `extension ${takeCount(m, 4)}`),
  R: pushCall,
  "\x81": pushCall,
  "\x92": (m) => {
    pop(m); // keyword arguments: nothing that is read here has any
    pushCall(m);
  },
  i: (m) => {
    const args = popToMark(m);
    pushGlobal(m, takeLine(m), takeLine(m));
    push(m, { kind: "object", callee: pop(m), args, entries: [], items: [] });
  },
  o: (m) => {
    const [callee, ...args] = popToMark(m);
    if (callee === undefined) throw pickleFault(m, "an object without a class", "a whole pickle");
    push(m, { kind: "object", callee, args, entries: [], items: [] });
  },
  // BUILD sets attributes, such as an OrderedDict's _metadata: none is needed.
  b: (m) => {
    pop(m);
    top(m);
  },
  P: (m) => pushReference(m, takeLine(m)),
  Q: (m) => pushReference(m, pop(m)),
};

function protocol(machine: PickleMachine): void {
  const version = takeCount(machine, 1);
  if (version > 5) throw pickleFault(machine, `pickle protocol ${version}`, "a protocol from 0 to 5");
}

function sequence(kind: PickleSequence["kind"], items: PickleValue[]): PickleSequence {
  return { kind, items };
}

/** The topmost values, the deepest first. */
function popSome(machine: PickleMachine, count: 1 | 2 | 3): PickleValue[] {
  return Array.from({ length: count }, () => pop(machine)).reverse();
}

function addItems(machine: PickleMachine, items: readonly PickleValue[]): void {
  const target = top(machine);
  const canGrow = isPickleNode(target) && (target.kind === "list" || target.kind === "set" || target.kind === "object");
  if (!canGrow) throw pickleFault(machine, "an addition to what is no list or set", "a whole pickle");
  for (const item of items) target.items.push(item);
}

function addEntries(machine: PickleMachine, entries: readonly PickleEntry[]): void {
  const target = top(machine);
  const canGrow = isPickleNode(target) && (target.kind === "dict" || target.kind === "object");
  if (!canGrow) throw pickleFault(machine, "an entry for what is no dictionary", "a whole pickle");
  for (const entry of entries) target.entries.push(entry);
}

function pushGlobal(machine: PickleMachine, module: string, name: string): void {
  const global = { kind: "global", module, name } as const;
  machine.globals.push(global);
  push(machine, global);
}

function pushCall(machine: PickleMachine): void {
  const [callee, args] = popSome(machine, 2);
  if (!isPickleNode(args) || args.kind !== "tuple") {
    throw pickleFault(machine, "a call whose arguments are no tuple", "a whole pickle");
  }
  push(machine, { kind: "object", callee: callee!, args: args.items, entries: [], items: [] });
}

function pushReference(machine: PickleMachine, id: PickleValue): void {
  const reference = { kind: "reference", id } as const;
  machine.references.push(reference);
  push(machine, reference);
}

function numberAt(machine: PickleMachine, width: number, read: (view: DataView, at: number) => number): number {
  return read(machine.view, skip(machine, width));
}

function wholeNumber(machine: PickleMachine, text: string): number {
  const value = /^\d{1,15}$/.test(text) ? Number(text) : undefined;
  if (value === undefined) throw pickleFault(machine, "a line that is no memo index", "a whole pickle");
  return value;
}

/** Latin-1 text with escapes for all other characters. */
function escapedText(machine: PickleMachine): string {
  const start = machine.at;
  takeLine(machine);
  const line = new TextDecoder("latin1").decode(machine.bytes.subarray(start, machine.at - 1));
  return line.replace(/\\u([0-9a-f]{4})|\\U000([0-9a-f]{5})/gi, (_, four?: string, five?: string) =>
    String.fromCodePoint(Number.parseInt(four ?? five ?? "", 16)),
  );
}

/** A decimal number on a line of its own; 00 and 01 are False and True. */
function lineNumber(machine: PickleMachine): boolean | number | bigint {
  const text = takeLine(machine);
  if (text === "00" || text === "01") return text === "01";
  if (!/^[+-]?\d+L?$/.test(text) || text.length > MAX_NUMBER_BYTES) {
    throw pickleFault(machine, "a line that is no whole number", `one of at most ${MAX_NUMBER_BYTES} digits`);
  }
  return narrow(BigInt(text.replace(/^\+|L$/g, "")));
}

/** A little-endian two's-complement number. */
function longNumber(machine: PickleMachine, length: number): number | bigint {
  const digits = takeBytes(machine, length);
  if (length > MAX_NUMBER_BYTES) {
    throw pickleFault(machine, `a number of ${length} bytes`, `numbers of at most ${MAX_NUMBER_BYTES} bytes`);
  }
  let value = 0n;
  for (let i = length - 1; i >= 0; i--) value = value * 256n + BigInt(digits[i]!);
  return narrow(BigInt.asIntN(8 * length, value));
}

function narrow(value: bigint): number | bigint {
  const number = Number(value);
  return Number.isSafeInteger(number) ? number : value;
}

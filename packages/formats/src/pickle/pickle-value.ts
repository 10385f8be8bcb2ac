/**
 * What a pickle describes, as inert data. Where Python would import something or call it, there is only a record saying
 * so: reading a pickle never runs anything, whatever is in it.
 */
export type PickleValue =
  | null
  | boolean
  | number
  | bigint
  | string
  | Uint8Array
  | PickleSequence
  | PickleDict
  | PickleGlobal
  | PickleObject
  | PickleReference;

/** A key with its value, in the order they were set; of equal keys Python keeps the last. */
export type PickleEntry = readonly [key: PickleValue, value: PickleValue];

/** A list, tuple or set. */
export interface PickleSequence {
  readonly kind: "list" | "tuple" | "set";
  readonly items: PickleValue[];
}

/** A dictionary. */
export interface PickleDict {
  readonly kind: "dict";
  readonly entries: PickleEntry[];
}

/** A name that Python would import. */
export interface PickleGlobal {
  readonly kind: "global";
  readonly module: string;
  readonly name: string;
}

/** What Python would get by calling something: the call that is not made, and what would be done to its result. */
export interface PickleObject {
  readonly kind: "object";
  readonly callee: PickleValue;
  readonly args: readonly PickleValue[];
  /** set with obj[key] = value */
  readonly entries: PickleEntry[];
  /** appended or added */
  readonly items: PickleValue[];
}

/** Something kept outside the pickle, such as a tensor's storage. */
export interface PickleReference {
  readonly kind: "reference";
  readonly id: PickleValue;
}

/** A value that is not a number, text, bytes, boolean or None. */
export type PickleNode = Exclude<PickleValue, null | boolean | number | bigint | string | Uint8Array>;

/** Whether a value has a `kind`. */
export function isPickleNode(value: PickleValue | undefined): value is PickleNode {
  return typeof value === "object" && value !== null && !(value instanceof Uint8Array);
}

/** `module.name` of a global, or undefined for any other value. */
export function globalName(value: PickleValue | undefined): string | undefined {
  return isPickleNode(value) && value.kind === "global" ? `${value.module}.${value.name}` : undefined;
}

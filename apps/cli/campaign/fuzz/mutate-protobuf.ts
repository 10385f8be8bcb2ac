/** Damage to protobuf messages that stays protobuf: fields dropped, repeated, moved, renumbered, numbers at edges, lengths that fit. */
import type { Rng } from "@secateur/core";
import { joined, mutateBytes, oneOf } from "./mutate-bytes.ts";

/** One field: a number, eight or four bytes, or what has a length, read as a message where it can be one. */
interface Field {
  number: number;
  readonly type: 0 | 1 | 2 | 5;
  value: bigint | Uint8Array | Field[];
}

const edges = [
  0n,
  1n,
  2n,
  7n,
  16n,
  127n,
  128n,
  255n,
  65_536n,
  2n ** 31n - 1n,
  2n ** 31n,
  2n ** 63n - 1n,
  2n ** 64n - 1n,
];

/** A copy with one to four changes. */
export function mutateProtobuf(rng: Rng, file: Uint8Array): Uint8Array {
  const root = parse(file, 0);
  if (root === undefined) return file;
  for (let i = 1 + rng.integer(4); i > 0; i--) changeOnce(rng, root);
  return encode(root);
}

function changeOnce(rng: Rng, root: Field[]): void {
  const messages = messagesIn(root);
  const message = oneOf(rng, messages);
  if (message.length === 0) return;
  const at = rng.integer(message.length);
  const field = message[at]!;
  switch (rng.integer(7)) {
    case 0:
      message.splice(at, 1);
      return;
    case 1:
      // Up to a thousand times the same: what is small once may not cost much often.
      message.splice(at, 0, ...Array.from({ length: rng.next() < 0.1 ? 1000 : 1 }, () => structuredClone(field)));
      return;
    case 2:
      message.splice(rng.integer(message.length), 0, ...message.splice(at, 1));
      return;
    case 3:
      field.number = 1 + rng.integer(24);
      return;
    case 4: {
      const other = oneOf(rng, messages);
      if (other.length > 0) message.splice(at, 1, structuredClone(oneOf(rng, other)));
      return;
    }
    case 5:
      if (field.type !== 2) return;
      // A message within itself, to a depth.
      for (let depth = rng.integer(40), inner = field.value; depth > 0; depth--) {
        inner = [{ number: field.number, type: 2, value: inner } as Field];
        field.value = inner;
      }
      return;
    default:
      field.value = otherValue(rng, field);
  }
}

function otherValue(rng: Rng, { type, value }: Field): Field["value"] {
  if (type === 0) return rng.next() < 0.7 ? oneOf(rng, edges) : BigInt(rng.integer(2 ** 16));
  const bytes = Array.isArray(value) ? encode(value) : (value as Uint8Array);
  if (type !== 2) return edgeBytes(rng, bytes);
  const texts = ["", "\u001b[2J", "..", "../../x", "x".repeat(5000), "Reshape", "Loop", "ConstantOfShape", "Expand"];
  return rng.next() < 0.5 ? new TextEncoder().encode(oneOf(rng, texts)) : mutateBytes(rng, bytes, [bytes]);
}

/** As many other bytes. */
function edgeBytes(rng: Rng, bytes: Uint8Array): Uint8Array {
  return bytes.map(() => oneOf(rng, [0, 1, 0x7f, 0x80, 0xff]));
}

/** All messages, the outermost first; at most 500. */
function messagesIn(root: Field[]): Field[][] {
  const found = [root];
  for (let i = 0; i < found.length && found.length < 500; i++) {
    for (const { value } of found[i]!) if (Array.isArray(value)) found.push(value);
  }
  return found;
}

/** The fields of a message; undefined for bytes that are none. */
function parse(bytes: Uint8Array, depth: number): Field[] | undefined {
  const fields: Field[] = [];
  let at = 0;
  const varint = (): bigint | undefined => {
    let value = 0n;
    for (let shift = 0n; shift < 70n && at < bytes.length; shift += 7n) {
      const byte = bytes[at++]!;
      value |= BigInt(byte & 0x7f) << shift;
      if (byte < 0x80) return value;
    }
    return undefined;
  };
  while (at < bytes.length) {
    const tag = varint();
    if (tag === undefined) return undefined;
    const [number, type] = [Number(tag >> 3n), Number(tag & 7n)];
    if (number < 1 || number > 1000) return undefined;
    if (type === 0) {
      const value = varint();
      if (value === undefined) return undefined;
      fields.push({ number, type, value });
      continue;
    }
    const length = type === 1 ? 8 : type === 5 ? 4 : type === 2 ? Number(varint() ?? -1n) : -1;
    if (length < 0 || at + length > bytes.length) return undefined;
    const content = bytes.slice(at, at + length);
    at += length;
    const inner = type === 2 && length > 1 && depth < 8 ? parse(content, depth + 1) : undefined;
    fields.push({ number, type: type as 1 | 2 | 5, value: inner ?? content });
  }
  return fields;
}

function encode(fields: readonly Field[]): Uint8Array {
  return joined(
    ...fields.flatMap(({ number, type, value }) => {
      const tag = varintOf((BigInt(number) << 3n) | BigInt(type));
      if (typeof value === "bigint") return [tag, varintOf(value)];
      const content = Array.isArray(value) ? encode(value) : value;
      return type === 2 ? [tag, varintOf(BigInt(content.length)), content] : [tag, content];
    }),
  );
}

function varintOf(value: bigint): Uint8Array {
  const bytes: number[] = [];
  let rest = value;
  for (; rest > 127n; rest >>= 7n) bytes.push(Number(rest & 127n) | 128);
  return Uint8Array.from([...bytes, Number(rest)]);
}

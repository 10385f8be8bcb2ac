/**
 * Fields of a protobuf message by their places in the file (protobuf.dev/programming-guides/encoding). What protobuf-es does not tell is
 * where in the file something lies, which is what changing one tensor and no other byte needs.
 */
import { badOnnx } from "../errors.ts";

/** One field of a message. */
export interface WireField {
  readonly number: number;
  /** 0 varint, 1 eight bytes, 2 length-delimited, 5 four bytes */
  readonly type: number;
  /** Where its tag starts. */
  readonly start: number;
  /** Its content, without tag and length: [from, end). */
  readonly from: number;
  readonly end: number;
}

/** Visits the fields of the message [from, end) in the order of the file. @throws ERR_ONNX when the bytes are no message */
export function eachField(
  file: { readonly bytes: Uint8Array; readonly source: string },
  { from, end }: { readonly from: number; readonly end: number },
  visit: (field: WireField) => void,
): void {
  const { bytes, source } = file;
  let at = from;
  const varint = (): number => {
    let value = 0;
    for (let shift = 0, start = at; ; shift += 7) {
      if (at >= end || at - start >= 10) throw damaged(source, start);
      const byte = bytes[at++]!;
      value += (byte & 0x7f) * 2 ** shift;
      if (byte < 0x80) return value;
    }
  };
  while (at < end) {
    const start = at;
    const tag = varint();
    const [number, type] = [Math.floor(tag / 8), tag % 8];
    let content = at;
    if (type === 0) varint();
    else if (type === 1) at += 8;
    else if (type === 5) at += 4;
    else if (type === 2) {
      const length = varint();
      content = at;
      at += length;
    } else throw damaged(source, start);
    if (at > end || number === 0 || number > 2 ** 29) throw damaged(source, start);
    visit({ number, type, start, from: content, end: at });
  }
}

function damaged(source: string, at: number): Error {
  const found = `bytes at ${at} that are no protobuf field or reach beyond the message around them`;
  return badOnnx({ source, found, expected: "a whole ONNX model" });
}

/** The bytes of a tag or length. @param value - whole, >= 0, below 2^53 */
export function varintBytes(value: number): Uint8Array {
  const out: number[] = [];
  let rest = value;
  while (rest >= 0x80) {
    out.push((rest % 0x80) + 0x80);
    rest = Math.floor(rest / 0x80);
  }
  out.push(rest);
  return Uint8Array.from(out);
}

/**
 * Whether every known field of a model is written as its type asks for. protobuf-es reads a field by its number alone; the parsers of other languages
 * take one of another wire type for unknown and skip it, so that the same bytes would be another model to them.
 */
import type { DescField, DescMessage } from "@bufbuild/protobuf";
import { ScalarType } from "@bufbuild/protobuf";
import { badOnnx } from "../errors.ts";
import { ModelProtoSchema } from "./onnx-schema.ts";
import { eachField } from "./wire.ts";

const fourBytes: readonly ScalarType[] = [ScalarType.FLOAT, ScalarType.FIXED32, ScalarType.SFIXED32];
const eightBytes: readonly ScalarType[] = [ScalarType.DOUBLE, ScalarType.FIXED64, ScalarType.SFIXED64];
const delimited = 2;
/** As `onnxLayout` has it for the messages that it knows. */
const deepest = 100;

/** The wire types that a field may have: numbers of a list one by one, or packed. */
function wireTypesOf(field: DescField): readonly number[] {
  if (field.message !== undefined) return [delimited];
  const { scalar } = field;
  if (scalar === ScalarType.STRING || scalar === ScalarType.BYTES) return [delimited];
  const single = scalar && fourBytes.includes(scalar) ? 5 : scalar && eightBytes.includes(scalar) ? 1 : 0;
  return field.fieldKind === "list" ? [single, delimited] : [single];
}

/** What is known of the fields of a kind of message. */
type Known = ReadonlyMap<
  number,
  { readonly name: string; readonly types: readonly number[]; readonly message?: DescMessage }
>;

const kinds = new Map<DescMessage, Known>();

function knownFields(kind: DescMessage): Known {
  const before = kinds.get(kind);
  if (before) return before;
  const known: Known = new Map(
    kind.fields.map((field) => {
      const { number, name, message } = field;
      return [number, { name, types: wireTypesOf(field), ...(message ? { message } : {}) }];
    }),
  );
  kinds.set(kind, known);
  return known;
}

/** @throws ERR_ONNX naming the first field that is written as another type */
export function assertWireTypes(bytes: Uint8Array, source: string): void {
  const file = { bytes, source };
  const walk = (kind: DescMessage, place: { from: number; end: number }, depth: number): void => {
    if (depth > deepest) {
      throw badOnnx({ source, found: `messages nested deeper than ${deepest}`, expected: "a whole ONNX model" });
    }
    const known = knownFields(kind);
    eachField(file, place, ({ number, type, start, from, end }) => {
      const field = known.get(number);
      if (!field) return;
      if (!field.types.includes(type)) {
        const found = `the field '${field.name}' of a ${kind.name} as wire type ${type} (at byte ${start})`;
        throw badOnnx({ source, found, expected: `wire type ${field.types.join(" or ")}` });
      }
      if (field.message) walk(field.message, { from, end }, depth + 1);
    });
  };
  walk(ModelProtoSchema, { from: 0, end: bytes.length }, 0);
}

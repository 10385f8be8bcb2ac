/** TensorProto to numbers: raw bytes as views, typed fields as their arrays; sizes are checked against the shape first. */
import { type ArrayOfDtype, bytesPerElement, elementsFrom, type TensorDtype } from "../dtype.ts";
import { badOnnx } from "../errors.ts";
import { elementCount } from "../tensor.ts";
import { quote } from "../text/quote.ts";
import { onnxDtypeName, opaqueBits } from "./onnx-dtype.ts";
import type { ExternalPlace, OnnxTensor } from "./onnx-model.ts";
import type { TensorProto } from "./onnx-schema.ts";

/** Bytes of data that lies outside the model file, as many as `tensor.length` says; undefined: they stay there. */
export type ExternalData = (place: ExternalPlace, tensor: { name: string; length: number }) => Uint8Array | undefined;

/** Reads a tensor. @throws ERR_ONNX when what is stored does not fit the shape; what `external` throws */
export function readOnnxTensor(
  proto: TensorProto,
  at: { readonly source: string; readonly place: string; readonly external: ExternalData },
): OnnxTensor {
  const { source, place } = at;
  const name = proto.name;
  const where = name === "" ? place : `tensor ${quote(name)}`;
  const refuse = (found: string, expected: string): never => {
    throw badOnnx({ source, found: `${found} in ${where}`, expected });
  };
  const dtype =
    onnxDtypeName(proto.dataType) ?? refuse(`the element type ${proto.dataType}`, "one of ONNX's element types");
  if (proto.dims.length > 64) refuse(`${proto.dims.length} dimensions`, "at most 64");
  const shape = proto.dims.map(Number);
  const size =
    elementCount(shape) ?? refuse(`the shape [${shape.join(", ")}]`, "extents >= 0 with a product below 2^53");
  const isExternal = proto.dataLocation === 1;
  if (dtype !== dtype.toLowerCase()) {
    const bits = opaqueBits(dtype);
    const bytes = bits === undefined ? undefined : Math.ceil((size * bits) / 8);
    if (!isExternal && bytes !== undefined && proto.rawData.length > 0 && proto.rawData.length !== bytes) {
      refuse(`${proto.rawData.length} bytes of data`, `${bytes} for its shape [${shape.join(", ")}]`);
    }
    return { name, dtype, shape, opaque: true, place };
  }
  const known = dtype as TensorDtype;
  const length = size * bytesPerElement(known);
  const outside = isExternal ? externalPlace(proto, refuse) : undefined;
  const raw = outside ? at.external(outside, { name, length }) : proto.rawData;
  if (raw === undefined) {
    return { name, dtype: known, shape, opaque: true, distant: { ...outside!, length }, place, external: true };
  }
  const typed = isExternal || raw.length > 0 ? undefined : typedData(proto, known);
  const stored = typed ? typed.length : raw.length / bytesPerElement(known);
  if (stored !== size) refuse(`data of ${stored} elements`, `${size} for its shape [${shape.join(", ")}]`);
  const data = typed ? fromTyped(typed, known, refuse) : elementsFrom(known, raw, true);
  return { name, dtype: known, shape, data, place, ...(isExternal ? { external: true } : {}) } as OnnxTensor;
}

function externalPlace(proto: TensorProto, refuse: (found: string, expected: string) => never): ExternalPlace {
  const entries = new Map(proto.externalData.map(({ key, value }) => [key, value]));
  const location = entries.get("location") ?? refuse("external data without a location", "a location");
  const whole = (key: string): number | undefined => {
    const text = entries.get(key);
    if (text === undefined) return undefined;
    const value = Number(text);
    const isWhole = /^\d+$/.test(text) && Number.isSafeInteger(value);
    return isWhole ? value : refuse(`external data with ${key} ${quote(text)}`, "a whole number of bytes");
  };
  const length = whole("length");
  return { location, offset: whole("offset") ?? 0, ...(length === undefined ? {} : { length }) };
}

/** The field that holds the elements of a type, as onnx.proto says. */
function typedData(proto: TensorProto, dtype: TensorDtype): readonly (number | bigint)[] {
  if (dtype === "f32") return proto.floatData;
  if (dtype === "f64") return proto.doubleData;
  if (dtype === "i64") return proto.int64Data;
  return dtype === "u64" || dtype === "u32" ? proto.uint64Data : proto.int32Data;
}

function fromTyped(
  values: readonly (number | bigint)[],
  dtype: TensorDtype,
  refuse: (found: string, expected: string) => never,
): ArrayOfDtype[TensorDtype] {
  const bytes = new Uint8Array(values.length * bytesPerElement(dtype));
  const data = elementsFrom(dtype, bytes, true);
  for (let i = 0; i < values.length; i++) {
    if (dtype === "i64" || dtype === "u64") {
      (data as BigInt64Array)[i] = values[i] as bigint;
      continue;
    }
    const value = Number(values[i]);
    (data as Float32Array)[i] = value;
    const isFloat = dtype === "f32" || dtype === "f64";
    if (!isFloat && (data as Float32Array)[i] !== value) refuse(`the element ${value}`, `numbers that ${dtype} holds`);
  }
  return data;
}

/** New ONNX files, for networks that come from elsewhere. A file that was read is changed with `replaceOnnxTensors` instead. */
import { create, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import { putElements } from "../dtype.ts";
import { badTensor } from "../errors.ts";
import { onnxDtypeNumber } from "./onnx-dtype.ts";
import type {
  ExternalPlace,
  OnnxAttribute,
  OnnxGraph,
  OnnxModel,
  OnnxNode,
  OnnxTensor,
  OnnxValue,
} from "./onnx-model.ts";
import {
  type AttributeProto,
  AttributeProtoSchema,
  type GraphProto,
  GraphProtoSchema,
  ModelProtoSchema,
  type NodeProto,
  NodeProtoSchema,
  OperatorSetIdProtoSchema,
  StringStringEntryProtoSchema,
  type TensorProto,
  TensorProtoSchema,
  type ValueInfoProto,
  ValueInfoProtoSchema,
} from "./onnx-schema.ts";

/** A tensor of a new file: it has no place yet. */
type NewTensor = Omit<Exclude<OnnxTensor, { opaque: true }>, "place">;

/** One whose numbers lie in another file, which whoever asks for it writes. */
interface NewDistantTensor {
  readonly name: string;
  readonly dtype: NewTensor["dtype"];
  readonly shape: readonly number[];
  readonly distant: Required<ExternalPlace>;
}

/** What `encodeOnnx` writes. Whole attributes are written as integers unless `floats` names them. */
export interface NewOnnxModel extends Pick<OnnxModel, "opsets" | "metadata"> {
  readonly graph: Omit<OnnxGraph, "initializers" | "nodes"> & {
    readonly initializers: readonly NewTensor[];
    readonly distant?: readonly NewDistantTensor[];
    readonly nodes: readonly (OnnxNode & { readonly floats?: readonly string[] })[];
  };
}

/** Versions of the file format by the newest operator set that each came out with, as the releases of ONNX have them; 4 is the first in which initializers are no inputs. */
const irVersions = [
  [9, 4n],
  [10, 5n],
  [11, 6n],
  [14, 7n],
  [18, 8n],
  [20, 9n],
  [22, 10n],
] as const;
const newestIrVersion = 11n;

/** The format's version that goes with an operator set: older runtimes refuse newer ones. */
function irVersionOf(opset: number): bigint {
  return irVersions.find(([newest]) => opset <= newest)?.[1] ?? newestIrVersion;
}

/**
 * An ONNX file: tensors as raw bytes, producer "secateur".
 *
 * @throws ERR_TENSOR for a dtype that ONNX does not have
 * @example
 * const bytes = encodeOnnx({ opsets: { "": 13 }, metadata: {}, graph });
 */
export function encodeOnnx({ opsets, metadata, graph }: NewOnnxModel): Uint8Array {
  const model = create(ModelProtoSchema, {
    irVersion: irVersionOf(opsets[""] ?? 1),
    producerName: "secateur",
    opsetImport: Object.entries(opsets).map(([domain, version]) =>
      create(OperatorSetIdProtoSchema, { domain, version: BigInt(version) }),
    ),
    metadataProps: Object.entries(metadata).map(([key, value]) => create(StringStringEntryProtoSchema, { key, value })),
    graph: graphProto(graph),
  });
  return toBinary(ModelProtoSchema, model);
}

function graphProto({ name, nodes, initializers, distant = [], inputs, outputs }: NewOnnxModel["graph"]): GraphProto {
  return create(GraphProtoSchema, {
    name,
    node: nodes.map(nodeProto),
    initializer: [...initializers.map(tensorProto), ...distant.map(distantProto)],
    input: inputs.map(valueProto),
    output: outputs.map(valueProto),
  });
}

/** A node. */
export function nodeProto({
  name,
  op,
  domain,
  inputs,
  outputs,
  attributes,
  floats,
}: NewOnnxModel["graph"]["nodes"][number]): NodeProto {
  const attribute = Object.entries(attributes).map(([key, value]) =>
    attributeProto(key, value, floats?.includes(key) === true),
  );
  return create(NodeProtoSchema, { name, opType: op, domain, input: [...inputs], output: [...outputs], attribute });
}

/** An attribute; whole numbers are integers unless it is said that they are floats. @throws ERR_TENSOR for graphs and other things that are not written */
export function attributeProto(name: string, value: OnnxAttribute, isFloat: boolean): AttributeProto {
  const of = (fields: MessageInitShape<typeof AttributeProtoSchema>): AttributeProto =>
    create(AttributeProtoSchema, { name, ...fields });
  const text = (string: string) => new TextEncoder().encode(string) as Uint8Array<ArrayBuffer>;
  if (typeof value === "string") return of({ type: 3, s: text(value) });
  if (typeof value === "number") return isFloat ? of({ type: 1, f: value }) : of({ type: 2, i: BigInt(value) });
  const list = value as readonly (number | string)[];
  if (Array.isArray(value) && list.every((item) => typeof item === "number")) {
    return isFloat ? of({ type: 6, floats: [...list] }) : of({ type: 7, ints: list.map((item) => BigInt(item)) });
  }
  if (Array.isArray(value) && list.every((item) => typeof item === "string")) {
    return of({ type: 8, strings: list.map((item) => text(String(item))) });
  }
  if ("dtype" in value && !("opaque" in value)) return of({ type: 4, t: tensorProto(value) });
  throw badTensor({ name, found: "an attribute that is not written", expected: "numbers, texts or a tensor" });
}

/** A tensor, its numbers as raw bytes. @throws ERR_TENSOR */
export function tensorProto({ name, dtype, shape, data }: NewTensor): TensorProto {
  const type = onnxDtypeNumber(dtype);
  if (type < 0) throw badTensor({ name, found: `the dtype ${dtype}`, expected: "a dtype that ONNX has" });
  const rawData = new Uint8Array(data.byteLength);
  putElements(data, rawData, 0);
  return create(TensorProtoSchema, { name, dims: shape.map(BigInt), dataType: type, rawData });
}

function distantProto({ name, dtype, shape, distant }: NewDistantTensor): TensorProto {
  const externalData = Object.entries(distant).map(([key, value]) => ({ key, value: String(value) }));
  const dims = shape.map(BigInt);
  return create(TensorProtoSchema, { name, dims, dataType: onnxDtypeNumber(dtype), dataLocation: 1, externalData });
}

/** An input or output. */
export function valueProto({ name, dtype, shape }: OnnxValue): ValueInfoProto {
  const dim = shape?.map((extent) => {
    if (typeof extent === "number") return { value: { case: "dimValue" as const, value: BigInt(extent) } };
    return extent === null ? {} : { value: { case: "dimParam" as const, value: extent } };
  });
  const elemType = onnxDtypeNumber(dtype as NewTensor["dtype"]);
  const tensor = { elemType, ...(dim ? { shape: { dim } } : {}) };
  return create(ValueInfoProtoSchema, { name, type: { value: { case: "tensorType", value: tensor } } });
}

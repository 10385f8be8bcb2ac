/** ONNX models from bytes: decoded by protobuf-es, checked, and handed out as plain data. */
import { fromBinary } from "@bufbuild/protobuf";
import { badExternalData, badOnnx } from "../errors.ts";
import { quote } from "../text/quote.ts";
import { checkOnnxGraph, firstKnownOpset } from "./check/check-graph.ts";
import { nodeProblem } from "./check/check-node.ts";
import { onnxDtypeName } from "./onnx-dtype.ts";
import { onnxLayout } from "./onnx-layout.ts";
import type { OnnxAttribute, OnnxGraph, OnnxModel, OnnxNode, OnnxValue } from "./onnx-model.ts";
import {
  type AttributeProto,
  type GraphProto,
  type ModelProto,
  ModelProtoSchema,
  type NodeProto,
  type ValueInfoProto,
} from "./onnx-schema.ts";
import { type ExternalData, readOnnxTensor } from "./onnx-tensor.ts";
import { assertWireTypes } from "./wire-types.ts";

/**
 * Reads an ONNX model. Tensors are views of `bytes` where these are aligned, so `bytes` must not change. O(bytes) time; what is
 * allocated is a small multiple of the file's size at most.
 *
 * @param bytes - the whole model file
 * @param source - name of the file, for messages
 * @param external - gives data that lies in other files; default: refuses with ERR_ONNX_EXTERNAL
 * @throws ERR_ONNX for what is no valid model; ERR_ONNX_EXTERNAL
 * @example
 * const { graph } = decodeOnnx(bytes, "model.onnx");
 */
export function decodeOnnx(bytes: Uint8Array, source: string, external: ExternalData = noExternal(source)): OnnxModel {
  onnxLayout(bytes, source);
  assertWireTypes(bytes, source);
  const proto = decode(bytes, source);
  if (!proto.graph) throw badOnnx({ source, found: "a model without a graph", expected: "a graph" });
  assertVersions(proto, source);
  const own = proto.opsetImport.find(({ domain }) => ownDomain(domain) === "");
  const at: Place = { source, external, operators: Number(own?.version ?? 0n) };
  const graph = readGraph(proto.graph, "graph", at);
  if (graph.outputs.length === 0) throw badOnnx({ source, found: "a graph without outputs", expected: "one or more" });
  const untyped = graph.inputs.find(({ dtype }) => dtype === "");
  if (untyped) {
    const found = `the input ${quote(untyped.name)} without a type`;
    throw badOnnx({ source, found, expected: "a type for every input" });
  }
  const model: OnnxModel = {
    source,
    irVersion: Number(proto.irVersion),
    opsets: Object.fromEntries(proto.opsetImport.map(({ domain, version }) => [ownDomain(domain), Number(version)])),
    metadata: metadataOf(proto),
    graph,
    functions: proto.functions.map(({ domain, name }) => `${domain}.${name}`),
  };
  return { ...model, graph: checkOnnxGraph(model) };
}

/** The newest versions of the format and of ONNX's operators that this reads: newer ones may mean something else by the same names. */
const newest = { ir: 13n, operators: 26n };

function assertVersions({ irVersion, opsetImport }: ModelProto, source: string): void {
  const assert = (what: string, version: bigint, most: bigint): void => {
    if (version >= 1n && version <= most) return;
    const remedy = version > most ? "export the model with an older version" : undefined;
    throw badOnnx({ source, found: `${what} ${version}`, expected: `1 to ${most}`, ...(remedy ? { remedy } : {}) });
  };
  assert("the IR version", irVersion, newest.ir);
  for (const { domain, version } of opsetImport) {
    const own = ownDomain(domain);
    assert(`the operator set of domain ${quote(own)}`, version, own === "" ? newest.operators : 2n ** 31n);
  }
}

interface Place {
  readonly source: string;
  /** Version of ONNX's own operators. */
  readonly operators: number;
  readonly external: ExternalData;
}

function decode(bytes: Uint8Array, source: string): ModelProto {
  try {
    // Unknown fields stay in `bytes`, from which the model is written again.
    return fromBinary(ModelProtoSchema, bytes, { readUnknownFields: false });
  } catch (cause) {
    const found = `bytes that protobuf refuses (${cause instanceof Error ? cause.message : String(cause)})`;
    throw badOnnx({ source, found, expected: "a whole ONNX model" });
  }
}

function noExternal(source: string): ExternalData {
  return (_place, { name }) => {
    const remedy = "read the model with readOnnx, which looks in the model's folder";
    throw badExternalData({ source, tensor: name, found: "it lies in another file", remedy });
  };
}

/** "ai.onnx" is the long name of ONNX's own domain. */
function ownDomain(domain: string): string {
  return domain === "ai.onnx" ? "" : domain;
}

function metadataOf(proto: ModelProto): Record<string, string> {
  const { producerName, producerVersion, docString, domain, modelVersion, metadataProps } = proto;
  const facts = { producerName, producerVersion, docString, domain };
  const said = Object.entries(facts).filter(([, value]) => value !== "");
  const version = modelVersion === 0n ? [] : [["modelVersion", String(modelVersion)]];
  return Object.fromEntries([...said, ...version, ...metadataProps.map(({ key, value }) => [key, value])]);
}

function readGraph(proto: GraphProto, path: string, at: Place): OnnxGraph {
  if (proto.sparseInitializer.length > 0) {
    const found = `${proto.sparseInitializer.length} sparse initializers`;
    throw badOnnx({ source: at.source, found, expected: "dense ones", remedy: "convert them to dense initializers" });
  }
  const initializers = proto.initializer.map((tensor, i) =>
    readOnnxTensor(tensor, { ...at, place: `${path}/initializer[${i}]` }),
  );
  for (const value of proto.valueInfo) readValue(value, at);
  const given = new Set(initializers.map(({ name }) => name));
  return {
    name: proto.name,
    nodes: proto.node.map((node, i) => readNode(node, `${path}/node[${i}]`, at)),
    initializers,
    // Before IR version 4 initializers had to stand among the inputs too.
    inputs: proto.input.filter(({ name }) => !given.has(name)).map((value) => readValue(value, at)),
    outputs: proto.output.map((value) => readValue(value, at)),
  };
}

function readNode(proto: NodeProto, path: string, at: Place): OnnxNode {
  const { name, opType, domain, input, output, attribute } = proto;
  const attributes: Record<string, OnnxAttribute> = {};
  const problem = ownDomain(domain) === "" && at.operators >= firstKnownOpset ? nodeProblem(proto) : undefined;
  if (problem) throw badOnnx({ source: at.source, ...problem });
  attribute.forEach((one, i) => {
    const value = readAttribute(one, `${path}/attribute[${i}]`, at);
    if (value !== undefined) attributes[one.name] = value;
  });
  return { name, op: opType, domain: ownDomain(domain), inputs: input, outputs: output, attributes };
}

const utf8 = new TextDecoder();

/** Undefined for kinds that no supported operator has. */
function readAttribute(proto: AttributeProto, path: string, at: Place): OnnxAttribute | undefined {
  const tensor = (value: NonNullable<AttributeProto["t"]>, field: string) =>
    readOnnxTensor(value, { ...at, place: `${path}/${field}` });
  switch (proto.type) {
    case 1:
      return proto.f;
    case 2:
      return Number(proto.i);
    case 3:
      return utf8.decode(proto.s);
    case 4:
      return proto.t && tensor(proto.t, "t");
    case 5:
      return proto.g && readGraph(proto.g, `${path}/g`, at);
    case 6:
      return proto.floats;
    case 7:
      return proto.ints.map(Number);
    case 8:
      return proto.strings.map((text) => utf8.decode(text));
    case 9:
      return proto.tensors.map((value, i) => tensor(value, `tensors[${i}]`));
    case 10:
      return proto.graphs.map((graph, i) => readGraph(graph, `${path}/graphs[${i}]`, at));
    default:
      return undefined;
  }
}

function readValue({ name, type }: ValueInfoProto, { source }: Place): OnnxValue {
  const of = type?.value;
  if (of?.case === undefined) return { name, dtype: "" };
  if (of.case !== "tensorType") return { name, dtype: of.case.replace(/Type$/, "").replace("sparseTensor", "sparse") };
  const { elemType, shape } = of.value;
  const dtype = onnxDtypeName(elemType);
  if (dtype === undefined) {
    const found = `the element type ${elemType} of the value ${quote(name)}`;
    throw badOnnx({ source, found, expected: "one of ONNX's element types" });
  }
  if (!shape) return { name, dtype };
  return {
    name,
    dtype,
    shape: shape.dim.map(({ value }) => {
      if (value.case === "dimParam") return value.value === "" ? null : value.value;
      // Some exporters write -1 for an extent that varies.
      return value.case === "dimValue" && value.value >= 0n ? Number(value.value) : null;
    }),
  };
}

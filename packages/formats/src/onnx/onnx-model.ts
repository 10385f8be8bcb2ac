/** What an ONNX file holds, as plain data: what runs a graph needs no protobuf. */
import type { NamedTensor } from "../tensor.ts";

/** A tensor whose elements are not read: strings, complex numbers and types of less than a byte. It is kept as it is. */
export interface OpaqueTensor {
  readonly name: string;
  /** ONNX's name of the type, such as "STRING", "FLOAT8E4M3FN" or "INT4". */
  readonly dtype: string;
  readonly shape: readonly number[];
  readonly opaque: true;
  /** Where its elements lie, of a tensor of numbers that was left in its file; see `outlineOnnx`. */
  readonly distant?: Required<ExternalPlace>;
}

/** Where the elements of a tensor lie outside the model file. */
export interface ExternalPlace {
  /** Path relative to the model's folder, as the file says it; checked to stay inside. */
  readonly location: string;
  /** Bytes from the start of that file. */
  readonly offset: number;
  /** Bytes; undefined: as many as the shape needs. */
  readonly length?: number;
}

/** A tensor of an ONNX file with its place in it. */
export type OnnxTensor = (NamedTensor | OpaqueTensor) & {
  /** Which tensor of the file it is, such as "graph/initializer[3]" or "graph/node[5]/attribute[0]/t". */
  readonly place: string;
  /** Present where its elements lie in a file beside the model's. */
  readonly external?: true;
};

/** The value of a node's attribute. Whole numbers beyond 2^53 round. */
export type OnnxAttribute =
  | number
  | string
  | OnnxTensor
  | OnnxGraph
  | readonly number[]
  | readonly string[]
  | readonly OnnxTensor[]
  | readonly OnnxGraph[];

/** One use of an operator. */
export interface OnnxNode {
  /** May be empty. */
  readonly name: string;
  /** Such as "Conv". */
  readonly op: string;
  /** "" is ONNX's own. */
  readonly domain: string;
  /** Names of values; "" where an optional one is left out. */
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  readonly attributes: Readonly<Record<string, OnnxAttribute>>;
}

/** An input or output. */
export interface OnnxValue {
  readonly name: string;
  /** Element type as formats names it ("f32", "i64"), else ONNX's name; "sequence", "map", "optional", "sparse" or "opaque" for what is no tensor; "" where it is not said. */
  readonly dtype: string;
  /** A number, the name of a dimension that varies, or null for one without a name; undefined where the file does not say. */
  readonly shape?: readonly (number | string | null)[];
}

/** A graph, or the body of an If, Loop or Scan. */
export interface OnnxGraph {
  readonly name: string;
  /** In an order in which every value is made before it is used. */
  readonly nodes: readonly OnnxNode[];
  readonly initializers: readonly OnnxTensor[];
  /** What must be fed: inputs that have no initializer. */
  readonly inputs: readonly OnnxValue[];
  readonly outputs: readonly OnnxValue[];
}

/** An ONNX model. */
export interface OnnxModel {
  /** Name of the file, for messages. */
  readonly source: string;
  readonly irVersion: number;
  /** Versions of operator sets by domain; "" is ONNX's own. */
  readonly opsets: Readonly<Record<string, number>>;
  /** metadata_props, and producer, description and version where they are set. */
  readonly metadata: Readonly<Record<string, string>>;
  readonly graph: OnnxGraph;
  /** Operators that the model defines itself, as "domain.name". */
  readonly functions: readonly string[];
}

/** ONNX files for tests, made with protobuf-es directly, so that what our own writer would refuse can be made too. */
import { create, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import { ModelProtoSchema } from "./onnx-schema.ts";

type ModelInit = MessageInitShape<typeof ModelProtoSchema>;
type GraphInit = NonNullable<Extract<ModelInit["graph"], { $typeName?: never }>>;

/** Bytes of f32 numbers as raw_data. */
export function rawFloats(...values: readonly number[]): Uint8Array<ArrayBuffer> {
  return new Uint8Array(Float32Array.from(values).buffer);
}

/** An input of f32 numbers of any shape. */
export function floatInput(name: string) {
  return { name, type: { value: { case: "tensorType", value: { elemType: 1 } } } } as const;
}

/** A model of one MatMul with weights [2, 3], and what is changed in it. */
export function modelBytes(graph: GraphInit = {}, model: ModelInit = {}): Uint8Array {
  const proto = create(ModelProtoSchema, {
    irVersion: 8n,
    opsetImport: [{ domain: "", version: 17n }],
    ...model,
    graph: {
      name: "g",
      node: [{ opType: "MatMul", input: ["x", "w"], output: ["y"] }],
      initializer: [{ name: "w", dims: [2n, 3n], dataType: 1, rawData: rawFloats(1, 2, 3, 4, 5, 6) }],
      input: [floatInput("x")],
      output: [{ name: "y" }],
      ...graph,
    },
  } as ModelInit);
  return toBinary(ModelProtoSchema, proto);
}

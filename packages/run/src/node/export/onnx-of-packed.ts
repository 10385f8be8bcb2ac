/**
 * A packed network as an ONNX model (operator set 17) for stock runtimes. Weights of 8 or 4 bits become int8 tensors with a DequantizeLinear
 * and a scale an output, so that the file has a byte a weight; zeros stand in place. States become ordinary inputs and outputs.
 */
import type { NewOnnxModel } from "@secateur/formats";
import type { PackedModel, PackedTensor } from "@secateur/runtime";
import { valueDims } from "@secateur/runtime/pack";
import { type GraphWriter, graphWriter } from "./graph-writer.ts";
import { writeOperator } from "./packed-operators.ts";

/** LayerNormalization is of 17; everything else is older. */
const opset = 17;

/** Its outputs are those of the packed network but for the order of sums. O(weights). */
export function onnxOfPacked(model: PackedModel): NewOnnxModel {
  const { inputs, outputs, operators, tensors, metadata } = model;
  const values = [...inputs.map(({ name }) => name), ...operators.map(({ output }) => output)];
  const writer = graphWriter([...values, ...tensors.keys()]);
  const dims = valueDims(model, 1);
  const names = new Map<string, string>();
  for (const { name, whole } of inputs) if (whole) names.set(name, writer.node("Cast", [name], { to: 1 }));
  const written = new Map<string, string>();
  const tensor = (name: string): string => {
    const value = written.get(name) ?? writeTensor(name, tensors.get(name)!, writer);
    written.set(name, value);
    return value;
  };
  for (const operator of operators) {
    writeOperator({
      writer,
      operator,
      dims: operator.inputs.map((name) => dims.get(name)!),
      from: operator.inputs.map((name) => names.get(name) ?? name),
      tensors: operator.tensors.map((name) => tensors.get(name)!),
      tensor: (i) => tensor(operator.tensors[i]!),
    });
  }
  const texts = Object.entries(metadata).filter((entry): entry is [string, string] => typeof entry[1] === "string");
  return {
    opsets: { "": opset },
    metadata: Object.fromEntries(texts),
    graph: {
      name: "unpacked",
      nodes: writer.nodes,
      initializers: writer.initializers,
      inputs: inputs.map(({ name, dims: shape, whole }) => ({ name, dtype: whole ? "i64" : "f32", shape })),
      outputs: outputs.map(({ name, dims: shape }) => ({ name, dtype: "f32", shape })),
    },
  };
}

/** Writes a tensor as it is stored; returns the value that gives it in f32. */
function writeTensor(name: string, { dims: shape, data, scales }: PackedTensor, writer: GraphWriter): string {
  if (!scales) {
    writer.initializers.push({ name, dtype: "f32", shape, data });
    return name;
  }
  const width = data.length / scales.length;
  const whole = Int8Array.from(data, (value, i) => {
    const scale = scales[Math.floor(i / width)]!;
    return scale === 0 ? 0 : Math.round(value / scale);
  });
  writer.initializers.push({ name, dtype: "i8", shape, data: whole });
  return writer.node("DequantizeLinear", [name, writer.reals(...scales)], { axis: 0 });
}

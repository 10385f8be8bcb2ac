/** Keras's activations as ONNX operators. */

import { gelu } from "../graph-writer.ts";
import { channelsLast, type OrientedValue, oriented } from "../oriented-value.ts";
import { type LayerCall, refusedLayer } from "./keras-call.ts";

/** Activations that are one operator with its own defaults. Keras's hard sigmoid is max(0, min(1, 0.2 x + 0.5)), ONNX's too. */
const operators: Readonly<Record<string, string>> = {
  relu: "Relu",
  sigmoid: "Sigmoid",
  hardSigmoid: "HardSigmoid",
  hard_sigmoid: "HardSigmoid",
  tanh: "Tanh",
  softplus: "Softplus",
  softsign: "Softsign",
  elu: "Elu",
  selu: "Selu",
  exponential: "Exp",
};

/** The operator that an LSTM or GRU names for an activation. @throws ERR_EXPORT */
export function recurrentActivation(call: LayerCall, name: string): string {
  const found = operators[name];
  if (found !== undefined && name !== "exponential" && name !== "elu" && name !== "selu") return found;
  throw refusedLayer(call, `the activation '${name}'`, "give a recurrent layer with tanh, relu and sigmoid");
}

/** An activation, in the order that the value has. @throws ERR_EXPORT for one that is not known */
export function writeActivation(call: LayerCall, value: OrientedValue, name: string): OrientedValue {
  const { writer } = call;
  if (name === "linear") return value;
  if (name === "softmax" || name === "logSoftmax" || name === "log_softmax") {
    const op = name === "softmax" ? "Softmax" : "LogSoftmax";
    return oriented(writer.node(op, [channelsLast(value, writer)], { axis: value.rank - 1 }), value.rank);
  }
  const order = value.first === undefined ? "last" : "first";
  return oriented(entrywise(call, value[order]!, name), value.rank, order);
}

function entrywise(call: LayerCall, x: string, name: string): string {
  const { writer } = call;
  const { node, real } = writer;
  const operator = operators[name];
  if (operator !== undefined) return node(operator, [x]);
  switch (name) {
    case "relu6":
      return node("Clip", [x, real(0), real(6)]);
    case "swish":
    case "silu":
      return node("Mul", [x, node("Sigmoid", [x])]);
    case "mish":
      return node("Mul", [x, node("Tanh", [node("Softplus", [x])])]);
    case "gelu":
      return gelu(writer, x);
    default:
      throw refusedLayer(call, `the activation '${name.slice(0, 60)}'`, `give one of ${knownActivations.join(", ")}`);
  }
}

const knownActivations = [
  "linear",
  ...Object.keys(operators),
  "relu6",
  "swish",
  "mish",
  "gelu",
  "softmax",
  "logSoftmax",
];

/**
 * Keras's LSTM and GRU as ONNX operators. Keras keeps gates in columns, [in, gates * units], LSTM i f c o and GRU z r h; ONNX in rows,
 * [1, gates * units, in], LSTM i o f c and GRU z r h.
 */
import { z } from "zod";
import { channelsLast, type OrientedValue, oriented } from "../oriented-value.ts";
import { recurrentActivation } from "./keras-activation.ts";
import {
  activationSetting,
  biasSetting,
  type KerasWeight,
  type LayerCall,
  refusedLayer,
  settingsOf,
} from "./keras-call.ts";

/** Which of Keras's gates stands at each of ONNX's places. */
const gateOrders = { LSTM: [0, 3, 1, 2], GRU: [0, 1, 2] } as const;

/** An LSTM or GRU over [batch, time, features]. */
export function writeRecurrent(call: LayerCall): OrientedValue {
  const { writer, layer, inputs } = call;
  const op = layer.className as keyof typeof gateOrders;
  const given = settingsOf(call, {
    units: z.int().positive(),
    activation: activationSetting,
    recurrent_activation: z.string().default("hard_sigmoid"),
    use_bias: biasSetting,
    return_sequences: z.boolean().nullish(),
    return_state: z.boolean().nullish(),
    go_backwards: z.boolean().nullish(),
    stateful: z.boolean().nullish(),
    reset_after: z.boolean().nullish(),
    time_major: z.literal(false).nullish(),
  });
  for (const flag of ["return_state", "stateful"] as const) {
    if (given[flag]) throw refusedLayer(call, `'${flag}'`, "give a model without it");
  }
  const gates = gateOrders[op];
  const [gate, value] = [given.recurrent_activation, given.activation].map((name) => recurrentActivation(call, name));
  const rows = (weight: KerasWeight): string => call.tensor(gatesInRows(weight, gates));
  const bias = given.use_bias ? [call.tensor(biasOf(call.weight("bias"), gates))] : [];
  const steps = writer.node("Transpose", [channelsLast(inputs[0], writer)], { perm: [1, 0, 2] });
  const attributes = {
    hidden_size: given.units,
    activations: op === "LSTM" ? [gate!, value!, value!] : [gate!, value!],
    direction: given.go_backwards ? "reverse" : "forward",
    ...(op === "GRU" && given.reset_after ? { linear_before_reset: 1 } : {}),
  };
  const operands = [steps, rows(call.weight("kernel")), rows(call.weight("recurrent_kernel")), ...bias];
  const whole = writer.node(op, operands, attributes);
  if (!given.return_sequences) {
    // The last step that is computed: the first of the time axis where it goes backwards.
    const at = given.go_backwards ? writer.whole(0) : writer.whole(-1);
    const last = writer.node("Gather", [whole, at], { axis: 0 });
    return oriented(writer.node("Reshape", [last, writer.whole(-1, given.units)]), 2);
  }
  if (given.go_backwards) throw refusedLayer(call, "'go_backwards' with 'return_sequences'", "give a model without it");
  const squeezed = writer.node("Squeeze", [whole, writer.whole(1)]);
  return oriented(writer.node("Transpose", [squeezed], { perm: [1, 0, 2] }), 3);
}

/** [in, gates * units] as [1, gates * units, in], gates in ONNX's order. */
function gatesInRows({ name, shape, data }: KerasWeight, gates: readonly number[]): KerasWeight {
  const [inputs = 1, columns = 1] = shape;
  const units = columns / gates.length;
  const turned = new Float32Array(data.length);
  for (const [to, from] of gates.entries()) {
    for (let u = 0; u < units; u++) {
      for (let i = 0; i < inputs; i++) turned[(to * units + u) * inputs + i] = data[i * columns + from * units + u]!;
    }
  }
  return { name, shape: [1, columns, inputs], data: turned };
}

/** [gates * units], or [2, gates * units] where input and recurrent biases differ, as [1, 2 * gates * units]. */
function biasOf({ name, shape, data }: KerasWeight, gates: readonly number[]): KerasWeight {
  const columns = shape.at(-1)!;
  const units = columns / gates.length;
  const turned = new Float32Array(2 * columns);
  for (let part = 0; part < data.length / columns; part++) {
    for (const [to, from] of gates.entries()) {
      const gate = data.subarray(part * columns + from * units, part * columns + (from + 1) * units);
      turned.set(gate, part * columns + to * units);
    }
  }
  return { name, shape: [1, 2 * columns], data: turned };
}

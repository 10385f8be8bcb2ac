/** What is done number by number, and what changes nothing. */
import { productOf } from "../../plan/value.ts";
import { composedFunctions, linear } from "./functions.ts";
import { type Lowering, largest, type OnnxLikeTensor } from "./lowering.ts";

/** Functions of one value that the runtime has under the same name. */
const sameName = ["Relu", "Sigmoid", "Tanh", "HardSwish", "Silu", "Sqrt", "Exp", "Log", "Abs", "Reciprocal", "Erf"];

/** Functions that the runtime has under the same name, with one number. */
const withAlpha: Readonly<Record<string, number>> = { LeakyRelu: 0.01, Elu: 1 };

/** Bounds that nothing in f32 exceeds. */
const [lowest, highest] = [-largest, largest];

/** Infinities as the largest numbers: attributes are numbers of JSON. */
function within(number: number): number {
  return Math.max(lowest, Math.min(highest, number));
}

export const arithmetic: Readonly<Record<string, (low: Lowering) => void>> = {
  ...Object.fromEntries(
    [...sameName, "Softplus", "Mish", "Floor", "Ceil", "Round"].map((op) => [op, (low: Lowering) => unary(low, op)]),
  ),
  ...Object.fromEntries(
    Object.entries(withAlpha).map(([op, or]) => [
      op,
      ({ emit, value, number }: Lowering) => {
        emit(op, [value(0)], { attributes: { alpha: number("alpha", or) }, isLast: true });
      },
    ]),
  ),
  Add: binary,
  Mul: binary,
  Sub: binary,
  Div: binary,
  Min: extreme,
  Max: extreme,
  Pow: power,
  Neg: (low) => linear(low, low.value(0), { scale: -1, isLast: true }),
  ...composedFunctions,
  Clip(low) {
    const { constant, numbers, number, emit, value, node } = low;
    const isComputed = (i: number): boolean => Boolean(node.inputs[i]) && !constant(i);
    const bound = (i: number, name: string, or: number): number => {
      const tensor = constant(i);
      return within(tensor ? numbers(tensor)[0]! : number(name, or));
    };
    const attributes = { low: bound(1, "min", lowest), high: bound(2, "max", highest) };
    const [isLow, isHigh] = [isComputed(1), isComputed(2)];
    const clipped = emit("Clip", [value(0)], { attributes, isLast: !isLow && !isHigh });
    const raised = isLow ? emit("Max", [clipped, value(1)], { isLast: !isHigh }) : clipped;
    if (isHigh) emit("Min", [raised, value(2)], { isLast: true });
  },
  BatchNormalization(low) {
    const tensors = [1, 2, 3, 4].map((i) => {
      const tensor = low.constant(i) ?? low.refuse("its statistics are computed; they have to be constant");
      return low.keep(tensor.name, tensor.shape, low.numbers(tensor));
    });
    const from = low.value(0);
    const [first = 1, channels = 1, ...rest] = low.dims(from);
    const attributes = { epsilon: low.number("epsilon", 1e-5) };
    if (rest.length === 0 || rest.length === 2) {
      low.emit("BatchNormalization", [from], { tensors, attributes, isLast: true });
      return;
    }
    const size = productOf(rest);
    const image = low.reshaped(from, [first, channels, 1, size]);
    low.reshaped(low.emit("BatchNormalization", [image], { tensors, attributes }), low.dims(from), true);
  },
  Identity: passOn,
  Dropout: passOn,
  /** Values are f32 whatever they are called; whole numbers up to 2^24 are exact. Only what changes none of them passes. */
  Cast(low) {
    const to = low.number("to", 1);
    const isReal = [1, 10, 11, 16].includes(to);
    const isKept = [6, 7].includes(to) && low.isWhole(0);
    if (!isReal && !isKept) low.refuse("it rounds to another type while the graph runs");
    low.same(low.value(0));
  },
  Where: choice,
};

function passOn(low: Lowering): void {
  const known = low.constant(0);
  if (known) low.state.constants.set(low.node.outputs[0]!, known);
  else low.same(low.value(0));
}

function unary({ emit, value }: Lowering, op: string): void {
  emit(op, [value(0)], { isLast: true });
}

/** scale x + shift: one of each, or one a channel. */
function scaled(
  { keep, emit, node }: Lowering,
  from: string,
  { scale, shift }: { scale: Float32Array; shift: Float32Array },
): void {
  const output = node.outputs[0]!;
  const tensors = [keep(`${output}.scale`, [scale.length], scale), keep(`${output}.shift`, [shift.length], shift)];
  emit("ScaleShift", [from], { tensors, isLast: true });
}

/** One number of a constant for all, or one a channel of what it meets; undefined where it is anything else. */
function byChannel(
  tensor: OnnxLikeTensor,
  dims: readonly number[],
  numbers: Lowering["numbers"],
): Float32Array | undefined {
  const size = productOf(tensor.shape);
  if (size === 1) return tensor.shape.length <= dims.length ? numbers(tensor) : undefined;
  const axis = dims.length === 4 ? 1 : dims.length - 1;
  // Aligned at the last extent, all but the channels' have to be 1.
  const isByChannel = tensor.shape.every((extent, i) => {
    const at = i + dims.length - tensor.shape.length;
    return at === axis ? extent === dims[axis] : extent === 1 && at >= 0;
  });
  return isByChannel ? numbers(tensor) : undefined;
}

function binary(low: Lowering): void {
  const { node, value, constant, numbers, emit, dims } = low;
  if (node.op === "Div" && low.isWhole(0)) low.refuse("it divides whole numbers, and drops what is left");
  const place = constant(0) ? 0 : constant(1) ? 1 : undefined;
  const given = place === undefined ? undefined : byChannel(constant(place)!, low.dims(value(1 - place)), numbers);
  if (place === undefined || given === undefined) {
    const [a, b] = [value(0), value(1)];
    // Planes and one number for each are fastest with the planes first.
    const size = (name: string): number => productOf(dims(name));
    const isSwapped = (node.op === "Add" || node.op === "Mul") && size(a) < size(b);
    emit(node.op, isSwapped ? [b, a] : [a, b], { isLast: true });
    return;
  }
  const from = value(1 - place);
  const filled = (number: number): Float32Array => new Float32Array(given.length).fill(number);
  const negative = given.map((number) => -within(number));
  switch (node.op) {
    case "Add":
      scaled(low, from, { scale: filled(1), shift: given.map(within) });
      return;
    case "Mul":
      scaled(low, from, { scale: given, shift: filled(0) });
      return;
    case "Sub":
      if (place === 1) {
        scaled(low, from, { scale: filled(1), shift: negative });
        return;
      }
      scaled(low, from, { scale: filled(-1), shift: given.map(within) });
      return;
    default:
      if (place === 1) {
        if (given.includes(0)) low.refuse("it divides by a constant that is 0");
        scaled(low, from, { scale: given.map((number) => 1 / number), shift: filled(0) });
        return;
      }
      scaled(low, emit("Reciprocal", [from]), { scale: given, shift: filled(0) });
      return;
  }
}

/** Min and Max of any number of values. */
function extreme(low: Lowering): void {
  const { node, value, constant, emit } = low;
  const known = constant(1);
  const isNarrow = known?.data?.length === 1 && known.shape.length <= low.dims(value(0)).length;
  const scalar = isNarrow ? low.numbers(known)[0]! : undefined;
  if (node.inputs.length === 2 && scalar !== undefined) {
    const bound = within(scalar);
    const attributes = node.op === "Min" ? { low: lowest, high: bound } : { low: bound, high: highest };
    emit("Clip", [value(0)], { attributes, isLast: true });
    return;
  }
  const rest = node.inputs.slice(1).map((_, i) => value(i + 1));
  let so = value(0);
  rest.forEach((other, i) => {
    so = emit(node.op, [so, other], { isLast: i === rest.length - 1 });
  });
  if (rest.length === 0) low.same(so);
}

/** x to a constant power that products, roots and reciprocals give. */
function power(low: Lowering): void {
  const { value, constant, emit, refuse } = low;
  const tensor = constant(1) ?? refuse("its exponent is computed; it has to be constant");
  const exponent = low.numbers(tensor)[0];
  const x = value(0);
  if (tensor.data?.length !== 1 || tensor.shape.length > low.dims(x).length)
    refuse("it has several exponents; one can be packed");
  if (exponent === 1) {
    low.same(x);
    return;
  }
  if (exponent === 2) emit("Mul", [x, x], { isLast: true });
  else if (exponent === 3) emit("Mul", [emit("Mul", [x, x]), x], { isLast: true });
  else if (exponent === 0.5) emit("Sqrt", [x], { isLast: true });
  else if (exponent === -1) emit("Reciprocal", [x], { isLast: true });
  else if (exponent === -0.5) emit("Reciprocal", [emit("Sqrt", [x])], { isLast: true });
  else refuse(`its exponent is ${exponent}; allowed are -1, -0.5, 0.5, 1, 2 and 3`);
}

/** x where a constant mask is 1, else y: each with zeros where the other stands, whatever it is there, and their sum. */
function choice(low: Lowering): void {
  const { constant, numbers, value, emit, refuse, node } = low;
  const mask = constant(0) ?? refuse("its condition is computed; it has to be constant");
  const part = (i: number, isFirst: boolean): string => {
    const chosen = numbers(mask).map((bit) => Number((bit !== 0) === isFirst));
    return emit("Keep", [value(i), low.constantValue(`${node.outputs[0]} ${i}`, mask.shape, chosen)]);
  };
  emit("Add", [part(1, true), part(2, false)], { isLast: true });
}

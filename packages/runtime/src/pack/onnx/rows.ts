/** What is done over some axes: means, sums, softmax, layer normalisation. The runtime has them over the last extent. */
import { productOf } from "../../plan/value.ts";
import { axesLast, axisOf, type Lowering } from "./lowering.ts";

const reducing = ["Mean", "Sum", "Max", "Min", "L1", "L2", "SumSquare"].map((name) => `Reduce${name}`);

export const rows: Readonly<Record<string, (low: Lowering) => void>> = {
  ...Object.fromEntries(reducing.map((op) => [op, reduction])),
  InstanceNormalization: (low) => overGroups(low, low.dims(low.value(0))[1] ?? 1),
  GroupNormalization: (low) => overGroups(low, low.number("num_groups", 1)),
  Softmax: overAxis,
  LogSoftmax: overAxis,
  LayerNormalization(low) {
    const { value, constant, numbers, keep, emit, refuse, number, node } = low;
    const from = value(0);
    const rank = low.dims(from).length;
    if (axisOf(low, number("axis", -1), rank) !== rank - 1) refuse("it is over more than the last axis");
    const features = low.dims(from)[rank - 1]!;
    const part = (i: number, or: number): string => {
      const tensor = constant(i);
      if (node.inputs[i] && !tensor) refuse("its scale or bias is computed; they have to be constant");
      const given = tensor ? numbers(tensor) : Float32Array.of(or);
      const data = given.length === 1 ? new Float32Array(features).fill(given[0]!) : given;
      return keep(tensor?.name ?? `${node.outputs[0]} default ${i}`, [features], data);
    };
    const tensors = [part(1, 1), part(2, 0)];
    emit("LayerNormalization", [from], { tensors, attributes: { epsilon: number("epsilon", 1e-5) }, isLast: true });
  },
};

/** What a reduction is made of: a function of each number, a reduction that the runtime has, and a function of what comes out. */
const parts: Readonly<Record<string, readonly [before: string, reduction: string, after: string]>> = {
  ReduceMean: ["", "ReduceMean", ""],
  ReduceSum: ["", "ReduceSum", ""],
  ReduceMax: ["", "ReduceMax", ""],
  ReduceMin: ["", "ReduceMin", ""],
  ReduceL1: ["Abs", "ReduceSum", ""],
  ReduceL2: ["Square", "ReduceSum", "Sqrt"],
  ReduceSumSquare: ["Square", "ReduceSum", ""],
};

function reduction(low: Lowering): void {
  const { node, value, emit, dims, number } = low;
  const [before, op, after] = parts[node.op]!;
  const from = value(0);
  const own = dims(from);
  const given = node.attributes["axes"] === undefined ? low.wholes(1) : low.ints("axes", []);
  if (given?.length === 0 && number("noop_with_empty_axes", 0) === 1) {
    low.same(from);
    return;
  }
  const all = [...own.keys()];
  const axes = (given?.length ? given.map((axis) => axisOf(low, axis, own.length)) : all).sort((a, b) => a - b);
  const out = own.map((extent, i) => (axes.includes(i) ? 1 : extent));
  const wanted = number("keepdims", 1) === 1 ? out : own.filter((_, i) => !axes.includes(i));
  // Over an image the runtime means whole planes as they lie.
  if (node.op === "ReduceMean" && own.length === 4 && axes.join() === "2,3") {
    low.reshaped(emit("GlobalAveragePool", [from]), wanted, true);
    return;
  }
  const mapped = before === "" ? from : before === "Square" ? emit("Mul", [from, from]) : emit(before, [from]);
  const { value: turned } = axesLast(low, mapped, axes);
  const rest = own.filter((_, i) => !axes.includes(i));
  const size = axes.reduce((product, axis) => product * own[axis]!, 1);
  const flat = axes.length === 1 ? turned : low.reshaped(turned, [...rest, size]);
  const reduced = emit(op, [flat]);
  low.reshaped(after === "" ? reduced : emit(after, [reduced]), wanted, true);
}

/** Each group of channels to mean 0 and variance 1, then a scale and a shift a channel. */
function overGroups(low: Lowering, groups: number): void {
  const { value, constant, numbers, keep, emit, refuse, number, node } = low;
  const from = value(0);
  const own = low.dims(from);
  const [images = 1, channels = 1, ...rest] = own;
  const size = productOf(rest);
  const apart = low.reshaped(from, [images, groups, (channels / groups) * size]);
  const even = emit("LayerNormalization", [apart], { attributes: { epsilon: number("epsilon", 1e-5) } });
  const tensors = [1, 2].map((i) => {
    const tensor = constant(i) ?? refuse("its scale or bias is computed; they have to be constant");
    const given = numbers(tensor);
    const perGroup = channels / given.length;
    // Before version 21 GroupNormalization has one of each a group.
    const data = Float32Array.from({ length: channels }, (_, c) => given[Math.floor(c / perGroup)]!);
    return keep(`${node.outputs[0]} ${i}`, [channels], data);
  });
  const scaled = emit("ScaleShift", [low.reshaped(even, [images, channels, 1, size])], { tensors });
  low.reshaped(scaled, own, true);
}

function overAxis(low: Lowering): void {
  const { node, value, emit, dims, number, state } = low;
  const from = value(0);
  const own = dims(from);
  // Before version 13 it went over all axes from one on, by default from the second.
  const isOld = state.opset < 13;
  const axis = axisOf(low, number("axis", isOld ? 1 : -1), own.length);
  if (isOld && axis < own.length - 1) {
    const size = productOf(own.slice(axis));
    low.reshaped(emit(node.op, [low.reshaped(from, [...own.slice(0, axis), size])]), own, true);
    return;
  }
  const { value: turned, perm } = axesLast(low, from, [axis]);
  if (turned === from) {
    emit(node.op, [from], { isLast: true });
    return;
  }
  const back = perm.map((_, i) => perm.indexOf(i));
  emit("Transpose", [emit(node.op, [turned])], { attributes: { perm: back }, isLast: true });
}

/** Pooling, and what windows need. */

import { quoted } from "../../errors.ts";
import { productOf } from "../../plan/value.ts";
import type { Lowering } from "./lowering.ts";

/** The largest or the mean of everything behind the channels. */
function global(low: Lowering): void {
  const from = low.value(0);
  const [images = 1, channels = 1, ...rest] = low.dims(from);
  const size = productOf(rest);
  const out =
    low.node.op === "GlobalMaxPool"
      ? low.emit("ReduceMax", [low.reshaped(from, [images, channels, size])])
      : low.emit("GlobalAveragePool", [low.reshaped(from, [images, channels, 1, size])]);
  low.reshaped(out, [images, channels, ...rest.map(() => 1)], true);
}

export const windows: Readonly<Record<string, (low: Lowering) => void>> = {
  MaxPool: pooling,
  AveragePool: pooling,
  GlobalAveragePool(low) {
    const from = low.value(0);
    const rest = low.dims(from).slice(2);
    if (rest.length === 2) {
      low.emit("GlobalAveragePool", [from], { isLast: true });
      return;
    }
    global(low);
  },
  GlobalMaxPool: global,
};

function pooling(low: Lowering): void {
  const { value, emit, ints, number, refuse, node, dims } = low;
  const window = ints("kernel_shape", []);
  if (ints("dilations", [1, 1]).some((dilation) => dilation !== 1)) refuse("its windows are dilated");
  const from = value(0);
  const strides = ints(
    "strides",
    window.map(() => 1),
  );
  const sizes = dims(from).slice(2);
  const exact = pads(low, { window, strides, sizes });
  const isRoundedUp = number("ceil_mode", 0) === 1;
  const isWhole = number("count_include_pad", 0) === 1;
  if (isRoundedUp && isWhole) refuse("it counts padding and rounds up");
  const attributes = {
    kernel_shape: window,
    strides,
    pads: isRoundedUp ? roundedUp({ pads: exact, window, strides, sizes }) : exact,
    ...(node.op === "AveragePool" ? { count_include_pad: Number(isWhole) } : {}),
  };
  emit(node.op, [from], { attributes, isLast: true });
}

/** As much more padding behind as lets the last window begin inside the image or its padding before. */
function roundedUp(spec: {
  readonly pads: readonly number[];
  readonly window: readonly number[];
  readonly strides: readonly number[];
  readonly sizes: readonly number[];
}): readonly number[] {
  const { pads, window, strides, sizes } = spec;
  const rank = window.length;
  return pads.map((pad, i) => {
    if (i < rank) return pad;
    const axis = i - rank;
    const [size, before] = [sizes[axis]!, pads[axis]!];
    const last = Math.ceil((size + before + pad - window[axis]!) / strides[axis]!) * strides[axis]!;
    return last < size + before ? Math.max(pad, last + window[axis]! - size - before) : pad;
  });
}

/** Pads as ONNX has them: first before every axis, then behind; auto_pad SAME is as much as keeps size / stride, rounded up. */
export function pads(
  { node, refuse, ints }: Lowering,
  spec: { readonly window: readonly number[]; readonly strides: readonly number[]; readonly sizes: readonly number[] },
): readonly number[] {
  const { window, strides, sizes } = spec;
  const auto = String(node.attributes["auto_pad"] ?? "NOTSET");
  const none = [...window, ...window].map(() => 0);
  if (auto === "NOTSET") return ints("pads", none);
  if (auto === "VALID") return none;
  if (auto !== "SAME_UPPER" && auto !== "SAME_LOWER") return refuse(`its auto_pad is ${quoted(auto)}`);
  const dilations = ints(
    "dilations",
    window.map(() => 1),
  );
  const whole = window.map((extent, i) => {
    const reach = dilations[i]! * (extent - 1) + 1;
    return Math.max(0, (Math.ceil(sizes[i]! / strides[i]!) - 1) * strides[i]! + reach - sizes[i]!);
  });
  const smaller = whole.map((total) => Math.floor(total / 2));
  const larger = whole.map((total, i) => total - smaller[i]!);
  return auto === "SAME_UPPER" ? [...smaller, ...larger] : [...larger, ...smaller];
}

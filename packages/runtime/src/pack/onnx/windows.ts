/** Pooling, and what windows need. */
import type { Lowering } from "./lowering.ts";

export const windows: Readonly<Record<string, (low: Lowering) => void>> = {
  MaxPool: pooling,
  AveragePool: pooling,
  GlobalAveragePool(low) {
    const from = low.value(0);
    const [images = 1, channels = 1, ...rest] = low.dims(from);
    if (rest.length === 2) {
      low.emit("GlobalAveragePool", [from], { isLast: true });
      return;
    }
    const size = rest.reduce((product, extent) => product * extent, 1);
    const mean = low.emit("GlobalAveragePool", [low.reshaped(from, [images, channels, 1, size])]);
    low.reshaped(mean, [images, channels, ...rest.map(() => 1)], true);
  },
};

function pooling(low: Lowering): void {
  const { value, emit, ints, number, refuse, node, dims } = low;
  const window = ints("kernel_shape", []);
  if (number("ceil_mode", 0) !== 0) refuse("its ceil_mode is 1");
  if (ints("dilations", [1, 1]).some((dilation) => dilation !== 1)) refuse("its windows are dilated");
  const from = value(0);
  const strides = ints(
    "strides",
    window.map(() => 1),
  );
  const attributes = {
    kernel_shape: window,
    strides,
    pads: pads(low, { window, strides, sizes: dims(from).slice(2) }),
    count_include_pad: number("count_include_pad", 0),
  };
  emit(node.op, [from], { attributes, isLast: true });
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
  if (auto !== "SAME_UPPER" && auto !== "SAME_LOWER") return refuse(`its auto_pad is ${JSON.stringify(auto)}`);
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

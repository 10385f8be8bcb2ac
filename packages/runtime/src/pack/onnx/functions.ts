/** Functions of one value that are made of others, each as its formula says. */
import { type Lowering, largest } from "./lowering.ts";

/** scale x + shift, with one number each. */
export function linear(
  { keep, emit, node }: Lowering,
  from: string,
  { scale = 1, shift = 0, isLast = false }: { scale?: number; shift?: number; isLast?: boolean },
): string {
  const name = (what: string): string => `${node.outputs[0]} ${from} ${what} ${scale} ${shift}`;
  const tensors = [keep(name("scale"), [1], Float32Array.of(scale)), keep(name("shift"), [1], Float32Array.of(shift))];
  return emit("ScaleShift", [from], { tensors, isLast });
}

export const composedFunctions: Readonly<Record<string, (low: Lowering) => void>> = {
  /** relu(x) + slope min(x, 0) */
  PRelu(low) {
    const { emit, value } = low;
    const x = value(0);
    const below = emit("Clip", [x], { attributes: { low: -largest, high: 0 } });
    emit("Add", [emit("Relu", [x]), emit("Mul", [below, value(1)])], { isLast: true });
  },
  /** x / (1 + |x|) */
  Softsign(low) {
    const x = low.value(0);
    low.emit("Div", [x, linear(low, low.emit("Abs", [x]), { shift: 1 })], { isLast: true });
  },
  /** alpha elu(x / alpha) */
  Celu(low) {
    const alpha = low.number("alpha", 1);
    const inner = low.emit("Elu", [linear(low, low.value(0), { scale: 1 / alpha })], { attributes: { alpha: 1 } });
    linear(low, inner, { scale: alpha, isLast: true });
  },
  /** gamma elu(x) */
  Selu(low) {
    const alpha = low.number("alpha", 1.6732631921768188);
    const inner = low.emit("Elu", [low.value(0)], { attributes: { alpha } });
    linear(low, inner, { scale: low.number("gamma", 1.0507010221481323), isLast: true });
  },
  /** x sigmoid(alpha x) */
  Swish(low) {
    const x = low.value(0);
    const gate = low.emit("Sigmoid", [linear(low, x, { scale: low.number("alpha", 1) })]);
    low.emit("Mul", [x, gate], { isLast: true });
  },
  /** min(max(alpha x + beta, 0), 1) */
  HardSigmoid(low) {
    const { emit, value, number } = low;
    const [alpha, beta] = [number("alpha", 0.2), number("beta", 0.5)];
    if (beta === 0.5) emit("HardSigmoid", [value(0)], { attributes: { alpha }, isLast: true });
    else {
      const inner = linear(low, value(0), { scale: alpha, shift: beta });
      emit("Clip", [inner], { attributes: { low: 0, high: 1 }, isLast: true });
    }
  },
  /** Exact, or x (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3))) / 2 (Hendrycks and Gimpel 2016, 1606.08415). */
  Gelu(low) {
    const { emit, value, node } = low;
    const x = value(0);
    if ((node.attributes["approximate"] ?? "none") === "none") {
      emit("Gelu", [x], { isLast: true });
      return;
    }
    const root = Math.sqrt(2 / Math.PI);
    const square = emit("Mul", [x, x]);
    const inner = emit("Mul", [x, linear(low, square, { scale: 0.044715 * root, shift: root })]);
    const half = linear(low, emit("Tanh", [inner]), { scale: 0.5, shift: 0.5 });
    emit("Mul", [x, half], { isLast: true });
  },
};

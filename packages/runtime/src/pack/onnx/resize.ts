/**
 * Resize, axis after axis. Whole factors to the nearest put each number beside itself; anything else that is nearest or linear is a product with
 * a matrix of at most two numbers a row, whose zeros the sparse kernels leave out.
 */

import { quoted } from "../../errors.ts";
import { productOf } from "../../plan/value.ts";
import { axisOf, type Lowering } from "./lowering.ts";

export function resize(low: Lowering): void {
  const { node, refuse, constant, value, dims } = low;
  const from = value(0);
  const own = dims(from);
  const mode = String(node.attributes["mode"] ?? "nearest");
  // Versions before 11 know one way, and Upsample gives its scales second.
  const isOld = node.inputs.length <= 2;
  const ways = isOld ? "asymmetric" : String(node.attributes["coordinate_transformation_mode"] ?? "half_pixel");
  const nearest = isOld ? "floor" : String(node.attributes["nearest_mode"] ?? "round_prefer_floor");
  const given = constant(isOld ? 1 : 2)?.data ?? node.attributes["scales"];
  // From version 18 on what is told may be of some axes only.
  const axes = low.ints("axes", [...own.keys()]).map((axis) => axisOf(low, axis, own.length));
  const spread = (list: readonly number[] | undefined): readonly (number | undefined)[] =>
    own.map((_, i) => (axes.includes(i) ? list?.[axes.indexOf(i)] : undefined));
  const factors = spread(given ? Array.from(given as ArrayLike<number>, Number) : undefined);
  const wanted = spread(node.inputs[3] ? low.wholes(3) : undefined);
  const sizes = own.map((extent, i) => wanted[i] ?? Math.floor(extent * (factors[i] ?? 1)));
  const scales = sizes.map((size, i) => (wanted[i] === undefined ? (factors[i] ?? 1) : size / own[i]!));
  if (node.inputs[1] && !constant(1) && !node.inputs[2] && !node.inputs[3]) refuse("its scales are computed");
  if ((mode !== "nearest" && mode !== "linear") || !Object.hasOwn(places, ways) || node.attributes["antialias"] === 1)
    refuse(`it is ${quoted(mode)} (${quoted(ways)}); nearest and linear ones can be packed`);
  let so = from;
  sizes.forEach((size, axis) => {
    if (size === dims(so)[axis]) return;
    const rule = { mode, ways, nearest, scale: scales[axis]!, size, own: dims(so)[axis]! };
    so = isRepeated(rule) ? repeated(low, so, axis, size / rule.own) : mixed(low, so, axis, matrixOf(rule));
  });
  low.same(so);
}

interface Rule {
  readonly mode: string;
  readonly ways: string;
  readonly nearest: string;
  /** Of the new size over the old one. */
  readonly scale: number;
  readonly size: number;
  readonly own: number;
}

/** Where output x lies in the input, by ONNX's names. */
const places: Readonly<Record<string, (x: number, rule: Rule) => number>> = {
  half_pixel: (x, { scale }) => (x + 0.5) / scale - 0.5,
  pytorch_half_pixel: (x, { scale, size }) => (size > 1 ? (x + 0.5) / scale - 0.5 : 0),
  asymmetric: (x, { scale }) => x / scale,
  align_corners: (x, { size, own }) => (size > 1 ? (x * (own - 1)) / (size - 1) : 0),
};

const roundings: Readonly<Record<string, (x: number) => number>> = {
  floor: Math.floor,
  ceil: Math.ceil,
  round_prefer_floor: (x) => Math.ceil(x - 0.5),
  round_prefer_ceil: (x) => Math.floor(x + 0.5),
};

/** For each output which inputs it is made of, and with what weights. */
function sourcesOf(x: number, rule: Rule): readonly (readonly [place: number, weight: number])[] {
  const at = places[rule.ways]!(x, rule);
  const inside = (place: number): number => Math.min(rule.own - 1, Math.max(0, place));
  if (rule.mode === "nearest") return [[inside(roundings[rule.nearest]!(at)), 1]];
  const low = Math.floor(at);
  const part = at - low;
  return [
    [inside(low), 1 - part],
    [inside(low + 1), part],
  ];
}

function isRepeated(rule: Rule): boolean {
  const factor = rule.size / rule.own;
  if (rule.mode !== "nearest" || !Number.isInteger(factor)) return false;
  return Array.from({ length: rule.size }, (_, x) => sourcesOf(x, rule)[0]![0] === Math.floor(x / factor)).every(
    Boolean,
  );
}

function repeated(low: Lowering, from: string, axis: number, factor: number): string {
  const held = low.dims(from);
  const apart = low.reshaped(from, [...held.slice(0, axis + 1), 1, ...held.slice(axis + 1)]);
  const wide = [...held.slice(0, axis + 1), factor, ...held.slice(axis + 1)];
  const stretched = low.emit("Expand", [apart], { attributes: { dims: wide } });
  return low.reshaped(
    stretched,
    held.map((extent, i) => (i === axis ? extent * factor : extent)),
  );
}

function matrixOf(rule: Rule): { readonly data: Float32Array; readonly rows: number; readonly columns: number } {
  const data = new Float32Array(rule.size * rule.own);
  for (let x = 0; x < rule.size; x++)
    for (const [place, weight] of sourcesOf(x, rule)) data[x * rule.own + place]! += weight;
  return { data, rows: rule.size, columns: rule.own };
}

/** A product along one axis: with that axis last, as a matrix [positions, extent]. */
function mixed(low: Lowering, from: string, axis: number, matrix: ReturnType<typeof matrixOf>): string {
  const held = low.dims(from);
  const perm = [...held.keys()].filter((i) => i !== axis).concat(axis);
  const isLast = axis === held.length - 1;
  const turned = isLast ? from : low.emit("Transpose", [from], { attributes: { perm } });
  const leading = low.dims(turned).slice(0, -1);
  const flat = [leading[0] ?? 1, productOf(leading.slice(1)), matrix.columns];
  const dims = [matrix.rows, matrix.columns];
  const name = low.keep(`${low.node.outputs[0]} resize ${axis}`, dims, matrix.data, true);
  const out = low.reshaped(low.emit("Gemm", [low.reshaped(turned, flat)], { tensors: [name] }), [
    ...leading,
    matrix.rows,
  ]);
  if (isLast) return out;
  return low.emit("Transpose", [out], { attributes: { perm: perm.map((_, i) => perm.indexOf(i)) } });
}

/**
 * Which tensors of a graph are its weights: constants that convolutions, matrix products, LSTM and GRU multiply with, straight or through Identity,
 * Cast and Transpose. Everything else that is computed with (biases, embeddings, scales) stays as it is, with a reason.
 */
import type { Dtype, Mat, Vec } from "@secateur/core";
import type { Attribute, GraphSpec, GraphTensor, NodeSpec } from "../graph-spec.ts";
import { findOperator } from "../operators/registry.ts";
import { sizeOf, tensorValue } from "../value.ts";
import { isRecurrent } from "./recurrent.ts";

/** How a stored tensor becomes the canonical matrix [out, in * taps]. */
export type WeightOrder =
  | { readonly kind: "as-stored" }
  /** [in, out] */
  | { readonly kind: "transposed" }
  /** [groups * in, out, taps] of a transposed convolution */
  | { readonly kind: "conv-transpose"; readonly groups: number };

/** A weight of a graph. */
export interface GraphParam {
  readonly name: string;
  /** The tensor it is in the file. */
  readonly tensor: GraphTensor;
  readonly order: WeightOrder;
  /** Its canonical numbers, as they are now; of a distant tensor read anew each time. */
  readonly live: Mat;
  /** The outputs of the nodes that use it. */
  readonly uses: readonly NodeSpec[];
}

/** A tensor of two or more dimensions that pruning leaves alone. */
export interface DenseTensor {
  readonly name: string;
  readonly reason: string;
}

/** The weights of a graph, and what is left alone. Tensors of one number or one dimension are not spoken of. */
export function findParams(
  graph: GraphSpec,
  dtype: Dtype,
): { readonly params: readonly GraphParam[]; readonly dense: readonly DenseTensor[] } {
  const roots = new Map<GraphTensor, Root>();
  scan(graph, new Map(), roots);
  const params: GraphParam[] = [];
  const dense: DenseTensor[] = [];
  const names = new Map<string, number>();
  for (const { tensor, name: own, uses, problem } of roots.values()) {
    // Biases and first states have two dimensions there and are no matrices.
    if (
      problem === undefined &&
      uses.length > 0 &&
      uses.every(({ node, place }) => isRecurrent(node) && place === offset)
    )
      continue;
    const times = (names.get(own) ?? 0) + 1;
    names.set(own, times);
    const name = times === 1 ? own : `${own}#${times}`;
    const reason = problem ?? reasonToKeep(uses);
    if (reason !== undefined) {
      dense.push({ name, reason });
      continue;
    }
    const { order, rows } = uses[0]!.place as Placed;
    const cols = sizeOf(tensor.shape) / rows;
    const canonical = (): Vec => {
      const value = tensorValue(tensor, dtype);
      return value ? toCanonical(value.data as Vec, { tensor, order }) : new Float32Array(0);
    };
    const live = tensor.distant ? distantMat({ rows, cols }, canonical) : { rows, cols, data: canonical() };
    params.push({ name, tensor, order, live, uses: uses.map(({ node }) => node) });
  }
  return { params, dense };
}

/** A matrix that is read whenever its numbers are asked for, and not kept. */
function distantMat(size: Pick<Mat, "rows" | "cols">, read: () => Vec): Mat {
  return {
    ...size,
    get data() {
      return read();
    },
  };
}

interface Placed {
  readonly order: WeightOrder;
  readonly rows: number;
}

/** Where a node uses a tensor: as a weight, or in words why it is none there. */
interface Use {
  readonly node: NodeSpec;
  readonly place: Placed | string;
}

interface Root {
  readonly tensor: GraphTensor;
  readonly name: string;
  readonly uses: Use[];
  problem?: string;
}

/** A name that stands for a constant, perhaps transposed. */
interface Alias {
  readonly root: Root;
  readonly transposed: boolean;
}

function scan(graph: GraphSpec, outer: ReadonlyMap<string, Alias>, roots: Map<GraphTensor, Root>): void {
  const known = new Map(outer);
  const add = (name: string, tensor: GraphTensor): void => {
    if (tensor.shape.length < 2 || sizeOf(tensor.shape) < 2) return;
    const value = tensor.distant || tensor.data !== undefined ? tensor.dtype : undefined;
    if (value !== undefined && !/^b?f(16|32|64)$/.test(value)) return;
    const root: Root = { tensor, name, uses: [] };
    if (value === undefined) root.problem = `its element type ${tensor.dtype} is not read`;
    roots.set(tensor, root);
    known.set(name, { root, transposed: false });
  };
  for (const tensor of graph.initializers) add(tensor.name, tensor);
  for (const node of graph.nodes) {
    const value = node.attributes.value;
    if (node.op === "Constant" && isTensor(value)) {
      add(node.outputs[0]!, value);
      continue;
    }
    for (const body of Object.values(node.attributes)) if (isGraph(body)) scan(body, known, roots);
    const [first] = node.inputs;
    const alias = first === undefined ? undefined : known.get(first);
    const passed = alias && passedOn(node, alias);
    if (passed) {
      known.set(node.outputs[0]!, passed);
      continue;
    }
    node.inputs.forEach((name, i) => {
      const used = known.get(name);
      if (used) used.root.uses.push({ node, place: placeOf(node, i, used) });
    });
  }
  for (const { name } of graph.outputs) {
    const alias = known.get(name);
    if (alias) alias.root.problem = "it is an output of the graph";
  }
}

/** Names that nodes read, those of bodies too, and outputs. */
export function usedNames({ nodes, outputs }: GraphSpec): readonly string[] {
  const own = nodes.flatMap(({ inputs, attributes }) => {
    const bodies = Object.values(attributes).filter((value) => typeof value === "object" && "nodes" in value);
    return [...inputs, ...(bodies as GraphSpec[]).flatMap(usedNames)];
  });
  return [...own, ...outputs.map(({ name }) => name)];
}

/** What a node makes of a constant that only passes through. */
export function passedOn<T extends { readonly transposed: boolean; readonly root: { readonly tensor: GraphTensor } }>(
  node: NodeSpec,
  alias: T,
): T | undefined {
  if (node.domain !== "") return undefined;
  const { root, transposed } = alias;
  if (node.op === "Identity") return alias;
  if (node.op === "Cast" && [1, 10, 11, 16].includes(Number(node.attributes.to))) return alias;
  const perm = node.attributes.perm as readonly number[] | undefined;
  const swaps = root.tensor.shape.length === 2 && (!perm || (perm[0] === 1 && perm[1] === 0));
  return node.op === "Transpose" && swaps ? { ...alias, transposed: !transposed } : undefined;
}

/** Why a tensor behind the weights of a recurrent node is none itself. */
const offset = "it is added";

function placeOf(node: NodeSpec, input: number, { root, transposed }: Alias): Placed | string {
  const operator = findOperator(node);
  const { shape } = root.tensor;
  if (isRecurrent(node)) {
    if (input > 2) return offset;
    const isWeight = input > 0 && shape.length === 3 && !transposed;
    if (!isWeight) return `it goes into ${node.op}`;
    return { order: { kind: "as-stored" }, rows: shape[0]! * shape[1]! };
  }
  if (!operator) return `the operator ${node.op} is not known here`;
  if (!operator.weightInputs?.includes(input)) {
    if (node.op === "Gather") return "embedding";
    return operator.weightInputs ? `it is not the weight of its ${node.op}` : `it goes into ${node.op}`;
  }
  const [first = 0, second = 0] = shape;
  if (node.op === "Conv" || node.op === "ConvTranspose") {
    if (transposed) return `it is transposed before its ${node.op}`;
    if (node.op === "Conv") return { order: { kind: "as-stored" }, rows: first };
    const groups = typeof node.attributes.group === "number" ? node.attributes.group : 1;
    return { order: { kind: "conv-transpose", groups }, rows: second * groups };
  }
  if (shape.length !== 2) return `it is a stack of ${shape.length}-dimensional matrices`;
  if (node.attributes.transA === 1) return "what it multiplies is transposed";
  const isStored = (node.attributes.transB === 1) !== transposed;
  return isStored ? { order: { kind: "as-stored" }, rows: first } : { order: { kind: "transposed" }, rows: second };
}

function reasonToKeep(uses: readonly Use[]): string | undefined {
  if (uses.length === 0) return "nothing uses it";
  const words = uses.find(({ place }) => typeof place === "string");
  if (words) return words.place as string;
  const [first, ...rest] = uses.map(({ place }) => place as Placed);
  const isOne = rest.every(({ order, rows }) => order.kind === first!.order.kind && rows === first!.rows);
  return isOne ? undefined : "several nodes use it, in several orders";
}

function isTensor(value: Attribute | undefined): value is GraphTensor {
  return typeof value === "object" && "dtype" in value;
}

function isGraph(value: Attribute | undefined): value is GraphSpec {
  return typeof value === "object" && "nodes" in value;
}

interface Ordered {
  readonly tensor: Pick<GraphTensor, "shape">;
  readonly order: WeightOrder;
}

/** For each canonical place the stored one; undefined where they are the same. */
function places({ tensor: { shape }, order }: Ordered): Int32Array | undefined {
  if (order.kind === "as-stored") return undefined;
  const [first = 0, second = 0, ...rest] = shape;
  const taps = sizeOf(rest);
  const groups = order.kind === "conv-transpose" ? order.groups : 1;
  const own = first / groups;
  const out = new Int32Array(first * second * taps);
  for (let g = 0, k = 0; g < groups; g++) {
    for (let o = 0; o < second; o++) {
      for (let i = 0; i < own; i++) {
        for (let t = 0; t < taps; t++) out[k++] = ((g * own + i) * second + o) * taps + t;
      }
    }
  }
  return out;
}

/** Stored numbers in canonical order: a copy. */
function toCanonical(stored: Vec, ordered: Ordered): Vec {
  const from = places(ordered);
  return from ? stored.map((_: number, k: number) => stored[from[k]!]!) : stored;
}

/** Canonical numbers in stored order: a copy. */
export function toStored(canonical: Vec, ordered: Ordered): Vec {
  const from = places(ordered);
  const out = canonical.slice();
  if (from) for (let k = 0; k < from.length; k++) out[from[k]!] = canonical[k]!;
  return out;
}

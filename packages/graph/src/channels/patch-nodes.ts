/** Nodes that say numbers of channels, in attributes or constants, written anew with what is left of them. */
import type { Attribute, GraphSpec, GraphTensor, NodeSpec } from "../graph-spec.ts";
import type { Step } from "../plan/plan.ts";
import { isRecurrent } from "../plan/recurrent.ts";
import type { Shape } from "../value.ts";
import type { KeptPlaces } from "./kept-places.ts";
import { keptShape } from "./kept-places.ts";
import { front, numberOf } from "./rules/channel-rule.ts";
import { sliceRanges } from "./rules/moving.ts";
import type { TracedGraph } from "./trace-channels.ts";

/** What has to be written anew. */
export interface Patch {
  /** New attributes and inputs by node. */
  readonly nodes: ReadonlyMap<NodeSpec, NodeSpec>;
  readonly added: readonly GraphTensor[];
  /** Nodes whose shapes follow from computed numbers, which may or may not come right by themselves. */
  readonly unsure: readonly NodeSpec[];
}

interface Patching {
  readonly graph: GraphSpec;
  readonly traced: TracedGraph;
  readonly kept: readonly KeptPlaces[];
  readonly freshName: (wanted: string) => string;
}

/** Everything that has to be written anew. */
export function patchNodes(spec: Patching): Patch {
  const { graph, traced, kept } = spec;
  const own = new Set(graph.nodes);
  const patcher = createPatcher(spec);
  for (const step of traced.plan.steps) {
    if (!own.has(step.node)) continue;
    const isChanged = [...step.inputs, ...step.outputs].some(
      (slot) => slot !== undefined && kept[slot]!.some((places) => places),
    );
    if (isChanged) patchStep(step, spec, patcher);
  }
  for (const node of graph.nodes) {
    if (!isRecurrent(node)) continue;
    const slot = traced.plan.inputs.get(node.inputs[2] ?? "");
    const hidden = slot === undefined ? undefined : kept[slot]![2];
    if (!hidden) continue;
    patcher.attribute(node, "hidden_size", hidden.length);
    patchStarts(node, { graph, patcher, hidden: hidden.length });
  }
  return patcher.patch();
}

/** States that a recurrent operator starts from where they are zeros of an extent that is said or computed, as exporters write them for batches of any size. */
function patchStarts(
  node: NodeSpec,
  { graph, patcher, hidden }: { graph: GraphSpec; patcher: Patcher; hidden: number },
): void {
  for (const name of new Set(node.inputs.slice(5, 7))) {
    const maker = graph.nodes.find(({ outputs }) => name !== "" && outputs.includes(name));
    if (!maker) continue;
    const last = (numbers: readonly number[]): readonly number[] => [...numbers.slice(0, -1), hidden];
    if (maker.op === "ConstantOfShape") patcher.numbers(maker, 0, last);
    else if (maker.op === "Expand") patcher.numbers(maker, 1, last);
    else patcher.unsure(node);
  }
}

interface Patcher {
  attribute(node: NodeSpec, key: string, value: Attribute | undefined): void;
  /** New whole numbers for an input; `change` gives those of the places that it knows. */
  numbers(node: NodeSpec, input: number, change: (numbers: readonly number[]) => readonly number[]): void;
  /** A node that may not come right. */
  unsure(node: NodeSpec): void;
  /** An input that was not there. */
  input(node: NodeSpec, input: number, numbers: readonly number[]): void;
  patch(): Patch;
}

function createPatcher({ graph, freshName }: Patching): Patcher {
  const nodes = new Map<NodeSpec, NodeSpec>();
  const added: GraphTensor[] = [];
  const unsure: NodeSpec[] = [];
  const makers = new Map(graph.nodes.flatMap((node) => node.outputs.map((name) => [name, node] as const)));
  const constants = new Map(graph.initializers.map((tensor) => [tensor.name, tensor]));
  const constantOf = (name: string): GraphTensor | undefined => {
    const value = makers.get(name)?.op === "Constant" ? makers.get(name)!.attributes.value : undefined;
    return constants.get(name) ?? (typeof value === "object" && "dtype" in value ? (value as GraphTensor) : undefined);
  };
  const now = (node: NodeSpec): NodeSpec => nodes.get(node) ?? node;
  const whole = (node: NodeSpec, numbers: readonly number[], shape: Shape): string => {
    const name = freshName(`${node.name || node.outputs[0]} numbers`);
    added.push({ name, dtype: "i64", shape, data: BigInt64Array.from(numbers, BigInt) });
    return name;
  };
  const replace = (node: NodeSpec, input: number, name: string): void => {
    const inputs = [...now(node).inputs];
    while (inputs.length < input) inputs.push("");
    inputs[input] = name;
    nodes.set(node, { ...now(node), inputs });
  };
  /** The node that puts a list of extents together; exporters write -1 for extents to keep and replace it behind: Where(list = -1, ones, list). */
  const joinOf = (name: string): NodeSpec | undefined => {
    const maker = makers.get(name);
    if (maker?.op === "Where") return joinOf(maker.inputs[2]!);
    return maker?.op === "Reshape" || maker?.op === "Identity" || maker?.op === "Cast"
      ? joinOf(maker.inputs[0]!)
      : maker;
  };
  /** A list put together from pieces: those that are constants are written anew, the others follow from what they are computed from. */
  const pieces = (node: NodeSpec, input: number, change: (numbers: readonly number[]) => readonly number[]): void => {
    const maker = joinOf(node.inputs[input]!);
    const parts = maker?.op === "Concat" ? maker.inputs.map((name) => constantOf(name)) : [];
    unsure.push(node);
    if (!maker || parts.length === 0) return;
    // A piece that is computed stands for one number that is not known here.
    const before = parts.map((part) => (part ? Array.from(part.data!, Number) : [Number.NaN]));
    const after = [...change(before.flat())];
    before.forEach((own, i) => {
      const next = after.splice(0, own.length);
      if (!parts[i] || own.every((number, k) => number === next[k])) return;
      replace(maker, i, whole(node, next, parts[i]!.shape));
    });
  };
  return {
    attribute(node, key, value) {
      const { [key]: _before, ...rest } = now(node).attributes;
      nodes.set(node, { ...now(node), attributes: value === undefined ? rest : { ...rest, [key]: value } });
    },
    numbers(node, input, change) {
      const tensor = constantOf(node.inputs[input]!);
      if (!tensor?.data) return pieces(node, input, change);
      const before = Array.from(tensor.data, Number);
      const after = change(before);
      const isSame = before.length === after.length && before.every((number, i) => number === after[i]);
      if (!isSame) replace(node, input, whole(node, after, tensor.shape.length === 0 ? [] : [after.length]));
    },
    unsure: (node) => unsure.push(node),
    input: (node, input, numbers) => replace(node, input, whole(node, numbers, [numbers.length])),
    patch: () => ({ nodes, added, unsure }),
  };
}

function patchStep(step: Step, { traced, kept }: Patching, patcher: Patcher): void {
  const { node } = step;
  const [first = 0] = step.inputs as readonly number[];
  const [made = 0] = step.outputs;
  const typeOf = (slot: number): Shape => traced.plan.types[slot]!.shape;
  const shape = typeOf(made);
  const left = keptShape(shape, kept[made]!);
  /** New extents in a list of extents of the output; 0 and -1 follow by themselves. */
  const extents = (numbers: readonly number[]): readonly number[] =>
    numbers.map((number, i) => {
      const axis = i + shape.length - numbers.length;
      return number > 0 && left[axis] !== shape[axis] ? left[axis]! : number;
    });
  const isChanged = left.some((extent, i) => extent !== shape[i]);
  switch (node.op) {
    case "Reshape":
      if (isChanged || kept[first]!.some((places) => places)) patcher.numbers(node, 1, extents);
      return;
    case "Expand":
      if (isChanged) patcher.numbers(node, 1, extents);
      return;
    case "Resize":
      if (isChanged && node.inputs[3]) patcher.numbers(node, 3, extents);
      return;
    case "Conv":
    case "ConvTranspose": {
      const groups = numberOf(step, "group", 1);
      const inputs = kept[first]![1];
      if (groups > 1 && typeOf(first)[1] === groups && inputs) patcher.attribute(node, "group", inputs.length);
      return;
    }
    case "Gather": {
      const axis = front(numberOf(step, "axis", 0), typeOf(first).length);
      const places = kept[first]![axis];
      if (places) patcher.numbers(node, 1, (numbers) => renumbered(numbers, places, typeOf(first)[axis]!));
      return;
    }
    case "Slice":
      patchSlice(step, { traced, kept, patcher });
      return;
    case "Split": {
      const axis = front(numberOf(step, "axis", 0), typeOf(first).length);
      if (!kept[first]![axis]) return;
      const sizes = step.outputs.map((slot) => kept[slot]![axis]?.length ?? typeOf(slot)[axis]!);
      patcher.attribute(node, "num_outputs", undefined);
      if (step.opset < 13) patcher.attribute(node, "split", sizes);
      else patcher.input(node, 1, sizes);
      return;
    }
    default:
  }
}

/** Indices of places after some went; those of places that went go too. */
function renumbered(numbers: readonly number[], places: Uint32Array, extent: number): readonly number[] {
  return numbers.flatMap((number) => {
    const at = places.indexOf(number < 0 ? number + extent : number);
    return at < 0 ? [] : [at];
  });
}

function patchSlice(
  step: Step,
  { traced, kept, patcher }: { traced: TracedGraph; kept: readonly KeptPlaces[]; patcher: Patcher },
): void {
  const { node } = step;
  const [first = 0] = step.inputs as readonly number[];
  const { plan } = traced;
  const call = {
    node,
    inputs: step.inputs.map((slot) => {
      if (slot === undefined) return undefined;
      const data = plan.constants.get(slot)?.data;
      return { ...plan.types[slot]!, axes: traced.axes[slot]!, ...(data ? { data } : {}) };
    }),
  };
  const ranges = [...sliceRanges(call)];
  const left = ranges.map(([axis, { start, end }]) => {
    const places = kept[first]![axis];
    return (
      places && {
        start: places.filter((place) => place < start).length,
        end: places.filter((place) => place < end).length,
      }
    );
  });
  if (left.every((range) => range === undefined)) return;
  const list = (key: "start" | "end") => (numbers: readonly number[]) =>
    numbers.map((number, i) => left[i]?.[key] ?? number);
  for (const [key, input] of [
    ["start", 1],
    ["end", 2],
  ] as const) {
    const own = node.attributes[`${key}s`];
    if (Array.isArray(own)) patcher.attribute(node, `${key}s`, list(key)(own as readonly number[]));
    else patcher.numbers(node, input, list(key));
  }
}

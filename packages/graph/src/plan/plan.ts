/**
 * A graph for inputs of given shapes: a list of steps with everything else folded away. With shapes known, chains of Shape, Gather and Concat
 * are constants, masks and position tables too, and an If with such a condition is one of its branches. Arrays of images are kept with channels last
 * from the first convolution on for as long as operators allow.
 */
import { createPool, type Dtype, isPruneError, referenceKernels } from "@secateur/core";
import { badNode, fixRemedy, unknownOperators } from "../errors.ts";
import type { GraphSpec, GraphTensor, NodeSpec } from "../graph-spec.ts";
import type { Operator, Question, WeightUse } from "../operator.ts";
import { applied, describeNode } from "../operators/node-facts.ts";
import { findOperator } from "../operators/registry.ts";
import type { Program } from "../run/programs.ts";
import { type Kind, type Shape, sizeOf, tensorValue, type Value, type ValueType } from "../value.ts";
import { constantOf } from "./constant-of.ts";
import { lastType, storedAs, toFirst, toLast } from "./layout.ts";
import { movers } from "./movers.ts";
import { type GraphParam, passedOn, usedNames } from "./params.ts";
import { isRecurrent, writtenOut } from "./recurrent.ts";
import { slotUse } from "./slot-use.ts";

/** An operator at its place. */
export interface Step {
  readonly operator: Operator;
  readonly node: NodeSpec;
  readonly opset: number;
  readonly inputs: readonly (number | undefined)[];
  readonly outputs: readonly number[];
  /** Of the outputs, as stored. */
  readonly types: readonly ValueType[];
  readonly weights: readonly (WeightUse | undefined)[];
  readonly axisOf?: (axis: number) => number;
  readonly flops: number;
  /** The same in elementwise functions, where it is made of them and of no weight. */
  readonly program?: Program;
}

/** A graph ready to run on inputs of its shapes. Values are numbered. */
export interface Plan {
  readonly steps: readonly Step[];
  /** Values that are known, by number. */
  readonly constants: ReadonlyMap<number, Value>;
  /** Those of them whose numbers may change while the plan is in use. */
  readonly live: ReadonlySet<number>;
  /** Of constants that hold the numbers of a tensor of the graph, or some of them, in another order: that tensor. */
  readonly origins: ReadonlyMap<number, GraphTensor>;
  /** Weights by number of their value. */
  readonly params: ReadonlyMap<number, GraphParam>;
  readonly inputs: ReadonlyMap<string, number>;
  readonly outputs: ReadonlyMap<string, number>;
  readonly types: readonly ValueType[];
  /** For each value whether it changes with a weight, or an input that derivatives are wanted for. */
  readonly active: readonly boolean[];
  /** Step after which nothing reads a value; -1 where nothing does. */
  readonly lastUse: readonly number[];
  /** Numbers that the steps make. */
  readonly size: number;
  readonly flops: number;
}

/** What a plan is made from. */
export interface PlanSpec {
  readonly graph: GraphSpec;
  readonly opsets: Readonly<Record<string, number>>;
  readonly params: readonly GraphParam[];
  readonly dtype: Dtype;
  /** Shapes of all inputs. */
  readonly inputs: ReadonlyMap<string, Shape>;
  readonly kinds: ReadonlyMap<string, Kind>;
  /** Values of tensors that may change while the plan is in use. */
  readonly live?: ReadonlyMap<GraphTensor, Value>;
  /** Constants that several plans share: what one has made the others take. Default: each makes its own. */
  readonly shared?: Map<GraphTensor, Value>;
  /** Names of inputs that derivatives are wanted for; default none. */
  readonly activeInputs?: readonly string[];
  /** Whether every array keeps the order of axes that ONNX gives it. Such a plan is read, not run: operators may want channels last. */
  readonly keepOrder?: boolean;
}

interface Slot {
  readonly type: ValueType;
  readonly known?: Value;
  /** Whether what is known may change while the plan is in use. */
  readonly isLive?: boolean;
  readonly param?: GraphParam;
  readonly isLast?: boolean;
  /** Of a weight: whether a Transpose stands between. */
  readonly transposed?: boolean;
  /** Of a constant that holds the numbers of a tensor, or some of them, in another order: that tensor. */
  readonly origin?: GraphTensor;
}

/** Plans a graph. O(nodes), and what the constants cost. @throws ERR_OPERATOR, ERR_GRAPH_NODE */
export function planGraph(spec: PlanSpec): Plan {
  const version = spec.opsets[""] ?? 7;
  if (version < 7) {
    const node = `of operator set ${version}`;
    const remedy =
      "bring the model up to a newer one with onnx.version_converter, or prune by magnitude, which runs nothing";
    throw badNode({ node, found: "rules that are no longer ONNX's", expected: "operator set 7 or newer", remedy });
  }
  const builder = createBuilder(spec);
  const env = new Map<string, number>();
  for (const [name, shape] of spec.inputs) {
    env.set(name, builder.add({ type: { shape, kind: spec.kinds.get(name) ?? "real" } }));
  }
  const inputs = new Map(env);
  builder.walk(spec.graph, env);
  const outputs = new Map(spec.graph.outputs.map(({ name }) => [name, builder.firstOf(env.get(name)!)] as const));
  return finish(builder, { inputs, outputs, activeInputs: spec.activeInputs ?? [] });
}

interface Builder {
  readonly slots: Slot[];
  readonly steps: Step[];
  add(slot: Slot): number;
  walk(graph: GraphSpec, env: Map<string, number>): void;
  /** The value with its axes as ONNX has them. */
  firstOf(slot: number): number;
}

function createBuilder(spec: PlanSpec): Builder {
  const slots: Slot[] = [];
  const steps: Step[] = [];
  const byTensor = new Map<GraphTensor, GraphParam>(spec.params.map((param) => [param.tensor, param]));
  const moved = new Map<string, number>();
  const pool = createPool(referenceKernels, spec.dtype);
  const add = (slot: Slot): number => slots.push(slot) - 1;

  const constant = (tensor: GraphTensor): number => {
    const param = byTensor.get(tensor);
    if (param) return add({ type: { shape: tensor.shape, kind: "real" }, param, transposed: false });
    const live = spec.live?.get(tensor);
    const known = live ?? spec.shared?.get(tensor) ?? tensorValue(tensor, spec.dtype);
    if (!known) {
      const found = `elements of type ${tensor.dtype}`;
      throw badNode({
        node: `of the constant '${tensor.name.slice(0, 100)}'`,
        found,
        expected: "numbers or truth values",
      });
    }
    if (!live) spec.shared?.set(tensor, known);
    return add({ type: known, known, origin: tensor, ...(live ? { isLive: true } : {}) });
  };

  /** Emits the step that stores a value the other way, once. */
  const stored = (at: number, isLast: boolean): number => {
    const slot = slots[at]!;
    if ((slot.isLast ?? false) === isLast || slot.type.shape.length < 3) return at;
    const key = `${at} ${isLast}`;
    const before = moved.get(key);
    if (before !== undefined) return before;
    const operator = isLast ? toLast : toFirst;
    const type = isLast ? lastType(slot.type) : slot.type;
    const out = add({ type: slot.type, isLast });
    steps.push({ ...plain(operator), inputs: [at], outputs: [out], types: [type], flops: 0 });
    moved.set(key, out);
    return out;
  };

  const apply = (node: NodeSpec, env: Map<string, number>): void => {
    const operator = findOperator(node)!;
    const opset = spec.opsets[node.domain] ?? 1;
    const inputs = node.inputs.map((name) => (name === "" ? undefined : env.get(name)));
    while (inputs.length > 0 && inputs.at(-1) === undefined) inputs.pop();
    const [first] = inputs;
    const source = first === undefined ? undefined : slots[first]!;
    if (source?.param) {
      const alias = { root: { tensor: source.param.tensor }, transposed: source.transposed ?? false };
      const passed = passedOn(node, alias);
      if (passed) {
        const { shape } = source.type;
        const turned = passed.transposed !== alias.transposed ? [...shape].reverse() : shape;
        env.set(
          node.outputs[0]!,
          add({ ...source, type: { shape: turned, kind: "real" }, transposed: passed.transposed }),
        );
        return;
      }
    }
    const weights = inputs.map((at) => {
      const slot = at === undefined ? undefined : slots[at]!;
      return slot?.param && { param: slot.param.name, transposed: slot.transposed ?? false };
    });
    const question: Question = {
      node,
      opset,
      weights,
      inputs: inputs.map((at) => {
        if (at === undefined) return undefined;
        const { type, known } = slots[at]!;
        return { ...type, ...(known ? { data: known.data } : {}) };
      }),
    };
    const types = operator.infer(question);
    const isShape = node.op === "Shape" || node.op === "Size";
    if (isShape || question.inputs.every((input) => input === undefined || input.data)) {
      const origin = movers.has(node.op) && first !== undefined ? slots[first]!.origin : undefined;
      fold({ operator, question, types, env, ...(origin === undefined ? {} : { origin }) });
      return;
    }
    const flops = operator.flops(question, types);
    const isPlain = types.length === 1 && types[0]!.kind === "real" && !weights.some((use) => use);
    const program = isPlain ? operator.program?.(question) : undefined;
    emit({ operator, node, opset, inputs, weights, types, flops, env, ...(program ? { program } : {}) });
  };

  const fold = (at: {
    operator: Operator;
    question: Question;
    types: readonly ValueType[];
    env: Map<string, number>;
    origin?: GraphTensor;
  }): void => {
    const { operator, question, types, env, origin } = at;
    const given = question.inputs.map((input) => input && { ...input, data: input.data ?? new Uint8Array(0) });
    // Operators that store channels last get their constants that way, and give them so.
    const isLast = operator.layout === "last";
    const inputs = given.map((input, i) => (isLast && i === 0 && input ? storedAs(input, true) : input));
    const physical = isLast ? types.map(lastType) : types;
    const { outputs } = applied(operator, { ...question, inputs, types: physical, pool, active: [] });
    question.node.outputs.forEach((name, i) => {
      if (name === "" || i >= types.length) return;
      const value = { ...types[i]!, data: outputs[i]! };
      const known = isLast ? storedAs({ ...value, shape: physical[i]!.shape }, false) : value;
      env.set(
        name,
        add({ type: types[i]!, known: { ...known, ...types[i]! }, ...(origin === undefined ? {} : { origin }) }),
      );
    });
  };

  const emit = (at: Omit<Step, "outputs" | "axisOf"> & { env: Map<string, number> }): void => {
    const { operator, node, types, env, inputs: logical, ...rest } = at;
    const rank = types[0]!.shape.length;
    const isLast =
      spec.keepOrder !== true &&
      rank >= 3 &&
      (operator.layout === "last" || (operator.layout === "either" && canStayLast(logical, rank)));
    const inputs = logical.map((slot, i) => {
      if (slot === undefined || slots[slot]!.param) return slot;
      if (!isLast || (operator.layout === "last" && i > 0)) return stored(slot, false);
      return lastInput(slot, rank);
    });
    const physical = isLast ? types.map(lastType) : types;
    const outputs = physical.map((_, i) => {
      const out = add({ type: types[i]!, ...(isLast ? { isLast } : {}) });
      const name = node.outputs[i];
      if (name) env.set(name, out);
      return out;
    });
    const axisOf = (axis: number): number => (axis === 0 ? 0 : axis === 1 ? rank - 1 : axis - 1);
    steps.push({ ...rest, operator, node, inputs, outputs, types: physical, ...(isLast ? { axisOf } : {}) });
  };

  /** Whether an elementwise operator goes on with channels last: one input is so, and the others can be. */
  const canStayLast = (inputs: readonly (number | undefined)[], rank: number): boolean => {
    const own = inputs.flatMap((at) => (at === undefined ? [] : [slots[at]!]));
    const fits = own.every(
      ({ type, known }) => known !== undefined || type.shape.length === rank || sizeOf(type.shape) === 1,
    );
    return fits && own.some(({ isLast, type }) => isLast && type.shape.length === rank);
  };

  /** An input of an elementwise operator whose axes go with those of an array with channels last. */
  const lastInput = (at: number, rank: number): number => {
    const { type, known } = slots[at]!;
    if (!known) return sizeOf(type.shape) === 1 && type.shape.length !== rank ? at : stored(at, true);
    if (sizeOf(type.shape) === 1) return at;
    const shape = [...new Array<number>(rank - type.shape.length).fill(1), ...type.shape];
    const value = storedAs({ ...known, shape }, true);
    return add({ type: { ...type, shape: value.shape }, known: value });
  };

  const walk = (graph: GraphSpec, env: Map<string, number>): void => {
    const used = new Set(usedNames(graph));
    for (const tensor of graph.initializers) if (used.has(tensor.name)) env.set(tensor.name, once(tensor));
    for (const node of graph.nodes) {
      if (node.op === "Constant" && node.domain === "") env.set(node.outputs[0]!, constant(constantOf(node)));
      else if (node.op === "If" && node.domain === "") branch(node, env);
      else if (isRecurrent(node)) recurrent(node, env);
      else if (findOperator(node)) apply(node, env);
      else throw unknownOperators({ where: graph.name || "the graph", operators: [node.op], what: "running it" });
    }
  };
  const seen = new Map<GraphTensor, number>();
  const once = (tensor: GraphTensor): number => {
    const known = seen.get(tensor) ?? constant(tensor);
    seen.set(tensor, known);
    return known;
  };

  const recurrent = (node: NodeSpec, env: Map<string, number>): void => {
    const inner = new Map(env);
    /** A parameter as a matrix to multiply with, under a name of its own. */
    const matrixOf = (name: string | undefined): string | undefined => {
      const { param } = slots[env.get(name ?? "") ?? -1] ?? {};
      if (!param) return undefined;
      const own = `${name} turned`;
      inner.set(
        own,
        add({ type: { shape: [param.live.cols, param.live.rows], kind: "real" }, param, transposed: true }),
      );
      return own;
    };
    const weights = { w: matrixOf(node.inputs[1]), r: matrixOf(node.inputs[2]) };
    inline(node, writtenOut(node, slots[env.get(node.inputs[0]!)!]!.type.shape, weights), inner);
    for (const name of node.outputs) if (name) env.set(name, inner.get(name)!);
  };

  /** Puts a body in the place of its node. */
  const inline = (node: NodeSpec, body: GraphSpec, env: Map<string, number>): void => {
    const inner = new Map(env);
    walk(body, inner);
    body.outputs.forEach(({ name }, i) => {
      const out = node.outputs[i];
      if (out) env.set(out, inner.get(name)!);
    });
  };

  const branch = (node: NodeSpec, env: Map<string, number>): void => {
    const condition = slots[env.get(node.inputs[0]!)!]?.known;
    if (!condition) chosenWhileRunning(node, env);
    else inline(node, node.attributes[condition.data[0] ? "then_branch" : "else_branch"] as GraphSpec, env);
  };

  /** An If whose condition the numbers decide: both branches run, and Where takes the outputs of one of them and hands on its slopes alone. */
  const chosenWhileRunning = (node: NodeSpec, env: Map<string, number>): void => {
    const inner = new Map(env);
    const sides = ["then_branch", "else_branch"].map((branchName) => {
      const outputs = node.outputs.map((name) => name && `${name} ${branchName}`);
      try {
        inline({ ...node, outputs }, node.attributes[branchName] as GraphSpec, inner);
      } catch (cause) {
        if (!isPruneError(cause)) throw cause;
        const found = `a condition that is known only while the graph runs, and a branch that cannot run (${cause.message})`;
        const expected = "a condition that follows from shapes and constants";
        throw badNode({ node: describeNode(node), found, expected, remedy: fixRemedy, cause });
      }
      return outputs;
    });
    node.outputs.forEach((name, i) => {
      if (name === "") return;
      const names = sides.map((outputs) => outputs[i]!);
      const shapes = names.map((own) => slots[inner.get(own)!]!.type.shape);
      if (String(shapes[0]) !== String(shapes[1])) {
        const found = `a condition that is known only while the graph runs, and outputs of [${shapes.join("] or [")}]`;
        const expected = "outputs of one shape, or a condition that follows from shapes and constants";
        throw badNode({ node: describeNode(node), found, expected, remedy: fixRemedy });
      }
      apply({ ...node, op: "Where", inputs: [node.inputs[0]!, ...names], outputs: [name], attributes: {} }, inner);
      env.set(name, inner.get(name)!);
    });
  };

  return { slots, steps, add, walk, firstOf: (at) => stored(at, false) };
}

function plain(operator: Operator): Pick<Step, "operator" | "node" | "opset" | "weights"> {
  const node = { name: operator.name, op: operator.name, domain: "", inputs: [], outputs: [], attributes: {} };
  return { operator, node, opset: 1, weights: [] };
}

function finish(
  { slots, steps }: Builder,
  at: Pick<Plan, "inputs" | "outputs"> & { activeInputs: readonly string[] },
): Plan {
  const active = slots.map(({ param }) => param !== undefined);
  for (const name of at.activeInputs) active[at.inputs.get(name)!] = true;
  const { lastUse, size } = slotUse(steps, active, at.outputs.values());
  const constants = new Map<number, Value>();
  const live = new Set<number>();
  const origins = new Map<number, GraphTensor>();
  const params = new Map<number, GraphParam>();
  slots.forEach(({ known, isLive, param, origin }, i) => {
    if (known) constants.set(i, known);
    if (origin !== undefined) origins.set(i, origin);
    if (isLive) live.add(i);
    if (param) params.set(i, param);
  });
  const flops = steps.reduce((sum, step) => sum + step.flops, 0);
  const types = slots.map(({ type }) => type);
  return {
    steps,
    constants,
    live,
    origins,
    params,
    inputs: at.inputs,
    outputs: at.outputs,
    types,
    active,
    lastUse,
    size,
    flops,
  };
}

/** The weights of a GraphModel: constants of its graph, told by the operations that consume them. */
import type { WeightRole } from "../canonical.ts";
import type { GraphModel, Tensor, Tf } from "../tf.ts";
import type { ModelWeight } from "../weights.ts";

/** A node of a TensorFlow graph in JSON. */
interface GraphNode {
  readonly name: string;
  readonly op: string;
  readonly input?: readonly string[];
  readonly attr?: Readonly<Record<string, { readonly b?: boolean } | undefined>>;
}

/** A graph in JSON, as model.json keeps it. */
export interface GraphTopology {
  readonly node?: readonly GraphNode[];
}

/** The part of a GraphModel that holds its constants. */
interface Executor {
  weightMap: Record<string, Tensor[]>;
}

/** Operations that hand a constant on unchanged. */
const passing = new Set(["Identity", "ReadVariableOp", "StopGradient", "Enter", "PlaceholderWithDefault"]);

/** All weights of the model. */
export function graphWeights(tf: Tf, model: GraphModel, topology: GraphTopology): readonly ModelWeight[] {
  const executor = Reflect.get(model, "executor") as Executor;
  const consumers = consumersOf(topology.node ?? []);
  return Object.keys(executor.weightMap).flatMap((name) => {
    const [first] = executor.weightMap[name] ?? [];
    return first ? [weightOf({ tf, executor, name, first, uses: consumers(name) })] : [];
  });
}

interface Consumer {
  readonly node: GraphNode;
  /** The place of the constant among its inputs. */
  readonly place: number;
}

function consumersOf(nodes: readonly GraphNode[]): (name: string) => readonly Consumer[] {
  const direct = new Map<string, Consumer[]>();
  for (const node of nodes) {
    (node.input ?? []).forEach((input, place) => {
      if (input.startsWith("^")) return;
      const name = input.replace(/:\d+$/, "");
      direct.set(name, [...(direct.get(name) ?? []), { node, place }]);
    });
  }
  const follow = (name: string): readonly Consumer[] => {
    return (direct.get(name) ?? []).flatMap((consumer) =>
      passing.has(consumer.node.op) ? follow(consumer.node.name) : [consumer],
    );
  };
  return follow;
}

function weightOf(spec: {
  tf: Tf;
  executor: Executor;
  name: string;
  first: Tensor;
  uses: readonly Consumer[];
}): ModelWeight {
  const { tf, executor, name, first, uses } = spec;
  const { shape, dtype } = first;
  const roles = new Set(uses.map((use) => roleOf(use, shape.length)));
  const [only] = roles;
  const role = roles.size === 1 && dtype === "float32" ? only : undefined;
  // Shapes, axes and single numbers are constants too.
  const isTensor = shape.length >= 2 && dtype === "float32" && uses.length > 0;
  const ops = [...new Set(uses.map(({ node }) => node.op))].join(", ");
  return {
    name,
    shape,
    dtype,
    role,
    keptDense: isTensor && !role ? `'${name}' goes into ${ops}, which is not pruned` : undefined,
    tensor: () => executor.weightMap[name]![0]!,
    replace(values) {
      const old = executor.weightMap[name]!;
      const fresh = tf.keep(tf.tensor(values, shape));
      // Assigned as a whole: the executor remembers which tensors it must not dispose of.
      executor.weightMap = { ...executor.weightMap, [name]: [fresh, ...old.slice(1)] };
      old[0]!.dispose();
    },
  };
}

function roleOf({ node, place }: Consumer, rank: number): WeightRole | undefined {
  const isSecond = place === 1;
  switch (node.op) {
    case "MatMul":
    case "_FusedMatMul":
    case "BatchMatMul":
    case "BatchMatMulV2":
      if (!isSecond || rank !== 2) return undefined;
      return node.attr?.["transpose_b"]?.b || node.attr?.["adj_y"]?.b ? "dense-transposed" : "dense";
    case "Conv1D":
    case "Conv2D":
    case "_FusedConv2D":
    case "Conv3D":
      return isSecond && rank >= 3 ? "conv" : undefined;
    case "DepthwiseConv2d":
    case "DepthwiseConv2dNative":
    case "FusedDepthwiseConv2dNative":
      return isSecond && rank === 4 ? "depthwise" : undefined;
    case "Conv2DBackpropInput":
      return isSecond && rank === 4 ? "conv-transpose" : undefined;
    default:
      return undefined;
  }
}

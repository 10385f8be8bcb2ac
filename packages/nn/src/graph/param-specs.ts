/** Which tensors a network has, by name, in layer order. */
import { type Mat, unknownName } from "@secateur/core";
import { graphOf, type Node } from "./graph.ts";
import type { NetworkSpec } from "./network-spec.ts";
import { positionsOf } from "./value-shape.ts";

/** A parameter of a network: its name and its shape as stored. */
export interface ParamSpec {
  readonly name: string;
  readonly shape: readonly number[];
}

/** A tensor and what it is for. */
export interface TensorSpec extends ParamSpec {
  /** Statistics are measured, not trained. */
  readonly role: "weight" | "bias" | "scale" | "shift" | "mean" | "variance";
  /** Positions of the image it is applied at. */
  readonly positions: number;
  /** Of a grouped convolution; absent: 1. */
  readonly groups?: number;
}

/** All tensors of a network, running statistics included. */
export function tensorSpecs(network: NetworkSpec): readonly TensorSpec[] {
  return graphOf(network).nodes.flatMap(tensorsOf);
}

/** The parameters of a network: what gradients exist for. */
export function paramSpecs(network: NetworkSpec): readonly ParamSpec[] {
  return tensorSpecs(network)
    .filter(({ role }) => !isStatistic(role))
    .map(({ name, shape }) => ({ name, shape }));
}

/** Whether a tensor is measured rather than trained. */
export function isStatistic(role: TensorSpec["role"]): boolean {
  return role === "mean" || role === "variance";
}

/** The matrix of a parameter. @throws ERR_UNKNOWN_NAME, for statistics too: they have no gradient */
export function findParam(model: { spec: NetworkSpec; weights: ReadonlyMap<string, Mat> }, name: string): Mat {
  const known = paramSpecs(model.spec).map((param) => param.name);
  if (!known.includes(name)) throw unknownName({ where: model.spec.name, what: "parameter", found: name, known });
  return model.weights.get(name)!;
}

function tensorsOf({ layer, shape }: Node): TensorSpec[] {
  const positions = positionsOf(shape);
  switch (layer.kind) {
    case "dense":
    case "conv2d": {
      const rest = layer.kind === "dense" ? [layer.in] : [layer.in / (layer.groups ?? 1), ...layer.kernel];
      const grouped = layer.kind === "conv2d" && layer.groups !== undefined ? { groups: layer.groups } : {};
      const own = { shape: [layer.out, ...rest], positions, ...grouped };
      const weight = { name: `${layer.name}.weight`, role: "weight", ...own } as const;
      if (layer.bias === false) return [weight];
      return [weight, { name: `${layer.name}.bias`, shape: [layer.out], role: "bias", positions }];
    }
    case "layer-norm":
    case "batch-norm": {
      const length = layer.kind === "batch-norm" ? layer.channels : layer.features;
      const tensor = (suffix: string, role: TensorSpec["role"]): TensorSpec => {
        return { name: `${layer.name}.${suffix}`, shape: [length], role, positions };
      };
      const affine = [tensor("weight", "scale"), tensor("bias", "shift")];
      if (layer.kind === "layer-norm") return affine;
      return [...affine, tensor("running_mean", "mean"), tensor("running_var", "variance")];
    }
    default:
      return [];
  }
}

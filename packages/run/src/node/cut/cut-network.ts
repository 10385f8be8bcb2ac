/** A network of our own layers whose graph was cut: the same layers with other widths. */
import { isPruneError } from "@secateur/core";
import type { GraphSpec, GraphTensor } from "@secateur/graph";
import {
  createNetwork,
  type LayerSpec,
  type Network,
  type NetworkSpec,
  tensorSpecs,
  type WeightTensor,
} from "@secateur/nn";
import { notExported } from "../../errors.ts";
import type { StoredTensors } from "../open/stored-tensors.ts";

/**
 * The network that a cut graph of it stands for.
 *
 * @param graph - of `network`, cut
 * @throws ERR_EXPORT for a layer that cannot say what is left of it
 */
export function cutNetwork(network: Network, graph: GraphSpec): Network {
  const tensors = new Map(graph.initializers.map((tensor) => [tensor.name, tensor]));
  const find = (name: string): GraphTensor | undefined => tensors.get(name);
  // A bias that took over what channels added has a name of its own, also where there was none before.
  const biases = new Map(
    graph.nodes.flatMap(({ op, inputs: [, weight = "", bias] }) =>
      /^(Conv|Gemm)$/.test(op) && bias ? [[weight.replace(/\.weight$/, ".bias"), find(bias)!] as const] : [],
    ),
  );
  const layers = network.spec.layers.map((layer): LayerSpec => {
    const own = narrowed(layer, find);
    const isSum = own.kind === "dense" || own.kind === "conv2d";
    return isSum && biases.has(`${own.name}.bias`) ? { ...own, bias: true } : own;
  });
  const spec: NetworkSpec = { ...network.spec, layers };
  const weights = tensorSpecs(spec).map(({ name }): WeightTensor => {
    const { shape, data } = (biases.get(name) ?? find(name))!;
    return { name, shape, data: data as Float32Array };
  });
  try {
    return createNetwork(spec, { weights });
  } catch (cause) {
    if (!isPruneError(cause)) throw cause;
    throw notExported({
      source: network.name,
      found: `a layer that cannot have other widths (${cause.message})`,
      can: "write --out NAME.onnx",
    });
  }
}

function narrowed(layer: LayerSpec, find: (name: string) => GraphTensor | undefined): LayerSpec {
  switch (layer.kind) {
    case "dense": {
      const [out = 0, own = 0] = find(`${layer.name}.weight`)!.shape;
      return { ...layer, in: own, out };
    }
    case "conv2d": {
      const [out = 0, each = 0] = find(`${layer.name}.weight`)!.shape;
      const { groups = 1 } = layer;
      // Of a depthwise convolution whole groups go; of others as many channels from every group.
      const left = groups > 1 && layer.in === groups ? out / (layer.out / groups) : groups;
      return { ...layer, in: each * left, out, ...(groups > 1 ? { groups: left } : {}) };
    }
    case "batch-norm":
      return { ...layer, channels: find(`${layer.name}.weight`)!.shape[0]! };
    case "layer-norm":
      return { ...layer, features: find(`${layer.name}.weight`)!.shape[0]! };
    default:
      return layer;
  }
}

/** Tensors of a cut network keep their types and have its own names: no built-in network has these widths, so the file describes its own. */
export function ownNames(stored: StoredTensors): StoredTensors {
  return new Map([...stored].map(([name, tensor]) => [name, { ...tensor, name }]));
}

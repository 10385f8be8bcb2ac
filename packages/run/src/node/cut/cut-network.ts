/** A network of our own layers whose graph was cut: the same layers with other widths. */
import type { GraphSpec, GraphTensor } from "@secateur/graph";
import { createNetwork, type LayerSpec, type Network, type NetworkSpec, type WeightTensor } from "@secateur/nn";
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
  const uses = new Map(graph.nodes.map((node) => [node.inputs[1] ?? "", node]));
  const find = (name: string): GraphTensor | undefined => tensors.get(name);
  const layers = network.spec.layers.map((layer) => narrowed(layer, find));
  const weights = network.tensors().map(({ name }): WeightTensor => {
    // A bias that took over what channels added has a name of its own.
    const user = /\.bias$/.test(name) ? uses.get(name.replace(/\.bias$/, ".weight")) : undefined;
    const isSum = user !== undefined && /^(Conv|Gemm)$/.test(user.op);
    const { shape, data } = find(isSum ? (user.inputs[2] ?? name) : name)!;
    return { name, shape, data: data as Float32Array };
  });
  const spec: NetworkSpec = { ...network.spec, layers };
  return createNetwork(spec, { weights });
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
    case "subsample-and-pad":
      throw notExported({
        source: "cut",
        found: `a shortcut without parameters ('${layer.kind}') with other widths`,
        can: "write --out NAME.onnx",
      });
    default:
      return layer;
  }
}

/** Tensors of a cut network keep their types and have its own names: no built-in network has these widths, so the file describes its own. */
export function ownNames(stored: StoredTensors): StoredTensors {
  return new Map([...stored].map(([name, tensor]) => [name, { ...tensor, name }]));
}

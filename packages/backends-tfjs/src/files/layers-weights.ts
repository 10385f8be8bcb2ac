/** The weights of a LayersModel: found by the classes of its layers, inside wrappers and nested models too. */
import type { WeightRole } from "../canonical.ts";
import type { Layer, LayersModel, Tensor, Tf } from "../tf.ts";
import type { ModelWeight, PrunableOptions } from "../weights.ts";

/** A variable of a layer, as far as it is used here. */
interface LayerVariable {
  readonly originalName: string;
  readonly shape: readonly (number | null)[];
  readonly dtype: string;
  readonly trainable: boolean;
  read(): Tensor;
}

/** What holds other layers, and where. */
interface Holder {
  readonly layers?: readonly Layer[];
  readonly layer?: Layer;
  readonly forwardLayer?: Layer;
  readonly backwardLayer?: Layer;
}

const recurrent = { kernel: "dense", recurrent_kernel: "dense" } as const;

/** Layer classes whose weights are known, with the role of each. */
const roles: Readonly<Record<string, Readonly<Record<string, WeightRole>>>> = {
  Dense: { kernel: "dense" },
  Conv1D: { kernel: "conv" },
  Conv2D: { kernel: "conv" },
  Conv3D: { kernel: "conv" },
  Conv2DTranspose: { kernel: "conv-transpose" },
  Conv3DTranspose: { kernel: "conv-transpose" },
  DepthwiseConv2D: { depthwise_kernel: "depthwise" },
  SeparableConv2D: { depthwise_kernel: "depthwise", pointwise_kernel: "conv" },
  SimpleRNN: recurrent,
  LSTM: recurrent,
  GRU: recurrent,
  RNN: recurrent,
};

/** All weights of the model, each once however often it is used. */
export function layersWeights(tf: Tf, model: LayersModel, options: PrunableOptions): readonly ModelWeight[] {
  const seen = new Set<number>();
  const found: ModelWeight[] = [];
  for (const layer of leafLayers(model.layers)) {
    for (const variable of layer.weights as unknown as readonly LayerVariable[]) {
      const { id } = variable.read();
      if (seen.has(id)) continue;
      seen.add(id);
      found.push(weightOf(tf, { layer, variable, options }));
    }
  }
  return found;
}

/** The layers inside wrappers and nested models, in order. */
export function leafLayers(layers: readonly Layer[]): readonly Layer[] {
  return layers.flatMap((layer) => {
    const holder = layer as unknown as Holder;
    const inner = holder.layers ?? [holder.forwardLayer, holder.backwardLayer, holder.layer];
    const held = inner.filter((one): one is Layer => one !== undefined && one !== null);
    return held.length === 0 ? [layer] : leafLayers(held);
  });
}

function weightOf(tf: Tf, spec: { layer: Layer; variable: LayerVariable; options: PrunableOptions }): ModelWeight {
  const { layer, variable, options } = spec;
  const shape = variable.shape.map((extent) => extent ?? 0);
  const known = roles[layer.getClassName()]?.[lastPart(variable.originalName)];
  const isFrozen = !(layer.trainable && variable.trainable) && options.includeFrozen !== true;
  const role = variable.dtype === "float32" ? known : undefined;
  return {
    name: variable.originalName,
    shape,
    dtype: variable.dtype,
    role: isFrozen ? undefined : role,
    keptDense: shape.length < 2 ? undefined : denseReason({ layer, role, isFrozen }),
    tensor: () => variable.read(),
    replace(values) {
      const fresh = tf.tensor(values, shape);
      // The variable itself, so that a constraint of the layer does not change what was asked for.
      (variable.read() as Tensor & { assign(value: Tensor): void }).assign(fresh);
      fresh.dispose();
    },
  };
}

function denseReason(spec: { layer: Layer; role: WeightRole | undefined; isFrozen: boolean }): string | undefined {
  const { layer, role, isFrozen } = spec;
  const className = layer.getClassName();
  if (isFrozen) return `layer '${layer.name}' (${className}) is frozen`;
  if (role) return undefined;
  if (className === "Embedding") return `layer '${layer.name}' is an embedding`;
  return `layer '${layer.name}' is of the class ${className}, which is not pruned`;
}

/** "lstm/lstm_cell/kernel" -> "kernel" */
function lastPart(name: string): string {
  return name.slice(name.lastIndexOf("/") + 1).replace(/_\d+$/, "");
}

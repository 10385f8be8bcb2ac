/** The kinds of layers a network can have: plain data that serialises. */

/** What every layer may say besides its kind. */
interface Placed {
  /** Layers whose outputs it takes, by name; "input" is the network's input. Default: the layer before it. */
  readonly inputs?: readonly string[];
}

/** A layer without tensors; its name is needed only where another layer refers to it. */
interface Plain extends Placed {
  readonly name?: string;
}

/** y = x W' (+ b), W [out, in]. Its parameters are `name`.weight and, with bias, `name`.bias. */
export interface DenseSpec extends Placed {
  readonly kind: "dense";
  readonly name: string;
  readonly in: number;
  readonly out: number;
  /** Default true. */
  readonly bias?: boolean;
}

/** Cross-correlation with weights [out, in / groups, kernel height, kernel width]; groups = in is depthwise. */
export interface Conv2dSpec extends Placed {
  readonly kind: "conv2d";
  readonly name: string;
  readonly in: number;
  readonly out: number;
  readonly kernel: readonly [height: number, width: number];
  /** Default 1. */
  readonly stride?: number;
  /** Zeros on every side; default 0. */
  readonly padding?: number;
  /** Default 1. */
  readonly dilation?: number;
  /** Divides in and out; default 1. */
  readonly groups?: number;
  /** Default true. */
  readonly bias?: boolean;
}

/**
 * Batch normalisation of channels (Ioffe and Szegedy 2015): y = weight (x - mean) / sqrt(var + epsilon) + bias. Statistics of the
 * batch in training, `name`.running_mean and `name`.running_var otherwise.
 */
export interface BatchNormSpec extends Placed {
  readonly kind: "batch-norm";
  readonly name: string;
  readonly channels: number;
  /** Default 1e-5. */
  readonly epsilon?: number;
  /** Share of a batch in the running statistics; default 0.1. */
  readonly momentum?: number;
}

/** Layer normalisation over all features of one example; weight and bias have one entry a feature. */
export interface LayerNormSpec extends Placed {
  readonly kind: "layer-norm";
  readonly name: string;
  readonly features: number;
  /** Default 1e-5. */
  readonly epsilon?: number;
}

/** relu: max(x, 0); relu6: min(max(x, 0), 6); silu: x / (1 + exp(-x)); gelu: x Phi(x), Phi the normal distribution function. */
export interface ActivationSpec extends Plain {
  readonly kind: "relu" | "relu6" | "silu" | "gelu";
}

/** max(x, 0) */
export type ReluSpec = ActivationSpec & { readonly kind: "relu" };

/** Largest or mean entry of every window; the mean counts padding as zeros that take part. */
export interface PoolSpec extends Plain {
  readonly kind: "max-pool" | "average-pool";
  /** Side of the square window, in pixels, >= 1. */
  readonly size: number;
  /** Default: size. */
  readonly stride?: number;
  /** Default 0; below size. */
  readonly padding?: number;
}

/** Mean over all positions, or all of an image as one row of features, in the order of the network's layout. */
export interface ReshapeSpec extends Plain {
  readonly kind: "global-average-pool" | "flatten";
}

/** Sum of inputs of one shape, or their channels one after the other. */
export interface JoinSpec extends Plain {
  readonly kind: "add" | "concat";
}

/** Every `stride`-th position, zeros as further channels, as many before as after: the shortcut without parameters (He et al. 2016, option A). */
export interface ShortcutSpec extends Plain {
  readonly kind: "subsample-and-pad";
  readonly stride: number;
  /** Channels given back, at least those taken. */
  readonly channels: number;
}

/** Entries become zero with probability `rate` in training (others grow by 1 / (1 - rate)); otherwise nothing. */
export interface DropoutSpec extends Plain {
  readonly kind: "dropout";
  /** In [0, 1). */
  readonly rate: number;
}

/** x - log(sum(exp(x))) over the classes; only as the last layer. The loss is computed from the logits before it. */
export interface LogSoftmaxSpec extends Plain {
  readonly kind: "log-softmax";
}

/** One layer of a {@link NetworkSpec}, told apart by `kind`. */
export type LayerSpec =
  | DenseSpec
  | Conv2dSpec
  | BatchNormSpec
  | LayerNormSpec
  | ActivationSpec
  | PoolSpec
  | ReshapeSpec
  | JoinSpec
  | ShortcutSpec
  | DropoutSpec
  | LogSoftmaxSpec;

/** A layer of one kind. */
export type LayerOf<Kind extends LayerSpec["kind"]> = Extract<LayerSpec, { readonly kind: Kind }>;

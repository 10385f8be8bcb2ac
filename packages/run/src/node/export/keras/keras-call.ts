/** What the writer of one Keras layer is given, and how it reads the layer's settings. */
import { z } from "zod";
import { notExported } from "../../../errors.ts";
import type { GraphWriter } from "../graph-writer.ts";
import type { OrientedValue } from "../oriented-value.ts";
import type { KerasLayer } from "./keras-graph.ts";

/** Numbers of one weight as TensorFlow.js stores them. */
export interface KerasWeight {
  /** In the model's manifest, such as "dense/kernel". */
  readonly name: string;
  readonly shape: readonly number[];
  readonly data: Float32Array;
}

/** A use of a layer, while it is written. */
export interface LayerCall {
  readonly layer: KerasLayer;
  readonly inputs: readonly [OrientedValue, ...OrientedValue[]];
  readonly writer: GraphWriter;
  /** File name, for messages. */
  readonly source: string;
  /** A weight of the layer by the last part of its name. @throws ERR_EXPORT where the model has none or several */
  weight(role: string): KerasWeight;
  /** Adds a weight to the graph, once however often the layer is used; returns its name. */
  tensor(weight: KerasWeight): string;
}

/** The refusal of something about a layer. @param can - what to do instead */
export function refusedLayer(
  { layer, source }: Pick<LayerCall, "layer" | "source">,
  found: string,
  can: string,
): Error {
  return notExported({ source: `${source}: the layer '${layer.name}' (${layer.className})`, found, can });
}

/** Settings that say how a layer is trained, named, stored or run, but not what it computes at inference. */
const withoutEffect =
  /^(name|trainable|(input_)?dtype|batch_(input_shape|size)|sparse|ragged|seed|implementation|unroll|momentum|rate|(recurrent_)?dropout|unit_forget_bias|input_(dim|length)|output_dim|units|filters|kernel_size|depth_multiplier|rank|fused)$|_(initializer|regularizer|constraint)$/;

/**
 * Settings of a layer. A setting that is not asked for and that might change what the layer computes is refused, so that none is
 * passed over.
 *
 * @throws ERR_EXPORT naming the layer and the setting
 */
export function settingsOf<T extends z.ZodRawShape>(
  call: Pick<LayerCall, "layer" | "source">,
  shape: T,
): z.infer<z.ZodObject<T>> {
  const result = z.object(shape).safeParse(call.layer.config);
  const isSet = (value: unknown): boolean => value !== undefined && value !== null && value !== false;
  const unread = Object.entries(call.layer.config).find(
    ([key, value]) => !(key in shape) && !withoutEffect.test(key) && isSet(value),
  );
  if (unread) {
    const [key, value] = unread;
    const found = `'${key.slice(0, 60)}' of ${(JSON.stringify(value) ?? "?").slice(0, 60)}`;
    throw refusedLayer(call, found, "give a layer without it");
  }
  if (result.success) return result.data;
  const [issue] = result.error.issues;
  const found = `'${issue?.path.join(".").slice(0, 60)}' of another form (${issue?.message ?? "?"})`;
  throw refusedLayer(call, found, "give a layers model as Keras 2 and TensorFlow.js write it");
}

/** One whole number for every dimension, or one for all of them. */
export const sizes = (rank: number): z.ZodType<number[]> =>
  z.union([
    z
      .int()
      .positive()
      .transform((size) => Array.from({ length: rank }, () => size)),
    z.array(z.int().positive()).length(rank),
  ]);

/** The name of an activation; Keras's default does nothing. */
export const activationSetting: z.ZodType<string> = z
  .string()
  .nullish()
  .transform((name) => name ?? "linear");

/** How the borders of windows are padded. */
export const paddingSetting: z.ZodType<"valid" | "same"> = z.enum(["valid", "same"]).default("valid");

/** Whether there is a bias: there is one by default. */
export const biasSetting: z.ZodType<boolean> = z.boolean().default(true);

/** The order of an image's dimensions; channels first is not written. */
export const layoutSetting: z.ZodType<unknown> = z.enum(["channels_last", "channelsLast"]).nullish();

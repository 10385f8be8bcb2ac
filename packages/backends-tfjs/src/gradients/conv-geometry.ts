/** Which window of an image every output position of a convolution looks at. */
import type { KernelAttributes, Tf } from "../tf.ts";

/** A convolution over images [batch, height, width, channels]; paddings may differ between sides. */
export interface ConvGeometry {
  readonly batch: number;
  readonly inHeight: number;
  readonly inWidth: number;
  readonly inChannels: number;
  readonly outHeight: number;
  readonly outWidth: number;
  /** Of a depthwise convolution: channels times multiplier. */
  readonly outChannels: number;
  readonly filterHeight: number;
  readonly filterWidth: number;
  readonly strideHeight: number;
  readonly strideWidth: number;
  readonly dilationHeight: number;
  readonly dilationWidth: number;
  readonly padTop: number;
  readonly padLeft: number;
}

/**
 * The geometry of a kernel call as TensorFlow.js describes it.
 *
 * @param spec.input - shape of the images
 * @param spec.filter - [height, width, in, out], or [height, width, in, multiplier] with `depthwise`
 * @param spec.attributes - of the kernel: strides, pad, dilations, dimRoundingMode
 * @returns undefined for layouts other than channels last
 */
export function convGeometry(
  tf: Tf,
  spec: { input: readonly number[]; filter: readonly number[]; attributes: KernelAttributes; depthwise: boolean },
): ConvGeometry | undefined {
  const { input, filter, attributes, depthwise } = spec;
  const format = attributes["dataFormat"];
  if (format !== undefined && format !== "NHWC" && format !== "channelsLast") return undefined;
  if (input.length !== 4 || filter.length !== 4) return undefined;
  type Info = Parameters<typeof tf.backend_util.computeConv2DInfo>;
  const info = tf.backend_util.computeConv2DInfo(
    input as unknown as Info[0],
    filter as unknown as Info[1],
    attributes["strides"] as unknown as Info[2],
    (attributes["dilations"] ?? 1) as unknown as Info[3],
    attributes["pad"] as unknown as Info[4],
    attributes["dimRoundingMode"] as unknown as Info[5],
    depthwise,
  );
  return {
    batch: info.batchSize,
    inHeight: info.inHeight,
    inWidth: info.inWidth,
    inChannels: info.inChannels,
    outHeight: info.outHeight,
    outWidth: info.outWidth,
    outChannels: info.outChannels,
    filterHeight: info.filterHeight,
    filterWidth: info.filterWidth,
    strideHeight: info.strideHeight,
    strideWidth: info.strideWidth,
    dilationHeight: info.dilationHeight,
    dilationWidth: info.dilationWidth,
    padTop: info.padInfo.top,
    padLeft: info.padInfo.left,
  };
}

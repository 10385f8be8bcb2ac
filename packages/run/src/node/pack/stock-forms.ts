/** A model in the formats of other runtimes, to be timed beside them. */
import type { ModelFiles } from "@secateur/backends-tfjs";
import { encodeOnnx } from "@secateur/formats";
import type { Network } from "@secateur/nn";
import { asRead } from "../export/encode-model.ts";
import { onnxOfNetwork } from "../export/onnx-of-network.ts";
import { tfjsOfNetwork } from "../export/tfjs-of-network.ts";

/** Each made when it is asked for; absent where the model is not to be had in that form: packed networks in none, ONNX models not as TensorFlow.js. */
export interface StockForms {
  readonly onnx?: () => Uint8Array;
  /** @throws ERR_EXPORT for what TensorFlow.js has no layer for */
  readonly tfjs?: () => Promise<ModelFiles>;
}

/** A network of our own layers for other runtimes. */
export function stockOfNetwork(network: Network): StockForms {
  return {
    onnx: () => encodeOnnx(onnxOfNetwork(network)),
    tfjs: () => asRead(tfjsOfNetwork(network), network.name),
  };
}

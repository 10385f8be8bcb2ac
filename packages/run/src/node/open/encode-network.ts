import { checkpointEncoderFor, encodeOnnx, type NamedTensor } from "@secateur/formats";
import type { Network } from "@secateur/nn";
import { onnxOfNetwork } from "../../export/onnx-of-network.ts";

/** Whether an output is to be an ONNX model, by its ending. */
export function isOnnxOutput(path: string): boolean {
  return path.toLowerCase().endsWith(".onnx");
}

/** A network as the bytes of the file format that the path's ending chooses. @throws ERR_OUTPUT_FORMAT */
export function encodeNetwork(spec: {
  network: Network;
  path: string;
  metadata: Readonly<Record<string, string>>;
}): Uint8Array {
  const { network, path, metadata } = spec;
  if (isOnnxOutput(path)) return encodeOnnx(onnxOfNetwork(network, { metadata }));
  const tensors = network.tensors().map(({ name, shape, data }): NamedTensor => {
    return data instanceof Float64Array ? { name, shape, dtype: "f64", data } : { name, shape, dtype: "f32", data };
  });
  return checkpointEncoderFor(path)({ tensors, metadata });
}

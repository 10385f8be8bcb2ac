import { encodeOnnx, type NamedTensor } from "@secateur/formats";
import type { Network } from "@secateur/nn";
import { onnxOfNetwork } from "../export/onnx-of-network.ts";
import { findEncoder } from "./find-format.ts";

/** Whether an output is to be an ONNX model, by its ending. */
export function isOnnxOutput(path: string): boolean {
  return path.toLowerCase().endsWith(".onnx");
}

/**
 * A network as the bytes of the file format that the path's ending chooses.
 *
 * @param spec.from - the folder from which plugins are looked for
 * @throws ERR_OUTPUT_FORMAT
 */
export async function encodeNetwork(spec: {
  network: Network;
  path: string;
  metadata: Readonly<Record<string, string>>;
  from: string;
}): Promise<Uint8Array> {
  const { network, path, metadata, from } = spec;
  // A graph is more than its tensors, which is all that other formats write.
  if (isOnnxOutput(path)) return encodeOnnx(onnxOfNetwork(network, { metadata }));
  const tensors = network.tensors().map(({ name, shape, data }): NamedTensor => {
    return data instanceof Float64Array ? { name, shape, dtype: "f64", data } : { name, shape, dtype: "f32", data };
  });
  return await (await findEncoder(path, from))({ tensors, metadata });
}

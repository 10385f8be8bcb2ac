import { checkpointEncoderFor, type NamedTensor } from "@secateur/formats";
import type { Network } from "@secateur/nn";

/** A network as the bytes of the file format that the path's ending chooses. @throws ERR_OUTPUT_FORMAT */
export function encodeNetwork(spec: {
  network: Network;
  path: string;
  metadata: Readonly<Record<string, string>>;
}): Uint8Array {
  const { network, path, metadata } = spec;
  const tensors = network.tensors().map(({ name, shape, data }): NamedTensor => {
    return data instanceof Float64Array ? { name, shape, dtype: "f64", data } : { name, shape, dtype: "f32", data };
  });
  return checkpointEncoderFor(path)({ tensors, metadata });
}

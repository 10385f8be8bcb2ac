import type { NamedTensor } from "@secateur/formats";
import type { Network } from "@secateur/nn";
import { findEncoder } from "./find-format.ts";

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
  const tensors = network.tensors().map(({ name, shape, data }): NamedTensor => {
    return data instanceof Float64Array ? { name, shape, dtype: "f64", data } : { name, shape, dtype: "f32", data };
  });
  return await (await findEncoder(path, from))({ tensors, metadata });
}

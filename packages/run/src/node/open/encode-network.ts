import { tensorOf } from "@secateur/formats";
import type { Network } from "@secateur/nn";
import { findEncoder } from "../plugins/find-format.ts";
import type { StoredTensors } from "./stored-tensors.ts";

/**
 * The tensors of a network as the bytes of the file format that the path's ending chooses.
 *
 * @param spec.stored - names and types that its tensors had in the file they came from, which they get again; default those of
 * the network
 * @param spec.from - the folder from which plugins are looked for
 * @throws ERR_OUTPUT_FORMAT
 */
export async function encodeNetwork(spec: {
  network: Network;
  path: string;
  metadata: Readonly<Record<string, string>>;
  stored?: StoredTensors | undefined;
  from: string;
}): Promise<Uint8Array> {
  const { network, path, metadata, stored, from } = spec;
  const tensors = network.tensors().map(({ name, shape, data }) => {
    const own = stored?.get(name);
    const dtype = own?.dtype ?? (data instanceof Float64Array ? "f64" : "f32");
    return { ...tensorOf(data, { shape, dtype }), name: own?.name ?? name };
  });
  return await (await findEncoder(path, from))({ tensors, metadata });
}

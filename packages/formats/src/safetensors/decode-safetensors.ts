import { elementsFrom } from "../dtype.ts";
import type { Checkpoint, NamedTensor } from "../tensor.ts";
import { checkChecksum } from "./checksum.ts";
import { parseSafetensorsHeader } from "./safetensors-header.ts";

/**
 * Reads a whole safetensors file. Everything is checked before a tensor is made: see the errors.
 *
 * Tensors are views of `bytes` where their data is aligned to its element size (files of the usual writers are), else
 * copies; so nothing is allocated beyond the size of the file, and writing to a tensor may write to `bytes`.
 *
 * @param bytes - the whole file
 * @param source - name of the file, for messages; default "safetensors data"
 * @returns tensors in the order of their data, metadata as it stands in the file
 * @throws ERR_SAFETENSORS when the bytes are truncated, damaged or inconsistent; ERR_CHECKSUM where the metadata hold a checksum
 * (see `encodeSafetensors`) that is not that of the data; ERR_DTYPE for an element type not read here
 * @example
 * const { tensors, metadata } = decodeSafetensors(new Uint8Array(await response.arrayBuffer()), "model.safetensors");
 */
export function decodeSafetensors(bytes: Uint8Array, source: string = "safetensors data"): Checkpoint {
  const { entries, metadata, dataStart } = parseSafetensorsHeader(bytes, source);
  checkChecksum({ metadata, data: bytes.subarray(dataStart), source });
  const tensors = entries.map(({ name, dtype, shape, begin, end }) => {
    const data = elementsFrom(dtype, bytes.subarray(dataStart + begin, dataStart + end), true);
    // elementsFrom ties the class of the data to the dtype, which a union of dtypes cannot express.
    return { name, dtype, shape, data } as NamedTensor;
  });
  return { format: "safetensors", tensors, metadata };
}

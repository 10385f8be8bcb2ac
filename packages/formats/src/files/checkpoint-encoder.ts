import { unknownOutputFormat } from "../errors.ts";
import { encodeSafetensors } from "../safetensors/encode-safetensors.ts";
import type { NamedTensor } from "../tensor.ts";

/** Formats that are written, by the ending that chooses them. */
const ENCODERS = {
  ".safetensors": (checkpoint: Parameters<CheckpointEncoder>[0]) =>
    encodeSafetensors({ ...checkpoint, checksum: true }),
};

/** Turns tensors into the bytes of a model file. */
export type CheckpointEncoder = (checkpoint: {
  readonly tensors: readonly NamedTensor[];
  readonly metadata?: Readonly<Record<string, string>>;
}) => Uint8Array;

/**
 * The encoder that the ending of an output's name chooses. Ask before a long run, so that a wrong ending costs nothing.
 *
 * @throws ERR_OUTPUT_FORMAT listing the known endings
 * @example
 * await writeFileAtomic(path, checkpointEncoderFor(path)({ tensors, metadata }), { overwrite: false });
 */
export function checkpointEncoderFor(path: string): CheckpointEncoder {
  for (const [ending, encode] of Object.entries(ENCODERS)) {
    if (path.toLowerCase().endsWith(ending)) return encode;
  }
  throw unknownOutputFormat(path, Object.keys(ENCODERS));
}

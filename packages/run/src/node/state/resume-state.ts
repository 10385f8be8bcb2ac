/** The state of a run between two stages, as a file beside the output: what --resume goes on from. */
import { describeDifferences, isPruneError, type RunState, type StageReport } from "@secateur/core";
import {
  type Checkpoint,
  decodeSafetensors,
  encodeSafetensors,
  readFileBytes,
  toFloat32,
  writeFileAtomic,
} from "@secateur/formats";
import { badState } from "../../errors.ts";

const tensorName = "secateur.weights";
const maskName = "secateur.mask";
const metadataKey = "secateur.state";

interface StateHeader {
  readonly version: 1;
  readonly stage: number;
  /** Core's fingerprint: sizes, plan, seed, kernels. */
  readonly fingerprint: string;
  /** Ours: model, data and method. */
  readonly run: string;
  readonly reports: readonly StageReport[];
  /** Time spent so far, over all parts of the run. */
  readonly elapsedMs: number;
}

/** A state, what it belongs to, and the time that went into it. */
export interface SavedState {
  readonly state: RunState;
  /** Identifies model, data and method; the same text must be given to read it back. */
  readonly run: string;
  readonly elapsedMs: number;
}

/**
 * Writes the state, whole or not at all, over an earlier one.
 *
 * @param path - absolute
 */
export async function writeState(path: string, { state, run, elapsedMs }: SavedState): Promise<void> {
  const { stage, fingerprint, reports, weights, mask } = state;
  const header: StateHeader = { version: 1, stage, fingerprint, run, reports, elapsedMs };
  const bytes = encodeSafetensors({
    tensors: [
      { name: tensorName, dtype: "f32", shape: [weights.length], data: weights },
      { name: maskName, dtype: "u8", shape: [mask.length], data: mask },
    ],
    metadata: { [metadataKey]: JSON.stringify(header) },
  });
  await writeFileAtomic(path, bytes, { overwrite: true });
}

/**
 * Reads a state back.
 *
 * @throws ERR_RESUME when it is of another run or damaged, and the file errors of formats
 */
export async function readState(path: string, run: string): Promise<SavedState> {
  const { tensors, metadata } = decodeState(await readFileBytes(path), path);
  const weights = tensors.find((tensor) => tensor.name === tensorName);
  const header = parseHeader(metadata[metadataKey]);
  const mask = tensors.find((tensor) => tensor.name === maskName);
  if (weights === undefined || mask?.dtype !== "u8" || header === undefined)
    throw badState(path, "this file is not the state of a run");
  if (header.run !== run)
    throw badState(path, `the saved state is of another run: ${describeDifferences(header.run, run)}`);
  const { stage, fingerprint, reports, elapsedMs } = header;
  return {
    state: { stage, weights: toFloat32(weights), mask: mask.data.slice(), fingerprint, reports },
    run,
    elapsedMs,
  };
}

function decodeState(bytes: Uint8Array, path: string): Checkpoint {
  try {
    return decodeSafetensors(bytes, path);
  } catch (error) {
    if (isPruneError(error)) throw badState(path, "the saved state is damaged");
    throw error;
  }
}

function parseHeader(text: string | undefined): StateHeader | undefined {
  if (text === undefined) return undefined;
  try {
    const header = JSON.parse(text) as StateHeader;
    return header.version === 1 ? header : undefined;
  } catch {
    return undefined;
  }
}

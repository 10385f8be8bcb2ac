/** The state of a run of phases as a file beside the output: what --resume goes on from. */
import { describeDifferences, isPruneError, type RetrainingState, type StateTensor } from "@secateur/core";
import {
  type Checkpoint,
  decodeSafetensors,
  encodeSafetensors,
  type NamedTensor,
  readFileBytes,
  toFloat32,
  writeFileAtomic,
} from "@secateur/formats";
import type { PhaseState } from "@secateur/imp-scheduler";
import { badState } from "../../errors.ts";

const metadataKey = "secateur.phases";
const maskName = "mask";

/** Everything of a state but its arrays. */
interface Header {
  readonly version: 1;
  /** Ours: model, data and method. */
  readonly run: string;
  readonly elapsedMs: number;
  readonly state: Omit<PhaseState, "mask" | "tensors" | "trained" | "pruning" | "open"> & {
    readonly trained?: Omit<RetrainingState, "tensors">;
    readonly pruning?: Omit<NonNullable<PhaseState["pruning"]>, "weights" | "mask">;
    readonly open?: {
      readonly round: NonNullable<PhaseState["open"]>["round"];
      readonly training?: Omit<RetrainingState, "tensors">;
      readonly stopping?: { readonly losses: readonly number[]; readonly best: number };
    };
  };
}

/** A state and the time that went into it. */
export interface SavedPhases {
  readonly state: PhaseState;
  readonly elapsedMs: number;
}

/** Writes the state over an earlier one, whole or not at all. */
export async function writePhases(path: string, spec: SavedPhases & { readonly run: string }): Promise<void> {
  const { state, run, elapsedMs } = spec;
  const { mask, tensors, trained, pruning, open, ...plain } = state;
  const named: NamedTensor[] = [{ name: maskName, dtype: "u8", shape: [mask.length], data: mask }];
  const put = (prefix: string, list: readonly StateTensor[]): void => {
    for (const { name, shape, data } of list) {
      named.push({ name: `${prefix}:${name}`, shape, dtype: "f32", data: Float32Array.from(data) });
    }
  };
  const vector = (name: string, data: Float32Array): StateTensor => ({ name, shape: [data.length], data });
  put("model", tensors);
  if (trained) put("trained", trained.tensors);
  if (pruning) {
    put("pruning", [vector("weights", pruning.weights)]);
    named.push({ name: "pruning-mask", dtype: "u8", shape: [pruning.mask.length], data: pruning.mask });
  }
  if (open) put("open", [vector("weights", open.weights)]);
  if (open?.training) put("training", open.training.tensors);
  if (open?.stopping) put("best", open.stopping.tensors);
  const header: Header = {
    ...{ version: 1, run, elapsedMs },
    state: {
      ...plain,
      ...(trained ? { trained: withoutTensors(trained) } : {}),
      ...(pruning ? { pruning: withoutArrays(pruning) } : {}),
      ...(open
        ? {
            open: {
              round: open.round,
              ...(open.training ? { training: withoutTensors(open.training) } : {}),
              ...(open.stopping ? { stopping: { losses: open.stopping.losses, best: open.stopping.best } } : {}),
            },
          }
        : {}),
    },
  };
  const bytes = encodeSafetensors({ tensors: named, metadata: { [metadataKey]: JSON.stringify(header) } });
  await writeFileAtomic(path, bytes, { overwrite: true });
}

function withoutTensors({ epoch, epochs }: RetrainingState): Omit<RetrainingState, "tensors"> {
  return { epoch, epochs };
}

function withoutArrays(pruning: NonNullable<PhaseState["pruning"]>): NonNullable<Header["state"]["pruning"]> {
  const { stage, fingerprint, reports } = pruning;
  return { stage, fingerprint, reports };
}

/** Reads a state back. @throws ERR_RESUME when it is of another run or damaged, and the file errors of formats */
export async function readPhases(path: string, run: string): Promise<SavedPhases> {
  const { tensors, metadata } = decode(await readFileBytes(path), path);
  const header = parseHeader(metadata[metadataKey]);
  if (!header) throw badState(path, "this file is not the state of a run with retraining");
  if (header.run !== run) {
    throw badState(path, `the saved state is of another run: ${describeDifferences(header.run, run)}`);
  }
  const under = (prefix: string): readonly StateTensor[] =>
    tensors
      .filter(({ name }) => name.startsWith(`${prefix}:`))
      .map((tensor) => ({ name: tensor.name.slice(prefix.length + 1), shape: tensor.shape, data: toFloat32(tensor) }));
  const bits = (name: string): Uint8Array => {
    const found = tensors.find((tensor) => tensor.name === name);
    if (found?.dtype !== "u8") throw badState(path, "the saved state is damaged");
    return found.data.slice();
  };
  const flat = (prefix: string): Float32Array => {
    const [found] = under(prefix);
    if (!found) throw badState(path, "the saved state is damaged");
    return Float32Array.from(found.data);
  };
  const { trained, pruning, open, ...plain } = header.state;
  const state: PhaseState = {
    ...plain,
    mask: bits(maskName),
    tensors: under("model"),
    ...(trained ? { trained: { ...trained, tensors: under("trained") } } : {}),
    ...(pruning ? { pruning: { ...pruning, weights: flat("pruning"), mask: bits("pruning-mask") } } : {}),
    ...(open
      ? {
          open: {
            round: open.round,
            weights: flat("open"),
            ...(open.training ? { training: { ...open.training, tensors: under("training") } } : {}),
            ...(open.stopping ? { stopping: { ...open.stopping, tensors: under("best") } } : {}),
          },
        }
      : {}),
  };
  return { state, elapsedMs: header.elapsedMs };
}

function decode(bytes: Uint8Array, path: string): Checkpoint {
  try {
    return decodeSafetensors(bytes, path);
  } catch (error) {
    if (isPruneError(error)) throw badState(path, "the saved state is damaged");
    throw error;
  }
}

function parseHeader(text: string | undefined): Header | undefined {
  if (text === undefined) return undefined;
  try {
    const header = JSON.parse(text) as Header;
    return header.version === 1 ? header : undefined;
  } catch {
    return undefined;
  }
}

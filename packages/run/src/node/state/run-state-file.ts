/** The state of a run as a file beside the output: what --resume goes on from. */
import {
  describeDifferences,
  isPruneError,
  type RetrainingState,
  type RunState,
  type StateTensor,
} from "@secateur/core";
import {
  type Checkpoint,
  decodeSafetensors,
  encodeSafetensors,
  type NamedTensor,
  readFileBytes,
  toFloat32,
  writeFileAtomic,
} from "@secateur/formats";
import { badState } from "../../errors.ts";

const metadataKey = "secateur.run";
/** Of versions before states of runs with and without training were one. */
const olderKeys = ["secateur.state", "secateur.phases"];

type Training = NonNullable<RunState["training"]>;
type Open = NonNullable<Training["open"]>;

/** Everything of a state but its arrays. */
interface Header {
  readonly version: 2;
  /** Ours: model, data and method; core's fingerprint covers plan and seed. */
  readonly run: string;
  /** Time spent so far, over all parts of the run. */
  readonly elapsedMs: number;
  readonly state: Omit<RunState, "weights" | "mask" | "training"> & {
    readonly training?: Pick<Training, "rounds"> & {
      readonly trained?: PlainTraining;
      readonly open?: Pick<Open, "round"> & {
        readonly training?: PlainTraining;
        readonly stopping?: Omit<NonNullable<Open["stopping"]>, "tensors">;
      };
    };
  };
}

type PlainTraining = Omit<RetrainingState, "tensors" | "masks">;

/** A state and the time that went into it. */
export interface SavedState {
  readonly state: RunState;
  readonly elapsedMs: number;
}

/**
 * Writes the state over an earlier one, whole or not at all.
 *
 * @param path - absolute
 * @param spec.run - identifies model, data and method; the same text must be given to read it back
 */
export async function writeState(path: string, spec: SavedState & { readonly run: string }): Promise<void> {
  const { state, run, elapsedMs } = spec;
  const { weights, mask, training, ...plain } = state;
  const named: NamedTensor[] = [
    { name: "weights", dtype: "f32", shape: [weights.length], data: weights },
    { name: "mask", dtype: "u8", shape: [mask.length], data: mask },
  ];
  const put = (prefix: string, list: readonly StateTensor[]): void => {
    for (const { name, shape, data } of list) {
      named.push({ name: `${prefix}:${name}`, shape, dtype: "f32", data: Float32Array.from(data) });
    }
  };
  if (training) {
    const { trained, open, tensors } = training;
    named.push({ name: "round-mask", dtype: "u8", shape: [training.mask.length], data: training.mask });
    put("model", tensors);
    if (trained) put("trained", trained.tensors);
    if (open?.training) put("training", open.training.tensors);
    if (open?.stopping) put("best", open.stopping.tensors);
  }
  const header: Header = {
    ...{ version: 2, run, elapsedMs },
    state: { ...plain, ...(training ? { training: withoutArrays(training) } : {}) },
  };
  const bytes = encodeSafetensors({
    ...{ tensors: named, metadata: { [metadataKey]: JSON.stringify(header) } },
    checksum: true,
  });
  await writeFileAtomic(path, bytes, { overwrite: true });
}

function withoutArrays({ rounds, trained, open }: Training): NonNullable<Header["state"]["training"]> {
  return {
    rounds,
    ...(trained ? { trained: withoutTensors(trained) } : {}),
    ...(open
      ? {
          open: {
            round: open.round,
            ...(open.training ? { training: withoutTensors(open.training) } : {}),
            ...(open.stopping ? { stopping: { losses: open.stopping.losses, best: open.stopping.best } } : {}),
          },
        }
      : {}),
  };
}

function withoutTensors({ epoch, epochs }: RetrainingState): PlainTraining {
  return { epoch, epochs };
}

/** Reads a state back. @throws ERR_RESUME when it is of another run, of an older layout or damaged, and the file errors of formats */
export async function readState(path: string, run: string): Promise<SavedState> {
  const { tensors, metadata } = decode(await readFileBytes(path), path);
  const header = parseHeader(metadata[metadataKey]);
  if (!header) {
    const isOlder = olderKeys.some((key) => metadata[key] !== undefined);
    throw badState(
      path,
      isOlder
        ? "the saved state was written by an earlier version of Secateur, which alone can go on from it"
        : "this file is not the state of a run",
    );
  }
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
  const weights = tensors.find(({ name }) => name === "weights");
  if (!weights) throw badState(path, "the saved state is damaged");
  const { training, ...plain } = header.state;
  const state = { ...plain, weights: toFloat32(weights), mask: bits("mask") };
  if (!training) return { state, elapsedMs: header.elapsedMs };
  const { rounds, trained, open } = training;
  return {
    elapsedMs: header.elapsedMs,
    state: {
      ...state,
      training: {
        ...{ rounds, tensors: under("model"), mask: bits("round-mask") },
        ...(trained ? { trained: { ...trained, tensors: under("trained") } } : {}),
        ...(open
          ? {
              open: {
                round: open.round,
                ...(open.training ? { training: { ...open.training, tensors: under("training") } } : {}),
                ...(open.stopping ? { stopping: { ...open.stopping, tensors: under("best") } } : {}),
              },
            }
          : {}),
      },
    },
  };
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
    return header.version === 2 ? header : undefined;
  } catch {
    return undefined;
  }
}

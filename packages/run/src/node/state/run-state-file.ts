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

/** Everything of a state but its arrays. Rounds train without rules, so no masks come out of their training. */
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
      const form = data instanceof Float64Array ? { dtype: "f64" as const, data } : { dtype: "f32" as const, data };
      named.push({ name: `${prefix}:${name}`, shape, ...form });
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
    ...{ tensors: named, metadata: { [metadataKey]: JSON.stringify(header, withNames) } },
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
  if (!isWhole(header)) throw badState(path, "the saved state is damaged");
  const under = (prefix: string): readonly StateTensor[] =>
    tensors
      .filter(({ name }) => name.startsWith(`${prefix}:`))
      .map((tensor) => {
        const data = tensor.dtype === "f64" ? tensor.data.slice() : toFloat32(tensor);
        return { name: tensor.name.slice(prefix.length + 1), shape: tensor.shape, data };
      });
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
    const header = JSON.parse(text, withNumbers) as Header;
    return header.version === 2 ? header : undefined;
  } catch {
    return undefined;
  }
}

/** What must be there before anything is read of it; core compares the rest with the run. */
function isWhole({ run, elapsedMs, state }: Header): boolean {
  const { fingerprint, stage, reports, training } = state ?? {};
  const texts = typeof run === "string" && typeof fingerprint === "string";
  const numbers = Number.isFinite(elapsedMs) && Number.isInteger(stage) && stage >= 0;
  return texts && numbers && Array.isArray(reports) && (training === undefined || Array.isArray(training?.rounds));
}

/** JSON has no numbers that are not finite; losses of what went wrong, and accuracies of tasks without one, are such. */
const nonFinite = [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];

function withNames(_key: string, value: unknown): unknown {
  return typeof value === "number" && !Number.isFinite(value) ? { number: String(value) } : value;
}

function withNumbers(_key: string, value: unknown): unknown {
  const { number, ...others } = (typeof value === "object" && value !== null ? value : {}) as { number?: unknown };
  const found = nonFinite.find((one) => String(one) === number);
  return found !== undefined && Object.keys(others).length === 0 ? found : value;
}

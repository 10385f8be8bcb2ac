/** The state of a training between two epochs, as a file beside the output: what --resume goes on from. */
import { describeDifferences } from "@secateur/core";
import { decodeSafetensors, encodeSafetensors, readFileBytes, toFloat32, writeFileAtomic } from "@secateur/formats";
import type { TrainingState } from "@secateur/nn";
import { badState } from "../../errors.ts";

const metadataKey = "secateur.training";

interface StateHeader {
  readonly version: 1;
  readonly epoch: number;
  readonly epochs: TrainingState["epochs"];
  /** Settings that decide the result, as JSON. */
  readonly run: string;
}

/** The state's file next to an output: "net.safetensors" -> "net.training.safetensors". */
export function trainingPath(output: string): string {
  return `${output.replace(/\.safetensors$/i, "")}.training.safetensors`;
}

/** Writes the state over an earlier one, whole or not at all. */
export async function writeTraining(path: string, state: TrainingState, run: string): Promise<void> {
  const header: StateHeader = { version: 1, epoch: state.epoch, epochs: state.epochs, run };
  const bytes = encodeSafetensors({
    tensors: state.tensors.map(({ name, shape, data }) => {
      // What rules remember may need every digit.
      return data instanceof Float64Array ? { name, shape, dtype: "f64", data } : { name, shape, dtype: "f32", data };
    }),
    metadata: { [metadataKey]: JSON.stringify(header) },
    checksum: true,
  });
  await writeFileAtomic(path, bytes, { overwrite: true });
}

/** Reads a state back. @throws ERR_RESUME when it is damaged or of a run with other settings; the file errors of formats */
export async function readTraining(path: string, run: string): Promise<TrainingState> {
  const { tensors, metadata } = decodeSafetensors(await readFileBytes(path), path);
  const header = parseHeader(metadata[metadataKey]);
  if (!header) throw badState(path, "it is no state of a training");
  if (header.run !== run) {
    throw badState(path, `it is of a training with other settings: ${trainingsDiffer(header.run, run)}`);
  }
  return {
    epoch: header.epoch,
    epochs: header.epochs,
    tensors: tensors.map((tensor) => ({
      ...{ name: tensor.name, shape: tensor.shape },
      data: tensor.dtype === "f64" ? tensor.data.slice() : toFloat32(tensor),
    })),
  };
}

/** How the settings of two trainings differ, field by field. @param before - what decides a training, as JSON; @param now - likewise */
export function trainingsDiffer(before: string, now: string): string {
  return describeDifferences(withRules(before), withRules(now));
}

/** The settings with those of its rules by their names, as they are told. */
function withRules(run: string): string {
  try {
    const { rules = [], ...settings } = JSON.parse(run) as { rules?: readonly { name: string; settings: string }[] };
    const named = rules.map((rule) => [`rule ${rule.name}`, JSON.parse(rule.settings) as unknown]);
    return JSON.stringify({ ...settings, ...Object.fromEntries(named) });
  } catch {
    return run;
  }
}

function parseHeader(text: string | undefined): StateHeader | undefined {
  if (text === undefined) return undefined;
  try {
    const header = JSON.parse(text) as StateHeader;
    const isWhole = header.version === 1 && Number.isInteger(header.epoch) && Array.isArray(header.epochs);
    return isWhole && typeof header.run === "string" ? header : undefined;
  } catch {
    return undefined;
  }
}

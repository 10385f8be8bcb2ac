/** What is done to the data of a run: flags before recipe before the model's files before the data's own. */
import { resolve } from "node:path";
import { type OpenDatasetOptions, parseNormalize } from "@secateur/datasets";
import { badPreprocessing, flagWithoutEffect } from "../../errors.ts";
import { readPreprocessorConfig } from "./beside-model.ts";
import { type PreprocessWords, readPreprocessWords } from "./preprocess-words.ts";
import { normalizeOf, type Preprocessing, preprocessingText, type StatedOfModel } from "./preprocessing.ts";

/** What a call says of it. */
export interface AskedPreprocessing {
  /** The text of --preprocess. */
  readonly text?: string | undefined;
  /** What a recipe says. */
  readonly recipe?: Preprocessing | undefined;
  /** The text of --normalize. */
  readonly normalize?: string | undefined;
}

/** What was decided. */
export interface SettledPreprocessing {
  /** What datasets are opened with. */
  readonly options: Pick<OpenDatasetOptions, "images" | "normalize">;
  /** What holds of the model from now on, for its metadata and the recipe; undefined where nobody stated anything. */
  readonly kept?: Preprocessing;
  /** What was taken from where, in words; undefined where nothing was but what the call says. */
  readonly note?: string;
}

/**
 * @param spec.data - the DATA argument; absent: nothing is opened
 * @param spec.cwd - the folder that a file named by the flag is relative to
 * @throws ERR_USAGE for what cannot be done to such data, ERR_PREPROCESS, ERR_NORMALIZE
 */
export async function settlePreprocessing(spec: {
  asked: AskedPreprocessing;
  stated: StatedOfModel;
  data: string | undefined;
  cwd: string;
}): Promise<SettledPreprocessing> {
  const { asked, stated, data, cwd } = spec;
  const words = asked.text === undefined ? undefined : readPreprocessWords(asked.text);
  const kind = kindOf(data);
  assertFits(words, data, kind);
  const named = words?.file === undefined ? undefined : await namedFile(resolve(cwd, words.file));
  const base = words?.ignoresFiles ? undefined : (named ?? asked.recipe ?? stated.preprocessing);
  if (stated.problem && kind === "pixels" && !base && !words?.ignoresFiles) throw stated.problem;
  const given = asked.normalize === undefined ? undefined : parseNormalize(asked.normalize);
  const fits = base !== undefined && base.of === kind;
  const isSaid = Object.keys(words?.steps ?? {}).length > 0 || given !== undefined;
  const fresh = (of: Preprocessing["of"]): Preprocessing => ({
    ...(fits ? base : { of }),
    ...(isSaid ? { from: fits ? withFlags(base.from) : "flags" } : {}),
    ...words?.steps,
    ...(given ? { mean: given.mean, std: given.std } : {}),
  });
  // What files say of pixels stays true where the data are arrays.
  const kept = kind !== undefined && (fits || (isSaid && !base)) ? fresh(kind) : base;
  const used = kind !== undefined && (fits || isSaid) ? fresh(kind) : undefined;
  const normalize = used && normalizeOf(used);
  return {
    options: { ...(used && kind === "pixels" ? { images: stepsOf(used) } : {}), ...(normalize ? { normalize } : {}) },
    ...(kept ? { kept } : {}),
    ...(fits ? { note: `${fresh(base.of).from ?? "metadata"}: ${preprocessingText(fresh(base.of))}` } : {}),
  };
}

/** Said once, however often a recipe is repeated. */
function withFlags(from = "metadata"): string {
  return /\bflags$/.test(from) ? from : `${from} and flags`;
}

/** What data are of; undefined for those that nothing is done to. */
function kindOf(data: string | undefined): Preprocessing["of"] | undefined {
  const [name = ""] = (data ?? "").split(":");
  if (["images", "mnist", "cifar10", "cifar100"].includes(name)) return "pixels";
  return name === "npy" || name === "npz" ? "arrays" : undefined;
}

function assertFits(words: PreprocessWords | undefined, data: string | undefined, kind: string | undefined): void {
  const isImages = data?.startsWith("images:") === true;
  const keys = Object.keys(words?.steps ?? {});
  const strange = isImages ? undefined : keys.find((key) => kind !== "pixels" || key !== "scale");
  if (strange !== undefined) {
    const reason = `'${strange}' is done to folders of images (images:DIR), and the data are ${data ?? "not given"}`;
    throw flagWithoutEffect({ flag: "--preprocess", reason });
  }
}

async function namedFile(path: string): Promise<Preprocessing> {
  const found = await readPreprocessorConfig(path);
  if (found) return found;
  const expected = "the preprocessor_config.json of an image processor";
  throw badPreprocessing({ where: path, found: "no such file, or none of an image processor", expected });
}

function stepsOf({ resize, resample, crop, color, layout }: Preprocessing): NonNullable<OpenDatasetOptions["images"]> {
  return {
    ...(resize ? { resize } : {}),
    ...(resample ? { resample } : {}),
    ...(crop ? { crop } : {}),
    ...(color ? { color } : {}),
    ...(layout ? { layout } : {}),
  };
}

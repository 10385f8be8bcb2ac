/** What lies beside a model and states how it is used: preprocessor_config.json and config.json of a model card. */
import { stat } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { isPruneError } from "@secateur/core";
import { readFileBytes } from "@secateur/formats";
import { badPreprocessing } from "../../errors.ts";
import { type Preprocessing, type StatedOfModel, statedInMetadata } from "./preprocessing.ts";
import { fromPreprocessorConfig } from "./preprocessor-config.ts";

type Json = Readonly<Record<string, unknown>>;

/** Descriptions are a few kilobytes; labels of thousands of classes make hundreds. */
const mostBytes = 2 ** 24;

/**
 * What is stated of a model: by its own metadata, else by the files of a model card in its folder, or above it where the folder is called "onnx", as
 * cards for JavaScript have it.
 *
 * @param path - of the model, absolute
 */
export async function statedOfModel(path: string, metadata: Readonly<Record<string, string>>): Promise<StatedOfModel> {
  const own = statedInMetadata(metadata);
  const folder = dirname(path);
  const folders = basename(folder) === "onnx" ? [folder, dirname(folder)] : [folder];
  const labels = own.labels ?? (await firstOf(folders, labelsBeside));
  const named = labels ? { labels } : {};
  if (own.preprocessing) return { preprocessing: own.preprocessing, ...named };
  try {
    const preprocessing = await firstOf(folders, (one) =>
      readPreprocessorConfig(join(one, "preprocessor_config.json")),
    );
    return { ...(preprocessing ? { preprocessing } : {}), ...named };
  } catch (problem) {
    if (!isPruneError(problem)) throw problem;
    return { ...named, problem };
  }
}

async function firstOf<T>(
  folders: readonly string[],
  find: (folder: string) => Promise<T | undefined>,
): Promise<T | undefined> {
  for (const folder of folders) {
    const found = await find(folder);
    if (found !== undefined) return found;
  }
  return undefined;
}

/** Undefined where there is no such file, or it is of no image processor. @throws ERR_PREPROCESS */
export async function readPreprocessorConfig(path: string): Promise<Preprocessing | undefined> {
  const json = await readJson(path);
  return json && fromPreprocessorConfig(json, path);
}

/** Names of classes, where config.json says other ones than LABEL_0 and so on. */
async function labelsBeside(folder: string): Promise<readonly string[] | undefined> {
  const json = await readJson(join(folder, "config.json")).catch(() => undefined);
  const names = json?.["id2label"];
  if (typeof names !== "object" || names === null) return undefined;
  const count = Object.keys(names).length;
  const labels = Array.from({ length: count }, (_, i) => (names as Json)[i]);
  const areNames =
    labels.every((label) => typeof label === "string") && labels.some((label, i) => label !== `LABEL_${i}`);
  return count > 0 && areNames ? (labels as string[]) : undefined;
}

async function readJson(path: string): Promise<Json | undefined> {
  const refuse = (found: string): never => {
    throw badPreprocessing({ where: path, found, expected: "a JSON object" });
  };
  const file = await stat(path).catch(() => undefined);
  if (!file?.isFile()) return undefined;
  if (file.size > mostBytes) refuse(`${file.size} bytes`);
  let json: unknown;
  try {
    json = JSON.parse(new TextDecoder().decode(await readFileBytes(path)));
  } catch (cause) {
    if (isPruneError(cause)) throw cause;
    refuse(cause instanceof Error ? cause.message : "no JSON");
  }
  if (typeof json !== "object" || json === null || Array.isArray(json)) refuse("JSON that is no object");
  return json as Json;
}

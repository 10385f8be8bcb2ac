/** A model and data as blobs: which files they are made of, and the same again as a folder on another machine. */
import { existsSync } from "node:fs";
import { readdir, stat } from "node:fs/promises";
import { basename, dirname, isAbsolute, join, relative, sep } from "node:path";
import { readModelFiles } from "@secateur/backends-tfjs";
import { dataSources } from "@secateur/datasets";
import { onnxTensors, outlineOnnx, readFileBytes } from "@secateur/formats";
import { decodeJson, encodeJson, type Hash, type Store, storeMarker } from "@secateur/jobs";
import { badJob, dataNotPortable } from "../../errors.ts";
import { mapDataPaths } from "../../recipe/data-spec.ts";
import type { SettingSpec } from "../compare/compared-setting.ts";
import { isOnnxModel } from "../large/is-onnx-model.ts";
import { isTfjsModel } from "../open/open-tfjs.ts";
import { readPreprocessWords } from "../preprocessing/preprocess-words.ts";

/** Files by content, and how a call names them. */
export interface PortableInputs {
  /** Of the list of files by name, as JSON. */
  readonly files: Hash;
  /** Names within the list, as MODEL, DATA and --preprocess have them. */
  readonly model: string;
  readonly data: string;
  readonly preprocess?: string;
}

/**
 * Puts all files that a model and its data are made of into a store: external weights, shards and model cards too.
 *
 * @throws ERR_USAGE for data that are a program; what reading the model's files throws
 */
export async function storeInputs(
  store: Store,
  spec: Pick<SettingSpec, "path" | "data" | "preprocess">,
  how: { readonly signal?: AbortSignal } = {},
): Promise<PortableInputs> {
  const { path, data, preprocess } = spec;
  if (data.startsWith("module:")) throw dataNotPortable(data);
  const { files, model } = await storedModel(store, path, how);
  let place = 0;
  const taken: [string, number][] = [];
  const portable = mapDataPaths(data, (one) => {
    // What a plugin's dataset takes need not be a path; ours have been opened, so theirs are there.
    if (!existsSync(one)) return one;
    taken.push([one, place]);
    return `${dataFolder}${place++}/${basename(one)}`;
  });
  for (const [one, number] of taken) {
    for (const file of await filesBelow(one)) {
      const name = [basename(one), ...relative(one, file).split(sep)].filter((part) => part !== "").join("/");
      files[`${dataFolder}${number}/${name}`] = await store.putFile(file, how);
    }
  }
  const isFile = preprocess !== undefined && existsSync(preprocess);
  if (isFile) files[preprocessFile] = await store.putFile(preprocess, how);
  return {
    files: await store.put(encodeJson(files)),
    model,
    data: portable,
    ...(preprocess === undefined ? {} : { preprocess: isFile ? preprocessFile : preprocess }),
  };
}

async function storedModel(
  store: Store,
  path: string,
  how: { readonly signal?: AbortSignal },
): Promise<{ files: Record<string, Hash>; model: string }> {
  const folder = dirname(path);
  // Cards for JavaScript have their model in a folder "onnx", and what describes it above.
  const root = basename(folder) === "onnx" ? dirname(folder) : folder;
  const named = (file: string): string => `model/${relative(root, file).split(sep).join("/")}`;
  const files: Record<string, Hash> = {};
  for (const file of await modelFiles(path)) files[named(file)] = await store.putFile(file, how);
  return { files, model: named(path) };
}

/** A model alone. @throws what reading its files throws */
export async function storeModel(
  store: Store,
  path: string,
  how: { readonly signal?: AbortSignal } = {},
): Promise<Pick<PortableInputs, "files" | "model">> {
  const { files, model } = await storedModel(store, path, how);
  return { files: await store.put(encodeJson(files)), model };
}

/** Its path here. @throws ERR_JOB for other files than those */
export async function viewModel(
  store: Store,
  { files, model }: Pick<PortableInputs, "files" | "model">,
): Promise<string> {
  assertOwnFiles({ model, data: "mnist", preprocess: undefined });
  return join(await store.view(decodeJson(await store.get(files)) as Readonly<Record<string, Hash>>), model);
}

/**
 * The same files in a folder here. Whoever writes into a queue and its store need not be a command of ours: nothing but these files is named, and none of them is a program.
 *
 * @returns paths and texts as a call on this machine would have them
 * @throws ERR_JOB for other files than those, and for a module
 */
export async function viewInputs(
  store: Store,
  { files, model, data, preprocess }: PortableInputs,
): Promise<Pick<SettingSpec, "path" | "data" | "preprocess">> {
  assertOwnFiles({ model, data, preprocess });
  const folder = await store.view(decodeJson(await store.get(files)) as Readonly<Record<string, Hash>>);
  const isFile = preprocess?.startsWith("preprocess/") === true;
  return {
    path: join(folder, model),
    data: mapDataPaths(data, (one) => (one.startsWith(dataFolder) ? join(folder, one) : one)),
    ...(preprocess === undefined ? {} : { preprocess: isFile ? join(folder, preprocess) : preprocess }),
  };
}

function assertOwnFiles(spec: { model: string; data: string; preprocess: string | undefined }): void {
  const { model, data, preprocess } = spec;
  const refuse = (what: string): never => {
    throw badJob("a job that opens a model and data", `its ${what} is none of the files that it brings`);
  };
  const isOwn = (name: unknown, folder: string): boolean =>
    typeof name === "string" &&
    name.startsWith(folder) &&
    name.split("/").every((part) => part !== "" && part !== "." && part !== ".." && !/[\\\0]/.test(part));
  if (!isOwn(model, "model/")) refuse("model");
  if (typeof data !== "string") refuse("data");
  const paths: string[] = [];
  const named = mapDataPaths(data, (path) => {
    paths.push(path);
    return path;
  });
  const source = named.split(":")[0]!;
  if (source.trim() === "module") refuse("module of data");
  // What a plugin's dataset takes need not be a path, but must not be one of this machine.
  const isOurs = dataSources.some(({ name }) => name === source);
  const isText = (path: string): boolean =>
    !isOurs && !isAbsolute(path) && !/\.\.|[\\\0]/.test(path) && !existsSync(path);
  if (!paths.every((path) => isOwn(path, dataFolder) || isText(path))) refuse("data");
  if (preprocess === undefined || preprocess === preprocessFile) return;
  if (typeof preprocess !== "string" || readPreprocessWords(preprocess).file !== undefined) refuse("preprocessing");
}

/** Absolute paths of everything that opening a model reads. */
async function modelFiles(path: string): Promise<readonly string[]> {
  const folder = dirname(path);
  const found = new Set([path]);
  if (await isTfjsModel(path)) {
    await readModelFiles({
      source: path,
      async read(name) {
        const file = name === "" ? path : join(folder, name);
        found.add(file);
        return await readFileBytes(file);
      },
    });
  } else if (await isOnnxModel(path)) {
    const { model } = await outlineOnnx(path);
    for (const tensor of onnxTensors(model.graph)) {
      if ("opaque" in tensor && tensor.distant) found.add(join(folder, tensor.distant.location));
    }
  }
  for (const one of basename(folder) === "onnx" ? [folder, dirname(folder)] : [folder]) {
    for (const card of ["preprocessor_config.json", "config.json"]) {
      if (existsSync(join(one, card))) found.add(join(one, card));
    }
  }
  return [...found];
}

/** Within a view. */
const dataFolder = "data/";
const preprocessFile = "preprocess/preprocessor_config.json";

/** The file itself, or all files in a folder and those below it, in order. A store that lies there is no data. */
async function filesBelow(path: string): Promise<readonly string[]> {
  if (!(await stat(path)).isDirectory()) return [path];
  if (existsSync(join(path, storeMarker))) return [];
  const found: string[] = [];
  for (const name of (await readdir(path)).sort()) found.push(...(await filesBelow(join(path, name))));
  return found;
}

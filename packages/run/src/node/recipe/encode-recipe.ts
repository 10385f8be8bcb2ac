import { dirname, isAbsolute, relative, sep } from "node:path";
import { mapDataPaths } from "../../recipe/data-spec.ts";
import type { Recipe } from "./recipe.ts";

/**
 * The recipe as the JSON value to be written to a file: its absolute paths become relative to the file's folder, so that
 * a folder with a model and its recipe can move.
 *
 * @param recipe - with absolute paths
 * @param path - absolute path of the file
 */
export function portableRecipe(recipe: Recipe, path: string): Recipe {
  const fromThere = (absolute: string) => portablePath(absolute, path);
  const { retrain, data } = recipe;
  return {
    ...recipe,
    model: fromThere(recipe.model),
    ...(data === undefined ? {} : { data: portableData(data, path) }),
    ...(retrain?.rewind === undefined ? {} : { retrain: { ...retrain, rewind: fromThere(retrain.rewind) } }),
  };
}

/** A DATA argument with its absolute paths made relative to the folder of the file at `path`. */
export function portableData(data: string, path: string): string {
  return mapDataPaths(data, (absolute) => portablePath(absolute, path));
}

function portablePath(absolute: string, path: string): string {
  const short = relative(dirname(path), absolute);
  // On Windows there is no relative path to another drive.
  return isAbsolute(short) ? short : short.split(sep).join("/");
}

/** The recipe's file next to an output: "net.safetensors" -> "net.recipe.json". */
export function recipePath(output: string): string {
  return `${withoutEnding(output)}.recipe.json`;
}

/** The saved state's file next to an output: "net.safetensors" -> "net.resume.safetensors". */
export function statePath(output: string): string {
  return `${withoutEnding(output)}.resume.safetensors`;
}

function withoutEnding(path: string): string {
  return path.replace(/\.safetensors$/i, "");
}

import { dirname, resolve } from "node:path";
import { nearestName, unknownName } from "@secateur/core";
import { readFileBytes } from "@secateur/formats";
import stripJsonComments from "strip-json-comments";
import { badRecipe } from "../../errors.ts";
import { mapDataPaths } from "../../recipe/data-spec.ts";
import { parseUnits, unitsAllowed } from "../../recipe/limits.ts";
import { planKeys } from "../../recipe/plan-keys.ts";
import { kernelChoices } from "../../session.ts";
import { engineChoices } from "../open/load-tensorflow.ts";
import { costTableOf } from "../pack/costs-file.ts";
import { preprocessingFrom } from "../preprocessing/preprocessing.ts";
import { parseLayers } from "../prune/layers-settings.ts";
import { parseAllocation, parseRetrain } from "../retrain/retrain-settings.ts";
import type { Recipe, RecipeFile } from "./recipe.ts";

type FieldType = "string" | "number" | "boolean" | "object" | "a list";

/** Only the version must be there: what a recipe leaves open is decided as without one. */
const fields: { readonly [K in keyof Recipe]-?: FieldType } = {
  recipe: "number",
  model: "string",
  modelSha256: "string",
  arch: "string",
  engine: "string",
  includeFrozen: "boolean",
  inputShape: "a list",
  fix: "a list",
  data: "string",
  normalize: "string",
  preprocess: "object",
  task: "string",
  solver: "string",
  options: "object",
  sparsity: "number",
  flops: "number",
  bytes: "number",
  milliseconds: "number",
  costs: "object",
  units: "a list",
  cut: "number",
  keepDense: "a list",
  plan: "object",
  retrain: "object",
  allocation: "object",
  layers: "object",
  batchNorm: "object",
  curvatureOptions: "object",
  seed: "number",
  kernels: "string",
  backend: "string",
  requestSha256: "string",
  outputSha256: "string",
  versions: "object",
};

/**
 * Reads a recipe, JSON that may have comments and trailing commas; its paths become absolute. What the fields say is judged where flags are.
 *
 * @param path - absolute
 * @param from - the folder from which plugins are looked for
 * @throws ERR_RECIPE, and the file errors of formats
 */
export async function readRecipe(path: string, from: string): Promise<RecipeFile> {
  const json = parse(path, new TextDecoder().decode(await readFileBytes(path)));
  for (const [name, type] of Object.entries(fields)) {
    const value = json[name];
    if (value === undefined && name !== "recipe") continue;
    const found = value === null ? "null" : Array.isArray(value) ? "a list" : typeof value;
    if (found !== type) throw badRecipe({ path, found: `${found} as '${name}'`, expected: type });
  }
  assertKnown({ path, where: "", found: Object.keys(json), known: Object.keys(fields) });
  assertKnown({ path, where: "in 'plan' ", found: Object.keys(json["plan"] ?? {}), known: [...planKeys, "reason"] });
  if (json["retrain"] !== undefined) await parseRetrain({ where: path, value: json["retrain"] as object, from });
  if (json["allocation"] !== undefined) parseAllocation(path, json["allocation"]);
  if (json["layers"] !== undefined) parseLayers(path, json["layers"] as Readonly<Record<string, unknown>>);
  if (json["preprocess"] !== undefined && !preprocessingFrom(json["preprocess"])) {
    throw badRecipe({ path, found: "'preprocess' of unknown steps", expected: "what secateur prune wrote" });
  }
  if (json["costs"] !== undefined && !costTableOf(json["costs"])) {
    throw badRecipe({
      path,
      found: "'costs' that are no table",
      expected: "what secateur bench --calibrate --json prints",
    });
  }
  if (json["kernels"] !== undefined && !kernelChoices.some((name) => name === json["kernels"])) {
    throw unknownName({ where: path, what: "kernels", found: String(json["kernels"]), known: kernelChoices });
  }
  if (json["engine"] !== undefined && !engineChoices.some((name) => name === json["engine"])) {
    throw unknownName({ where: path, what: "engine", found: String(json["engine"]), known: engineChoices });
  }
  const recipe = json as unknown as RecipeFile;
  if (recipe.keepDense?.some((word) => typeof word !== "string")) {
    throw badRecipe({ path, found: "something else than text in 'keepDense'", expected: "names of layers" });
  }
  const strange = recipe.units?.find((text) => typeof text !== "string" || !parseUnits(text));
  if (strange !== undefined) {
    throw badRecipe({ path, found: `${JSON.stringify(strange)} in 'units'`, expected: unitsAllowed });
  }
  if (recipe.seed !== undefined && !(Number.isSafeInteger(recipe.seed) && recipe.seed >= 0)) {
    throw badRecipe({ path, found: `the seed ${recipe.seed}`, expected: "a whole number of at least 0" });
  }
  if (recipe.recipe !== 1) {
    throw badRecipe({ path, found: `a recipe of version ${recipe.recipe}`, expected: "version 1" });
  }
  const fromHere = (relative: string) => resolve(dirname(path), relative);
  const { model, data, retrain } = recipe;
  return {
    ...recipe,
    ...(model === undefined ? {} : { model: fromHere(model) }),
    ...(data === undefined ? {} : { data: mapDataPaths(data, fromHere) }),
    ...(retrain?.rewind === undefined ? {} : { retrain: { ...retrain, rewind: fromHere(retrain.rewind) } }),
  };
}

/** A misspelt key would otherwise be a setting that is silently not made. */
function assertKnown(spec: { path: string; where: string; found: readonly string[]; known: readonly string[] }): void {
  const { path, where, found, known } = spec;
  const strange = found.find((key) => !known.includes(key));
  if (strange === undefined) return;
  const near = nearestName(strange, known);
  const hint = near === undefined ? "" : `; did you mean '${near}'?`;
  throw badRecipe({
    path,
    found: `the unknown key '${strange}' ${where}`.trim(),
    expected: `one of ${known.join(", ")}${hint}`,
  });
}

function parse(path: string, text: string): Record<string, unknown> {
  let json: unknown;
  try {
    json = JSON.parse(stripJsonComments(text, { trailingCommas: true }));
  } catch (cause) {
    throw badRecipe({ path, found: cause instanceof Error ? cause.message : "no JSON", expected: "JSON" });
  }
  if (typeof json !== "object" || json === null || Array.isArray(json)) {
    throw badRecipe({ path, found: "JSON that is no object", expected: "an object" });
  }
  return json as Record<string, unknown>;
}

import { dirname, resolve } from "node:path";
import { nearestName, unknownName } from "@secateur/core";
import { readFileBytes } from "@secateur/formats";
import { badRecipe } from "../errors.ts";
import { planKeys } from "../flags/plan-flags.ts";
import { mapDataPaths } from "../run/data-spec.ts";
import { engineChoices } from "../run/load-tensorflow.ts";
import { kernelChoices } from "../run/open-kernels.ts";
import type { Recipe } from "./recipe.ts";

type FieldType = "string" | "number" | "object";

const fields: { readonly [K in keyof Recipe]-?: { readonly type: FieldType; readonly optional?: boolean } } = {
  recipe: { type: "number" },
  model: { type: "string" },
  modelSha256: { type: "string" },
  arch: { type: "string" },
  engine: { type: "string", optional: true },
  data: { type: "string" },
  normalize: { type: "string", optional: true },
  solver: { type: "string" },
  options: { type: "object" },
  sparsity: { type: "number" },
  plan: { type: "object" },
  batchNorm: { type: "object", optional: true },
  seed: { type: "number" },
  kernels: { type: "string" },
  backend: { type: "string" },
  versions: { type: "object" },
};

/**
 * Reads a recipe; its paths become absolute. What the fields say is judged where flags are.
 *
 * @param path - absolute
 * @throws ERR_RECIPE, and the file errors of formats
 */
export async function readRecipe(path: string): Promise<Recipe> {
  const json = parse(path, new TextDecoder().decode(await readFileBytes(path)));
  for (const [name, { type, optional }] of Object.entries(fields)) {
    const value = json[name];
    if (value === undefined && optional) continue;
    const found = value === null ? "null" : Array.isArray(value) ? "a list" : typeof value;
    if (found !== type) throw badRecipe({ path, found: `${found} as '${name}'`, expected: type });
  }
  assertKnown({ path, where: "", found: Object.keys(json), known: Object.keys(fields) });
  const plan = json["plan"] as Record<string, unknown>;
  assertKnown({ path, where: "in 'plan' ", found: Object.keys(plan), known: [...planKeys, "reason"] });
  if (!kernelChoices.some((name) => name === json["kernels"])) {
    throw unknownName({ where: path, what: "kernels", found: String(json["kernels"]), known: kernelChoices });
  }
  if (json["engine"] !== undefined && !engineChoices.some((name) => name === json["engine"])) {
    throw unknownName({ where: path, what: "engine", found: String(json["engine"]), known: engineChoices });
  }
  const recipe = json as unknown as Recipe;
  if (recipe.recipe !== 1) {
    throw badRecipe({ path, found: `a recipe of version ${recipe.recipe}`, expected: "version 1" });
  }
  const fromHere = (relative: string) => resolve(dirname(path), relative);
  return { ...recipe, model: fromHere(recipe.model), data: mapDataPaths(recipe.data, fromHere) };
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
    json = JSON.parse(text);
  } catch (cause) {
    throw badRecipe({ path, found: cause instanceof Error ? cause.message : "no JSON", expected: "JSON" });
  }
  if (typeof json !== "object" || json === null || Array.isArray(json)) {
    throw badRecipe({ path, found: "JSON that is no object", expected: "an object" });
  }
  return json as Record<string, unknown>;
}

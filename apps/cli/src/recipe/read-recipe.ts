import { dirname, resolve } from "node:path";
import { readFileBytes } from "@secateur/formats";
import { badRecipe } from "../errors.ts";
import { mapDataPaths } from "../run/data-spec.ts";
import type { Recipe } from "./recipe.ts";

type FieldType = "string" | "number" | "object";

const fields: { readonly [K in keyof Recipe]-?: { readonly type: FieldType; readonly optional?: boolean } } = {
  recipe: { type: "number" },
  model: { type: "string" },
  modelSha256: { type: "string" },
  arch: { type: "string" },
  data: { type: "string" },
  normalize: { type: "string", optional: true },
  solver: { type: "string" },
  options: { type: "object" },
  sparsity: { type: "number" },
  plan: { type: "object" },
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
  const recipe = json as unknown as Recipe;
  if (recipe.recipe !== 1) {
    throw badRecipe({ path, found: `a recipe of version ${recipe.recipe}`, expected: "version 1" });
  }
  const fromHere = (relative: string) => resolve(dirname(path), relative);
  return { ...recipe, model: fromHere(recipe.model), data: mapDataPaths(recipe.data, fromHere) };
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

/** Packages that only those install who use what needs them. */
import { createRequire } from "node:module";
import { join } from "node:path";
import { pathToFileURL } from "node:url";

/** A package beside this one, else one that a folder sees. @throws whatever import and require say where there is none */
export async function loadPackage<T>(name: string, cwd: string): Promise<T> {
  const loaded = (await import(name).catch(() => import(pathFrom(name, cwd)))) as { readonly default?: object };
  // CommonJS packages have all they export below "default", and not always beside it.
  return { ...loaded.default, ...loaded } as T;
}

function pathFrom(name: string, cwd: string): string {
  return pathToFileURL(createRequire(join(cwd, "package.json")).resolve(name)).href;
}

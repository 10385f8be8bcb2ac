import { posix } from "node:path";
import { entrySources, loadsInBrowsers } from "../entry-points.ts";
import { type ModuleReference, sourceFacts } from "./module-references.ts";
import type { WorkspacePackage } from "./workspace-package.ts";

const core = "@secateur/core";

/** Packages whose work is files; every other library must also load in a browser. */
const nodeOnly = new Set([
  "packages/formats",
  "packages/datasets",
  "packages/jobs",
  "packages/create-secateur-plugin",
  "apps/cli",
]);

/** Every import of a package that crosses a boundary, in words. Empty when all is well. */
export function importViolations(pkg: WorkspacePackage): readonly string[] {
  const facts = new Map([...pkg.sources].map(([file, text]) => [file, sourceFacts(file, text)]));
  const entries = nodeOnly.has(pkg.folder) ? [] : entrySources(pkg.manifest).filter(loadsInBrowsers);
  const inBrowser = reachable(
    entries.map(({ source }) => source),
    (file) => facts.get(file),
  );
  const found: string[] = [];
  for (const [file, { references, impurities }] of facts) {
    const where = `${pkg.folder}/${file}`;
    for (const reference of references) {
      const problem = referenceProblem(pkg, file, reference, inBrowser.has(file));
      if (problem) found.push(`${where} imports '${reference.specifier}': ${problem}`);
    }
    if (pkg.folder.startsWith("packages/") && isShipped(file)) {
      for (const use of impurities) {
        found.push(`${where} uses ${use}: libraries take random numbers, time and output from the run context`);
      }
    }
  }
  return found;
}

/**
 * The package that puts runs together may import every library, in the part that is for Node: what its subpath "node" is made
 * of. The rest of it takes models, data and plugins as values.
 */
export const assembly = "packages/run";

/** Whether a file may import other libraries than core. */
function mayImportAll({ folder }: WorkspacePackage, file: string): boolean {
  return folder === "apps/cli" || (folder === assembly && file.startsWith("src/node/"));
}

/** Is the file compiled into dist? */
export function isShipped(file: string): boolean {
  return file.startsWith("src/") && !/\.(test|test-support)\.ts$/.test(file);
}

function referenceProblem(
  pkg: WorkspacePackage,
  file: string,
  { specifier, kind }: ModuleReference,
  isInBrowser: boolean,
): string | undefined {
  if (specifier.startsWith(".")) {
    // A test may read a file of the repository, such as the page that it checks; code comes in by name.
    return kind === "url" && !isShipped(file) ? undefined : relativeProblem(pkg, file, specifier);
  }
  if (specifier.startsWith("node:")) {
    const blocked = isInBrowser && kind !== "type";
    return blocked ? "this file also loads in browsers; use a guarded process.getBuiltinModule" : undefined;
  }
  return packageProblem(pkg, file, specifier.split("/", specifier.startsWith("@") ? 2 : 1).join("/"));
}

function relativeProblem(pkg: WorkspacePackage, file: string, specifier: string): string | undefined {
  const target = posix.join(posix.dirname(file), specifier);
  if (pkg.folder === assembly && isShipped(file) && mayImportAll(pkg, target) && !mayImportAll(pkg, file)) {
    return "what is for Node may import the rest of the package, and not the other way round";
  }
  if (target.startsWith("../")) return "a relative import may not leave its package; import the other package by name";
  if (isShipped(file) && target.endsWith(".ts") && !isShipped(target))
    return "shipped code may not import tests, test support or benchmarks";
  return undefined;
}

function packageProblem(pkg: WorkspacePackage, file: string, name: string): string | undefined {
  const { dependencies = {}, peerDependencies = {}, devDependencies = {}, name: self } = pkg.manifest;
  if (!isShipped(file)) {
    const known = { vitest: "", [self]: "", ...dependencies, ...peerDependencies, ...devDependencies };
    return Object.hasOwn(known, name) ? undefined : "it is not in this package's package.json";
  }
  if (name === self) return "a package imports its own files by relative path";
  if (!mayImportAll(pkg, file) && name.startsWith("@secateur/") && name !== core) {
    return `of the first-party packages a library may import ${core} only`;
  }
  const declared = Object.hasOwn(dependencies, name) || Object.hasOwn(peerDependencies, name);
  return declared ? undefined : "it is neither in dependencies nor in peerDependencies";
}

function reachable(
  entries: readonly string[],
  factsOf: (file: string) => { readonly references: readonly ModuleReference[] } | undefined,
): ReadonlySet<string> {
  const seen = new Set<string>();
  const queue = [...entries];
  for (let file = queue.pop(); file !== undefined; file = queue.pop()) {
    if (seen.has(file)) continue;
    seen.add(file);
    for (const { specifier, kind } of factsOf(file)?.references ?? []) {
      if (specifier.startsWith(".") && kind === "import") queue.push(posix.join(posix.dirname(file), specifier));
    }
  }
  return seen;
}

import { entrySources } from "../entry-points.ts";
import { assembly, isShipped } from "./import-rules.ts";
import { sourceFacts } from "./module-references.ts";
import type { WorkspacePackage } from "./workspace-package.ts";

const core = "@secateur/core";

/** Packages that run by themselves, before anything of ours is installed: named as npm wants it, without core. */
const standalone = new Set(["packages/create-secateur-plugin"]);

/** Libraries that pages load alone, without core. */
const withoutCore = new Set([...standalone, "packages/runtime"]);

/** Everything in a package's package.json and tsconfig.json that breaks the workspace's conventions, in words. */
export function manifestViolations(pkg: WorkspacePackage, all: readonly WorkspacePackage[]): readonly string[] {
  const problems = [
    ...dependencyProblems(pkg),
    ...publishingProblems(pkg),
    ...exportProblems(pkg),
    ...referenceProblems(pkg, all),
  ];
  return problems.map((problem) => `${pkg.folder}: ${problem}`);
}

/** Packages that need each other, development included, as `a -> b -> a`: nx could not order their builds. */
export function cycles(all: readonly WorkspacePackage[]): readonly string[] {
  const needs = new Map(
    all.map(({ manifest }) => [
      manifest.name,
      Object.keys({ ...manifest.dependencies, ...manifest.peerDependencies, ...manifest.devDependencies }),
    ]),
  );
  const found: string[] = [];
  const done = new Set<string>();
  const walk = (name: string, path: readonly string[]): void => {
    const start = path.indexOf(name);
    if (start >= 0) found.push([...path.slice(start), name].join(" -> "));
    if (start >= 0 || done.has(name)) return;
    for (const next of needs.get(name) ?? []) walk(next, [...path, name]);
    done.add(name);
  };
  for (const name of needs.keys()) walk(name, []);
  return found;
}

function dependencyProblems({ folder, manifest }: WorkspacePackage): readonly string[] {
  const { dependencies = {}, peerDependencies = {}, devDependencies = {} } = manifest;
  const found: string[] = [];
  if (folder.startsWith("packages/")) {
    for (const name of Object.keys({ ...dependencies, ...peerDependencies })) {
      if (folder !== assembly && name.startsWith("@secateur/") && name !== core)
        found.push(`may depend on ${core} only, and names ${name}`);
    }
    if (manifest.name !== core && !withoutCore.has(folder)) {
      if (Object.hasOwn(dependencies, core))
        found.push(`names ${core} in dependencies; it is a peer, so that a program has one copy`);
      if (!Object.hasOwn(peerDependencies, core)) found.push(`does not name ${core} in peerDependencies`);
      if (!Object.hasOwn(devDependencies, core))
        found.push(`does not name ${core} in devDependencies, so it is not linked here`);
    }
  }
  for (const [name, range] of [dependencies, peerDependencies, devDependencies].flatMap(Object.entries<string>)) {
    if (name.startsWith("@secateur/") && !range.startsWith("workspace:")) {
      found.push(`takes ${name} as '${range}'; first-party packages are 'workspace:*', or 'workspace:^' as peers`);
    }
  }
  return found;
}

function publishingProblems({ folder, manifest }: WorkspacePackage): readonly string[] {
  if (manifest.private) return [];
  const isLibrary = folder.startsWith("packages/");
  const expected: Record<string, readonly [found: unknown, wanted: unknown]> = {
    type: [manifest.type, "module"],
    license: [manifest.license, "MIT"],
    "engines.node": [manifest.engines?.node, ">=20.19"],
    "repository.directory": [manifest.repository?.directory, folder],
    'exports["."]': [manifest.exports?.["."], { types: "./dist/index.d.ts", default: "./dist/index.js" }],
    files: [manifest.files?.filter((entry) => entry.includes("dist")), ["dist", "!dist/**/*.tsbuildinfo"]],
    ...(isLibrary && {
      name: [manifest.name, `${standalone.has(folder) ? "" : "@secateur/"}${folder.slice("packages/".length)}`],
    }),
    ...(isLibrary && { sideEffects: [manifest.sideEffects, false] }),
  };
  return Object.entries(expected).flatMap(([field, [found, wanted]]) =>
    JSON.stringify(found) === JSON.stringify(wanted)
      ? []
      : [`${field} in package.json is ${JSON.stringify(found)} and has to be ${JSON.stringify(wanted)}`],
  );
}

/** A subpath has a source, and is exported the way the root is. */
function exportProblems({ manifest, sources }: WorkspacePackage): readonly string[] {
  const subpaths = entrySources(manifest).filter(({ subpath }) => subpath !== "");
  return subpaths.flatMap(({ subpath, source }) => {
    const file = source.replace(/^src/, "./dist").replace(/\.ts$/, "");
    const wanted = JSON.stringify({ types: `${file}.d.ts`, default: `${file}.js` });
    const found = JSON.stringify(manifest.exports?.[`.${subpath}`]);
    return [
      ...(sources.has(source) ? [] : [`exports ".${subpath}", which has no source ${source}`]),
      ...(found === wanted ? [] : [`exports ".${subpath}" as ${found}; it has to be ${wanted}`]),
    ];
  });
}

// Without the reference, `tsc -b` in the package alone would read the other one's stale output.
function referenceProblems(pkg: WorkspacePackage, all: readonly WorkspacePackage[]): readonly string[] {
  const folderOf = new Map(all.map(({ folder, manifest }) => [manifest.name, folder]));
  const imported = new Set<string>();
  for (const [file, text] of pkg.sources) {
    if (!isShipped(file)) continue;
    for (const { specifier } of sourceFacts(file, text).references) {
      const folder = folderOf.get(specifier.split("/", 2).join("/"));
      if (folder !== undefined && folder !== pkg.folder) imported.add(folder);
    }
  }
  const missing = [...imported].filter((folder) => !pkg.tsReferences.includes(folder));
  return missing.map((folder) => `imports ${folder}, which its tsconfig.json does not reference`);
}

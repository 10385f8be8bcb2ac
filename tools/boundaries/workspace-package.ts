import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";

/** The fields of a package.json that the rules read. */
export interface Manifest {
  readonly name: string;
  readonly private?: boolean;
  readonly type?: string;
  readonly license?: string;
  readonly sideEffects?: boolean;
  readonly engines?: { readonly node?: string };
  readonly files?: readonly string[];
  readonly exports?: Readonly<Record<string, unknown>>;
  readonly repository?: { readonly directory?: string };
  readonly dependencies?: Readonly<Record<string, string>>;
  readonly peerDependencies?: Readonly<Record<string, string>>;
  readonly devDependencies?: Readonly<Record<string, string>>;
}

/** A workspace package as plain data. */
export interface WorkspacePackage {
  /** Path from the root: `packages/core`, `apps/cli`. */
  readonly folder: string;
  readonly manifest: Manifest;
  /** The folders that tsconfig.json references, as paths from the root. */
  readonly tsReferences: readonly string[];
  /** Every TypeScript file under src and bench, by its path from the package's folder. */
  readonly sources: ReadonlyMap<string, string>;
}

/** Reads every package under `packages` and `apps`. */
export function readWorkspace(root: string): readonly WorkspacePackage[] {
  return ["packages", "apps"].flatMap((parent) =>
    readdirSync(join(root, parent)).map((name) => readPackage(root, `${parent}/${name}`)),
  );
}

function readPackage(root: string, folder: string): WorkspacePackage {
  const json = (file: string) => JSON.parse(readFileSync(join(root, folder, file), "utf8"));
  const references: readonly { path: string }[] = json("tsconfig.json").references ?? [];
  const sources = new Map<string, string>();
  for (const part of ["src", "bench"]) {
    for (const file of typescriptFiles(join(root, folder), part)) {
      sources.set(file, readFileSync(join(root, folder, file), "utf8"));
    }
  }
  return {
    folder,
    manifest: json("package.json"),
    tsReferences: references.map(({ path }) => join(folder, path).replaceAll("\\", "/")),
    sources,
  };
}

function typescriptFiles(base: string, part: string): readonly string[] {
  let entries: readonly string[];
  try {
    entries = readdirSync(join(base, part), { recursive: true, encoding: "utf8" });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return [];
    throw error;
  }
  return entries.filter((file) => file.endsWith(".ts")).map((file) => `${part}/${file.replaceAll("\\", "/")}`);
}

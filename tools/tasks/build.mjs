// Building every package: nx orders the steps and caches each; a cheap stamp spares even nx when nothing changed.
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { stampFolder, workspaceFolders } from "./install.mjs";
import { read } from "./process.mjs";

/** Builds the kernels and compiles every package to its dist folder. */
export async function build({ root }) {
  const stamp = join(stampFolder(root), "build");
  const before = fingerprint(root);
  if (existsSync(stamp) && readFileSync(stamp, "utf8") === before) return;
  process.stdout.write("Building the packages ...\n");
  await read(root, "nx", ["run-many", "-t", "build", "--outputStyle=static"]);
  mkdirSync(stampFolder(root), { recursive: true });
  writeFileSync(stamp, fingerprint(root));
}

/** Builds from nothing: tsc leaves the output of deleted sources behind, and what is published must not hold any. */
export async function buildAnew({ root }) {
  for (const folder of builtFolders(root)) rmSync(join(root, folder, "dist"), { recursive: true, force: true });
  process.stdout.write("Building the packages from nothing ...\n");
  await read(root, "nx", ["run-many", "-t", "build", "--skip-nx-cache", "--outputStyle=static"]);
}

/** Builds only what compiling and testing from the sources need: the generated kernels. */
export async function buildKernels({ root }) {
  await read(root, "nx", ["run-many", "-t", "kernel", "--outputStyle=static"]);
}

// Path, size and time of every source and of every result: hashing their contents is nx's work when one differs.
function fingerprint(root) {
  const hash = createHash("sha256");
  const add = (path) => {
    const entry = statSync(join(root, path), { throwIfNoEntry: false });
    if (entry?.isDirectory()) {
      for (const name of readdirSync(join(root, path)).sort()) if (name !== "node_modules") add(`${path}/${name}`);
    } else {
      hash.update(`${path} ${entry?.size} ${entry?.mtimeMs}\n`);
    }
  };
  for (const path of ["pnpm-lock.yaml", "nx.json", "tsconfig.base.json", ...builtFolders(root)]) add(path);
  return hash.digest("hex");
}

function builtFolders(root) {
  return workspaceFolders(root).filter((folder) => /^(packages|apps)\//.test(folder));
}

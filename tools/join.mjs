// Joins the sources of the package in the present folder to one JavaScript file for each of its exports, and a few that these
// share. Loading a file takes Node most of a millisecond, whatever is in it, and a command that prunes had to load a thousand.
// Types stay apart: tsc writes them beside.
//   node join.mjs [SOURCE...]     sources of files that threads start; they come to lie beside everything else
import { readdirSync, readFileSync, rmSync } from "node:fs";
import { basename, isAbsolute, join } from "node:path";
import process from "node:process";
import { rolldown } from "rolldown";

const manifest = JSON.parse(readFileSync("package.json", "utf8"));
const exported = Object.values(manifest.exports).flatMap(({ default: target = "" }) => {
  const file = /^\.\/dist\/(.*)\.js$/.exec(target)?.[1];
  return file === undefined ? [] : [[file, `src/${file}.ts`]];
});
const threads = process.argv.slice(2).map((source) => [basename(source, ".ts"), source]);
const bundle = await rolldown({
  input: Object.fromEntries([...exported, ...threads]),
  external: (id) => !(id.startsWith(".") || isAbsolute(id) || id.startsWith("src/")),
  platform: "neutral",
});
// Of earlier builds, whose files had other names.
for (const name of readdirSync("dist", { recursive: true })) {
  if (name.endsWith(".js")) rmSync(join("dist", name));
}
await bundle.write({ dir: "dist", format: "esm", entryFileNames: "[name].js", chunkFileNames: "[name]-[hash].js" });
await bundle.close();

// Joins the sources of the package in the present folder to one JavaScript file for each of its exports, and a few that these
// share. Loading a file takes Node most of a millisecond, whatever is in it, and a command that prunes had to load a thousand.
// Types stay apart: tsc writes them beside.
//   node join.mjs [SOURCE...]     sources of files that threads start: theirs come to lie in dist itself, as do those that start them
import { readdirSync, readFileSync, rmSync } from "node:fs";
import { basename, isAbsolute, join } from "node:path";
import process from "node:process";
import { rolldown } from "rolldown";

const { exports } = JSON.parse(readFileSync("package.json", "utf8"));
const exported = Object.entries(exports)
  .filter(([path]) => path !== "./package.json")
  .map(([path, target]) => {
    const file = /^\.\/dist\/([^*]+)\.js$/.exec(target?.default)?.[1];
    if (file === undefined)
      throw new Error(`join: exports "${path}" in package.json has no "default" of the form ./dist/FILE.js`);
    return [file, `src/${file}.ts`];
  });
const threads = process.argv.slice(2).map((source) => [basename(source, ".ts"), source]);
const input = Object.fromEntries([...exported, ...threads]);
if (Object.keys(input).length < exported.length + threads.length) {
  throw new Error(`join: a thread's file has the name of an export: ${Object.keys(input).join(", ")}`);
}
const bundle = await rolldown({
  input,
  external: (id) => !(id.startsWith(".") || isAbsolute(id) || id.startsWith("src/")),
  platform: "neutral",
});
const { output } = await bundle.write({
  dir: "dist",
  format: "esm",
  entryFileNames: "[name].js",
  chunkFileNames: "[name]-[hash].js",
});
await bundle.close();
// What an earlier build wrote under other names. After the new files, so that a build that fails leaves the old ones.
const written = new Set(output.map(({ fileName }) => join(fileName)));
for (const name of readdirSync("dist", { recursive: true })) {
  if (name.endsWith(".js") && !written.has(name)) rmSync(join("dist", name));
}

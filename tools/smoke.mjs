// Run by `npm run pack` in a folder into which all tarballs were installed: is each package there, complete and alive?
import { spawnSync } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import process from "node:process";

process.stdout.write(`running on Node ${process.versions.node}\n`);
const names = [...readdirSync("node_modules/@secateur").map((name) => `@secateur/${name}`), "secateur"];
const problems = [];

for (const name of names) {
  const manifest = JSON.parse(readFileSync(`node_modules/${name}/package.json`, "utf8"));
  if (/workspace:|catalog:/.test(JSON.stringify(manifest))) problems.push(`${name}: its package.json is not resolved`);
  for (const file of readdirSync(`node_modules/${name}`, { recursive: true })) {
    if (/\.tsbuildinfo$|\.test\.|\.test-support\.|^src\b/.test(file)) problems.push(`${name}: ships ${file}`);
  }
  const exported = Object.keys(await import(name));
  if (exported.length === 0 && name !== "secateur") problems.push(`${name}: exports nothing`);
  process.stdout.write(`${name}@${manifest.version}: ${exported.length} exports\n`);
}

const { version } = JSON.parse(readFileSync("node_modules/secateur/package.json", "utf8"));
for (const [args, expected] of [
  [["--version"], version],
  [["--help"], "Usage"],
  [["plugins", "--json"], "chita"],
]) {
  const bin = spawnSync(process.execPath, ["node_modules/secateur/dist/main.js", ...args], { encoding: "utf8" });
  const isGood = bin.status === 0 && bin.stdout.includes(expected);
  process.stdout.write(`secateur ${args.join(" ")}: ${isGood ? "good" : `exit code ${bin.status}`}\n`);
  if (!isGood) problems.push(`secateur ${args.join(" ")} printed:\n${bin.stdout}${bin.stderr}${bin.error ?? ""}`);
}

for (const problem of problems) process.stderr.write(`${problem}\n`);
process.exitCode = problems.length === 0 ? 0 : 1;

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

const bin = "node_modules/secateur/dist/main.js";
const network = "node_modules/secateur/assets/mlpnet-mnist.safetensors";
const data = ["--arch", "mlpnet", "--data", "mnist"];
const { version } = JSON.parse(readFileSync("node_modules/secateur/package.json", "utf8"));
const prune = ["prune", network, ...data, "--sparsity", "0.9", "--examples", "256", "--out", "pruned.safetensors"];
for (const [args, expected] of [
  [["--version"], version],
  [["--help"], "Usage"],
  [["plugins", "--json"], "chita"],
  [["eval", network, ...data, "--json"], '"accuracy"'],
  [[...prune, "--force", "--json"], '"nonzeros"'],
  [["eval", "pruned.safetensors", ...data], "accuracy"],
]) {
  const { status, stdout, stderr, error } = spawnSync(process.execPath, [bin, ...args], { encoding: "utf8" });
  const isGood = status === 0 && stdout.includes(expected);
  process.stdout.write(`secateur ${args.join(" ")}: ${isGood ? "good" : `exit code ${status}`}\n`);
  if (!isGood) problems.push(`secateur ${args.join(" ")} printed:\n${stdout}${stderr}${error ?? ""}`);
}

for (const problem of problems) process.stderr.write(`${problem}\n`);
process.exitCode = problems.length === 0 ? 0 : 1;

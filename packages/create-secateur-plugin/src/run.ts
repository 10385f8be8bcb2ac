/** From the arguments of `npm create secateur-plugin` to a folder on disk. */
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join, relative, resolve } from "node:path";
import { parseArgs } from "node:util";
import { badKind, badUsage, CreateError, folderInUse, folderNotMade } from "./errors.ts";
import { pluginFiles } from "./plugin-files.ts";
import { type PluginKind, pluginKinds } from "./plugin-kinds.ts";
import { pluginName } from "./plugin-name.ts";

const help = `Usage: npm create secateur-plugin [name] -- [options]

Makes a ready folder for a plugin of your own: something that works, the schema of its options, tests that prove it,
a README and a package.json. Asks nothing; what is left out has a default.

Arguments:
  name            what users type, as after --solver (default: my-method); @me/my-method for a scoped package

Options:
  --kind <kind>   what it is (default: saliency)
                    saliency  scores weights; the budget keeps the highest
                    selector  chooses the mask; any updater finds the weights
                    updater   finds the weights on any mask
                    solver    both together
                    task      what outputs mean: loss, slope, Hessian, measures
                    training-rule  acts while a network trains
                    format    files of named tensors, by their ending
  --dir <folder>  where to (default: ./ and the package's name)
  --help          this text
  --version       the version

Examples:
  npm create secateur-plugin
  npm create secateur-plugin my-rule -- --kind solver
`;

/** Where the text goes and where relative folders start. */
export interface Surroundings {
  readonly cwd: string;
  write(text: string): void;
  writeError(text: string): void;
}

/** Runs the command. @returns the exit code: 0, or 2 for bad input */
export function run(argv: readonly string[], surroundings: Surroundings): number {
  try {
    surroundings.write(create(argv, surroundings.cwd));
    return 0;
  } catch (error) {
    if (!(error instanceof CreateError)) throw error;
    surroundings.writeError(`create-secateur-plugin: ${error.message} [${error.code}]\n`);
    return 2;
  }
}

function create(argv: readonly string[], cwd: string): string {
  const { values, positionals } = parse(argv);
  if (values.help) return help;
  if (values.version) return `${ownVersion()}\n`;
  if (positionals.length > 1)
    throw badUsage(`found ${positionals.length} names, allowed is one`, { found: positionals.length, allowed: 1 });
  const kind = values.kind ?? "saliency";
  if (!isKind(kind)) throw badKind(kind, pluginKinds);
  const name = pluginName(positionals[0] ?? "my-method", kind);
  const folder = resolve(cwd, values.dir ?? name.packageName.slice(name.packageName.lastIndexOf("/") + 1));
  ensureEmpty(folder);
  const files = pluginFiles({ name, kind, version: ownVersion() });
  for (const [path, text] of Object.entries(files)) {
    makeFolder(dirname(join(folder, path)));
    // "wx": a file that appeared in the meantime is not overwritten either.
    writeFileSync(join(folder, path), text, { flag: "wx" });
  }
  const place = relative(cwd, folder) || ".";
  const list = Object.keys(files).map((path) => `  ${path}\n`);
  const next = [...(place === "." ? [] : [`cd ${place}`]), "npm install", "npm test"].map((line) => `  ${line}\n`);
  return `${name.packageName}: a ${kind.replace("-", " ")} in ${place}\n${list.join("")}\nNext:\n${next.join("")}`;
}

const options = {
  kind: { type: "string" },
  dir: { type: "string" },
  help: { type: "boolean", short: "h" },
  version: { type: "boolean" },
} as const;

/** The arguments, judged from what was read: Node's own messages speak of its parser. */
function parse(argv: readonly string[]) {
  const { tokens } = parseArgs({ args: [...argv], allowPositionals: true, strict: false, options, tokens: true });
  for (const token of tokens) {
    if (token.kind !== "option") continue;
    const { name, rawName: flag, value } = token;
    const option = Object.hasOwn(options, name) ? options[name as keyof typeof options] : undefined;
    if (!option) throw badUsage(`unknown option '${flag}'`, { flag });
    if (option.type === "string" && (value === undefined || value.startsWith("-"))) {
      throw badUsage(`option '${flag} <value>' argument missing`, { flag });
    }
    if (option.type === "boolean" && value !== undefined) {
      throw badUsage(`option '${flag}' does not take an argument, found '${value}'`, { flag, found: value });
    }
  }
  return parseArgs({ args: [...argv], allowPositionals: true, options });
}

const isKind = (kind: string): kind is PluginKind => (pluginKinds as readonly string[]).includes(kind);

function ensureEmpty(folder: string): void {
  let found: readonly string[];
  try {
    found = readdirSync(folder);
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    if (code === "ENOENT") return;
    throw folderInUse(folder, code === "ENOTDIR" ? "a file" : `something that cannot be read (${code})`);
  }
  const visible = found.filter((name) => name !== ".git");
  if (visible.length > 0) throw folderInUse(folder, visible.slice(0, 3).join(", "));
}

/** Level by level: where a system refuses new folders (/proc does), Node's recursive mkdir never returns. */
function makeFolder(folder: string): void {
  if (existsSync(folder)) return;
  if (dirname(folder) !== folder) makeFolder(dirname(folder));
  try {
    mkdirSync(folder);
  } catch (error) {
    throw folderNotMade(folder, error instanceof Error ? error.message : String(error));
  }
}

function ownVersion(): string {
  const manifest = readFileSync(new URL("../package.json", import.meta.url), "utf8");
  return (JSON.parse(manifest) as { version: string }).version;
}

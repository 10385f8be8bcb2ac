/** --arch and --map: which network a checkpoint's tensors belong to. Together they become the one text that a recipe keeps. */
import { closeSync, openSync, readSync } from "node:fs";
import { architectureNames } from "@secateur/nn";
import { badUsage } from "@secateur/run";
import type { Command } from "commander";
import { badFlagValue } from "../errors.ts";
import { absolutePath } from "../run/absolute-path.ts";
import type { Terminal } from "../terminal.ts";

/** A description of the largest networks takes a tenth of it. */
const MAX_DESCRIPTION_BYTES = 2 ** 20;

/**
 * Adds both flags. Before the command runs, a file that describes a network is read and a map is joined with the name, so
 * that `arch` is a text that `describedArchitecture` of @secateur/run takes.
 */
export function addArchFlags(command: Command, terminal: Pick<Terminal, "cwd">): void {
  command
    .option(
      "--arch <name>",
      `network the tensors belong to: ${architectureNames.join(", ")}, mlp:784-300-10[:nobias], or net.json with { name, inputShape, classes, layers } (default: told from the file)`,
    )
    .option(
      "--map <from=to>",
      "which tensors of the file are which of the network, where shapes do not tell: 'linear=fc'; may be repeated",
      collectPairs,
    )
    .hook("preAction", (self) => {
      const { arch, map } = self.opts<{ arch?: string; map?: readonly (readonly [string, string])[] }>();
      if (arch === undefined && map === undefined) return;
      self.setOptionValue("arch", architectureText({ arch, map, terminal }));
    });
}

function collectPairs(
  text: string,
  previous: readonly (readonly [string, string])[] | undefined,
): readonly (readonly [string, string])[] {
  const [from = "", to = "", ...rest] = text.split("=");
  if (from === "" || to === "" || rest.length > 0) {
    throw badFlagValue({ flag: "--map", found: text, allowed: "FROM=TO, a name in the file and one of the network" });
  }
  const pairs = previous ?? [];
  if (pairs.some(([known]) => known === from))
    throw badUsage(`--map: '${from}' is given twice; leave one out`, { from });
  return [...pairs, [from, to]];
}

function architectureText(spec: {
  arch: string | undefined;
  map: readonly (readonly [string, string])[] | undefined;
  terminal: Pick<Terminal, "cwd">;
}): string {
  const { arch, map, terminal } = spec;
  const isFile = arch !== undefined && /\.json$/i.test(arch);
  const text = isFile ? readDescription(absolutePath(terminal, arch)) : arch;
  if (map === undefined) return text ?? "";
  const pairs = Object.fromEntries(map);
  return JSON.stringify(isFile ? { ...(JSON.parse(text ?? "{}") as object), map: pairs } : { arch: text, map: pairs });
}

/** The description in a file, on one line. */
function readDescription(path: string): string {
  const refuse = (reason: string) =>
    badUsage(`--arch: ${path} ${reason}; give a file of JSON that describes a network`, { path });
  const buffer = Buffer.alloc(MAX_DESCRIPTION_BYTES + 1);
  let length = 0;
  try {
    const file = openSync(path, "r");
    try {
      length = readSync(file, buffer, 0, buffer.length, 0);
    } finally {
      closeSync(file);
    }
  } catch (cause) {
    throw refuse(`cannot be read (${cause instanceof Error ? cause.message : String(cause)})`);
  }
  if (length > MAX_DESCRIPTION_BYTES) throw refuse(`has more than ${MAX_DESCRIPTION_BYTES} bytes`);
  try {
    const json: unknown = JSON.parse(buffer.toString("utf8", 0, length));
    if (typeof json === "object" && json !== null && !Array.isArray(json)) return JSON.stringify(json);
  } catch (cause) {
    throw refuse(`holds no JSON (${(cause as Error).message})`);
  }
  throw refuse("holds no JSON object");
}

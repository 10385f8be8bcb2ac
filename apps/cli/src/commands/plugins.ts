/** `secateur plugins`: the methods at hand, ours and installed ones. */
import type { PluginEntry } from "@secateur/core";
import { formatTable, plainText } from "@secateur/report/text";
import { firstPartyPlugins } from "@secateur/run/node/plugins/first-party";
import { hiddenByOwn } from "@secateur/run/node/plugins/hidden-plugins";
import { installedPlugins } from "@secateur/run/node/plugins/installed-plugins";
import { ownVersion } from "@secateur/run/node/plugins/own-version";
import { unmetPeers } from "@secateur/run/node/plugins/unmet-peers";
import type { Command } from "commander";
import { addMessageFlags } from "../flags/common-flags.ts";
import { printResult } from "../run/print-result.ts";
import type { Terminal } from "../terminal.ts";

interface PluginsFlags {
  readonly json?: boolean;
  readonly quiet?: boolean;
}

interface ListedPlugin {
  readonly package: string;
  readonly version: string;
  readonly source: "built-in" | "installed";
  readonly description: string;
  /** Where it is; installed ones only. */
  readonly folder?: string;
  /** What stands in its way: a built-in method of its name, a peer that is missing; installed ones only. */
  readonly problems?: readonly string[];
  /** What it offers; built-in ones only, since installed ones are not run for a listing. */
  readonly entries?: readonly { readonly kind: PluginEntry["kind"]; readonly name: string; readonly summary: string }[];
}

const help = `
Installed plugins are npm packages with the keyword 'secateur-plugin', found from the present folder upwards. They are
listed from their manifests and not run. What 'secateur-plugin-foo' offers as 'foo' is found by that name, and everything
else it offers by the entry's name; PACKAGE:NAME means one package's entry whatever else is called so. npm create secateur-plugin makes the folder of a new one.`;

/** Adds the command. */
export function addPluginsCommand(program: Command, terminal: Terminal): void {
  const command = program
    .command("plugins")
    .description(
      "List everything with a name: methods, curvatures, schedules, networks, datasets, formats ..., built-in and from installed plugins.",
    );
  addMessageFlags(command, { hasEvents: false });
  command.addHelpText("after", help).action(async () => {
    const plugins = [...(await builtIn()), ...(await installed(terminal.cwd))];
    printResult({
      terminal,
      flags: command.opts<PluginsFlags>(),
      document: { plugins },
      text: () => pluginsText(plugins),
    });
  });
}

async function builtIn(): Promise<readonly ListedPlugin[]> {
  return await Promise.all(
    firstPartyPlugins.map(async ({ packageName, load }): Promise<ListedPlugin> => {
      const { entries } = await load();
      return {
        package: packageName,
        version: ownVersion(packageName),
        source: "built-in",
        description: "",
        entries: entries.map(({ kind, name, summary }) => ({ kind, name, summary })),
      };
    }),
  );
}

async function installed(from: string): Promise<readonly ListedPlugin[]> {
  const manifests = await installedPlugins(from);
  return await Promise.all(
    manifests.map(async (manifest): Promise<ListedPlugin> => {
      const { name, version, description, folder } = manifest;
      const hidden = await hiddenByOwn(manifest);
      const peers = (await unmetPeers(manifest)).map(({ peer, range, found }) => {
        return `it needs ${peer} ${range} beside it, ${found === undefined ? "which is not installed" : `found is ${found}`}`;
      });
      const problems = [...(hidden === undefined ? [] : [hidden]), ...peers];
      const listed = { package: name, version, source: "installed", description, folder } as const;
      return problems.length === 0 ? listed : { ...listed, problems };
    }),
  );
}

function pluginsText(plugins: readonly ListedPlugin[]): string {
  const entries = plugins.flatMap((plugin) =>
    (plugin.entries ?? []).map(({ kind, name, summary }) => [name, kind, summary, plugin.package]),
  );
  const ours = formatTable([{ title: "name" }, { title: "kind" }, { title: "summary" }, { title: "package" }], entries);
  const theirs = plugins
    .filter(({ source }) => source === "installed")
    .map((plugin) => [plugin.package, plugin.version, plainText(plugin.description), plugin.folder ?? ""]);
  if (theirs.length === 0) return `${ours}\nNo installed plugins (packages with the keyword 'secateur-plugin').\n`;
  const columns = [{ title: "installed" }, { title: "version" }, { title: "description" }, { title: "folder" }];
  const problems = plugins.flatMap((plugin) =>
    (plugin.problems ?? []).map((problem) => `note: ${plugin.package}: ${plainText(problem)}\n`),
  );
  return `${ours}\n${formatTable(columns, theirs)}${problems.length === 0 ? "" : `\n${problems.join("")}`}`;
}

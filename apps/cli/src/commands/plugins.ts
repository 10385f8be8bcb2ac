/** `secateur plugins`: the methods at hand, ours and installed ones. */
import type { PluginEntry } from "@secateur/core";
import type { Command } from "commander";
import { addMessageFlags } from "../flags/common-flags.ts";
import { firstPartyPlugins } from "../plugins/first-party.ts";
import { installedPlugins } from "../plugins/installed-plugins.ts";
import { ownVersion } from "../plugins/own-version.ts";
import type { Terminal } from "../terminal.ts";
import { plainText } from "../text/format.ts";
import { formatTable } from "../text/table.ts";
import { printResult } from "./print-result.ts";

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
  /** What it offers; built-in ones only, since installed ones are not run for a listing. */
  readonly entries?: readonly { readonly kind: PluginEntry["kind"]; readonly name: string; readonly summary: string }[];
}

const help = `
Installed plugins are npm packages with the keyword 'secateur-plugin', found from the present folder upwards. They are
listed from their manifests and not run. 'secateur-plugin-foo' serves --solver foo; any other package serves --solver
with its own name. Write one with definePlugin of @secateur/core.`;

/** Adds the command. */
export function addPluginsCommand(program: Command, terminal: Terminal): void {
  const command = program
    .command("plugins")
    .summary("list the methods at hand")
    .description("List solvers and curvature estimators: built-in ones, and plugins that are installed.");
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
  return manifests.map(({ name, version, description, folder }) => ({
    package: name,
    version,
    source: "installed",
    description,
    folder,
  }));
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
  return `${ours}\n${formatTable(columns, theirs)}`;
}

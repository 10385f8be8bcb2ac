/** Writes the pages that are made from the code to docs/generated: error codes, commands, methods, measurements. */
import { execFileSync } from "node:child_process";
import { globSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { errorCatalogue } from "./error-catalogue.ts";
import { errorPage } from "./error-page.ts";
import { measuredOverview, readMeasured } from "./measured.ts";
import { methodPage, type PluginPackage, pluginPackages } from "./methods.ts";

const root = fileURLToPath(new URL("../..", import.meta.url));
const docs = join(root, "docs");
const out = join(docs, "generated");

rmSync(out, { recursive: true, force: true });
mkdirSync(out, { recursive: true });
const write = (name: string, text: string) => writeFileSync(join(out, name), text.endsWith("\n") ? text : `${text}\n`);

const measured = readMeasured(join(docs, "measured/mlpnet-mnist.json"));
const packages = await pluginPackages(root);
for (const found of packages) {
  const short = found.name.replace(/^@[^/]+\//, "");
  write(`methods-${short}.md`, methodPage({ found, guides: guidesTo(found), measured }));
}
write("measured.md", `# All methods, measured\n\n${measuredOverview(measured)}`);
write("error-codes.md", errorPage(errorCatalogue(root)));
write("commands.md", commandPage());

/** Hand-written pages whose opening names the package. */
function guidesTo({ name, folder }: PluginPackage): readonly { title: string; link: string }[] {
  return globSync("*.md", { cwd: docs })
    .sort()
    .flatMap((file) => {
      const text = readFileSync(join(docs, file), "utf8");
      const opening = text.split("\n").slice(0, 30).join("\n");
      const isAbout = opening.includes(name) || opening.includes(`${folder}/`);
      const title = /^# (.+)$/m.exec(text)?.[1] ?? file;
      return isAbout ? [{ title, link: `../${file}` }] : [];
    });
}

function commandPage(): string {
  const main = join(root, "apps/cli/dist/main.js");
  const help = (...args: readonly string[]) => execFileSync(process.execPath, [main, ...args], { encoding: "utf8" });
  const overview = help("--help");
  const list = overview.slice(overview.indexOf("\nCommands:")).split("\n\n")[0] ?? "";
  const names = [...list.matchAll(/^ {2}([a-z]+)\b/gm)].map(([, name]) => name!).filter((name) => name !== "help");
  if (names.length === 0)
    throw new Error("docs: 'secateur --help' lists no commands; its form changed, see commandPage");
  const sections = names.map((name) => `## secateur ${name}\n\n\`\`\`text\n${help(name, "--help").trim()}\n\`\`\`\n`);
  return `# Commands and their flags

What \`secateur COMMAND --help\` prints; the solver of \`prune\` and \`solve\` is chita here, and \`--solver NAME --help\` lists the options of
another. What may be relied on stands in [the command line](../cli.md).

${sections.join("\n")}`;
}

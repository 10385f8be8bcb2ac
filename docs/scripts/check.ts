/** Judges the built site: links, and how well the exports are documented. Fails on a broken link or a missing docstring. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { checkLinks } from "./check-links.ts";
import { docsCoverage, type Gap } from "./coverage.ts";

const root = fileURLToPath(new URL("../..", import.meta.url));
const links = checkLinks(join(root, "docs/site"));
process.stdout.write(
  `${links.pages} pages, ${links.inside} links inside the site checked, ${links.outside} to the outside not followed\n`,
);
for (const line of links.broken) process.stderr.write(`broken link: ${line}\n`);

const api = JSON.parse(readFileSync(join(root, "docs/generated/api.json"), "utf8")) as Parameters<
  typeof docsCoverage
>[0];
const { exports, gaps } = docsCoverage(api, root);
const count = (lacks: Gap["lacks"]) =>
  new Set(gaps.filter((gap) => gap.lacks === lacks).map(({ place }) => place)).size;
process.stdout.write(
  `${exports} exports: ${count("docstring")} without a docstring, ${count("shape")} with an array without a shape, ` +
    `${count("number")} with a number without a word about it, ${count("source")} methods without a source\n`,
);
const isListed = process.argv.includes("--gaps");
for (const { packageName, symbol, place, lacks, detail } of gaps) {
  const text = `no ${lacks}: ${packageName} ${symbol}${detail === "" ? "" : `.${detail}`} (${place})\n`;
  if (lacks === "docstring") process.stderr.write(text);
  else if (isListed) process.stdout.write(text);
}
if (gaps.length > 0 && !isListed) process.stdout.write("npm run docs -- --gaps lists them\n");
process.exitCode = links.broken.length > 0 || count("docstring") > 0 ? 1 : 0;

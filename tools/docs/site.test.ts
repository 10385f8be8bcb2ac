/** What makes the documentation site: that it misses nothing, and that its checks notice what they are for. */
import { globSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, onTestFinished, test } from "vitest";
import { checkLinks } from "../../docs/scripts/check-links.ts";
import { docsCoverage } from "../../docs/scripts/coverage.ts";
import { errorCatalogue, errorsOf } from "../../docs/scripts/error-catalogue.ts";
import { errorPage } from "../../docs/scripts/error-page.ts";
import { optionTable, pluginPackages } from "../../docs/scripts/methods.ts";
import { testedPages } from "./code-blocks.ts";

const root = fileURLToPath(new URL("../..", import.meta.url));

describe("the page of error codes", () => {
  const page = errorPage(errorCatalogue(root));

  test("has a section for every code that stands anywhere in the sources", () => {
    const sources = globSync(["packages/*/src/**/*.ts", "apps/*/src/**/*.ts"], { cwd: root }).filter(
      // npm create explains its own codes in its messages; a pruning run never meets them.
      (file) => !/\.(test|test-support)\.ts$|create-secateur-plugin/.test(file),
    );
    const codes = new Set(
      sources.flatMap((file) =>
        [...readFileSync(join(root, file), "utf8").matchAll(/\bERR_[A-Z_]+\b/g)].map(([code]) => code),
      ),
    );
    // Codes of Node that the sources tell apart; they are not ours.
    const ofNode = new Set(["ERR_BUFFER_TOO_LARGE", "ERR_STREAM_PREMATURE_CLOSE", "ERR_MODULE_NOT_FOUND"]);
    const missing = [...codes].filter((code) => !ofNode.has(code) && !page.includes(`\n## ${code}\n`));
    expect(missing).toEqual([]);
    expect(codes.size).toBeGreaterThan(30);
  });

  test("gives docstring, message and exit code", () => {
    const text = `/** The cat is out. */
      export function catOut(where: string): PruneError {
        return new PruneError("ERR_CAT", \`\${where}: the cat is \` + "out; open the door", { fault: "runtime" });
      }`;
    expect(errorsOf("errors.ts", "cats", text)).toEqual([
      {
        code: "ERR_CAT",
        packageName: "cats",
        fault: "runtime",
        meaning: "The cat is out.",
        message: "…: the cat is out; open the door",
      },
    ]);
  });
});

test("option tables come from the schemas of every plugin package", async () => {
  const packages = await pluginPackages(root);
  expect(packages.map(({ name }) => name)).toEqual(
    expect.arrayContaining(["@secateur/fisher", "@secateur/solvers-chita"]),
  );
  const chita = packages
    .flatMap(({ plugin }) => plugin.entries)
    .find(({ name, kind }) => name === "chita" && kind === "solver");
  expect(optionTable(chita!)).toMatch(/^\| `--[a-z-]+` \| `<n(\|.*)?>` \| default .*at least/m);
});

describe("the link checker", () => {
  const site = (files: Readonly<Record<string, string>>) => {
    const folder = mkdtempSync(join(tmpdir(), "secateur-site-"));
    onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
    for (const [name, text] of Object.entries(files)) {
      mkdirSync(dirname(join(folder, name)), { recursive: true });
      writeFileSync(join(folder, name), text);
    }
    return folder;
  };

  test("accepts files, anchors and folders with an index, and only counts the outside", () => {
    const folder = site({
      "index.html": '<a href="pages/a.html#x">a</a> <a href="https://example.com/">b</a>',
      "pages/a.html": '<h1 id="x">x</h1> <a href="../">c</a> <a href="#x">d</a>',
    });
    expect(checkLinks(folder)).toEqual({ pages: 2, inside: 3, outside: 1, broken: [] });
  });

  test("names a missing file and a missing anchor", () => {
    const folder = site({ "index.html": '<a href="b.html">b</a> <img src="c.svg"> <a href="#y">y</a>' });
    expect(checkLinks(folder).broken).toEqual([
      "index.html: b.html: no such file",
      "index.html: c.svg: no such file",
      "index.html: #y: no such anchor",
    ]);
  });
});

test("links between the pages lead to files of the repository", () => {
  const broken = testedPages(root).flatMap((file) =>
    [
      ...readFileSync(join(root, file), "utf8")
        .replace(/```[\s\S]*?```/g, "")
        .matchAll(/\]\(([^)\s#]+)(#[^)]*)?\)/g),
    ]
      .map(([, link]) => link!)
      .filter((link) => !/^https?:/.test(link) && globSync(join(dirname(file), link), { cwd: root }).length === 0)
      .map((link) => `${file}: ${link}`),
  );
  expect(broken).toEqual([]);
});

describe("documentation coverage", () => {
  const comment = (text: string) => ({ summary: [{ text }] });
  const vec = { type: "reference", name: "Vec" };
  const gapsOf = (node: object) => {
    const api = { name: "api", kind: 1, children: [{ name: "p", kind: 2, children: [node] }] };
    return docsCoverage(api as never, root).gaps.map(({ lacks, detail }) => `${lacks} ${detail}`.trim());
  };
  const fn = (text: string, parameters: readonly object[], type: object = { type: "intrinsic", name: "void" }) => ({
    name: "f",
    kind: 64,
    signatures: [{ name: "f", kind: 4096, comment: comment(text), parameters, type }],
  });

  test("misses docstrings, shapes, words about numbers, and sources", () => {
    expect(gapsOf(fn("", []))).toEqual(["docstring"]);
    expect(gapsOf(fn("Adds up.", [{ name: "x", kind: 32768, type: vec }]))).toEqual(["shape x"]);
    expect(
      gapsOf(fn("Adds up.", [{ name: "ridge", kind: 32768, type: { type: "intrinsic", name: "number" } }])),
    ).toEqual(["number ridge"]);
    expect(gapsOf(fn("Prunes.", [], { type: "reference", name: "Solver" }))).toEqual(["source"]);
  });

  test("is content where they stand", () => {
    expect(gapsOf(fn("Adds x [n] with a ridge >= 0.", [{ name: "x", kind: 32768, type: vec }]))).toEqual([]);
    expect(gapsOf(fn("LeCun et al. 1990.", [], { type: "reference", name: "Solver" }))).toEqual([]);
    const timed = { name: "waitMs", kind: 32768, type: { type: "intrinsic", name: "number" } };
    expect(gapsOf(fn("Waits.", [timed]))).toEqual([]);
  });
});

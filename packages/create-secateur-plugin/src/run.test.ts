import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { type EntryClaims, pluginChecks, runChecks } from "@secateur/conformance";
import type { Plugin } from "@secateur/core";
import { describe, expect, onTestFinished, test } from "vitest";
import { pluginKinds } from "./plugin-kinds.ts";
import { run } from "./run.ts";

function folder(): string {
  // Inside the package, so that what is made finds core and zod.
  const made = mkdtempSync(join(import.meta.dirname, "..", "node_modules", "made-"));
  onTestFinished(() => rmSync(made, { recursive: true, force: true }));
  return made;
}

function call(cwd: string, ...argv: string[]): { code: number; out: string; err: string } {
  const [out, err]: [string[], string[]] = [[], []];
  const code = run(argv, { cwd, write: (text) => out.push(text), writeError: (text) => err.push(text) });
  return { code, out: out.join(""), err: err.join("") };
}

describe("npm create secateur-plugin", () => {
  for (const kind of pluginKinds) {
    test(`makes a ${kind} whose tests pass`, async () => {
      const cwd = folder();
      const { code, out } = call(cwd, "my-rule", "--kind", kind);
      expect(code).toBe(0);
      expect(out).toContain(`secateur-plugin-my-rule: a ${kind.replace("-", " ")} in secateur-plugin-my-rule`);
      expect(out).toMatch(/cd secateur-plugin-my-rule\n {2}npm install\n {2}npm test/);
      const made = join(cwd, "secateur-plugin-my-rule");
      const { default: plugin } = (await import(pathToFileURL(join(made, "src/plugin.js")).href)) as {
        default: Plugin;
      };
      const source = readFileSync(join(made, "test/conformance.test.js"), "utf8");
      // What stands between the imports and the call, and the claims of the call itself.
      const [, tensors, text] = /plugin\.js";\n([\s\S]*?)describePlugin\(\{ test, plugin, claims: (.*) \}\);\n$/.exec(
        source,
      )!;
      const module = `${tensors}\nexport default ${text};`;
      const { default: claims } = (await import(`data:text/javascript,${encodeURIComponent(module)}`)) as {
        default: Readonly<Record<string, EntryClaims>>;
      };
      expect(Object.keys(claims)).toEqual([`${kind} my-rule`]);
      const results = await runChecks(pluginChecks({ plugin, claims }));
      expect(results.filter(({ error }) => error)).toEqual([]);
      expect(results.length).toBeGreaterThan(9);
    });
  }

  test("needs no arguments at all", () => {
    const cwd = folder();
    expect(call(cwd).code).toBe(0);
    const made = join(cwd, "secateur-plugin-my-method");
    expect(readdirSync(made).sort()).toEqual([".gitignore", "README.md", "package.json", "src", "test"]);
    const manifest = JSON.parse(readFileSync(join(made, "package.json"), "utf8")) as Record<string, unknown>;
    expect(manifest).toMatchObject({
      name: "secateur-plugin-my-method",
      keywords: expect.arrayContaining(["secateur-plugin"]),
      type: "module",
      scripts: { test: "node --test" },
    });
    expect(Object.keys(manifest["peerDependencies"] as object)).toEqual(["@secateur/core"]);
  });

  test("takes a scope and a folder of your own", () => {
    const cwd = folder();
    mkdirSync(join(cwd, "here", ".git"), { recursive: true });
    expect(call(cwd, "@me/my-rule", "--dir", "here")).toMatchObject({ code: 0 });
    expect(readFileSync(join(cwd, "here", "package.json"), "utf8")).toContain('"@me/secateur-plugin-my-rule"');
  });

  test.runIf(process.platform === "linux")("says where no folder can be made, and ends", () => {
    const { code, err } = call(folder(), "my-rule", "--dir", "/proc/a/b");
    expect([code, err]).toEqual([2, expect.stringMatching(/\/proc\/a: it cannot be made.*--dir \[ERR_FOLDER\]/)]);
  });

  test("overwrites nothing", () => {
    const cwd = folder();
    mkdirSync(join(cwd, "secateur-plugin-my-rule"));
    writeFileSync(join(cwd, "secateur-plugin-my-rule", "notes.txt"), "mine");
    const { code, err } = call(cwd, "my-rule");
    expect(code).toBe(2);
    expect(err).toMatch(/holds notes\.txt already and nothing is overwritten.*\[ERR_FOLDER\]/);
    expect(readdirSync(join(cwd, "secateur-plugin-my-rule"))).toEqual(["notes.txt"]);
    writeFileSync(join(cwd, "file"), "");
    expect(call(cwd, "my-rule", "--dir", "file").err).toMatch(/holds a file already/);
  });

  test.each([
    [["a", "b"], /found 2 names, allowed is one.*ERR_USAGE/],
    [
      ["--kind", "filter"],
      /--kind: found 'filter', allowed is saliency, selector, updater, solver, task, training-rule, format.*ERR_KIND/,
    ],
    [["--flavour"], /unknown option '--flavour'.*ERR_USAGE/],
    [["No Good"], /'No Good' cannot be.*ERR_NAME/],
  ])("refuses %j", (argv, message) => {
    const { code, err } = call(tmpdir(), ...argv);
    expect(code).toBe(2);
    expect(err).toMatch(message);
  });

  test("explains itself", () => {
    expect(call(tmpdir(), "--help").out).toMatch(/Usage: npm create secateur-plugin \[name\]/);
    expect(call(tmpdir(), "--version").out).toMatch(/^\d+\.\d+\.\d+/);
  });
});

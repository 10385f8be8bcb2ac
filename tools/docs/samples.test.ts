/**
 * All code in the pages: TypeScript is type-checked and run with the built packages, as a reader would run it; JSON parses;
 * calls of secateur have commands and flags that exist, and `npm run` names a task. A block that opens with ```ts no-run
 * is type-checked only (it needs files or machines that a test does not have); one with ```ts needs:PACKAGE is left out
 * where that package is not installed.
 */
import { execFile } from "node:child_process";
import { copyFileSync, globSync, mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import process from "node:process";
import { PassThrough } from "node:stream";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { buildProgram } from "../../apps/cli/src/program.ts";
import { codeBlocks, testedPages } from "./code-blocks.ts";

const run = promisify(execFile);
const root = fileURLToPath(new URL("../..", import.meta.url));
const blocks = testedPages(root).flatMap((file) => codeBlocks(root, file));
const of = (...languages: readonly string[]) => blocks.filter(({ language }) => languages.includes(language));
const programs = of("ts", "typescript")
  .filter(({ marks }) => marks.every((mark) => !mark.startsWith("needs:") || isInstalled(mark.slice("needs:".length))))
  .map((block, index) => ({ ...block, name: `sample-${index + 1}.ts` }));
const folder = join(root, "build", "samples");

describe("TypeScript in the pages", () => {
  let checked = "";

  beforeAll(async () => {
    rmSync(folder, { recursive: true, force: true });
    mkdirSync(join(folder, "node_modules"), { recursive: true });
    writeFileSync(join(folder, "package.json"), JSON.stringify({ private: true, type: "module" }));
    installAsReader();
    for (const { name, code } of programs) writeFileSync(join(folder, name), code);
    const options = { module: "nodenext", target: "es2022", lib: ["es2022", "dom"], strict: true, noEmit: true };
    const compilerOptions = {
      ...options,
      types: ["node"],
      typeRoots: [join(root, "node_modules/@types")],
      skipLibCheck: true,
    };
    writeFileSync(
      join(folder, "tsconfig.json"),
      JSON.stringify({
        compilerOptions: { ...compilerOptions, allowImportingTsExtensions: true },
        files: [...programs.map(({ name }) => name), "wrong.ts"],
      }),
    );
    writeFileSync(join(folder, "wrong.ts"), "export const text: string = 1;\n");
    const compiler = join(root, "node_modules/typescript/bin/tsc");
    checked = await run(process.execPath, [compiler, "-p", folder, "--pretty", "false"]).then(
      ({ stdout }) => stdout,
      (error: { stdout: string }) => error.stdout,
    );
    // A network that samples may read.
    copyFileSync(join(root, "apps/cli/assets/mlpnet-mnist.safetensors"), join(folder, "mlpnet.safetensors"));
  }, 120_000);

  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  test("there is some", () => {
    expect(programs.length).toBeGreaterThan(5);
  });

  for (const { name, place, marks } of programs) {
    test(`${place}, type-checks`, () => {
      expect(checked.split("\n").filter((line) => basename(line.split("(")[0]!) === name)).toEqual([]);
    });
    test.skipIf(marks.includes("no-run"))(
      `${place}, runs`,
      async () => {
        await run(process.execPath, [name], { cwd: folder, timeout: 100_000 });
      },
      120_000,
    );
  }

  test("a type error would be noticed, and the compiler had nothing else to say", () => {
    const others = checked.split("\n").filter((line) => /error TS/.test(line) && !/sample-\d+\.ts\(/.test(line));
    expect(others).toEqual([expect.stringMatching(/wrong\.ts\(1,14\): error TS2322/)]);
  });
});

function isInstalled(name: string): boolean {
  const own = globSync("{packages,apps}/*/package.json", { cwd: root });
  return (
    own.some((file) => (JSON.parse(readFileSync(join(root, file), "utf8")) as Manifest).name === name) ||
    globSync(`packages/*/node_modules/${name}/package.json`, { cwd: root }).length > 0
  );
}

/** Every package of ours and every library that one of them uses, as after `npm install`. */
function installAsReader(): void {
  const link = (target: string, name: string) => {
    const path = join(folder, "node_modules", name);
    mkdirSync(dirname(path), { recursive: true });
    rmSync(path, { force: true });
    symlinkSync(target, path, "junction");
  };
  for (const file of globSync(["packages/*/package.json", "apps/*/package.json"], { cwd: root })) {
    const manifest = JSON.parse(readFileSync(join(root, file), "utf8")) as Manifest;
    const own = join(root, dirname(file));
    link(own, manifest.name);
    const libraries = { ...manifest.dependencies, ...manifest.peerDependencies, ...manifest.devDependencies };
    for (const name of Object.keys(libraries)) {
      const [installed] = globSync(`node_modules/${name}/package.json`, { cwd: own });
      if (installed && !name.startsWith("@secateur/")) link(join(own, "node_modules", name), name);
    }
  }
}

interface Manifest {
  readonly name: string;
  readonly dependencies?: Readonly<Record<string, string>>;
  readonly peerDependencies?: Readonly<Record<string, string>>;
  readonly devDependencies?: Readonly<Record<string, string>>;
}

test("JSON in the pages parses", () => {
  for (const { place, code } of of("json")) expect(() => JSON.parse(code), place).not.toThrow();
});

describe("commands in the pages", () => {
  const lines = of("sh", "bash", "shell").flatMap(({ place, code }) =>
    code
      .replace(/\\\n\s*/g, "")
      .split(/\n|&&/)
      .map((line) => ({ place, line: line.replace(/(^|\s)#.*$/, "").trim() })),
  );
  const scripts = JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as { scripts: Record<string, string> };

  // Methods of the example plugins are not installed here; `npm run test:plugin` runs them.
  const outside = globSync("examples/secateur-plugin-*", { cwd: root }).map((path) => basename(path).slice(16));
  const calls = lines.filter(
    ({ line }) => /^(npx )?secateur /.test(line) && !words(line).some((word) => outside.includes(word)),
  );
  for (const { place, line } of calls) {
    test(`${place}: ${line}`, async () => {
      await expect(accepts(words(line.replace(/^npx /, "")).slice(1))).resolves.toBe("accepted");
    });
  }

  for (const { place, line } of lines.filter(({ line }) => line.startsWith("npm run "))) {
    test(`${place}: ${line}`, () => {
      expect(Object.keys(scripts.scripts)).toContain(words(line)[2]);
    });
  }

  test("a flag that does not exist would be noticed", async () => {
    await expect(accepts(["eval", "net.safetensors", "--no-such-flag"])).rejects.toThrow(/no-such-flag/);
  });
});

/** Parses a call as the command line would, and stops before it does anything. */
async function accepts(argv: readonly string[]): Promise<string> {
  const sink = new PassThrough();
  const terminal = { stdout: sink, stderr: sink, cwd: root, signal: new AbortController().signal };
  // A recipe is read before the flags are known; no page's file is there.
  const known = argv.filter((word, index) => word !== "--recipe" && argv[index - 1] !== "--recipe");
  const program = await buildProgram(known, terminal as never);
  for (const command of program.commands) command.action(() => {});
  await program.parseAsync([...known], { from: "user" });
  return "accepted";
}

function words(line: string): string[] {
  return [...line.matchAll(/"([^"]*)"|'([^']*)'|(\S+)/g)].map(([, a, b, c]) => a ?? b ?? c ?? "");
}

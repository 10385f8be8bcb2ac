/** The TypeScript in the README at the root is run as it stands there, with the built packages, as a reader would run it. */
import { execFile } from "node:child_process";
import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { join } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { expect, onTestFinished, test } from "vitest";

const run = promisify(execFile);
const root = fileURLToPath(new URL("../../../", import.meta.url));
const readme = await readFile(join(root, "README.md"), "utf8");
const blocks = [...readme.matchAll(/^```(?:ts|typescript)\n([\s\S]*?)^```/gm)].map(([, code = ""]) => code);

/** What the README tells its reader to install. */
const installed = ["core", "nn", "fisher", "solvers-chita"].map((name) => `@secateur/${name}`);

test("the README has TypeScript to run", () => {
  expect(blocks.length).toBeGreaterThan(0);
});

for (const [index, code] of blocks.entries()) {
  test(`block ${index + 1} of the README type-checks and runs, with what the README installs`, async () => {
    const imports = [...code.matchAll(/from "([^"]+)"/g)].map(([, specifier]) => specifier);
    expect(imports.filter((specifier) => !installed.includes(specifier ?? ""))).toEqual([]);

    // In this package's folder, where all of ours can be imported; Node strips no types under node_modules.
    const parent = join(root, "apps/cli/generated");
    await mkdir(parent, { recursive: true });
    const folder = await mkdtemp(join(parent, "readme-"));
    onTestFinished(() => rm(parent, { recursive: true, force: true }));
    const file = join(folder, "example.ts");
    await writeFile(file, code);
    const options = {
      module: "nodenext",
      target: "es2022",
      lib: ["es2022"],
      strict: true,
      noEmit: true,
      types: ["node"],
    };
    const config = { compilerOptions: { ...options, skipLibCheck: true }, files: ["example.ts"] };
    await writeFile(join(folder, "tsconfig.json"), JSON.stringify(config));
    await writeFile(join(folder, "package.json"), JSON.stringify({ type: "module" }));

    const typescript = createRequire(join(root, "package.json")).resolve("typescript/package.json");
    const checked = run(process.execPath, [join(typescript, "../bin/tsc"), "-p", folder]);
    expect(
      await checked.then(
        () => "no errors",
        (error: { stdout: string }) => error.stdout,
      ),
    ).toBe("no errors");
    const { stdout } = await run(process.execPath, [file]);
    expect(stdout.trim()).not.toBe("");
  });
}

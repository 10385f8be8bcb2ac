// `npm run check`: everything that judges the code without running it. All steps run; the first failure's code is ours.
import process from "node:process";
import { buildKernels } from "./build.mjs";
import { Failure, run } from "./process.mjs";

const steps = [
  { name: "lint and format", command: "biome", args: ["check", "--error-on-warnings"] },
  { name: "types", command: "tsc", args: ["-b"] },
  { name: "unused code and dependencies", command: "knip", args: ["--no-config-hints"] },
  // The other tests of tools build and run things: `npm test` has them.
  { name: "package boundaries", command: "vitest", args: ["run", "--project", "tools", "boundaries"] },
];

export async function check(context) {
  await buildKernels(context);
  const failed = [];
  for (const { name, command, args } of steps) {
    process.stdout.write(`\n== ${name}\n`);
    try {
      await run(context.root, command, args);
    } catch (error) {
      if (!(error instanceof Failure) || error.interrupted) throw error;
      failed.push({ name, exitCode: error.exitCode });
    }
  }
  if (failed.length > 0) throw new Failure(`failed: ${failed.map(({ name }) => name).join(", ")}`, failed[0].exitCode);
  process.stdout.write("\nAll checks passed.\n");
}

// `npm test`: all projects in one vitest process; arguments go to vitest (a path, `--project nn`, `-t name`).
import { build } from "./build.mjs";
import { run } from "./process.mjs";

export async function test(context) {
  // Worker threads and the started command line load the built packages, so the tests need them.
  await build(context);
  await run(context.root, "vitest", ["run", ...context.args]);
}

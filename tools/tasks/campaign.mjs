// The campaigns that look for faults: damaged files, and killed or hindered runs.
import { build } from "./build.mjs";
import { run } from "./process.mjs";

/** `npm run fuzz [-- --format NAME --minutes 30]`: damaged files of every format; arguments go to its script. */
export async function runFuzz(context) {
  await build(context);
  await run(context.root, "node", ["apps/cli/campaign/fuzz.ts", ...context.args]);
}

/** `npm run faults [-- --kills 100]`: runs that are killed, or find no room; arguments go to its script. */
export async function runFaults(context) {
  await build(context);
  await run(context.root, "node", ["apps/cli/campaign/faults.ts", ...context.args]);
}

// `npm run demo`: builds what is needed and hands over to the demo of the command line.
import { build } from "./build.mjs";
import { run } from "./process.mjs";

export async function demo(context) {
  await build(context);
  await run(context.root, "node", ["apps/cli/dist/demo.js", ...context.args]);
}

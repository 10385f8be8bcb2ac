// `npm run browser`: the page under examples/browser, served with reloading; `npm run test:browser`: the same in headless Chromium.
import { join } from "node:path";
import { build } from "./build.mjs";
import { run } from "./process.mjs";

export async function openPage(context) {
  await build(context);
  await run(context.root, "vite", context.args, { cwd: join(context.root, "examples/browser") });
}

export async function testPage(context) {
  await build(context);
  await run(context.root, "node", ["test/page.ts", ...context.args], { cwd: join(context.root, "examples/browser") });
  for (const file of ["test/packed.ts", "test/bundlers.ts"])
    await run(context.root, "node", [file], { cwd: join(context.root, "examples/browser") });
  // TensorFlow.js in a page; without a browser the test says so and is skipped.
  await run(context.root, "vitest", ["run", "tools/browser/"], { env: { SECATEUR_BROWSER_TEST: "1" } });
}

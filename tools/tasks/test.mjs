// `npm test`: all projects in one vitest process; arguments go to vitest (a path, `--project nn`, `-t name`).
import { build } from "./build.mjs";
import { run } from "./process.mjs";

export async function test(context) {
  // Worker threads and the started command line load the built packages, so the tests need them.
  await build(context);
  await run(context.root, "vitest", ["run", ...context.args]);
}

/** `npm run test:browser`: the test that starts a browser; it says so where there is none, and is skipped. */
export async function testBrowser(context) {
  await build(context);
  const env = { SECATEUR_BROWSER_TEST: "1" };
  await run(context.root, "vitest", ["run", "tools/browser/", ...context.args], { env });
}

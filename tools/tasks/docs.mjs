// `npm run docs`: the API of every package and the pages in docs/ as one site in docs/site.
import { join } from "node:path";
import process from "node:process";
import { build } from "./build.mjs";
import { run } from "./process.mjs";

export async function docs(context) {
  // typedoc reads the other packages' types from their dist folders.
  await build(context);
  // The docs package has a TypeScript of its own: typedoc does not run on the workspace's.
  const folder = join(context.root, "docs");
  await run(context.root, "node", ["node_modules/typedoc/bin/typedoc", ...context.args], { cwd: folder });
  process.stdout.write("The site is in docs/site; open docs/site/index.html.\n");
}

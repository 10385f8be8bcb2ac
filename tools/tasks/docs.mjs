// `npm run docs`: the API of every package, the pages in docs/ and the pages made from the code as one site in docs/site;
// its links are checked, and what its exports do not say is listed (`npm run docs -- --gaps` lists every one).
import { join } from "node:path";
import process from "node:process";
import { build } from "./build.mjs";
import { run } from "./process.mjs";

export async function docs(context) {
  // The pages load the built packages, and typedoc reads the other packages' types from their dist folders.
  await build(context);
  const cwd = join(context.root, "docs");
  const ownArgs = context.args.filter((arg) => arg === "--gaps");
  const typedocArgs = context.args.filter((arg) => arg !== "--gaps");
  await run(context.root, "node", ["scripts/generate.ts"], { cwd });
  // The docs package has a TypeScript of its own: typedoc does not run on the workspace's.
  await run(context.root, "node", ["node_modules/typedoc/bin/typedoc", ...typedocArgs], { cwd });
  await run(context.root, "node", ["scripts/check.ts", ...ownArgs], { cwd });
  process.stdout.write("The site is in docs/site; open docs/site/index.html.\n");
}

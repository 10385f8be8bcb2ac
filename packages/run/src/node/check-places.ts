/** Outputs must have fitting names and must not replace inputs. */
import { realpathSync } from "node:fs";
import { dataSources } from "@secateur/datasets";
import { assertThere } from "@secateur/formats";
import { badEnding, outputIsInput } from "../errors.ts";
import { mapDataPaths } from "../recipe/data-spec.ts";

/** A flag that names an output, and where that lies; undefined when it is not given. */
export interface OutputPlace {
  readonly flag: string;
  readonly path: string | undefined;
}

/**
 * Refuses an output that is one of the inputs, under whatever name.
 *
 * @param spec.inputs - absolute paths of everything that is read; undefined for what is not given
 * @throws ERR_OUTPUT_IS_INPUT
 */
export function assertNotInput(spec: {
  outputs: readonly OutputPlace[];
  inputs: readonly (string | undefined)[];
}): void {
  const inputs = new Set(spec.inputs.filter((path) => path !== undefined).map(realPath));
  for (const { flag, path } of spec.outputs) {
    if (path !== undefined && inputs.has(realPath(path))) throw outputIsInput({ flag, path });
  }
}

/** Refuses a name that does not end in one of `endings`. @throws ERR_OUTPUT_FORMAT */
export function assertEnding({ flag, path }: OutputPlace, endings: readonly string[]): void {
  if (path === undefined || endings.some((ending) => path.toLowerCase().endsWith(ending))) return;
  throw badEnding({ flag, path, allowed: endings.join(" or ") });
}

/**
 * Refuses inputs that are not there. Asked before the places of outputs are judged: who mistyped the data should not be told of an
 * output first.
 *
 * @param files - absolute paths; undefined for what is not given
 * @param data - the data argument, if any; what a plugin's dataset takes need not be a path
 * @throws ERR_FILE_NOT_FOUND, ERR_FILE_NOT_READABLE
 */
export async function assertInputsThere(files: readonly (string | undefined)[], data?: string): Promise<void> {
  const isOurs = dataSources.some(({ name }) => data?.startsWith(`${name}:`));
  const paths = [...files, ...(data !== undefined && isOurs ? dataPaths(data) : [])];
  for (const path of paths) if (path) await assertThere(path);
}

/** The files that a data argument with absolute paths names. */
export function dataPaths(data: string): readonly string[] {
  const paths: string[] = [];
  mapDataPaths(data, (path) => {
    paths.push(path);
    return path;
  });
  return paths;
}

function realPath(path: string): string {
  try {
    return realpathSync(path);
  } catch {
    return path; // not there yet, so it is no input
  }
}

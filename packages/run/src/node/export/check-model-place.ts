import { existsSync, statSync } from "node:fs";
import { join } from "node:path";
import { checkOutput } from "@secateur/formats";
import type { OutputForm } from "./encode-model.ts";

/**
 * Refuses a place where a model could not be written, before the work starts.
 *
 * @param place - a file, or the folder of a TensorFlow.js model, which may be there already
 * @throws ERR_OUTPUT_EXISTS, ERR_OUTPUT_FOLDER, ERR_OUTPUT_NOT_WRITABLE
 */
export async function checkModelPlace(
  form: OutputForm,
  place: string,
  options: { readonly overwrite: boolean },
): Promise<void> {
  const isFolder = form === "tfjs" && existsSync(place) && statSync(place).isDirectory();
  const isNewFolder = form === "tfjs" && !isFolder;
  await checkOutput(isFolder ? join(place, "model.json") : place, isNewFolder ? { overwrite: false } : options);
}

import { existsSync, statSync } from "node:fs";
import { join } from "node:path";
import { checkOutput } from "@secateur/formats";
import { checkCopies } from "./compressed-copies.ts";
import type { OutputForm } from "./encode-model.ts";

/**
 * Refuses a place where a model could not be written, before the work starts, or where compressed copies lie that hosts would send in its place.
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
  const file = isFolder ? join(place, "model.json") : place;
  await checkOutput(file, isNewFolder ? { overwrite: false } : options);
  if (!isNewFolder) await checkCopies([file], options);
}

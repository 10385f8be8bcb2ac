/** Whether the outputs of a run of pruning are there already, whole and its own. */
import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { checkOutput, readFileBytes } from "@secateur/formats";
import { checkModelPlace } from "../export/check-model-place.ts";
import type { EncodedFile } from "../export/encode-model.ts";
import { readTfjsFiles } from "../open/open-tfjs.ts";
import type { PruneOutputs } from "./prune-outputs.ts";

/** Refuses places where something stands that must not be replaced. @throws what {@link checkOutput} throws */
export async function checkPruneOutputs(outputs: PruneOutputs): Promise<void> {
  const { form, out, recipe, report } = outputs;
  await checkModelPlace(form, out, outputs);
  for (const path of [recipe, ...(report === undefined ? [] : [report])]) await checkOutput(path, outputs);
}

/** SHA-256 of the pruned network's files, hexadecimal; of a TensorFlow.js model as that of a model that is read. */
export function outputHash(files: readonly EncodedFile[]): string {
  const hash = createHash("sha256");
  // The weights are written first, and read last.
  for (const [, bytes] of [...files].reverse()) hash.update(bytes);
  return hash.digest("hex");
}

/**
 * Whether all outputs are there, of the same request (a report names it among its run's recipe), and the network is byte for
 * byte what that run wrote.
 *
 * @param request - the hash that a recipe of this run has
 */
export async function isPruneFinished(outputs: PruneOutputs, request: string): Promise<boolean> {
  const { form, out, recipe, report, state } = outputs;
  const places = [form === "tfjs" ? join(out, "model.json") : out, recipe, ...(report === undefined ? [] : [report])];
  if (existsSync(state) || !places.every((path) => existsSync(path))) return false;
  if (report !== undefined && !new TextDecoder().decode(await readFileBytes(report)).includes(request)) return false;
  const written = await readJson(recipe);
  if (written?.["requestSha256"] !== request) return false;
  const files =
    form === "tfjs" ? await readTfjsFiles(places[0]!) : { sha256: outputHash([[out, await readFileBytes(out)]]) };
  return written["outputSha256"] === files.sha256;
}

async function readJson(path: string): Promise<Readonly<Record<string, unknown>> | undefined> {
  try {
    const value: unknown = JSON.parse(new TextDecoder().decode(await readFileBytes(path)));
    return typeof value === "object" && value !== null ? (value as Readonly<Record<string, unknown>>) : undefined;
  } catch {
    return undefined; // not ours, so this run did not write it
  }
}

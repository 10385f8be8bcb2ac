/** Writes what a run of pruning gave: the network, its recipe, the report. */
import { dirname } from "node:path";
import { isPruneError, PruneError, type RunEvent } from "@secateur/core";
import { makeFolder, writeFileAtomic } from "@secateur/formats";
import { settleCopies } from "../export/compressed-copies.ts";
import { type EncodedFile, encodeModel } from "../export/encode-model.ts";
import { freshMetadata } from "../fresh-metadata.ts";
import { architectureKey } from "../open/architecture/resolve-architecture.ts";
import type { AnyModel } from "../open/open-any-model.ts";
import { tiedKey } from "../open/stored-tensors.ts";
import type { StatedOfModel } from "../preprocessing/preprocessing.ts";
import { trainingKey } from "../retrain/training-record.ts";
import { outputHash } from "./finished-prune.ts";
import type { PruneDocument, RunOutcome } from "./prune-document.ts";
import type { PruneOutputs } from "./prune-outputs.ts";

/**
 * Writes every output whole or not at all. All of them are made before the first is written.
 *
 * @returns the document, whose recipe has the hash of what was written
 */
export async function saveResults(spec: {
  document: PruneDocument;
  outcome: RunOutcome;
  model: AnyModel;
  outputs: PruneOutputs;
  /** What is known of preparing data for the network. */
  stated: StatedOfModel;
  makeReport(document: PruneDocument, outcome: RunOutcome): Promise<string | Uint8Array>;
  /** The folder from which plugins are looked for. */
  cwd: string;
  onEvent: (event: RunEvent) => void;
}): Promise<PruneDocument> {
  const { outcome, model, outputs } = spec;
  const { overwrite } = outputs;
  const network = await encodePruned({
    ...{ model, document: spec.document, outputs, stated: spec.stated },
    from: spec.cwd,
    onEvent: spec.onEvent,
  });
  const recipe = { ...spec.document.recipe, outputSha256: outputHash(network) };
  const document = { ...spec.document, recipe };
  const report = outputs.report === undefined ? undefined : await spec.makeReport(document, outcome);
  for (const [path, bytes] of network) {
    if (outputs.form === "tfjs") await makeFolder(dirname(path));
    await writeFileAtomic(path, bytes, { overwrite });
  }
  await settleCopies(network, { compress: false, overwrite });
  await writeFileAtomic(outputs.recipe, `${JSON.stringify(recipe, null, 2)}\n`, { overwrite });
  if (outputs.report !== undefined && report !== undefined) {
    await writeFileAtomic(outputs.report, report, { overwrite }).catch((error: unknown) => {
      throw reportLost(error, outputs);
    });
  }
  return document;
}

/** The report comes last: what was written before it is there, and the saved state still is. */
function reportLost(error: unknown, { out, recipe }: PruneOutputs): unknown {
  if (!isPruneError(error)) return error;
  const { code, fault, details = {} } = error;
  const message = `${error.message}; ${out} and ${recipe} are written: repeat the command with --resume and a --report that can be`;
  return new PruneError(code, message, { fault, details, cause: error });
}

/** The files of the pruned network, in the order in which they are written. */
async function encodePruned(spec: {
  model: AnyModel;
  document: PruneDocument;
  outputs: PruneOutputs;
  stated: StatedOfModel;
  from: string;
  onEvent: (event: RunEvent) => void;
}): Promise<readonly EncodedFile[]> {
  const { model, document, outputs, stated, from, onEvent } = spec;
  const { solver, sparsity = document.sparsity, seed } = document.recipe;
  const metadata = {
    // How the network was trained before stays true of it.
    ...(model.own ? freshMetadata(model.own.metadata, [trainingKey]) : {}),
    ...(model.own ? { [architectureKey]: model.own.architecture.name } : {}),
    "secateur.solver": solver,
    "secateur.sparsity": String(sparsity),
    "secateur.seed": String(seed),
    ...tiesOf(model),
  };
  const { out: path, form, opset } = outputs;
  return await encodeModel({ model, form, path, metadata, stated, opset, from, onEvent });
}

/** Which tensors of the file are one, under their names there: safetensors has no other way to say it. */
function tiesOf({ own }: AnyModel): Readonly<Record<string, string>> {
  if (!own || own.tied.length === 0) return {};
  const names = own.tied.map((group) => group.map((name) => own.stored.get(name)?.name ?? name));
  return { [tiedKey]: JSON.stringify(names) };
}

/** Writes what a run of pruning gave: the network, its recipe, the report. */
import { mkdir } from "node:fs/promises";
import { dirname, join } from "node:path";
import { writeFileAtomic } from "@secateur/formats";
import { freshMetadata } from "../fresh-metadata.ts";
import { architectureKey } from "../open/architectures.ts";
import { encodeNetwork } from "../open/encode-network.ts";
import { type AnyModel, ownNetwork } from "../open/open-any-model.ts";
import { trainingKey } from "../retrain/training-record.ts";
import type { PruneDocument, RunOutcome } from "./prune-document.ts";
import type { PruneOutputs } from "./prune-outputs.ts";

/** Writes every output whole or not at all. All of them are made before the first is written. */
export async function saveResults(spec: {
  document: PruneDocument;
  outcome: RunOutcome;
  model: AnyModel;
  outputs: PruneOutputs;
  makeReport(document: PruneDocument, outcome: RunOutcome): Promise<string | Uint8Array>;
  /** The folder from which plugins are looked for. */
  cwd: string;
}): Promise<void> {
  const { document, outcome, model, outputs } = spec;
  const { overwrite } = outputs;
  const network = await encodePruned({ model, document, path: outputs.out, from: spec.cwd });
  const report = outputs.report === undefined ? undefined : await spec.makeReport(document, outcome);
  for (const [path, bytes] of network) {
    if (model.tfjs) await mkdir(dirname(path), { recursive: true });
    await writeFileAtomic(path, bytes, { overwrite });
  }
  await writeFileAtomic(outputs.recipe, `${JSON.stringify(document.recipe, null, 2)}\n`, { overwrite });
  if (outputs.report !== undefined && report !== undefined) {
    await writeFileAtomic(outputs.report, report, { overwrite });
  }
}

/** The files of the pruned network, in the order in which they are written. */
async function encodePruned(spec: {
  model: AnyModel;
  document: PruneDocument;
  path: string;
  from: string;
}): Promise<readonly (readonly [path: string, bytes: Uint8Array])[]> {
  const { model, document, path, from } = spec;
  if (model.tfjs) {
    // The weights first: where there is a model.json, its files are there.
    const files = [...(await model.tfjs.model.encode())].reverse();
    return files.map(([name, bytes]) => [join(path, name), bytes] as const);
  }
  // Graph, names and metadata stay what they are: only the bytes of pruned tensors differ.
  if (model.onnx) return [[path, model.onnx.encode()]];
  const { network, metadata, architecture, stored } = ownNetwork(model, "saving");
  const { solver, sparsity, seed } = document.recipe;
  const bytes = await encodeNetwork({
    from,
    network,
    path,
    stored,
    metadata: {
      // How the network was trained before stays true of it.
      ...freshMetadata(metadata, [trainingKey]),
      [architectureKey]: architecture.name,
      "secateur.solver": solver,
      "secateur.sparsity": String(sparsity),
      "secateur.seed": String(seed),
    },
  });
  return [[path, bytes]];
}

/** Writes what a run of `secateur prune` gave: the network, its recipe, the report. */
import { writeFileAtomic } from "@secateur/formats";
import { architectureKey } from "../run/architectures.ts";
import { encodeNetwork } from "../run/encode-network.ts";
import type { OpenedModel } from "../run/open-model.ts";
import type { PruneDocument } from "./prune-document.ts";
import type { PruneOutcome } from "./prune-network.ts";
import type { PruneOutputs } from "./prune-outputs.ts";

/** Writes every output whole or not at all. All of them are made before the first is written. */
export async function saveResults(spec: {
  document: PruneDocument;
  outcome: PruneOutcome;
  model: OpenedModel;
  outputs: PruneOutputs;
  argv: readonly string[];
}): Promise<void> {
  const { document, outcome, model, outputs, argv } = spec;
  const { overwrite } = outputs;
  const network = encodePruned({ model, document, path: outputs.out });
  const report = outputs.report === undefined ? undefined : await makeReport({ document, outcome, argv });
  await writeFileAtomic(outputs.out, network, { overwrite });
  await writeFileAtomic(outputs.recipe, `${JSON.stringify(document.recipe, null, 2)}\n`, { overwrite });
  if (outputs.report !== undefined && report !== undefined) {
    await writeFileAtomic(outputs.report, report, { overwrite });
  }
}

function encodePruned(spec: { model: OpenedModel; document: PruneDocument; path: string }): Uint8Array {
  const { model, document, path } = spec;
  const { solver, sparsity, seed } = document.recipe;
  return encodeNetwork({
    network: model.network,
    path,
    metadata: {
      ...model.metadata,
      [architectureKey]: model.architecture.name,
      "secateur.solver": solver,
      "secateur.sparsity": String(sparsity),
      "secateur.seed": String(seed),
    },
  });
}

/** The report's library is large, so it is loaded only when a report was asked for. */
async function makeReport(spec: {
  document: PruneDocument;
  outcome: PruneOutcome;
  argv: readonly string[];
}): Promise<string> {
  const { pruneReport } = await import("../report/prune-report.ts");
  return await pruneReport(spec);
}

/** Writes what a run of `secateur prune` gave: the network, its recipe, the report. */
import { mkdir } from "node:fs/promises";
import { dirname, join } from "node:path";
import { writeFileAtomic } from "@secateur/formats";
import { architectureKey } from "../run/architectures.ts";
import { encodeNetwork } from "../run/encode-network.ts";
import { type AnyModel, ownNetwork } from "../run/open-any-model.ts";
import type { PruneDocument } from "./prune-document.ts";
import type { PruneOutcome } from "./prune-network.ts";
import type { PruneOutputs } from "./prune-outputs.ts";

/** Writes every output whole or not at all. All of them are made before the first is written. */
export async function saveResults(spec: {
  document: PruneDocument;
  outcome: PruneOutcome;
  model: AnyModel;
  outputs: PruneOutputs;
  argv: readonly string[];
}): Promise<void> {
  const { document, outcome, model, outputs, argv } = spec;
  const { overwrite } = outputs;
  const network = await encodePruned({ model, document, path: outputs.out });
  const report = outputs.report === undefined ? undefined : await makeReport({ document, outcome, argv });
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
}): Promise<readonly (readonly [path: string, bytes: Uint8Array])[]> {
  const { model, document, path } = spec;
  if (model.tfjs) {
    // The weights first: where there is a model.json, its files are there.
    const files = [...(await model.tfjs.model.encode())].reverse();
    return files.map(([name, bytes]) => [join(path, name), bytes] as const);
  }
  const { network, metadata, architecture } = ownNetwork(model, "saving");
  const { solver, sparsity, seed } = document.recipe;
  const bytes = encodeNetwork({
    network,
    path,
    metadata: {
      ...metadata,
      [architectureKey]: architecture.name,
      "secateur.solver": solver,
      "secateur.sparsity": String(sparsity),
      "secateur.seed": String(seed),
    },
  });
  return [[path, bytes]];
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

/** ResNet20 on a subset of CIFAR-10: one stage by default and several, with statistics of batch normalisation measured anew. */
import { join } from "node:path";
import process from "node:process";
import type { Kernels } from "@secateur/core";
import { pruneNetwork } from "@secateur/run";
import { batchNormFor, findCurvature, openData, openModel, remeasuring } from "@secateur/run/node";
import { chita } from "@secateur/solvers-chita";
import { onlyCheckpoint, quietSession } from "./bench-network.ts";
import { decimals, printLine, printTable, showProgress } from "./print.ts";
import { publishedResnet20 } from "./published.ts";

/** CIFAR-10's channels as the authors' code normalises them. */
const normalize = "0.4914,0.4822,0.4465,0.2023,0.1994,0.2010";
/** Stages in all of the second table. */
const stages = 4;
const ignore = (): void => {};

/** Prunes at every sparsity, once in one stage and once in several, seed 0. */
export async function runResnet20(spec: {
  folder: string;
  sparsities: readonly number[];
  kernels: Kernels;
}): Promise<void> {
  const { folder, sparsities, kernels } = spec;
  const path = onlyCheckpoint(join(folder, "resnet20-cifar10"), "ResNet20");
  const source = `cifar10:${join(folder, "cifar10-subset")}`;
  const session = quietSession(kernels, 0);
  const open = async () => (await openModel({ path, arch: "resnet20", onEvent: ignore })).network;
  const data = await openData({ data: source, normalize, classes: 10, network: (await open()).spec, onEvent: ignore });
  for (const plan of [{}, { stages }]) {
    printLine(
      plan.stages === undefined ? "one stage, everything by default, seed 0" : `${stages} stages, the rest by default`,
    );
    const rows: (string | undefined)[][] = [];
    for (const sparsity of sparsities) {
      showProgress(`pruning ResNet20 to ${sparsity}`);
      const network = await open();
      const settings = batchNormFor(network, {});
      const { before, recalibrate, after } = remeasuring({ network, data, settings, session });
      await before();
      const dense = await network.evaluate(data.test, session.context());
      const { result } = await pruneNetwork({
        ...{
          network,
          solver: chita(),
          sparsity,
          plan,
          train: data.train,
          findCurvature: (name: string) => findCurvature(name, process.cwd()),
          session,
        },
        ...(recalibrate ? { recalibrate } : {}),
      });
      // Statistics are those of the dense network here, as in the published figures.
      const kept = await network.evaluate(data.test, session.context());
      await after();
      const pruned = await network.evaluate(data.test, session.context());
      const published = publishedResnet20.get(sparsity);
      const { gradientMs, solveMs, totalMs } = result.timing;
      rows.push([
        `${sparsity}`,
        decimals(dense.accuracy, 2),
        decimals(pruned.accuracy, 2),
        plan.stages === undefined ? decimals(kept.accuracy, 2) : undefined,
        decimals(plan.stages === undefined ? published?.oneShot : published?.stages, 2),
        ...[gradientMs, solveMs, totalMs].map((ms) => decimals(ms / 1000, 1)),
      ]);
    }
    printTable(
      ["sparsity", "dense", "pruned", "old statistics", "published", "gradients s", "solve s", "total s"],
      rows,
    );
  }
}

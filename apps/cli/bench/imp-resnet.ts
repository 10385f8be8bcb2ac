/** ResNet20 on a subset of CIFAR-10: three rounds to 90 % with LLR beside one shot at the same sparsity. */
import { readdirSync } from "node:fs";
import { join } from "node:path";
import type { Kernels } from "@secateur/core";
import { reestimateBatchNorm } from "@secateur/nn";
import { badUsage } from "@secateur/run";
import { openData } from "@secateur/run/node";
import { quietSession } from "./bench-network.ts";
import { fresh, pruneAndRetrain, pruneOnly } from "./imp-run.ts";
import { printLine, printTable, showProgress } from "./print.ts";

const sparsity = 0.9;
/** The usual training of ResNets on CIFAR-10 (He et al. 2016), which the checkpoint is taken to have had. */
const dense = { schedule: "step", learningRate: 0.1, epochs: 200 } as const;

/** Prints the table. */
export async function runResnet(spec: { folder: string; kernels: Kernels; budgets: readonly number[] }): Promise<void> {
  const { folder, kernels } = spec;
  const epochs = Math.max(...spec.budgets);
  const path = checkpoint(join(folder, "resnet20-cifar10"));
  const data = await openData({
    data: `cifar10:${join(folder, "cifar10-subset")}`,
    normalize: undefined,
    classes: 10,
    onEvent: () => {},
  });
  const open = async () => {
    const model = await fresh(path);
    await reestimateBatchNorm(model.network, data.train, quietSession(kernels, 0).context());
    return model;
  };
  const { network } = await open();
  const before = await network.evaluate(data.test, quietSession(kernels, 0).context());
  printLine(`${data.train.size} training images, ${data.test.size} test images; dense ${before.accuracy.toFixed(2)} %`);
  const rows: (readonly string[])[] = [];
  const oneShot = await pruneOnly({ kernels, data, network, solver: "magnitude", sparsity, seed: 0 });
  await reestimateBatchNorm(network, data.train, quietSession(kernels, 0).context());
  const again = await network.evaluate(data.test, quietSession(kernels, 0).context());
  rows.push(["one shot", oneShot.toFixed(2), "", ""]);
  rows.push(["one shot, batch norm measured again", again.accuracy.toFixed(2), "", ""]);
  for (const phases of [1, 3]) {
    showProgress(`${phases} rounds of ${epochs} epochs`);
    const settings = {
      ...({ schedule: "llr", epochs, phases, batchSize: 128, dense } as const),
      ...{ learningRate: 0.02, weightDecay: 5e-4, cropPadding: 4, flip: true, nesterov: true },
    };
    const run = await pruneAndRetrain({
      kernels,
      data,
      model: await open(),
      solver: "magnitude",
      sparsity,
      settings,
      seed: 0,
    });
    const ms = run.rounds.reduce((sum, { retrainMs }) => sum + retrainMs, 0);
    const images = epochs * data.train.size;
    rows.push([
      `${phases} round${phases === 1 ? "" : "s"}, ${epochs} epochs of LLR`,
      run.accuracy.toFixed(2),
      ((1000 * images) / ms).toFixed(0),
      (ms / 1000).toFixed(0),
    ]);
    for (const { reached, pruned, retrained } of run.rounds) {
      rows.push([
        `  at ${(100 * reached).toFixed(2)} %: ${pruned!.accuracy.toFixed(2)} after pruning`,
        retrained!.accuracy.toFixed(2),
        "",
        "",
      ]);
    }
  }
  printTable([`ResNet20 at ${sparsity}`, "accuracy (%)", "images/s", "seconds"], rows);
}

function checkpoint(folder: string): string {
  const [file, ...more] = readdirSync(folder).filter((name) => name.endsWith(".safetensors"));
  if (file === undefined || more.length > 0) throw badUsage(`${folder}: it must hold one file *.safetensors`);
  return join(folder, file);
}

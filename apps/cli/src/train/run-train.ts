/** One run of `secateur train`. */
import { existsSync } from "node:fs";
import { rm } from "node:fs/promises";
import { type Evaluation, isPruneError, type Mask } from "@secateur/core";
import { checkOutput, checkpointEncoderFor, writeFileAtomic } from "@secateur/formats";
import { createNetwork, type Network, train } from "@secateur/nn";
import { printResult } from "../commands/print-result.ts";
import { badUsage, flagWithoutEffect, interrupted, missingFlag } from "../errors.ts";
import type { AugmentationFlags } from "../flags/batch-norm-flags.ts";
import { learningRateOf, type OptimizerFlags, optimizerOf, peakRates } from "../flags/training-flags.ts";
import { encodeRecord, type TrainingRecord, trainingKey } from "../retrain/training-record.ts";
import { absolutePath } from "../run/absolute-path.ts";
import { architectureKey, namedArchitecture } from "../run/architectures.ts";
import { augmentationOf } from "../run/batch-norm.ts";
import { assertNotInput, dataPaths } from "../run/check-places.ts";
import { mapDataPaths } from "../run/data-spec.ts";
import { encodeNetwork } from "../run/encode-network.ts";
import { openData } from "../run/open-data.ts";
import { openModel } from "../run/open-model.ts";
import { type Session, type SessionFlags, withSession } from "../run/session.ts";
import { versions } from "../run/versions.ts";
import type { Terminal } from "../terminal.ts";
import { formatDuration, formatNumber, formatPercent } from "../text/format.ts";
import { formatTable } from "../text/table.ts";
import { readTraining, trainingPath, writeTraining } from "./training-file.ts";

/** The flags of `secateur train` as commander hands them over. */
export interface TrainFlags extends SessionFlags, OptimizerFlags, AugmentationFlags {
  readonly arch?: string;
  readonly data?: string;
  readonly normalize?: string;
  readonly keepZeros?: boolean;
  readonly epochs?: number;
  readonly batchSize?: number;
  readonly weightDecay?: number;
  /** Epochs whose weights are written to files of their own; 0: those at the start. */
  readonly keepEpochs?: readonly number[];
  readonly out?: string;
  readonly force?: boolean;
  readonly resume?: boolean;
}

/** What is used where the flags say nothing. */
export const trainDefaults = {
  epochs: 10,
  batchSize: 64,
  learningRate: 0.1,
  momentum: 0.9,
  weightDecay: 5e-4,
} as const;

/** What `secateur train --json` prints. */
interface TrainDocument {
  readonly arch: string;
  /** On the test split, after training. */
  readonly test: Evaluation;
  /** Over each epoch, while the weights moved. */
  readonly epochs: readonly { readonly loss: number; readonly accuracy: number }[];
  readonly steps: number;
  readonly trainMs: number;
  readonly seed: number;
  readonly versions: Readonly<Record<string, string>>;
  readonly out: string;
}

interface Start {
  readonly network: Network;
  readonly arch: string;
  readonly metadata: Readonly<Record<string, string>>;
}

/** Trains, writes the network, prints the result. @throws whatever is wrong with the input, ERR_DIVERGED, ERR_ABORTED */
export async function runTrain(call: {
  model: string | undefined;
  flags: TrainFlags;
  terminal: Terminal;
}): Promise<void> {
  const { flags, terminal } = call;
  const { normalize } = flags;
  if (flags.data === undefined) throw missingFlag("--data", "say what to train on, for example --data mnist");
  if (flags.out === undefined)
    throw missingFlag("--out", "say where the trained network goes, for example --out net.safetensors");
  const data = mapDataPaths(flags.data, (path) => absolutePath(terminal, path));
  const out = absolutePath(terminal, flags.out);
  const overwrite = flags.force === true;
  checkpointEncoderFor(out); // refuses an ending that names no format
  assertNotInput({
    outputs: [
      { flag: "--out", path: out },
      { flag: "--events", path: flags.events === undefined ? undefined : absolutePath(terminal, flags.events) },
    ],
    inputs: [call.model === undefined ? undefined : absolutePath(terminal, call.model), ...dataPaths(data)],
  });
  await checkOutput(out, { overwrite });
  const { epochs: planned = trainDefaults.epochs, keepEpochs = [] } = flags;
  const beyond = keepEpochs.find((epoch) => epoch > planned);
  if (beyond !== undefined) {
    const reason = `there is no epoch ${beyond} of ${planned}`;
    throw flagWithoutEffect({ flag: `--keep-epochs ${beyond}`, reason });
  }
  for (const epoch of keepEpochs) {
    // A continued run may have written some already.
    await checkOutput(epochPath(out, epoch), { overwrite: overwrite || flags.resume === true });
  }

  const optimizer = optimizerOf(flags); // refuses settings it does not have
  const document = await withSession(
    { flags, terminal, overwrite, appendEvents: flags.resume === true },
    async (session): Promise<TrainDocument> => {
      const { network, arch, metadata } = await start(call, session);
      const splits = await openData({
        data,
        normalize,
        classes: network.spec.classes,
        network: network.spec,
        onEvent: session.onEvent,
      });
      const ctx = session.context();
      const started = ctx.now();
      const { batchSize, weightDecay, epochs } = { ...trainDefaults, ...defined(flags) };
      const path = trainingPath(out);
      const keepEpoch = async (epoch: number): Promise<void> => {
        if (!keepEpochs.includes(epoch)) return;
        const place = epochPath(out, epoch);
        const kept = encodeNetwork({ network, path: place, metadata: { ...metadata, [architectureKey]: arch } });
        await writeFileAtomic(place, kept, { overwrite: true });
      };
      if (!flags.resume) await keepEpoch(0);
      let saved = Number.NEGATIVE_INFINITY;
      const run = runIdentity({ flags, arch, data, seed: session.seed });
      const report = await train(
        network,
        {
          data: splits.train,
          epochs,
          batchSize,
          optimizer,
          learningRate: learningRateOf(flags),
          weightDecay,
          labelSmoothing: flags.labelSmoothing ?? 0,
          ...(flags.cropPadding || flags.flip ? { augmentation: augmentationOf(flags, splits) } : {}),
          ...(flags.keepZeros ? { masks: masksOf(network) } : {}),
          ...(flags.resume ? { resume: await readTraining(path, run) } : {}),
          onEpoch: async (state) => {
            await keepEpoch(state.epoch);
            if (ctx.now() - saved < saveEveryMs) return;
            await writeTraining(path, state, run);
            saved = ctx.now();
          },
        },
        ctx,
      ).catch((error: unknown) => {
        throw explainInterrupt(error, path);
      });
      const trainMs = ctx.now() - started;
      const test = await network.evaluate(splits.test, session.context());
      const recorded = epochs > 0 ? { [trainingKey]: encodeRecord(recordOf(flags)) } : {};
      const bytes = encodeNetwork({
        network,
        path: out,
        metadata: { ...metadata, ...recorded, [architectureKey]: arch },
      });
      await writeFileAtomic(out, bytes, { overwrite });
      await rm(path, { force: true });
      return {
        arch,
        test,
        epochs: report.epochs,
        steps: report.steps,
        trainMs,
        seed: session.seed,
        versions: versions([]),
        out,
      };
    },
  );
  printResult({ terminal, flags, document, text: () => trainText(document) });
}

/** The file of an epoch's weights: "net.safetensors" -> "net.epoch-2.safetensors". */
function epochPath(out: string, epoch: number): string {
  return `${out.replace(/\.safetensors$/i, "")}.epoch-${epoch}.safetensors`;
}

/** Epochs of small networks take less than a file does. */
const saveEveryMs = 2000;

function explainInterrupt(error: unknown, state: string): unknown {
  if (!isPruneError(error) || error.code !== "ERR_ABORTED") return error;
  return interrupted(
    existsSync(state)
      ? `the finished epochs are saved in ${state}: repeat the command with --resume to go on from there`
      : "nothing was written",
  );
}

/** How the network was trained, for whoever retrains it. */
function recordOf(flags: TrainFlags): TrainingRecord {
  const { optimizer = "sgd", learningRate, schedule = "one-cycle", momentum } = flags;
  const { epochs, batchSize, weightDecay } = { ...trainDefaults, ...defined(flags) };
  return {
    schedule,
    learningRate: learningRate ?? peakRates[optimizer],
    ...{ epochs, batchSize, weightDecay, optimizer },
    ...(optimizer === "sgd" ? { momentum: momentum ?? trainDefaults.momentum, nesterov: flags.nesterov === true } : {}),
    labelSmoothing: flags.labelSmoothing ?? 0,
    cropPadding: flags.cropPadding ?? 0,
    flip: flags.flip === true,
  };
}

const decisive = [
  ...([
    "normalize",
    "epochs",
    "batchSize",
    "learningRate",
    "momentum",
    "weightDecay",
    "optimizer",
    "nesterov",
  ] as const),
  ...(["schedule", "labelSmoothing", "cropPadding", "flip"] as const),
] as const;

/** Every setting that decides the result, as JSON. */
function runIdentity(spec: { flags: TrainFlags; arch: string; data: string; seed: number }): string {
  const { arch, data, seed } = spec;
  const settings = [...decisive, "keepZeros"] as const;
  return JSON.stringify({ arch, data, seed, ...Object.fromEntries(settings.map((key) => [key, spec.flags[key]])) });
}

async function start(
  call: { model: string | undefined; flags: TrainFlags; terminal: Terminal },
  session: Session,
): Promise<Start> {
  const { model, flags, terminal } = call;
  if (model !== undefined) {
    const opened = await openModel({ path: absolutePath(terminal, model), arch: flags.arch, onEvent: session.onEvent });
    return { network: opened.network, arch: opened.architecture.name, metadata: opened.metadata };
  }
  if (flags.arch === undefined) {
    throw badUsage("nothing to train: give MODEL, a checkpoint to go on from, or --arch for a new network");
  }
  if (flags.keepZeros) throw flagWithoutEffect({ flag: "--keep-zeros", reason: "a new network has no zeros" });
  return {
    network: createNetwork(namedArchitecture(flags.arch), { seed: session.seed }),
    arch: flags.arch,
    metadata: {},
  };
}

/** 1 where a prunable weight is not zero. */
function masksOf(network: Network): ReadonlyMap<string, Mask> {
  const prunable = network.params().filter((param) => param.prunable);
  return new Map(
    prunable.map(({ name }) => [name, Uint8Array.from(network.weights.get(name)!.data, (x) => (x === 0 ? 0 : 1))]),
  );
}

function defined<T extends object>(flags: T): Partial<T> {
  return Object.fromEntries(Object.entries(flags).filter(([, value]) => value !== undefined)) as Partial<T>;
}

function trainText(document: TrainDocument): string {
  const right = { align: "right" } as const;
  const epochs = formatTable(
    [
      { title: "epoch", ...right },
      { title: "training loss", ...right },
      { title: "training accuracy", ...right },
    ],
    document.epochs.map(({ loss, accuracy }, index) => [
      String(index + 1),
      formatNumber(loss),
      formatPercent(accuracy),
    ]),
  );
  const { test, trainMs, steps, out } = document;
  return `${epochs}\ntest accuracy ${formatPercent(test.accuracy)}, loss ${formatNumber(test.loss)}; ${steps} steps in ${formatDuration(trainMs)}\nwrote ${out}\n`;
}

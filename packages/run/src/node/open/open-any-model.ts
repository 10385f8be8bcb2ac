/** MODEL, whatever it is: a checkpoint of our own layers, an ONNX graph, or a TensorFlow.js model that runs itself. */

import type { RunEvent } from "@secateur/core";
import { readFileBytes } from "@secateur/formats";
import type { NetworkSpec } from "@secateur/nn";
import { badUsage, flagWithoutEffect } from "../../errors.ts";
import type { PrunableModel } from "../../prune/prunable-model.ts";
import { tiedModel } from "../../prune/tied-model.ts";
import { isOnnxModel } from "../large/is-onnx-model.ts";
import { isPacked, packedCheckpoint } from "../pack/packed-checkpoint.ts";
import { openPackedGraph } from "../pack/packed-model.ts";
import { ownVersion } from "../plugins/own-version.ts";
import { statedOfModel } from "../preprocessing/beside-model.ts";
import type { StatedOfModel } from "../preprocessing/preprocessing.ts";
import { modelPackages } from "../versions.ts";
import { architectureKey } from "./architecture/resolve-architecture.ts";
import type { InputTexts } from "./input-choices.ts";
import type { EngineChoice } from "./load-tensorflow.ts";
import { type OpenedModel, openModel } from "./open-model.ts";
import { type OpenedOnnx, onnxArchitecture, openOnnx } from "./open-onnx.ts";
import { isTfjsModel, type OpenedTfjs, openTfjs, tfjsArchitecture, tfjsMetadata } from "./open-tfjs.ts";
import { some } from "./stored-tensors.ts";

/** An opened model. */
export interface AnyModel {
  /** Absolute path. */
  readonly path: string;
  /** What --arch would say, or "onnx", "tfjs-layers" or "tfjs-graph". */
  readonly arch: string;
  readonly network: PrunableModel;
  /** Labels are below; undefined where the model does not say. */
  readonly classes: number | undefined;
  /** Of our own layers. */
  readonly spec: NetworkSpec | undefined;
  readonly sha256: string;
  /** What its metadata, or a model card beside it, state of preparing data and of its classes. */
  readonly stated: StatedOfModel;
  /** A checkpoint of our own layers. */
  readonly own?: OpenedModel;
  readonly tfjs?: OpenedTfjs;
  readonly onnx?: OpenedOnnx;
  /** Packages that ran the model beside our usual ones. */
  readonly packages: readonly { readonly packageName: string; readonly version: string }[];
  /** Gives back what lives outside of JavaScript's memory. */
  close(): void;
}

/** What decides how a model is opened. */
export interface OpenSpec {
  /** Absolute. */
  readonly path: string;
  /** What --arch says. */
  readonly arch: string | undefined;
  /** What --engine says. */
  readonly engine: EngineChoice | undefined;
  /** What --include-frozen says: weights of frozen layers of a TensorFlow.js model are pruned too. */
  readonly includeFrozen?: boolean | undefined;
  /** What the user says of the inputs of an ONNX model. */
  readonly inputs?: InputTexts | undefined;
  /** Where packages of TensorFlow.js are looked for. */
  readonly cwd: string;
  readonly onEvent: (event: RunEvent) => void;
  /** Whether weights that are one tensor in the file become parameters of their own; default: they stay one. */
  readonly untie?: boolean;
  /** Whether convolutions of an ONNX model without a normalisation are matched by channel: what --reestimate-batch-norm asks for. */
  readonly corrects?: boolean | undefined;
  /** Whether a packed network of any graph will do: it is measured, and nothing else. */
  readonly mayBePacked?: boolean;
}

/** Opens a model. @throws what `openModel`, `openOnnx` and `openTfjs` throw; ERR_USAGE for --engine and --include-frozen with a checkpoint */
export async function openAnyModel(spec: OpenSpec): Promise<AnyModel> {
  const { path, engine, includeFrozen } = spec;
  if (await isTfjsModel(path)) {
    refuseInputTexts(spec);
    const tfjs = await openTfjs({ ...spec, engine: engine ?? "auto" });
    const { classes } = tfjs.model;
    return {
      path,
      arch: tfjsArchitecture(tfjs.model),
      network: tfjs.model,
      classes: classes === undefined ? undefined : Math.max(2, classes),
      spec: undefined,
      sha256: tfjs.sha256,
      stated: await statedOfModel(path, tfjsMetadata(tfjs.model.files)),
      tfjs,
      packages: [
        { packageName: modelPackages.tfjs, version: ownVersion(modelPackages.tfjs) },
        { packageName: "@tensorflow/tfjs", version: tfjs.engine.tf.version.tfjs },
      ],
      close: () => tfjs.model.dispose(),
    };
  }
  for (const [flag, given] of [
    ["--engine", engine],
    ["--include-frozen", includeFrozen],
  ] as const) {
    if (given !== undefined) throw flagWithoutEffect({ flag, reason: `${path} is no TensorFlow.js model` });
  }
  if (await isOnnxModel(path)) {
    const onnx = await openOnnx(spec);
    return {
      ...{ path, arch: onnxArchitecture, network: onnx.model, spec: undefined, sha256: onnx.sha256, onnx },
      stated: await statedOfModel(path, onnx.file.metadata),
      classes: onnx.model.outputs.length === 1 ? onnx.model.outputs[0]!.classes : undefined,
      packages: [{ packageName: modelPackages.onnx, version: ownVersion(modelPackages.onnx) }],
      close: () => {},
    };
  }
  if (spec.mayBePacked) {
    const bytes = await readFileBytes(path);
    if (isPacked(bytes) && !(architectureKey in (await packedCheckpoint(bytes, path)).metadata))
      return await openPackedGraph(path, bytes);
  }
  refuseInputTexts(spec);
  const opened = await openModel(spec);
  const own = spec.untie ? { ...opened, tied: [] } : opened;
  noteTies(opened, spec);
  const { architecture, sha256, tied, stated } = own;
  const { spec: layers } = own.network;
  const network = tied.length === 0 ? own.network : tiedModel(own.network, tied);
  return {
    ...{ path, arch: architecture.name, network, classes: layers.classes, spec: layers, sha256, stated, own },
    packages: [],
    close: () => {},
  };
}

/** @throws ERR_USAGE where something is said of the inputs of a model that has none open */
function refuseInputTexts({ path, inputs = {} }: OpenSpec): void {
  const { inputShape, fix } = inputs;
  if (!inputShape?.length && !fix?.length) return;
  const flag = inputShape?.length ? "--input-shape" : "--fix";
  throw flagWithoutEffect({ flag, reason: `${path} is no ONNX model, and says itself what it takes` });
}

/** Says what becomes of weights that are one tensor in the file. */
export function noteTies({ path, tied }: OpenedModel, { untie, onEvent }: Pick<OpenSpec, "untie" | "onEvent">): void {
  for (const names of tied) {
    const what = untie
      ? "here each is a parameter of its own, so they come apart"
      : "they are pruned as one and stay equal";
    const message = `${path}: ${some(names)} are one tensor in the file; ${what}`;
    onEvent({ type: "note", level: untie ? "warn" : "info", code: "tied-weights", message });
  }
}

/** The model as a network of our own layers, for what only these can. @throws ERR_USAGE */
export function ownNetwork({ own, onnx, tfjs, path }: AnyModel, what: string): OpenedModel {
  if (own) return own;
  throw notOwn({ what, path, kind: onnx ? "an ONNX model" : tfjs ? tfjsKind : "a packed network" });
}

/** Refuses a TensorFlow.js model for what only others can do, before an engine is started for it. @throws ERR_USAGE */
export async function refuseTfjs(path: string, what: string): Promise<void> {
  if (await isTfjsModel(path)) throw notOwn({ what, path, kind: tfjsKind });
}

const tfjsKind = "a TensorFlow.js model";

function notOwn({ what, path, kind }: { what: string; path: string; kind: string }): Error {
  const remedy =
    kind === tfjsKind && what === "--retrain"
      ? "make it an ONNX model, which can be retrained (secateur convert MODEL --out net.onnx), or leave it out"
      : "leave it out";
  const message = `${what} does not work on ${kind}, which ${path} is; ${remedy}`;
  return badUsage(message, { what, path, kind });
}

/** Whether every weight is a number. */
export async function hasFiniteWeights({ network }: Pick<AnyModel, "network">): Promise<boolean> {
  for (const { name } of network.params()) {
    if (!(await network.read(name)).data.every(Number.isFinite)) return false;
  }
  return true;
}

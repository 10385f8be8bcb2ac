/** Packed networks of any graph as models that are measured: what runs is what the file holds. */
import { createHash } from "node:crypto";
import type { TensorSpec } from "@secateur/core";
import { decodePacked, type PackedModel, type PackedValue } from "@secateur/runtime";
import { badUsage } from "../../errors.ts";
import type { PrunableModel } from "../../prune/prunable-model.ts";
import type { AnyModel } from "../open/open-any-model.ts";
import { statedOfModel } from "../preprocessing/beside-model.ts";
import { packedAccuracy } from "./packed-accuracy.ts";
import { textsOf } from "./packed-checkpoint.ts";

/** What --arch would say. */
const architecture = "secateur-graph";

/** A packed network whose operators are all that is known of it. @throws what `decodePacked` throws */
export async function openPackedGraph(path: string, bytes: Uint8Array): Promise<AnyModel> {
  const model = await decodePacked(bytes);
  const only = (what: string): never => {
    throw badUsage(
      `${path} is a packed network, which can be run and measured; ${what} the model that it was packed from`,
    );
  };
  const states = new Set(model.states?.flatMap(({ input, output }) => [input, output]));
  const network: PrunableModel = {
    name: path,
    inputs: specsOf(model.inputs, states),
    outputs: specsOf(model.outputs, states),
    params: () => [],
    read: async () => only("prune"),
    write: async () => only("prune"),
    evaluate: (data, ctx, { task } = {}) =>
      task ? packedAccuracy({ name: path, bytes, data, task }, ctx) : only("say --task, or measure"),
  };
  return {
    ...{ path, arch: architecture, network, classes: classesOf(model), spec: undefined, packages: [] },
    sha256: createHash("sha256").update(bytes).digest("hex"),
    stated: await statedOfModel(path, textsOf(model.metadata)),
    close: () => {},
  };
}

function specsOf(values: readonly PackedValue[], states: ReadonlySet<string>): readonly TensorSpec[] {
  return values
    .filter(({ name }) => !states.has(name))
    .map(({ name, dims, whole }) => ({ name, shape: dims.slice(1) as number[], dtype: whole ? "i64" : "f32" }));
}

function classesOf({ outputs }: PackedModel): number | undefined {
  const [only, ...rest] = outputs;
  const [, classes, ...more] = only?.dims ?? [];
  return rest.length === 0 && more.length === 0 && typeof classes === "number" ? Math.max(2, classes) : undefined;
}

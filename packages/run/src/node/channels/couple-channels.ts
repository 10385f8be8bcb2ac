/** A model whose output channels are pruned in groups that can be cut out: what --units channels means for a whole network. */
import type { Budget } from "@secateur/core";
import type { GraphSpec } from "@secateur/graph";
import type { CostTable, PackGraph } from "@secateur/runtime/pack";
import { badUsage } from "../../errors.ts";
import { type CoupledModel, coupledModel } from "../../prune/coupled-model.ts";
import type { Session } from "../../session.ts";
import { traceSomewhere } from "../cut/cut-checked.ts";
import { onnxOfNetwork } from "../export/onnx-of-network.ts";
import { type InputTexts, readInputChoices } from "../open/input-choices.ts";
import type { AnyModel } from "../open/open-any-model.ts";
import type { PruneSettings } from "../prune/prune-settings.ts";
import { channelCosts } from "./channel-costs.ts";
import { channelSets } from "./channel-sets.ts";

/** Whether a run prunes channels of the whole network: layers prune rows by themselves. */
export function prunesChannels({ limits, layers }: PruneSettings): boolean {
  return limits.units?.length === 1 && limits.units[0] === "channels" && !layers;
}

/** What a run of channels prunes. */
export interface CoupledRun {
  readonly model: AnyModel;
  readonly params: readonly string[];
  /** Weights that stay dense because of what their channels go with. */
  readonly kept: readonly string[];
  /** How the groups are estimated and trained; absent where channels are rows. */
  readonly coupled?: Omit<CoupledModel, "model">;
  /** What the cut network costs, given what packing takes; absent with `coupled`. */
  readonly costsOf?: (packed?: {
    readonly graph: PackGraph;
    readonly costs?: CostTable;
  }) => NonNullable<Budget["costs"]>;
}

/**
 * The model with its groups as parameters.
 *
 * @param spec.pruned - names of the weights that may be pruned
 * @param spec.inputs - what is told of the inputs of an ONNX model
 * @param spec.cut - of which the widths will be multiples that a cut leaves: costs count them so; undefined: nothing will be cut
 * @throws ERR_USAGE for a model without groups; ERR_OPERATOR, ERR_GRAPH_NODE
 */
export async function coupleChannels(
  model: AnyModel,
  spec: {
    readonly pruned: readonly string[];
    readonly cut: number | undefined;
    readonly inputs: InputTexts;
    readonly session: Session;
  },
): Promise<CoupledRun> {
  const { pruned, cut, session } = spec;
  const { own, onnx, network, path } = model;
  if (!own && !onnx) return { model, params: pruned, kept: [] };
  if (own && own.tied.length > 0) {
    throw badUsage(
      `--units channels: ${path} has weights that are one tensor; give --units rows, or a file without such`,
      { path },
    );
  }
  const { graph, opsets } = own ? onnxOfNetwork(own.network) : onnx!.file;
  const whole = graph as GraphSpec;
  const { shapes: told = new Map(), fixed } = readInputChoices(spec.inputs) ?? {};
  if (fixed && fixed.size > 0) {
    throw badUsage(
      `--units channels follows channels through the whole graph of ${path}, also where --fix leads past them; give --units rows, which cuts nothing out`,
      { path },
    );
  }
  const traced = traceSomewhere({ graph: whole, opsets, source: path, told });
  const offsets = await offsetsOf(model, whole);
  const { sets, kept, extents, recurrent } = channelSets({ graph: whole, traced, pruned: new Set(pruned), offsets });
  if (sets.length === 0) {
    throw badUsage(
      `--units channels: no channels of ${path} can be cut out, for example because of ${kept[0]?.why ?? "its outputs"}; give --units rows`,
      { path },
    );
  }
  for (const { param, why } of kept) {
    const message = `'${param}' stays dense: its channels are kept by ${why}`;
    session.onEvent({ type: "note", level: "info", code: "channels-kept", message });
  }
  if (recurrent.length > 0 && cut === undefined) {
    const message = `hidden units of '${recurrent.join("', '")}' whose weights go do not give 0 until they are cut out (biases that stay, initial states or activations); give --cut`;
    session.onEvent({ type: "note", level: "warn", code: "units-kept", message });
  }
  const { model: grouped, ...coupled } = await coupledModel(network, sets);
  const infos = network.params();
  return {
    coupled,
    costsOf: (packed) => channelCosts({ extents, infos, multiple: cut ?? 1, ...(packed ? { packed } : {}) }),
    model: { ...model, network: grouped },
    params: sets.map(({ name }) => name),
    kept: kept.map(({ param }) => param),
  };
}

/** Tensors of a graph that its model can set to zero: biases, also of recurrent layers, and scales of normalisations; their statistics stay what they are. */
async function offsetsOf({ network }: AnyModel, graph: GraphSpec): Promise<ReadonlySet<string>> {
  const statistics = new Set(
    graph.nodes.flatMap(({ op, inputs }) => (op === "BatchNormalization" ? inputs.slice(3) : [])),
  );
  const recurrent = new Set(
    graph.nodes.flatMap(({ op, inputs }) => (op === "LSTM" || op === "GRU" ? [inputs[3]] : [])),
  );
  const found = new Set<string>();
  for (const { name, shape } of graph.initializers) {
    if ((shape.length !== 1 && !recurrent.has(name)) || statistics.has(name)) continue;
    const isThere = await network.read(name).then(
      () => true,
      () => false,
    );
    if (isThere) found.add(name);
  }
  return found;
}

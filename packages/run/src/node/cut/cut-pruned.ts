/** A pruned model without the channels that pruning took all weights of. */
import { isPruneError } from "@secateur/core";
import { decodeOnnx, type OnnxRewriting, rewriteOnnx } from "@secateur/formats";
import {
  type ChannelGroup,
  channelGroups,
  createGraphModel,
  findParams,
  type GraphSpec,
  isZero,
  maskChannels,
  type TracedGraph,
} from "@secateur/graph";
import type { Session } from "../../session.ts";
import { rowAxis } from "../channels/channel-sets.ts";
import { onnxOfNetwork } from "../export/onnx-of-network.ts";
import { type InputTexts, readInputChoices } from "../open/input-choices.ts";
import type { AnyModel } from "../open/open-any-model.ts";
import { type CheckedCut, type CutRequest, cutChecked, traceSomewhere } from "./cut-checked.ts";
import { cutNetwork, ownNames } from "./cut-network.ts";
import { type CutNumbers, cutNumbers } from "./cut-numbers.ts";

/** A cut model, which is measured and saved as any other. */
export interface CutModel {
  readonly model: AnyModel;
  readonly numbers: CutNumbers;
}

/**
 * Cuts, to widths that are multiples of `multiple`. Channels of which every weight that makes them is zero count as zero: what biases and normalisations would make of them is not kept.
 *
 * @returns undefined, with a note, where nothing can be cut
 * @throws ERR_CUT where the outputs differ by more than rounding
 */
export function cutPruned(
  model: AnyModel,
  { multiple, inputs, session }: { readonly multiple: number; readonly inputs: InputTexts; readonly session: Session },
): CutModel | undefined {
  const { shapes: told = new Map() } = readInputChoices(inputs) ?? {};
  const { own, onnx, path } = model;
  if (own) {
    const { graph, opsets } = onnxOfNetwork(own.network);
    const written = (one: GraphSpec): GraphSpec => onnxOfNetwork(cutNetwork(own.network, one)).graph;
    const found = tryCut({ graph, opsets, source: path, written, multiple, told }, session);
    if (!found) return undefined;
    const network = cutNetwork(own.network, found.cut.graph);
    const architecture = { ...own.architecture, name: JSON.stringify(network.spec), spec: network.spec };
    const cut = { ...own, network, architecture, stored: ownNames(own.stored), tied: [] };
    return { model: { ...model, network, spec: network.spec, own: cut }, numbers: cutNumbers(graph, found.cut) };
  }
  const bytes = onnx!.encode();
  const { graph, opsets } = decodeOnnx(bytes, path);
  const rewrite = (one: GraphSpec): Uint8Array =>
    rewriteOnnx(bytes, { from: graph, to: one as OnnxRewriting["to"] }, path);
  const written = (one: GraphSpec): GraphSpec => decodeOnnx(rewrite(one), path).graph as GraphSpec;
  const found = tryCut({ graph: graph as GraphSpec, opsets, source: path, written, multiple, told }, session);
  if (!found) return undefined;
  const encode = (): Uint8Array => rewrite(found.cut.graph);
  const opened = createGraphModel({ graph: found.cut.graph, opsets, name: onnx!.model.name });
  const network = { ...opened, evaluate: opened.evaluate! };
  const cut = { ...onnx!, model: network, encode };
  return { model: { ...model, network, onnx: cut }, numbers: cutNumbers(graph as GraphSpec, found.cut) };
}

function tryCut(
  spec: Pick<CutRequest, "graph" | "opsets" | "source" | "written" | "multiple" | "told">,
  { kernels, seed, onEvent }: Session,
): { readonly cut: CheckedCut } | undefined {
  const request = { ...spec, kernels, seed };
  let cut: CheckedCut;
  try {
    const silent = maskChannels(spec.graph, emptyGroups(spec.graph, traceSomewhere(request)));
    cut = cutChecked({ ...request, graph: silent });
  } catch (error) {
    if (!isPruneError(error) || error.code !== "ERR_NOTHING_TO_CUT") throw error;
    const { multiple = 1 } = spec;
    const why =
      multiple > 1 ? `no width comes down to another multiple of ${multiple}` : "no channel has lost all its weights";
    const remedy = multiple > 1 ? "leave --multiple-of out, or prune more" : "--units channels prunes whole ones";
    const message = `${spec.source}: ${why}, so nothing is cut and the network is written as it is; ${remedy}`;
    onEvent({ type: "note", level: "warn", code: "nothing-to-cut", message });
    return undefined;
  }
  noteEmpty({ ...request, graph: cut.graph }, onEvent);
  return { cut };
}

/** Says how many channels a cut left although nothing makes them, to fill widths. */
function noteEmpty(cut: CutRequest, onEvent: Session["onEvent"]): void {
  const { multiple = 1 } = cut;
  const empty = multiple === 1 ? 0 : emptyGroups(cut.graph, traceSomewhere(cut)).length;
  if (empty === 0) return;
  const message = `${empty} groups of channels without weights stay, so that widths are multiples of ${multiple}: they take time and give nothing; limits of --flops, --bytes or --milliseconds without --sparsity keep the weights of as many as widths have room for`;
  onEvent({ type: "note", level: "info", code: "empty-channels", message });
}

/** Groups of which all weights that make their channels are zero. */
function emptyGroups(graph: GraphSpec, traced: TracedGraph): readonly ChannelGroup[] {
  const params = new Map(findParams(graph, "f32").params.map((param) => [param.tensor, param]));
  return channelGroups(traced).groups.filter(({ members }) => {
    const making = members.filter(({ tensor, axis }) => {
      const param = params.get(tensor);
      return param !== undefined && axis === rowAxis(param);
    });
    return making.length > 0 && making.every(isZero);
  });
}

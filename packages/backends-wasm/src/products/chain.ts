/**
 * Products of a chain of dense layers over few weights. Sums over examples are taken in a number of groups that follows from how many there are, and the
 * groups' sums are added in order: the bytes are the same for any number of threads. What finds no room is left to the reference.
 */
import {
  type ChainGramSpec,
  type ChainTimesSpec,
  type ChainTransposeTimesSpec,
  checkChain,
  type PanelChain,
  panelWidth,
  referenceKernels,
  type Vec,
} from "@secateur/core";
import type { Engine } from "../engine.ts";
import { aligned } from "../memory/heap.ts";
import { type Operand, withResidents } from "../memory/residents.ts";
import { ownMemory } from "../memory/thread-memory.ts";
import { type ChainProgram, chainProgram } from "./chain-program.ts";

/** Words of a layer's header. */
const headerWords = 14;
/** Bytes of a partial sum. */
const vectorBytes = 16;
/** Panels of a group at least, so that setting up its sums is a small part of it, and groups at most, so that adding them up is. */
const [leastPanels, mostGroups] = [8, 16];

/** out = J x */
export function chainTimes(engine: Engine, spec: ChainTimesSpec): void {
  const { chain, x, out } = spec;
  checkChain("chainTimes", chain, { flat: [x], outputs: out });
  if (!runChain(engine, { chain, x, outputs: { vector: out, use: "out" } })) referenceKernels.chainTimes!(spec);
}

/** out = J'u */
export function chainTransposeTimes(engine: Engine, spec: ChainTransposeTimesSpec): void {
  const { chain, u, out } = spec;
  checkChain("chainTransposeTimes", chain, { flat: [out], outputs: u });
  if (!runChain(engine, { chain, out, outputs: { vector: u, use: "in" } })) referenceKernels.chainTransposeTimes!(spec);
}

/** out = J'(diag(p) - p p')J x */
export function chainGram(engine: Engine, spec: ChainGramSpec): void {
  const { chain, x, probabilities, out } = spec;
  checkChain("chainGram", chain, { flat: [x, out], outputs: probabilities });
  const outputs = { vector: probabilities, use: "in" } as const;
  if (!runChain(engine, { chain, x, out, outputs })) referenceKernels.chainGram!(spec);
}

/** Forward where there is an `x`, back where there is an `out`; `outputs` are tangents, deltas or, for both ways, probabilities. */
interface ChainCall {
  readonly chain: PanelChain;
  readonly x?: Vec;
  readonly out?: Vec;
  readonly outputs: Operand;
}

/** @returns false, and does nothing, where the memory has no room */
function runChain(engine: Engine, { chain, x, out, outputs }: ChainCall): boolean {
  const { count, layers } = chain;
  if (count === 0) return false;
  const program = chainProgram(chain);
  const { places, weights } = program;
  const size = weights.BYTES_PER_ELEMENT;
  const groups = Math.max(1, Math.min(mostGroups, Math.floor(count / leastPanels)));
  const lines = layers.reduce((sum, { pattern }) => sum + pattern.rows, 0);
  const ownBytes = aligned(places.length * vectorBytes + lines * panelWidth * size);
  const parts = roomFor({
    sums: groups * places.length * 8,
    weights: weights.byteLength,
    values: places.length * size,
    words: 4 * headerWords * layers.length + program.words.byteLength,
    own: engine.threads * ownBytes,
  });
  const inside = layers.flatMap(({ inputs, gate }) => (gate ? [inputs, gate] : [inputs]));
  const operands = [outputs, ...inside.map((vector): Operand => ({ vector, use: "in" }))];
  return withResidents(engine, { operands, workspace: parts.bytes }, (addresses) => {
    const [ends, workspace] = [addresses[0]!, addresses.at(-1)!];
    const at = (part: keyof typeof parts.at): number => workspace + parts.at[part];
    const view = engine.memory.viewLike(weights);
    view.set(weights, at("weights") / size);
    writeProgram(engine, program, { chain, addresses, words: at("words"), weights: at("weights") });
    if (x) for (let e = 0, to = at("values") / size; e < places.length; e++) view[to + e] = x[places[e]!]!;
    const sums = out ? at("sums") : 0;
    engine.run(
      `chain${size * 8}`,
      groups,
      (program.work * count) / 8,
      ...ownMemory(engine, at("own"), ownBytes),
      ...[at("words"), layers.length, count, groups, places.length],
      ...[x ? at("values") : 0, x && out ? 0 : ends, x && out ? ends : 0, sums],
    );
    if (!out) return;
    engine.run("addGroups", places.length, places.length * groups, sums, groups, places.length);
    const { f64 } = engine.memory;
    for (let e = 0, from = sums / 8; e < places.length; e++) out[places[e]!] = f64[from + e]!;
  });
}

/** Parts of a workspace, each at a cache line of its own. */
function roomFor<K extends string>(bytes: Readonly<Record<K, number>>): { at: Record<K, number>; bytes: number } {
  let end = 0;
  const at = {} as Record<K, number>;
  for (const name of Object.keys(bytes) as K[]) {
    at[name] = end;
    end += aligned(bytes[name]);
  }
  return { at, bytes: end };
}

/** The headers of all layers, then the lists; `addresses` are those of the outputs, then each layer's inputs and gate. */
function writeProgram(
  engine: Engine,
  program: ChainProgram,
  {
    chain,
    addresses,
    words,
    weights,
  }: { chain: PanelChain; addresses: readonly number[]; words: number; weights: number },
): void {
  const { u32 } = engine.memory;
  const size = program.weights.BYTES_PER_ELEMENT;
  const lists = words + 4 * headerWords * chain.layers.length;
  let [header, next] = [words / 4, 1];
  let lines = 0;
  for (const [l, { pattern, gate }] of chain.layers.entries()) {
    const { kept, forth, back } = program.layers[l]!;
    u32[header] = addresses[next++]!;
    u32[header + 1] = pattern.cols;
    u32[header + 2] = pattern.rows;
    u32[header + 3] = gate ? addresses[next++]! : 0;
    u32[header + 4] = lists + kept.begin;
    u32[header + 5] = lists + kept.end;
    u32[header + 6] = kept.first;
    for (const [i, list] of [forth, back].entries()) {
      u32[header + 7 + 3 * i] = list ? lists + list.begin : 0;
      u32[header + 8 + 3 * i] = list ? lists + list.end : 0;
      u32[header + 9 + 3 * i] = list ? weights + list.first * size : 0;
    }
    u32[header + 13] = lines;
    lines += pattern.rows * panelWidth * size;
    header += headerWords;
  }
  u32.set(program.words, lists / 4);
}

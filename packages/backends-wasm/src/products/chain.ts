/**
 * Products of a chain of dense layers over few weights. Sums over examples are taken in a number of groups that follows from how many there are, and the
 * groups' sums are added in order: the bytes are the same for any number of threads. What finds no room is left to the reference.
 */
import {
  type ChainGramSpec,
  type ChainSquaresSpec,
  type ChainTimesSpec,
  type ChainTransposeTimesSpec,
  checkChain,
  checkChainSquares,
  dtypeOf,
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
  checkChain("chainTimes", chain, { flat: [x], outputs: out, out });
  if (!runChain(engine, { chain, x, outputs: { vector: out, use: "out" } })) referenceKernels.chainTimes!(spec);
}

/** out = J'u */
export function chainTransposeTimes(engine: Engine, spec: ChainTransposeTimesSpec): void {
  const { chain, u, out } = spec;
  checkChain("chainTransposeTimes", chain, { flat: [out], outputs: u, out });
  if (!runChain(engine, { chain, out, outputs: { vector: u, use: "in" } })) referenceKernels.chainTransposeTimes!(spec);
}

/** out = J'(diag(p) - p p')J x */
export function chainGram(engine: Engine, spec: ChainGramSpec): void {
  const { chain, x, probabilities, out } = spec;
  checkChain("chainGram", chain, { flat: [x, out], outputs: probabilities, out });
  const outputs = { vector: probabilities, use: "in" } as const;
  if (!runChain(engine, { chain, x, out, outputs })) referenceKernels.chainGram!(spec);
}

/** out_l = diag(D'B D) for the outputs of every layer */
export function chainSquares(engine: Engine, spec: ChainSquaresSpec): void {
  const { chain } = spec;
  checkChainSquares(spec);
  if (chain.count === 0 || chain.layers.at(-1)!.pattern.rows === 0 || !runSquares(engine, spec))
    referenceKernels.chainSquares!(spec);
}

/** @returns false, and does nothing, where the memory has no room */
function runSquares(engine: Engine, { chain, probabilities, out }: ChainSquaresSpec): boolean {
  const { layers, count } = chain;
  const program = chainProgram(chain, dtypeOf(probabilities));
  const { work, lineBytes } = program;
  const parts = roomFor({ ...programRoom(program), targets: 4 * layers.length, own: engine.threads * lineBytes });
  const operands: readonly Operand[] = [
    { vector: probabilities, use: "in" },
    ...gatesOf(chain),
    ...out.map((vector): Operand => ({ vector, use: "out" })),
  ];
  return withResidents(engine, { operands, workspace: parts.bytes }, (addresses) => {
    const at = placesIn(parts, addresses.at(-1)!);
    const gates = addresses.slice(1, 1 + gatesOf(chain).length);
    writeProgram(engine, program, { chain, inputs: [], gates, words: at.words, weights: at.weights });
    engine.memory.u32.set(addresses.slice(1 + gates.length, -1), at.targets / 4);
    engine.run(
      `chainSquares${program.weights.BYTES_PER_ELEMENT * 8}`,
      count,
      (work * count * layers.at(-1)!.pattern.rows) / 16,
      ...ownMemory(engine, at.own, lineBytes),
      ...[at.words, layers.length, addresses[0]!, at.targets],
    );
  });
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
  // Of nothing the definition is all there is.
  if (count === 0 || layers.at(-1)!.pattern.rows === 0) return false;
  const program = chainProgram(chain, dtypeOf(outputs.vector));
  const { places, weights } = program;
  const size = weights.BYTES_PER_ELEMENT;
  // Tangents are not summed: each thread takes what is left.
  const groups = out ? Math.max(1, Math.min(mostGroups, Math.floor(count / leastPanels))) : count;
  const ownBytes = aligned(places.length * vectorBytes + program.lineBytes);
  const parts = roomFor({
    ...programRoom(program),
    sums: out ? groups * places.length * 8 : 0,
    values: places.length * size,
    own: engine.threads * ownBytes,
  });
  const gates = gatesOf(chain);
  const inputs = layers.map(({ inputs: vector }): Operand => ({ vector: vector!, use: "in" }));
  const operands = [outputs, ...gates, ...inputs];
  return withResidents(engine, { operands, workspace: parts.bytes }, (addresses) => {
    const ends = addresses[0]!;
    const at = placesIn(parts, addresses.at(-1)!);
    writeProgram(engine, program, {
      chain,
      gates: addresses.slice(1, 1 + gates.length),
      inputs: addresses.slice(1 + gates.length),
      words: at.words,
      weights: at.weights,
    });
    if (x) gather(x, places, engine.memory.viewLike(weights), at.values / size);
    const both = x && out;
    engine.run(
      `chain${size * 8}`,
      groups,
      (program.work * count) / 8,
      ...ownMemory(engine, at.own, ownBytes),
      ...[at.words, layers.length, count, groups, places.length],
      ...[x ? at.values : 0, both ? 0 : ends, both ? ends : 0, out ? at.sums : 0],
    );
    if (!out) return;
    engine.run("addGroups", places.length, (places.length * groups) / 2, at.sums, groups, places.length);
    scatter(engine.memory.f64, at.sums / 8, places, out);
  });
}

function gather(x: Vec, places: Uint32Array, to: Vec, at: number): void {
  for (let e = 0; e < places.length; e++) to[at + e] = x[places[e]!]!;
}

function scatter(from: Vec, at: number, places: Uint32Array, out: Vec): void {
  for (let e = 0; e < places.length; e++) out[places[e]!] = from[at + e]!;
}

function gatesOf({ layers }: PanelChain): Operand[] {
  return layers.flatMap(({ gate }): Operand[] => (gate ? [{ vector: gate, use: "in" }] : []));
}

/** Parts of a workspace, each at a cache line of its own. */
interface Room<K extends string> {
  readonly starts: Readonly<Record<K, number>>;
  readonly bytes: number;
}

function roomFor<K extends string>(bytes: Readonly<Record<K, number>>): Room<K> {
  let end = 0;
  const starts = {} as Record<K, number>;
  for (const name of Object.keys(bytes) as K[]) {
    starts[name] = end;
    end += aligned(bytes[name]);
  }
  return { starts, bytes: end };
}

function placesIn<K extends string>({ starts }: Room<K>, workspace: number): Record<K, number> {
  const at = { ...starts } as Record<K, number>;
  for (const name of Object.keys(starts) as K[]) at[name] += workspace;
  return at;
}

function programRoom({ layers, words, weights }: ChainProgram): { words: number; weights: number } {
  return { words: 4 * headerWords * layers.length + words.byteLength, weights: weights.byteLength };
}

/** The headers of all layers, the lists, and the values of the weights. @param at.inputs - their addresses; none where they are not read */
function writeProgram(
  engine: Engine,
  program: ChainProgram,
  at: { chain: PanelChain; inputs: readonly number[]; gates: readonly number[]; words: number; weights: number },
): void {
  const { u32 } = engine.memory;
  const { layers } = at.chain;
  const size = program.weights.BYTES_PER_ELEMENT;
  const lists = at.words + 4 * headerWords * layers.length;
  let [header, gate, line] = [at.words / 4, 0, 0];
  for (const [l, layer] of layers.entries()) {
    const { rows, cols } = layer.pattern;
    const { kept, forth, back } = program.layers[l]!;
    u32.set([at.inputs[l] ?? 0, cols, rows, layer.gate ? at.gates[gate++]! : 0], header);
    u32.set([lists + kept.begin, lists + kept.end, kept.first], header + 4);
    for (const [i, list] of [forth, back].entries()) {
      const words = list ? [lists + list.begin, lists + list.end, at.weights + list.first * size] : [0, 0, 0];
      u32.set(words, header + 7 + 3 * i);
    }
    u32[header + 13] = line;
    line += rows * panelWidth * size;
    header += headerWords;
  }
  u32.set(program.words, lists / 4);
  engine.memory.viewLike(program.weights).set(program.weights, at.weights / size);
}

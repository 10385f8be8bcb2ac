/** How a checkpoint stores the tensors of its network: under which names, and in which types. */
import type { RunEvent } from "@secateur/core";
import { type FloatDtype, isFloatDtype, matchTensors, type NamedTensor } from "@secateur/formats";
import { type NetworkSpec, tensorSpecs } from "@secateur/nn";
import { ambiguousTensors, integerWeights } from "./architecture/errors.ts";

/** By the network's name of a tensor. */
export type StoredTensors = ReadonlyMap<string, { readonly name: string; readonly dtype: FloatDtype }>;

/** Counters that PyTorch keeps beside running statistics; networks here have no such tensor. */
const COUNTER = /(^|\.)num_batches_tracked$/;

/** The tensors that networks have. */
export function withoutCounters(tensors: readonly NamedTensor[]): readonly NamedTensor[] {
  return tensors.filter(({ name }) => !COUNTER.test(name));
}

/** The tensors of a file by the names of the network. */
export interface FoundTensors {
  /** under the network's names; what belongs to none of them keeps its own */
  readonly tensors: readonly NamedTensor[];
  readonly stored: StoredTensors;
  /** Names of the network's tensors that are one tensor in the file, a list each. */
  readonly tied: readonly (readonly string[])[];
}

/**
 * Finds a network's tensors in a file, and says in notes which were found under other names.
 *
 * @param spec.tensors - without counters
 * @throws ERR_TENSOR_NAMES where several could be the same, ERR_DTYPE for whole numbers as weights
 */
export function findTensors(spec: {
  path: string;
  network: NetworkSpec;
  tensors: readonly NamedTensor[];
  map: readonly (readonly [found: string, expected: string])[];
  /** Of the file: what we wrote says which tensors are one. */
  metadata: Readonly<Record<string, string>>;
  onEvent: (event: RunEvent) => void;
}): FoundTensors {
  const { path, network, tensors, map, onEvent } = spec;
  const note = (code: string, message: string): void =>
    onEvent({ type: "note", level: "info", code, message: `${path}: ${message}` });
  const match = matchTensors({ found: tensors, expected: tensorSpecs(network), map });
  if (match.ambiguous.length > 0) throw ambiguousTensors({ path, network: network.name, ambiguous: match.ambiguous });
  if (match.renamed.length > 0) {
    const pairs = match.renamed.map(([found, expected]) => `${found.slice(0, 60)} is ${expected}`);
    note("tensor-names", `found by shape and order: ${some(pairs)}`);
  }
  const expectedOf = new Map([...match.pairs].map(([expected, found]) => [found, expected]));
  const stored = new Map<string, { name: string; dtype: FloatDtype }>();
  for (const { name, dtype } of tensors) {
    const expected = expectedOf.get(name);
    if (expected === undefined) continue;
    if (!isFloatDtype(dtype)) throw integerWeights({ path, tensor: name, dtype });
    stored.set(expected, { name, dtype });
  }
  const tied = [
    ...tiedNames(tensors.filter(({ name }) => expectedOf.has(name))),
    ...recordedTies(spec.metadata, tensors),
  ].map((names) => names.map((name) => expectedOf.get(name) ?? name));
  return {
    tied,
    tensors: tensors.map((tensor) => ({ ...tensor, name: expectedOf.get(tensor.name) ?? tensor.name })),
    stored,
  };
}

/** Names of tensors that have the same array. */
function tiedNames(tensors: readonly NamedTensor[]): readonly (readonly string[])[] {
  const names = new Map<unknown, string[]>();
  for (const { name, data } of tensors) {
    if (data.length < 2) continue;
    names.set(data, [...(names.get(data) ?? []), name]);
  }
  return [...names.values()].filter((list) => list.length > 1);
}

/** The metadata entry of files that we write: names of tensors that are one, as JSON, a list each. */
export const tiedKey = "secateur.tied";

/** What the entry says, as far as it is still true: tensors of equal shapes and bytes. */
function recordedTies(
  metadata: Readonly<Record<string, string>>,
  tensors: readonly NamedTensor[],
): readonly (readonly string[])[] {
  let lists: unknown;
  try {
    lists = JSON.parse(metadata[tiedKey] ?? "[]");
  } catch {
    return [];
  }
  if (!Array.isArray(lists)) return [];
  const byName = new Map(tensors.map((tensor) => [tensor.name, tensor]));
  const taken = new Set<string>();
  return lists.filter((names): names is readonly string[] => {
    if (!Array.isArray(names) || names.length < 2 || names.length > tensors.length) return false;
    const found = names.map((name) => byName.get(String(name)));
    const [first] = found;
    const areOne = found.every((tensor) => tensor && first && isSame(tensor, first) && !taken.has(tensor.name));
    if (areOne) for (const name of names) taken.add(String(name));
    return areOne;
  });
}

function isSame(a: NamedTensor, b: NamedTensor): boolean {
  const bytes = ({ data }: NamedTensor): Buffer => Buffer.from(data.buffer, data.byteOffset, data.byteLength);
  return a.dtype === b.dtype && a.shape.join() === b.shape.join() && bytes(a).equals(bytes(b));
}

/** Names for a note: a few of a long list. */
export function some(list: readonly string[]): string {
  return list.length <= 8 ? list.join(", ") : `${list.slice(0, 8).join(", ")} and ${list.length - 8} more`;
}

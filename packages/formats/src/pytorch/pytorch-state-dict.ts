/**
 * Finds a network's tensors among everything else that people keep in a checkpoint: epochs, optimizers, arguments, other
 * copies of the weights. Tensors may be nested in dictionaries at any depth; lists and objects are not searched.
 */
import { badPytorch } from "../errors.ts";
import { MAX_NAME_LENGTH, MAX_TENSORS, maxNameCharacters, maxPickleVisits } from "../limits.ts";
import { globalName, isPickleNode, type PickleEntry, type PickleValue } from "../pickle/pickle-value.ts";
import { quote } from "../text/quote.ts";
import { isTensorCall, readTensorCall, type TensorRecipe } from "./pytorch-tensor.ts";

/** A network's tensors by name, in the order of the file, and what was left out. */
export interface StateDict {
  readonly tensors: ReadonlyMap<string, TensorRecipe>;
  /** keys that lead to the tensors, outermost first */
  readonly path: readonly string[];
  /** paths of entries that may have held something and were not read */
  readonly skipped: readonly string[];
}

/** Keys that people save a network's tensors under, the most telling first. */
const NETWORK_KEYS = [
  "state_dict",
  "model_state_dict",
  "model_state",
  "net_state_dict",
  "network_state_dict",
  "model",
  "net",
  "network",
  "weights",
];

/** Keys of what a training run needs beside its network. */
const TRAINING_KEYS = /(^|_)(optim|optimi[sz]er|optims|optimi[sz]ers|opt|scheduler|schedulers|scaler|amp|rng)(_|$)/i;

const MAX_DEPTH = 64;

/** Entries to look at before saying whether something was left out; a list may stand in many places. */
const ENOUGH = 100;

/**
 * @param root - a checkpoint's pickle
 * @param spec.source - name of the file, for messages
 * @param spec.bytes - of the pickle, which bound the work
 * @throws ERR_PYTORCH when there are no tensors, too many, or dictionaries that hold themselves, nest deeper than 64 or
 * repeat each other more often than their pickle's size explains; and what `readTensorCall` throws
 */
export function findStateDict(root: PickleValue, spec: { source: string; bytes: number }): StateDict {
  const search = newSearch(spec);
  const { path, container } = locate(root, search);
  const tensors = new Map<string, TensorRecipe>();
  collect(container, { search, tensors, where: placeText(path), prefix: "", depth: 0 });
  return { tensors, path, skipped: search.skipped };
}

interface Search {
  readonly source: string;
  readonly skipped: string[];
  /** whether each dictionary that was looked at holds tensors; undefined while it is looked at */
  readonly holds: Map<PickleValue, boolean | undefined>;
  /** children of each dictionary that was looked at */
  readonly children: Map<PickleValue, readonly PickleEntry[]>;
  /** entries that may still be collected from */
  visitsLeft: number;
  /** characters that names may still have */
  charactersLeft: number;
}

function newSearch({ source, bytes }: { source: string; bytes: number }): Search {
  const left = { visitsLeft: maxPickleVisits(bytes), charactersLeft: maxNameCharacters(bytes) };
  return { source, skipped: [], holds: new Map(), children: new Map(), ...left };
}

/** Goes down from the root to the dictionary that is the network's. */
function locate(root: PickleValue, search: Search): { path: string[]; container: PickleValue } {
  const path: string[] = [];
  let container = root;
  for (;;) {
    const holders = childrenIn(container, search).filter(
      ([key, value]) => !isTraining(key, value) && holdsTensors(value, search, 0),
    );
    const networks = holders.filter(([, value]) => !isTensorCall(value));
    const known = NETWORK_KEYS.map((name) => networks.find(([key]) => key === name)).find(
      (entry) => entry !== undefined,
    );
    const chosen = known ?? (holders.length === 1 ? networks[0] : undefined);
    if (chosen === undefined) return { path, container };
    for (const [key, value] of childrenIn(container, search)) {
      if (value !== chosen[1] && mayHoldSomething(value)) search.skipped.push(placeText(path) + keyText(key));
    }
    path.push(keyText(chosen[0]));
    container = chosen[1];
  }
}

interface Collection {
  readonly search: Search;
  readonly tensors: Map<string, TensorRecipe>;
  /** keys that lead there, for messages */
  readonly where: string;
  /** of the names, with its dot */
  readonly prefix: string;
  readonly depth: number;
}

/**
 * Adds the tensors of a dictionary and of those in it, under names joined by dots. A dictionary may stand in many
 * places, so the depth and the work are bounded here too.
 */
function collect(container: PickleValue, collection: Collection): void {
  const { search, tensors, where, prefix, depth } = collection;
  const { source, skipped } = search;
  const tooMuch = (found: string, expected: string): Error => badPytorch({ source, found, expected });
  if (depth > MAX_DEPTH) throw endless(source, `dictionaries nested deeper than ${MAX_DEPTH}`);
  for (const [key, value] of childrenIn(container, search)) {
    if (--search.visitsLeft < 0) {
      throw tooMuch("dictionaries that repeat each other", "no more entries than the pickle has bytes");
    }
    const text = keyText(key);
    if (prefix.length + text.length > MAX_NAME_LENGTH) {
      throw tooMuch(`a name of ${prefix.length + text.length} characters`, `at most ${MAX_NAME_LENGTH}`);
    }
    search.charactersLeft -= prefix.length + text.length;
    if (search.charactersLeft < 0) {
      throw tooMuch("names that repeat each other", "names of at most 16 times the pickle's size together");
    }
    const name = prefix + text;
    if (isTensorCall(value)) {
      if (tensors.has(name)) {
        throw badPytorch({ source, found: `two tensors named ${quote(name)}`, expected: "unique names" });
      }
      if (tensors.size === MAX_TENSORS) {
        throw badPytorch({ source, found: `more than ${MAX_TENSORS} tensors`, expected: `at most ${MAX_TENSORS}` });
      }
      tensors.set(name, readTensorCall(value, { source, name: where + name }));
    } else if (isTraining(key, value) || !holdsTensors(value, search, 0)) {
      if (mayHoldSomething(value)) skipped.push(where + name);
    } else {
      collect(value, { ...collection, prefix: `${name}.`, depth: depth + 1 });
    }
  }
}

/** `childrenOf`, made once a dictionary: it may stand in many places. */
function childrenIn(value: PickleValue, search: Search): readonly PickleEntry[] {
  const known = search.children.get(value);
  if (known !== undefined) return known;
  const children = childrenOf(value);
  search.children.set(value, children);
  return children;
}

/** The entries of a dictionary, the last of equal keys in the first one's place; none for anything else. */
function childrenOf(value: PickleValue): readonly PickleEntry[] {
  if (!isPickleNode(value)) return [];
  if (value.kind === "dict") return lastOfEach(value.entries);
  if (value.kind !== "object" || !/^collections\.(OrderedDict|defaultdict)$/.test(globalName(value.callee) ?? ""))
    return [];
  return lastOfEach([...pairsOf(value.args[0]), ...value.entries]);
}

/** OrderedDict([[key, value], ...]), as Python 2 pickled them. */
function pairsOf(list: PickleValue | undefined): readonly PickleEntry[] {
  if (!isPickleNode(list) || (list.kind !== "list" && list.kind !== "tuple")) return [];
  return list.items.flatMap((pair): PickleEntry[] => {
    if (!isPickleNode(pair) || (pair.kind !== "list" && pair.kind !== "tuple") || pair.items.length !== 2) return [];
    return [[pair.items[0]!, pair.items[1]!]];
  });
}

function lastOfEach(entries: readonly PickleEntry[]): readonly PickleEntry[] {
  return [...new Map(entries)];
}

/** Whether a value is a tensor or a dictionary with one somewhere inside. Looks at each dictionary once. */
function holdsTensors(value: PickleValue, search: Search, depth: number): boolean {
  if (isTensorCall(value)) return true;
  if (search.holds.has(value)) {
    const known = search.holds.get(value);
    if (known === undefined) throw endless(search.source, "a dictionary that holds itself");
    return known;
  }
  const children = childrenIn(value, search);
  if (children.length > 0 && depth === MAX_DEPTH)
    throw endless(search.source, `dictionaries nested deeper than ${MAX_DEPTH}`);
  search.holds.set(value, undefined);
  // Every child is looked at, so that what holds itself is found wherever it is.
  const found = children.filter(([key, child]) => !isTraining(key, child) && holdsTensors(child, search, depth + 1));
  search.holds.set(value, found.length > 0);
  return found.length > 0;
}

function endless(source: string, found: string): Error {
  return badPytorch({ source, found, expected: `dictionaries of at most ${MAX_DEPTH} levels` });
}

/** Whether an entry is an optimizer's or the like, by its key or by the two keys that every optimizer's state has. */
function isTraining(key: PickleValue, value: PickleValue): boolean {
  if (isTensorCall(value)) return false;
  if (typeof key === "string" && TRAINING_KEYS.test(key)) return true;
  if (!isPickleNode(value) || value.kind !== "dict" || value.entries.length !== 2) return false;
  const keys = value.entries.map(([name]) => name);
  return keys.includes("state") && keys.includes("param_groups");
}

/** Whether there is something to say about leaving a value out: not for numbers, texts and lists of them. */
function mayHoldSomething(value: PickleValue): boolean {
  if (!isPickleNode(value)) return false;
  if (value.kind === "list" || value.kind === "tuple" || value.kind === "set")
    return value.items.slice(0, ENOUGH).some(isPickleNode);
  return value.kind !== "dict" || value.entries.slice(0, ENOUGH).some(([, item]) => isPickleNode(item));
}

function keyText(key: PickleValue): string {
  return isPickleNode(key) || key instanceof Uint8Array ? "?" : String(key);
}

/** "a > b > ", made once: joined for every tensor, long keys would take more than linear time. */
function placeText(path: readonly string[]): string {
  return path.map((key) => `${key.slice(0, MAX_NAME_LENGTH)} > `).join("");
}

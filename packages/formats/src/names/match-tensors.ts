/**
 * Which tensor of a file is which of a network, where their names differ. Names that agree decide; then a name that ends in
 * the network's; then shapes, module by module, and numbers in the names where several modules have the same shapes.
 */
import type { ShapedName } from "./shaped-name.ts";

/** What could be matched. Every name stands in exactly one of the lists. */
export interface TensorMatch {
  /** found name by expected name */
  readonly pairs: ReadonlyMap<string, string>;
  /** modules that were matched although their names differ: found path and expected path */
  readonly renamed: readonly (readonly [found: string, expected: string])[];
  /** modules of the network that several of the file could be, and which; paths */
  readonly ambiguous: readonly { readonly expected: string; readonly found: readonly string[] }[];
  readonly missing: readonly string[];
  readonly unexpected: readonly string[];
}

/** Tensors of one module: what stands before the last dot of their names. */
interface Module {
  readonly path: string;
  /** name of each tensor by the last segment, in the spelling of PyTorch */
  readonly names: ReadonlyMap<string, string>;
  /** the same for modules with the same last segments and shapes */
  readonly signature: string;
}

/** Other spellings of the last segment. */
const LEAVES: Readonly<Record<string, string>> = {
  w: "weight",
  W: "weight",
  gamma: "weight",
  b: "bias",
  beta: "bias",
  moving_mean: "running_mean",
  moving_variance: "running_var",
};

/**
 * Matches tensors to those of a network. Unique matches are taken; where two modules of the file fit one of the network
 * equally well, neither is. O(n log n) in the number of tensors.
 *
 * @param spec.found - the file's tensors, without counters that networks do not have
 * @param spec.expected - the network's, in the order of its layers
 * @param spec.map - what the user says: names (whole or up to a dot) of the file with those of the network; taken first
 */
export function matchTensors(spec: {
  found: readonly ShapedName[];
  expected: readonly ShapedName[];
  map?: readonly (readonly [found: string, expected: string])[];
}): TensorMatch {
  const { found, expected, map = [] } = spec;
  const pairs = new Map<string, string>();
  const byName = new Map(found.map(({ name }) => [mapped(name, map), name]));
  for (const { name } of expected) {
    const own = byName.get(name);
    if (own !== undefined) pairs.set(name, own);
  }
  const taken = new Set(pairs.values());
  const rest = {
    found: modulesOf(found.filter(({ name }) => !taken.has(name))),
    expected: modulesOf(expected.filter(({ name }) => !pairs.has(name))),
  };
  const matched = matchModules(rest.found, rest.expected);
  for (const [own, module] of matched.pairs) {
    for (const [leaf, name] of module.names) pairs.set(name, own.names.get(leaf)!);
  }
  const paired = new Set(pairs.values());
  return {
    pairs,
    renamed: matched.pairs.map(([own, module]) => [own.path, module.path]),
    ambiguous: matched.ambiguous,
    missing: expected.map(({ name }) => name).filter((name) => !pairs.has(name)),
    unexpected: found.map(({ name }) => name).filter((name) => !paired.has(name)),
  };
}

function mapped(name: string, map: readonly (readonly [string, string])[]): string {
  for (const [from, to] of map) {
    if (name === from) return to;
    if (name.startsWith(`${from}.`)) return to + name.slice(from.length);
  }
  return name;
}

function modulesOf(tensors: readonly ShapedName[]): readonly Module[] {
  const byPath = new Map<string, (ShapedName & { leaf: string })[]>();
  for (const tensor of tensors) {
    const cut = tensor.name.lastIndexOf(".");
    const path = tensor.name.slice(0, Math.max(0, cut));
    const last = tensor.name.slice(cut + 1);
    const leaf = Object.hasOwn(LEAVES, last) ? LEAVES[last]! : last;
    const known = byPath.get(path);
    if (known === undefined) byPath.set(path, [{ ...tensor, leaf }]);
    else known.push({ ...tensor, leaf });
  }
  return [...byPath].map(([path, members]) => ({
    path,
    names: new Map(members.map(({ leaf, name }) => [leaf, name])),
    signature: members
      .map(({ leaf, shape }) => `${leaf} ${shape.join()}`)
      .sort()
      .join("; "),
  }));
}

interface ModuleMatch {
  readonly pairs: (readonly [found: Module, expected: Module])[];
  readonly ambiguous: { readonly expected: string; readonly found: readonly string[] }[];
}

function matchModules(found: readonly Module[], expected: readonly Module[]): ModuleMatch {
  const pairs: ModuleMatch["pairs"] = [];
  const ambiguous: ModuleMatch["ambiguous"] = [];
  const candidates = groupedBySignature(found);
  for (const [signature, wanted] of groupedBySignature(expected)) {
    const same = candidates.get(signature) ?? [];
    const [owners, others] = bySuffix(same, wanted);
    pairs.push(...owners.map(([own, module]) => [own, module] as const));
    const taken = new Set(owners.map(([, module]) => module));
    const open = wanted.filter((module) => !taken.has(module));
    if (open.length === 0 || others.length === 0) continue;
    const ordered = others.length === open.length ? inNumberOrder(others) : undefined;
    if (ordered !== undefined) pairs.push(...open.map((module, i) => [ordered[i]!, module] as const));
    else {
      const paths = others.map(({ path }) => path);
      ambiguous.push(...open.map(({ path }) => ({ expected: path, found: paths })));
    }
  }
  return { pairs, ambiguous };
}

function groupedBySignature(modules: readonly Module[]): ReadonlyMap<string, Module[]> {
  const groups = new Map<string, Module[]>();
  for (const module of modules) {
    const group = groups.get(module.signature);
    if (group === undefined) groups.set(module.signature, [module]);
    else group.push(module);
  }
  return groups;
}

/** Modules whose path ends in that of exactly one wanted module, which no other has: [pairs, what is left]. */
function bySuffix(
  found: readonly Module[],
  wanted: readonly Module[],
): readonly [(readonly [Module, Module])[], readonly Module[]] {
  const byPath = new Map(wanted.map((module) => [module.path, module]));
  const longest = wanted.reduce((length, { path }) => Math.max(length, path.length), 0);
  const owners = new Map<Module, Module[]>();
  for (const own of found) {
    const start = Math.max(0, own.path.length - longest - 1);
    for (let cut = own.path.indexOf(".", start); cut >= 0; cut = own.path.indexOf(".", cut + 1)) {
      const module = byPath.get(own.path.slice(cut + 1));
      if (module === undefined) continue;
      const known = owners.get(module);
      if (known === undefined) owners.set(module, [own]);
      else known.push(own);
      break;
    }
  }
  const pairs = [...owners].flatMap(([module, own]) => (own.length === 1 ? [[own[0]!, module] as const] : []));
  const taken = new Set(pairs.map(([own]) => own));
  return [pairs, found.filter((own) => !taken.has(own))];
}

/**
 * Modules whose paths differ only in their numbers, in the order of these; undefined for other paths, whose order in a file
 * says nothing (safetensors sorts by name).
 */
function inNumberOrder(modules: readonly Module[]): readonly Module[] | undefined {
  const [first] = modules;
  if (first === undefined || modules.some(({ path }) => pattern(path) !== pattern(first.path))) return undefined;
  return [...modules].sort((a, b) => compareNumbers(numbers(a.path), numbers(b.path)));
}

function pattern(path: string): string {
  return path.replace(/\d+/g, "#");
}

function numbers(path: string): readonly number[] {
  return (path.match(/\d+/g) ?? []).map(Number);
}

function compareNumbers(a: readonly number[], b: readonly number[]): number {
  const at = a.findIndex((value, i) => value !== b[i]);
  return at < 0 ? 0 : a[at]! - b[at]!;
}

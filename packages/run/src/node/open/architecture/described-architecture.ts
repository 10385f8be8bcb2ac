/** Networks as the text that --arch takes, a recipe holds and a checkpoint says of itself: a name, or JSON. */
import { isPruneError, parseOptions, unknownName } from "@secateur/core";
import { architecture, architectureNames, mlp, type NetworkSpec, paramSpecs } from "@secateur/nn";
import { findEntry } from "../../plugins/find-entry.ts";
import { assertLayer } from "./assert-layer.ts";
import { badArchitecture, largeArchitecture } from "./errors.ts";

/** Parameters of a network, random or read: 1 GiB of f32. */
const MAX_PARAMETERS = 2 ** 28;

/** What a text says of a network. */
export interface DescribedArchitecture {
  /** undefined where the text leaves it to the file */
  readonly spec: NetworkSpec | undefined;
  /** names of the file with those of the network, whole or up to a dot */
  readonly map: readonly (readonly [found: string, expected: string])[];
}

/**
 * A network by the name that --arch takes: a built-in one, or `mlp:784-300-10` (dense layers fc1, fc2, ... with ReLU
 * between them; `:nobias` after the sizes leaves the biases out), or a description as JSON.
 *
 * @throws ERR_UNKNOWN_NAME, ERR_ARCHITECTURE, ERR_NETWORK
 */
export function namedArchitecture(text: string): NetworkSpec {
  const { spec, name } = parsedText(text, WHERE);
  return checked(spec ?? plainArchitecture(name ?? text, WHERE), WHERE);
}

/**
 * The same, with the networks of plugins.
 *
 * @param options.from - the folder from which plugins are looked for
 * @throws as namedArchitecture, and what is wrong with a plugin
 */
export async function findArchitecture(text: string, options: { from: string }): Promise<NetworkSpec> {
  const { spec } = await describedArchitecture(text, options);
  if (spec === undefined) throw badArchitecture({ where: WHERE, found: text });
  return spec;
}

const WHERE = "--arch";

/**
 * Reads such a text: a name, a description { name, inputShape, classes, layers } as nn has them, or { arch, map } with the name
 * of a network and which tensors of the file are which of it; `map` may stand in a description too.
 *
 * @param options.where - what the text comes from, for messages; default "--arch"
 * @throws as findArchitecture
 */
export async function describedArchitecture(
  text: string,
  options: { from: string; where?: string },
): Promise<DescribedArchitecture> {
  const { from, where = WHERE } = options;
  const { spec, name, map } = parsedText(text, where);
  const found = spec ?? (name === undefined ? undefined : await byName(name, { from, where }));
  return { spec: found && checked(found, where), map };
}

/** A built-in network or one of a plugin. */
async function byName(name: string, { from, where }: { from: string; where: string }): Promise<NetworkSpec> {
  if (/^mlp(:|$)/.test(name) || architectureNames.includes(name)) return plainArchitecture(name, where);
  try {
    const { entry } = await findEntry({ name, from, kinds: ["architecture"] });
    return entry.create((await parseOptions(name, entry.options, {})) as never) as NetworkSpec;
  } catch (error) {
    // Refused in the words of this place.
    if (isPruneError(error) && error.code === "ERR_UNKNOWN_NAME") return plainArchitecture(name, where);
    throw error;
  }
}

interface ParsedText {
  readonly spec: NetworkSpec | undefined;
  readonly name: string | undefined;
  readonly map: DescribedArchitecture["map"];
}

function parsedText(text: string, where: string): ParsedText {
  if (!text.trimStart().startsWith("{")) return { spec: undefined, name: text, map: [] };
  const json = parsed(text);
  if (json === undefined) throw badArchitecture({ where, found: text });
  const { map: pairs = {}, arch, ...rest } = json;
  const isMap =
    typeof pairs === "object" && pairs !== null && Object.values(pairs).every((to) => typeof to === "string");
  if (!isMap || !(arch === undefined || typeof arch === "string")) throw badArchitecture({ where, found: text });
  const map = Object.entries(pairs as Record<string, string>);
  if ("layers" in rest) return { spec: description(rest, { where, text }), name: undefined, map };
  if (arch === undefined && map.length === 0) throw badArchitecture({ where, found: text });
  return { spec: undefined, name: arch, map };
}

function plainArchitecture(name: string, where: string): NetworkSpec {
  if (/^mlp(:|$)/.test(name)) return perceptron(name, where);
  if (!architectureNames.includes(name)) {
    throw unknownName({ where, what: "network", found: name, known: [...architectureNames, "mlp:SIZES"] });
  }
  return architecture(name);
}

function perceptron(name: string, where: string): NetworkSpec {
  const match = /^mlp:([1-9]\d{0,8}(?:-[1-9]\d{0,8})+)(:nobias)?$/.exec(name);
  if (!match) throw badArchitecture({ where, found: name });
  const sizes = match[1]!.split("-").map(Number);
  return mlp({ name, sizes, bias: match[2] === undefined });
}

function parsed(text: string): Record<string, unknown> | undefined {
  try {
    return JSON.parse(text) as Record<string, unknown>;
  } catch {
    return undefined;
  }
}

/** A description from JSON, of which nothing is known yet: what nn makes of it decides. */
function description(json: Record<string, unknown>, { where, text }: { where: string; text: string }): NetworkSpec {
  const { name = "network", inputShape, classes, layers } = json;
  const isWhole = (value: unknown): boolean => Number.isSafeInteger(value) && (value as number) > 0;
  const isDescription =
    typeof name === "string" &&
    Array.isArray(inputShape) &&
    inputShape.length > 0 &&
    inputShape.every(isWhole) &&
    isWhole(classes) &&
    Array.isArray(layers);
  if (!isDescription) throw badArchitecture({ where, found: text });
  for (const [l, layer] of layers.entries()) assertLayer(layer, { where, l });
  const spec = { ...json, name } as unknown as NetworkSpec;
  try {
    paramSpecs(spec);
    return spec;
  } catch (cause) {
    if (isPruneError(cause)) throw cause;
    throw badArchitecture({ where, found: text, cause });
  }
}

function checked(spec: NetworkSpec, where: string): NetworkSpec {
  let count = 0;
  for (const { shape } of paramSpecs(spec)) count += shape.reduce((product, extent) => product * extent, 1);
  if (count > MAX_PARAMETERS) throw largeArchitecture({ where, found: spec.name, count, limit: MAX_PARAMETERS });
  return spec;
}

/** Networks as the text that --arch takes, a recipe holds and a checkpoint says of itself: a name, or JSON. */
import { isPruneError, unknownName } from "@secateur/core";
import { architecture, architectureNames, mlp, type NetworkSpec, paramSpecs } from "@secateur/nn";
import { badArchitecture, largeArchitecture } from "../../errors.ts";

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
 * @param where - what the text comes from, for messages; default "--arch"
 * @throws ERR_UNKNOWN_NAME, ERR_ARCHITECTURE, ERR_NETWORK
 */
export function namedArchitecture(text: string, where: string = "--arch"): NetworkSpec {
  const { spec } = describedArchitecture(text, where);
  if (spec === undefined) throw badArchitecture({ where, found: text });
  return spec;
}

/**
 * Reads such a text: a name, a description { name, inputShape, classes, layers } as nn has them, or { arch, map } with the name
 * of a network and which tensors of the file are which of it; `map` may stand in a description too.
 *
 * @throws ERR_UNKNOWN_NAME, ERR_ARCHITECTURE, ERR_NETWORK
 */
export function describedArchitecture(text: string, where: string): DescribedArchitecture {
  if (!text.trimStart().startsWith("{")) return { spec: checked(plainArchitecture(text, where), where), map: [] };
  const json = parsed(text);
  if (json === undefined) throw badArchitecture({ where, found: text });
  const { map: pairs = {}, arch, ...rest } = json;
  const isMap =
    typeof pairs === "object" && pairs !== null && Object.values(pairs).every((to) => typeof to === "string");
  if (!isMap || !(arch === undefined || typeof arch === "string")) throw badArchitecture({ where, found: text });
  const map = Object.entries(pairs as Record<string, string>);
  if ("layers" in rest) return { spec: checked(description(rest, { where, text }), where), map };
  if (arch === undefined && map.length === 0) throw badArchitecture({ where, found: text });
  return { spec: arch === undefined ? undefined : checked(plainArchitecture(arch, where), where), map };
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
    Array.isArray(layers) &&
    layers.every((layer) => typeof layer === "object" && layer !== null && typeof layer.kind === "string");
  if (!isDescription) throw badArchitecture({ where, found: text });
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

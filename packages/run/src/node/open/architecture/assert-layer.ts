/** The layers of a network that is given as data, one key at a time, so that a message names the key that is wrong. */
import type { LayerSpec } from "@secateur/nn";
import { badLayer } from "./errors.ts";

interface Key {
  readonly what: string;
  readonly isOptional?: true;
  fits(value: unknown): boolean;
}

const isWhole = (value: unknown, least: number): boolean => Number.isSafeInteger(value) && (value as number) >= least;
const isNumber = (value: unknown): value is number => typeof value === "number" && Number.isFinite(value);

const text: Key = { what: "a text", fits: (value) => typeof value === "string" && value.length > 0 };
const count: Key = { what: "a whole number of at least 1", fits: (value) => isWhole(value, 1) };
const padding: Key = { what: "one whole number of at least 0, for every side", fits: (value) => isWhole(value, 0) };
const flag: Key = { what: "true or false", fits: (value) => typeof value === "boolean" };
const positive: Key = { what: "a number above 0", fits: (value) => isNumber(value) && value > 0 };
const share: Key = { what: "a number in [0, 1]", fits: (value) => isNumber(value) && value >= 0 && value <= 1 };
const kernel: Key = {
  what: "[height, width], whole numbers of at least 1",
  fits: (value) => Array.isArray(value) && value.length === 2 && value.every((extent) => isWhole(extent, 1)),
};
const names: Key = {
  what: 'a list of names of layers before it; "input" is the network\'s input',
  fits: (value) => Array.isArray(value) && value.length > 0 && value.every((name) => typeof name === "string"),
};
const optional = (key: Key): Key => ({ ...key, isOptional: true });

const plain = { name: optional(text), inputs: optional(names) };
const named = { name: text, inputs: optional(names) };
const pool = { ...plain, size: count, stride: optional(count), padding: optional(padding) };

/** The keys of every kind of layer, as `LayerSpec` of @secateur/nn declares them. */
const layerKeys: Readonly<Record<LayerSpec["kind"], Readonly<Record<string, Key>>>> = {
  dense: { ...named, in: count, out: count, bias: optional(flag) },
  conv2d: {
    ...named,
    in: count,
    out: count,
    kernel,
    stride: optional(count),
    padding: optional(padding),
    dilation: optional(count),
    groups: optional(count),
    bias: optional(flag),
  },
  "batch-norm": { ...named, channels: count, epsilon: optional(positive), momentum: optional(share) },
  "layer-norm": { ...named, features: count, epsilon: optional(positive) },
  relu: plain,
  relu6: plain,
  silu: plain,
  gelu: plain,
  "max-pool": pool,
  "average-pool": pool,
  "global-average-pool": plain,
  flatten: plain,
  add: plain,
  concat: plain,
  "subsample-and-pad": { ...plain, stride: count, channels: count },
  dropout: { ...plain, rate: share },
  "log-softmax": plain,
};

/**
 * @param place.where - what the description comes from, for messages
 * @param place.l - the layer's place in `layers`
 * @throws ERR_ARCHITECTURE: no object, a kind that does not exist, a key that the kind does not have or that is missing, a value
 *   that does not fit its key
 */
export function assertLayer(layer: unknown, place: { where: string; l: number }): void {
  const kinds = Object.keys(layerKeys);
  if (typeof layer !== "object" || layer === null || Array.isArray(layer)) {
    throw badLayer({ ...place, problem: `found ${shown(layer)}`, allowed: 'give { "kind": ... }' });
  }
  const { kind, ...values } = layer as Readonly<Record<string, unknown>>;
  if (typeof kind !== "string" || !Object.hasOwn(layerKeys, kind)) {
    const problem = kind === undefined ? "it has no kind" : `its kind is ${shown(kind)}`;
    throw badLayer({ ...place, problem, allowed: `known kinds are ${kinds.join(", ")}` });
  }
  const keys = layerKeys[kind as LayerSpec["kind"]];
  const list = Object.entries(keys).map(([key, { isOptional }]) => (isOptional ? `[${key}]` : key));
  const allowed = `${kind} takes ${list.join(", ")}`;
  for (const key of Object.keys(values)) {
    if (!Object.hasOwn(keys, key)) throw badLayer({ ...place, problem: `${kind} has no ${shown(key)}`, allowed });
  }
  for (const [key, { what, isOptional, fits }] of Object.entries(keys)) {
    const value = values[key];
    if (value === undefined && isOptional) continue;
    if (value === undefined) throw badLayer({ ...place, problem: `its ${key} is missing`, allowed });
    if (!fits(value)) {
      throw badLayer({ ...place, problem: `its ${key} is ${shown(value)}`, allowed: `give ${what}` });
    }
  }
}

/** A value of the description for a message: as JSON, bounded. */
function shown(value: unknown): string {
  return (JSON.stringify(value) ?? "nothing").slice(0, 100);
}

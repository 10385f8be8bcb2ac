/**
 * The layers of a TensorFlow.js layers model as a list of calls in an order in which each can be computed: sequential and functional models,
 * shared layers, and models inside models, as Keras 2 writes them (modelTopology of model.json).
 */
import { z } from "zod";
import { notExported } from "../../../errors.ts";

/** A layer as model.json describes it. */
export interface KerasLayer {
  readonly name: string;
  /** Such as "Conv2D". */
  readonly className: string;
  readonly config: Readonly<Record<string, unknown>>;
}

/** One use of a layer: a layer that several others share is called several times. Values are named by whole numbers. */
export interface KerasCall {
  readonly layer: KerasLayer;
  readonly inputs: readonly number[];
  readonly output: number;
}

/** A model as calls. */
export interface KerasGraph {
  readonly name: string;
  readonly inputs: readonly {
    readonly name: string;
    readonly shape: readonly (number | null)[];
    readonly value: number;
  }[];
  readonly calls: readonly KerasCall[];
  readonly outputs: readonly { readonly name: string; readonly value: number }[];
}

const extents = z.array(z.int().positive().nullable()).min(1);
const inputConfig = z.looseObject({ batch_input_shape: extents, dtype: z.string().optional() });
const layerSchema = z.looseObject({
  class_name: z.string(),
  name: z.string().optional(),
  config: z.union([z.looseObject({ name: z.string().optional() }), z.array(z.unknown())]),
  inbound_nodes: z.array(z.unknown()).optional(),
});
type LayerJson = z.infer<typeof layerSchema>;
const place = z.tuple([z.string(), z.int(), z.int()]).rest(z.unknown());
const places = z.union([z.array(place), place.transform((one) => [one])]);
const functionalSchema = z.looseObject({
  name: z.string().optional(),
  layers: z.array(layerSchema),
  input_layers: places,
  output_layers: places,
});
const sequentialSchema = z.union([
  z.array(layerSchema).transform((layers) => ({ name: undefined, layers })),
  z.looseObject({ name: z.string().optional(), layers: z.array(layerSchema) }),
]);

/** Uses of layers in one model; the deepest that are deployed have a thousand. Models inside models could multiply without a bound. */
const mostUses = 20_000;

/** Classes whose config is a model's. */
const functionalClasses = ["Functional", "Model"];

/**
 * Lists the calls of a model.
 *
 * @param topology - modelTopology of model.json
 * @param source - for messages
 * @throws ERR_EXPORT for a topology of another form, a call whose inputs are never computed, models nested deeper than 16
 */
export function kerasGraph(topology: unknown, source: string): KerasGraph {
  const whole = parsed(z.looseObject({ model_config: z.unknown().optional() }), topology, source);
  const model = parsed(layerSchema, whole.model_config ?? topology, source);
  const calls: KerasCall[] = [];
  const inputs: KerasGraph["inputs"][number][] = [];
  const builder: Builder = { source, calls, inputs, next: 0, uses: 0 };
  const outputs = writeModel(model, undefined, { builder, depth: 0 });
  return { name: model.name ?? "network", inputs, calls, outputs };
}

interface Builder {
  readonly source: string;
  readonly calls: KerasCall[];
  readonly inputs: KerasGraph["inputs"][number][];
  /** The value that is given out next. */
  next: number;
  /** Of layers and of models inside models, so far. */
  uses: number;
}

interface Named {
  readonly name: string;
  readonly value: number;
}

/** Calls a model; `given`: what its inputs are, undefined for the outermost one, whose inputs become the graph's. */
function writeModel(
  model: LayerJson,
  given: readonly number[] | undefined,
  at: { builder: Builder; depth: number },
): readonly Named[] {
  const { builder, depth } = at;
  if (depth > 16)
    throw notExported({ source: builder.source, found: "models nested deeper than 16", can: "flatten it" });
  if (functionalClasses.includes(model.class_name)) {
    return writeFunctional(parsed(functionalSchema, model.config, builder.source), given, at);
  }
  if (model.class_name === "Sequential") {
    return writeSequential(parsed(sequentialSchema, model.config, builder.source).layers, given, at);
  }
  const found = `a model of the class ${JSON.stringify(model.class_name).slice(0, 80)}`;
  throw notExported({ source: builder.source, found, can: "give a Sequential or functional model of Keras 2" });
}

function writeSequential(
  layers: readonly LayerJson[],
  given: readonly number[] | undefined,
  at: { builder: Builder; depth: number },
): readonly Named[] {
  const { builder } = at;
  const [first] = layers;
  if (!first) throw notExported({ source: builder.source, found: "a model without layers", can: "give a whole one" });
  let values = given ?? [declareInput(innermostFirst(first, 0), builder)];
  let name = nameOf(first);
  for (const layer of layers) {
    if (layer.class_name === "InputLayer") continue;
    values = callLayer(layer, values, at).map(({ value }) => value);
    name = nameOf(layer);
  }
  return values.map((value) => ({ name, value }));
}

/** The layer that says the input's shape: the first one, or that of the model which stands first. */
function innermostFirst(layer: LayerJson, depth: number): LayerJson {
  const config = layer.config as { layers?: unknown };
  const inner = Array.isArray(layer.config) ? layer.config : config.layers;
  const next = Array.isArray(inner) && depth < 16 ? layerSchema.safeParse(inner[0]) : undefined;
  return next?.success ? innermostFirst(next.data, depth + 1) : layer;
}

function writeFunctional(
  model: z.infer<typeof functionalSchema>,
  given: readonly number[] | undefined,
  at: { builder: Builder; depth: number },
): readonly Named[] {
  const { builder } = at;
  const known = new Map<string, number>();
  const byName = new Map(model.layers.map((layer) => [nameOf(layer), layer]));
  for (const [i, [name]] of model.input_layers.entries()) {
    const layer = byName.get(name);
    if (!layer)
      throw notExported({ source: builder.source, found: `no input layer '${name}'`, can: "give a whole model" });
    known.set(keyOf(name, 0, 0), given?.[i] ?? declareInput(layer, builder));
  }
  const waiting = model.layers.flatMap((layer) =>
    layer.class_name === "InputLayer"
      ? []
      : (layer.inbound_nodes ?? []).map((node, index): Waiting => {
          const from = inboundOf(node, layer, builder);
          return { layer, index, from, missing: new Set(from.filter((key) => !known.has(key))) };
        }),
  );
  const takers = new Map<string, Waiting[]>();
  for (const call of waiting) {
    for (const key of call.missing) takers.set(key, [...(takers.get(key) ?? []), call]);
  }
  const ready = waiting.filter(({ missing }) => missing.size === 0);
  let done = 0;
  // The list grows while it is walked: a call that has all its inputs comes behind those that made them.
  for (const { layer, index, from } of ready) {
    done++;
    const outputs = callLayer(
      layer,
      from.map((key) => known.get(key)!),
      at,
    );
    for (const [t, { value }] of outputs.entries()) {
      for (const key of placesOf(layer, index, t)) {
        known.set(key, value);
        for (const taker of takers.get(key) ?? []) {
          if (taker.missing.delete(key) && taker.missing.size === 0) ready.push(taker);
        }
      }
    }
  }
  if (done < waiting.length) {
    const { layer } = waiting.find(({ missing }) => missing.size > 0)!;
    const found = `the layer '${nameOf(layer)}' takes what no layer gives`;
    throw notExported({ source: builder.source, found, can: "give a whole model" });
  }
  return model.output_layers.map(([name, index, t]) => {
    const value = known.get(keyOf(name, index, t));
    if (value === undefined) {
      throw notExported({ source: builder.source, found: `no output layer '${name}'`, can: "give a whole model" });
    }
    return { name, value };
  });
}

/** A call that is not written yet, and which of its inputs are not there. */
interface Waiting {
  readonly layer: LayerJson;
  readonly index: number;
  readonly from: readonly string[];
  readonly missing: Set<string>;
}

/** Under which names others refer to an output: Keras counts what a model inside a model was made from as its first use. */
function placesOf(layer: LayerJson, index: number, tensor: number): readonly string[] {
  const name = nameOf(layer);
  if (!isModel(layer)) return [keyOf(name, index, tensor)];
  return [keyOf(name, index + 1, tensor), ...(index === 0 ? [keyOf(name, 0, tensor)] : [])];
}

function callLayer(
  layer: LayerJson,
  inputs: readonly number[],
  at: { builder: Builder; depth: number },
): readonly Named[] {
  const { builder, depth } = at;
  const name = nameOf(layer);
  if (++builder.uses > mostUses) {
    const found = `more than ${mostUses} uses of layers`;
    throw notExported({ source: builder.source, found, can: "give a smaller model" });
  }
  if (isModel(layer)) {
    return writeModel(layer, inputs, { builder, depth: depth + 1 });
  }
  const config = layer.config as Readonly<Record<string, unknown>>;
  const output = builder.next++;
  builder.calls.push({ layer: { name, className: layer.class_name, config }, inputs, output });
  return [{ name, value: output }];
}

function isModel({ class_name: name }: LayerJson): boolean {
  return name === "Sequential" || functionalClasses.includes(name);
}

function declareInput(layer: LayerJson, builder: Builder): number {
  const { batch_input_shape: shape } = parsed(
    inputConfig,
    layer.config,
    `${builder.source}: the layer '${nameOf(layer)}'`,
  );
  const value = builder.next++;
  // As Keras names the input of a model that starts with a layer of another class.
  const name = layer.class_name === "InputLayer" ? nameOf(layer) : `${nameOf(layer)}_input`;
  builder.inputs.push({ name, shape, value });
  return value;
}

function inboundOf(node: unknown, layer: LayerJson, { source }: Builder): readonly string[] {
  return parsed(places, node, `${source}: the inputs of '${nameOf(layer)}'`).map(([name, index, t]) =>
    keyOf(name, index, t),
  );
}

function keyOf(name: string, index: number, tensor: number): string {
  return `${name}\u0000${index}\u0000${tensor}`;
}

function nameOf({ name, config }: LayerJson): string {
  const own = name ?? (config as { name?: string }).name;
  return own ?? "layer";
}

function parsed<T>(schema: z.ZodType<T>, value: unknown, where: string): T {
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  const [issue] = result.error.issues;
  const at = issue?.path.length ? ` at ${issue.path.join(".").slice(0, 100)}` : "";
  throw notExported({
    source: where,
    found: `a description of another form${at} (${issue?.message ?? "?"})`,
    can: "give a layers model as Keras 2 and TensorFlow.js write it",
  });
}

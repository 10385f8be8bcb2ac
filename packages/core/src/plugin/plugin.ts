/** What a plugin package exports by default at its subpath "./plugin": plain data, no global registry, no side effects on import. */
import type { StandardJSONSchemaV1, StandardSchemaV1 } from "@standard-schema/spec";
import { badOption } from "../errors.ts";
import type { Saliency, Selector, Solver, Updater } from "../problem/strategy.ts";
import type { CurvatureEstimator } from "../runner/curvature-estimator.ts";
import type { Task } from "../task/task.ts";
import type { TrainingRule } from "../training/training-rule.ts";
import type { Allocation } from "./allocation.ts";
import type { Architecture } from "./architecture.ts";
import type { DatasetSource } from "./dataset-source.ts";
import type { Format } from "./format.ts";
import type { Quantizer } from "./quantizer.ts";
import type { Reporter } from "./reporter.ts";
import type { Schedule } from "./schedule.ts";

/** A Standard Schema that can also describe itself as JSON Schema: makes flags, help, docs and validation (zod >= 4.2 is one). */
export type OptionsSchema<T> = {
  readonly "~standard": StandardSchemaV1.Props<unknown, T> & StandardJSONSchemaV1.Props<unknown, T>;
};

interface Entry<Kind extends string, Made, T> {
  readonly kind: Kind;
  /** The name users type, for example "chita.iht". */
  readonly name: string;
  /** One line for listings. */
  readonly summary: string;
  /** The paper, with authors and year. */
  readonly reference?: string;
  /** A few paragraphs for `explain`: the formula, what the options change, when to use it. */
  readonly explanation?: string;
  readonly options: OptionsSchema<T>;
  /** Of a solver: options that matter under some curvatures only, each with the names of these; told to whoever sets them in vain. */
  readonly optionsOnlyWith?: Readonly<Record<string, readonly string[]>>;
  /** Of a curvature estimator: settings of the plan that it does not read, for example "temperature". */
  readonly unread?: readonly string[];
  // A method, so that entries of different option types share one list; `parseOptions` guarantees the argument.
  create(options: T): Made;
}

/** What an entry of each kind makes. */
export interface EntryProducts {
  /** Scores weights. */
  saliency: Saliency;
  /** Chooses a mask. */
  selector: Selector;
  /** Finds the weights on a mask. */
  updater: Updater;
  /** Finds mask and weights. */
  solver: Solver;
  /** Estimates H from a model and data. */
  curvature: CurvatureEstimator;
  /** Prunings with training between them. */
  schedule: Schedule;
  /** Spreads the weights to keep over layers. */
  allocation: Allocation;
  /** What a network's outputs mean: loss, curvature, measures. */
  task: Task;
  /** Acts while a network trains. */
  "training-rule": TrainingRule;
  /** Puts weights on a grid. */
  quantizer: Quantizer;
  /** Files of named tensors. */
  format: Format;
  /** Networks by name. */
  architecture: Architecture;
  /** Datasets by name. */
  dataset: DatasetSource;
  /** Files about finished runs. */
  reporter: Reporter;
}

/** A kind of thing with a name. */
export type EntryKind = keyof EntryProducts;

/** All kinds, in the order of listings; where several kinds of one name would do, the first of them is meant. */
export const entryKinds: readonly EntryKind[] = [
  ...(["solver", "selector", "saliency", "updater", "curvature"] as const),
  ...(["schedule", "allocation", "task", "training-rule", "quantizer"] as const),
  ...(["architecture", "dataset", "format", "reporter"] as const),
];

/** One thing that a plugin offers, told apart by `kind`. */
export type PluginEntry = { readonly [K in EntryKind]: Entry<K, EntryProducts[K], never> }[EntryKind];

/** An entry of one kind. */
export type EntryOf<K extends EntryKind> = Extract<PluginEntry, { kind: K }>;

/** The version of the plugin interface. Version 1 had the first five kinds, and its manifest as the default export of the package's root. */
export const pluginApi = 2;

/**
 * A plugin's manifest. `api` is the version of this interface; the package's own version is in its package.json, where it cannot
 * disagree.
 */
export interface Plugin {
  readonly api: typeof pluginApi;
  readonly name: string;
  readonly entries: readonly PluginEntry[];
}

/** Checks the manifest's type; returns it unchanged. */
export function definePlugin(plugin: Plugin): Plugin {
  return plugin;
}

/**
 * One entry of any kind with its option type inferred from the schema.
 *
 * @example
 * defineEntry({ kind: "allocation", name: "even", summary: "as many weights in every layer", options, create: () => even });
 */
export function defineEntry<K extends EntryKind, T>(entry: Entry<K, EntryProducts[K], T>): EntryOf<K> {
  return entry as unknown as EntryOf<K>;
}

/** One solver entry with its option type inferred from the schema; its solvers get the entry's name where they have none. */
export function defineSolver<T>(
  entry: Omit<Entry<"solver", Solver, T>, "kind">,
): Extract<PluginEntry, { kind: "solver" }> {
  const made = {
    ...{ kind: "solver", ...entry },
    create(options: T): Solver {
      return named(entry.create(options), entry.name);
    },
  };
  return made as Extract<PluginEntry, { kind: "solver" }>;
}

/** A solver with a name, which may be an instance of a class: its methods keep their own `this`. */
function named(made: Solver, name: string): Solver {
  // What is no solver at all is told by whoever checks what an entry makes.
  if (typeof made !== "object" || made === null || made.name !== undefined) return made;
  if (Object.getPrototypeOf(made) === Object.prototype) return { ...made, name };
  const { needs, scope } = made;
  return {
    ...{ name, needs },
    ...(scope ? { scope } : {}),
    solve: (problem, ctx) => made.solve(problem, ctx),
    ...(made.plan ? { plan: (situation) => made.plan!(situation) } : {}),
    ...(made.work ? { work: (plan, situation) => made.work!(plan, situation) } : {}),
  };
}

/** One saliency entry with its option type inferred from the schema. */
export function defineSaliency<T>(
  entry: Omit<Entry<"saliency", Saliency, T>, "kind">,
): Extract<PluginEntry, { kind: "saliency" }> {
  return { kind: "saliency", ...entry } as Extract<PluginEntry, { kind: "saliency" }>;
}

/** One selector entry with its option type inferred from the schema. */
export function defineSelector<T>(
  entry: Omit<Entry<"selector", Selector, T>, "kind">,
): Extract<PluginEntry, { kind: "selector" }> {
  return { kind: "selector", ...entry } as Extract<PluginEntry, { kind: "selector" }>;
}

/** One updater entry with its option type inferred from the schema. */
export function defineUpdater<T>(
  entry: Omit<Entry<"updater", Updater, T>, "kind">,
): Extract<PluginEntry, { kind: "updater" }> {
  return { kind: "updater", ...entry } as Extract<PluginEntry, { kind: "updater" }>;
}

/** One curvature-estimator entry with its option type inferred from the schema. */
export function defineCurvature<T>(
  entry: Omit<Entry<"curvature", CurvatureEstimator, T>, "kind">,
): Extract<PluginEntry, { kind: "curvature" }> {
  return { kind: "curvature", ...entry } as Extract<PluginEntry, { kind: "curvature" }>;
}

/**
 * Validates options against a schema and returns the parsed value with its defaults filled in.
 *
 * @param where - for messages, for example "chita"
 * @throws ERR_OPTION naming every refused key and what was allowed
 */
export async function parseOptions<T>(where: string, schema: OptionsSchema<T>, options: unknown): Promise<T> {
  const result = await schema["~standard"].validate(options);
  if (!result.issues) return result.value;
  const problems = result.issues.map((issue) => {
    const path = (issue.path ?? []).map((part) => String(typeof part === "object" ? part.key : part)).join(".");
    return path ? `option '${path}': ${issue.message}` : issue.message;
  });
  const known = Object.keys(optionProperties(schema));
  throw badOption(where, `${problems.join("; ")}; known options: ${known.join(", ") || "none"}`, { problems, known });
}

/** The properties of a schema's JSON Schema by option name: type, description, default, range. */
export function optionProperties(
  schema: OptionsSchema<unknown> | OptionsSchema<never>,
): Readonly<Record<string, Readonly<Record<string, unknown>>>> {
  const json = schema["~standard"].jsonSchema.input({ target: "draft-2020-12" });
  return (json["properties"] ?? {}) as Record<string, Record<string, unknown>>;
}

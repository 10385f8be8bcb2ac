/** Settings of retraining and allocation, judged before anything runs. */
import { type EntryOf, nearestName, optionProperties, type PluginEntry } from "@secateur/core";
import { type AllocationOptions, retrainingNames } from "@secateur/imp-scheduler";
import { z } from "zod";
import { badRetrainSetting } from "../../errors.ts";
import type { FoundEntry } from "../../plugins/found-entry.ts";
import { allowedValues } from "../../plugins/option-schema.ts";
import { findEntry } from "../plugins/find-entry.ts";
import { firstPartyPlugins } from "../plugins/first-party.ts";
import { allocationSchema, type RetrainSettings, retrainSchema } from "./retrain-schema.ts";

/** Our own ways of retraining, for help: the schedules of IMP, and programs that fix sparsities and rates together. */
export const retrainNames: readonly string[] = [...retrainingNames, "gmp", "gradual", "bimp"];

/** What a recipe says under "allocation". */
export type AllocationSettings = AllocationOptions;

/** Settings of retraining, and the schedule they name. */
export interface RetrainChoice {
  readonly settings: RetrainSettings;
  readonly schedule: FoundEntry<EntryOf<"schedule">>;
}

/**
 * Checks the value of "retrain" before anything runs.
 *
 * @param spec.where - what is being judged, a recipe's path or "the flags"
 * @param spec.from - the folder from which plugins are looked for
 * @throws ERR_OPTION naming key, what was found and what is allowed; ERR_UNKNOWN_NAME for a schedule that nobody offers
 */
export async function parseRetrain(spec: { where: string; value: object; from: string }): Promise<RetrainChoice> {
  const { where, from } = spec;
  const value = spec.value as Readonly<Record<string, unknown>>;
  const name = value["schedule"];
  if (typeof name !== "string") {
    const allowed = `one of ${retrainNames.join(", ")}, or a schedule of a plugin`;
    throw badRetrainSetting({ where, key: "retrain.schedule", found: shown(name), allowed });
  }
  const schedule = await findEntry({ name, from, kinds: ["schedule"] });
  const own = optionProperties(schedule.entry.options);
  await assertRead({ where, value, own, name });
  const isOwn = ([key]: readonly [string, unknown]) => Object.hasOwn(own, key);
  const common = parse({
    ...{ where, under: "retrain", schema: retrainSchema, more: Object.keys(own) },
    value: Object.fromEntries(Object.entries(value).filter((entry) => !isOwn(entry))),
  }) as RetrainSettings;
  const options = Object.fromEntries(Object.entries(value).filter(isOwn));
  const settings: RetrainSettings = { ...common, ...(await ownOptions({ where, entry: schedule.entry, options })) };
  assertAgree(where, settings);
  return { settings, schedule };
}

/** Settings that other schedules read, and this one does not. */
async function assertRead(spec: {
  where: string;
  value: Readonly<Record<string, unknown>>;
  own: Readonly<Record<string, unknown>>;
  name: string;
}): Promise<void> {
  const { where, value, own, name } = spec;
  const plugins = await Promise.all(firstPartyPlugins.map((plugin) => plugin.load()));
  const isSchedule = (entry: PluginEntry): entry is EntryOf<"schedule"> => entry.kind === "schedule";
  const schedules = plugins.flatMap(({ entries }) => entries.filter(isSchedule));
  for (const key of Object.keys(value)) {
    const readers = Object.hasOwn(own, key)
      ? []
      : schedules.filter((one) => Object.hasOwn(optionProperties(one.options), key));
    // One rate runs through all of gmp: an interval cut short would make it jump.
    const isStray = readers.length > 0 || (key === "patience" && name === "gmp");
    if (!isStray) continue;
    const names = readers.length > 0 ? readers.map((one) => one.name) : retrainNames.filter((known) => known !== "gmp");
    const found = `it, and the schedule ${name} does not read it`;
    throw badRetrainSetting({ where, key: `retrain.${key}`, found, allowed: `only with ${names.join(", ")}` });
  }
}

/** The schedule's own options with their defaults. */
async function ownOptions(spec: {
  where: string;
  entry: EntryOf<"schedule">;
  options: Readonly<Record<string, unknown>>;
}): Promise<object> {
  const { where, entry, options } = spec;
  const result = await entry.options["~standard"].validate(options);
  if (!result.issues) return result.value;
  const [issue] = result.issues;
  const [part] = issue!.path ?? [];
  const key = String(typeof part === "object" ? part.key : (part ?? ""));
  const property = optionProperties(entry.options)[key];
  const allowed = property ? allowedValues(property) : issue!.message;
  throw badRetrainSetting({ where, key: `retrain.${key}`, found: shown(options[key]), allowed });
}

/** Settings of the rounds that contradict each other. */
function assertAgree(where: string, settings: RetrainSettings): void {
  const { sparsities, phases, phaseSchedule, schedule, patience } = settings;
  const mean = settings.soup !== undefined ? "soup" : settings.averageLast !== undefined ? "averageLast" : undefined;
  if (mean && (patience !== undefined || schedule === "gmp")) {
    // A mean is of whole trainings; early stopping ends them where each is best, and gmp is a single one around all prunings.
    const found = patience === undefined ? "it with the schedule gmp" : "it beside patience";
    throw badRetrainSetting({
      where,
      key: `retrain.${mean}`,
      found,
      allowed: "phases that train to their end, each by itself",
    });
  }
  if (sparsities !== undefined && phases !== undefined && phases !== sparsities.length) {
    const found = `${phases} phases and ${sparsities.length} sparsities`;
    throw badRetrainSetting({ where, key: "retrain.phases", found, allowed: "one of the two, or numbers that agree" });
  }
  if (sparsities !== undefined && phaseSchedule !== undefined) {
    const found = "it beside sparsities, which say how the sparsity grows";
    throw badRetrainSetting({ where, key: "retrain.phaseSchedule", found, allowed: "one of the two" });
  }
  sparsities?.forEach((sparsity, index) => {
    const before = sparsities[index - 1] ?? 0;
    if (sparsity >= before) return;
    const found = `${sparsity} after ${before}`;
    throw badRetrainSetting({ where, key: "retrain.sparsities", found, allowed: "sparsities that never decrease" });
  });
}

function shown(value: unknown): string {
  if (value === undefined) return "nothing";
  return typeof value === "string" ? `'${value}'` : JSON.stringify(value);
}

/** Checks the value of "allocation". @throws ERR_OPTION */
export function parseAllocation(where: string, value: unknown): AllocationSettings {
  return parse({ where, under: "allocation", value, schema: allocationSchema, more: [] }) as AllocationSettings;
}

/** The value as the schema admits it. */
function parse(spec: {
  where: string;
  under: string;
  value: unknown;
  schema: z.ZodType;
  /** Keys that are judged elsewhere, for messages. */
  more: readonly string[];
}): unknown {
  const { where, under, value } = spec;
  const result = spec.schema.safeParse(value);
  if (result.success) return result.data;
  const [issue] = result.error.issues;
  const path = [under, ...issue!.path.map(String)].join(".");
  if (issue!.code === "unrecognized_keys") {
    const known = [...knownKeys(spec.schema, issue!.path), ...(issue!.path.length === 0 ? spec.more : [])];
    const [strange] = issue!.keys;
    const near = nearestName(strange!, known);
    const hint = near === undefined ? "" : `; did you mean '${near}'?`;
    throw badRetrainSetting({
      where,
      key: `${path}.${strange}`,
      found: "a key that does not exist",
      allowed: `one of ${known.join(", ")}${hint}`,
    });
  }
  const found = valueAt(value, issue!.path);
  throw badRetrainSetting({
    where,
    key: path,
    found: found === undefined ? "nothing" : JSON.stringify(found),
    allowed: inWords(issue!),
  });
}

function knownKeys(whole: z.ZodType, path: readonly PropertyKey[]): readonly string[] {
  let inner: unknown = whole;
  for (const part of path) {
    const shape: Record<string, unknown> = inner instanceof z.ZodObject ? inner.shape : {};
    const next = shape[String(part)];
    inner = next instanceof z.ZodOptional ? next.unwrap() : next;
  }
  return inner instanceof z.ZodObject ? Object.keys(inner.shape) : [];
}

function valueAt(value: unknown, path: readonly PropertyKey[]): unknown {
  let inner = value;
  for (const part of path) inner = (inner as Record<PropertyKey, unknown> | undefined)?.[part];
  return inner;
}

function inWords(issue: z.core.$ZodIssue): string {
  switch (issue.code) {
    case "too_small":
      return issue.origin === "string" || issue.origin === "array"
        ? "at least one"
        : `a number ${issue.inclusive ? "of at least" : "above"} ${issue.minimum}`;
    case "too_big":
      return `a number ${issue.inclusive ? "of at most" : "below"} ${issue.maximum}`;
    case "invalid_value":
      return `one of ${issue.values.map(String).join(", ")}`;
    case "invalid_union":
      return "a whole number of at least 1, or 'auto'";
    case "invalid_type":
      return issue.expected === "int" ? "a whole number" : articled(issue.expected);
    default:
      return issue.message;
  }
}

function articled(type: string): string {
  return /^[aeiou]/.test(type) ? `an ${type}` : `a ${type}`;
}

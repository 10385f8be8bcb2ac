/** What a plugin package exports, and everything it offers. */
import {
  type EntryKind,
  entryKinds,
  type Format,
  optionProperties,
  type Plugin,
  type PluginEntry,
  parseOptions,
  pluginApi,
  reservedOptionOf,
  unknownKey,
} from "@secateur/core";
import { ensure, errorOf } from "./assertions.ts";
import { type Check, type RegisterTest, registerChecks } from "./check.ts";
import { type FormatSpec, formatChecks } from "./format-checks.ts";
import { formatContents } from "./format-contents.ts";
import { allocationChecks } from "./kinds/allocation-checks.ts";
import { architectureChecks, type DatasetClaims, datasetChecks, reporterChecks } from "./kinds/named-thing-checks.ts";
import { quantizerChecks } from "./kinds/quantizer-checks.ts";
import { type ScheduleSpec, scheduleChecks } from "./kinds/schedule-checks.ts";
import { type CurvatureSpec, curvatureChecks } from "./models/curvature-checks.ts";
import { ensureProduct } from "./product.ts";
import { saliencyChecks, selectorChecks, type UpdaterSpec, updaterChecks } from "./solvers/ladder-checks.ts";
import { solverChecks } from "./solvers/solver-checks.ts";
import type { SolverSpec } from "./solvers/solver-suite.ts";
import { type TaskSpec, taskChecks } from "./tasks/task-checks.ts";
import { type TrainingRuleSpec, trainingRuleChecks } from "./training/rule-checks.ts";

/** What one entry of a plugin claims, and options to make it with other than the defaults. */
export type EntryClaims = Partial<
  Omit<
    SolverSpec & UpdaterSpec & CurvatureSpec & ScheduleSpec & FormatSpec & TrainingRuleSpec & DatasetClaims & TaskSpec,
    "create" | "name" | "decode" | "encode"
  >
> & {
  readonly options?: Readonly<Record<string, unknown>>;
};

/** A plugin and what its entries claim. */
export interface PluginSpec {
  /** The default export of the package's subpath "./plugin". */
  readonly plugin: Plugin;
  /** By "KIND NAME", such as "solver chita" or "saliency taylor". Entries left out claim nothing and are checked all the same; a task needs `outputs`, and a format that only reads `samples`. */
  readonly claims?: Readonly<Record<string, EntryClaims>>;
}

/**
 * Registers everything a plugin package has to prove: that its manifest and its options are in order, and the suite of each
 * of its entries, made with their default options.
 *
 * @example
 * describePlugin({ test, plugin, claims: { "solver chita.bso": { claims: ["mask"], refuses: ["rows"] } } });
 */
export function describePlugin(suite: PluginSpec & { readonly test: RegisterTest }): void {
  registerChecks(suite.test, suite.plugin.name, pluginChecks(suite));
}

/** The checks of {@link describePlugin}. */
export function pluginChecks({ plugin, claims = {} }: PluginSpec): readonly Check[] {
  const { entries } = plugin;
  return [
    {
      name: "exports a plugin of api 2 with entries of different names",
      run: async () => ensureManifest(plugin, claims),
    },
    ...entries.flatMap((entry) => {
      const label = labelOf(entry);
      const checks = [...optionChecks(entry), ...entryChecks(entry, claims[label] ?? {})];
      return checks.map(({ name, run }) => ({ name: `${label} ${name}`, run }));
    }),
  ];
}

const labelOf = ({ kind, name }: PluginEntry): string => `${kind} ${name}`;

/** What users type: a family, and parts after dots; a scope before it is the package's. */
const namePattern = /^[a-z0-9]+(-[a-z0-9]+)*(\.[a-z0-9]+(-[a-z0-9]+)*)*$/;

/** An allocation may end in "+", which joins the halves of a method elsewhere. */
const allocationPattern = /^[a-z0-9]+(-[a-z0-9]+)*\+?$/;

/** What can be claimed of an entry of each kind, beside its options. */
const rungClaims = ["claims", "slack", "baseline", "refuses", "randomised", "ordered"] as const;
const knownClaims: Readonly<Record<EntryKind, readonly (keyof EntryClaims)[]>> = {
  solver: rungClaims,
  selector: rungClaims,
  saliency: rungClaims,
  updater: [...rungClaims, "improves"],
  curvature: ["model", "data", "tolerance"],
  schedule: ["epochs"],
  allocation: [],
  task: ["outputs", "targets", "isConvex"],
  "training-rule": ["straightThrough"],
  quantizer: [],
  architecture: [],
  dataset: ["argument"],
  format: ["dtypes", "hasMetadata", "isSingle", "allowsTrailingBytes", "samples"],
  reporter: [],
};

const entryFields: readonly string[] = [
  ...["kind", "name", "summary", "reference", "explanation", "options", "optionsOnlyWith", "unread", "create"],
];

function ensureManifest({ api, name, entries }: Plugin, claims: Readonly<Record<string, EntryClaims>>): void {
  ensure(api === pluginApi, () => `api is ${JSON.stringify(api)}, expected ${pluginApi}`);
  ensure(typeof name === "string" && name !== "", () => `name is ${JSON.stringify(name)}, expected the package's name`);
  ensure(Array.isArray(entries) && entries.length > 0, () => "entries are missing, expected at least one");
  const labels = entries.map(labelOf);
  const twice = labels.find((label, i) => labels.indexOf(label) !== i);
  ensure(twice === undefined, () => `there are two entries '${twice}'; names are unique within a kind`);
  const unknown = Object.keys(claims).find((label) => !labels.includes(label));
  ensure(unknown === undefined, () => `claims are made for '${unknown}', the entries are ${labels.join(", ")}`);
  for (const entry of entries as readonly PluginEntry[]) {
    ensure(
      entryKinds.includes(entry.kind),
      () => `'${entry.name}' is of kind '${entry.kind}', expected ${entryKinds.join(", ")}`,
    );
    const pattern = entry.kind === "allocation" ? allocationPattern : namePattern;
    const field = unknownKey(entry, entryFields);
    ensure(field === undefined, () => `${labelOf(entry)}: an entry has no field ${field}`);
    const claim = unknownKey(claims[labelOf(entry)] ?? {}, ["options", ...knownClaims[entry.kind]]);
    ensure(claim === undefined, () => `${labelOf(entry)}: of a ${entry.kind} nothing is claimed by ${claim}`);
    ensure(pattern.test(entry.name), () => {
      return `the name '${entry.name}' cannot be typed as a flag's value; use lower case, digits, '-' and dots between parts`;
    });
    const { summary } = entry;
    ensure(typeof summary === "string" && summary !== "" && !summary.includes("\n"), () => {
      return `${labelOf(entry)}: summary is ${JSON.stringify(summary)}, expected one line`;
    });
    ensure(!summary.endsWith("."), () => `${labelOf(entry)}: the summary ends in '.'; listings put it in a column`);
  }
}

function optionChecks(entry: PluginEntry): readonly Check[] {
  const label = labelOf(entry);
  return [
    {
      name: "documents every option, with defaults that it accepts",
      async run() {
        const properties = optionProperties(entry.options);
        const flag = reservedOptionOf(entry);
        ensure(flag === undefined, () => `option '${flag}' is a flag of the command line; give it another name`);
        for (const [key, property] of Object.entries(properties)) {
          const text = property["description"];
          ensure(
            typeof text === "string" && text !== "",
            () => `option '${key}' has no description; add .describe(...) to it`,
          );
          ensure(
            /^[a-z][A-Za-z0-9]*$/.test(key),
            () => `option '${key}' is not in camelCase, from which its flag is made`,
          );
        }
        const chosen: Readonly<Record<string, unknown>> = await parseOptions(label, entry.options, {});
        for (const [key, { default: stated }] of Object.entries(properties)) {
          ensure(stated === undefined || JSON.stringify(stated) === JSON.stringify(chosen[key]), () => {
            return `option '${key}' says its default is ${JSON.stringify(stated)} and becomes ${JSON.stringify(chosen[key])}`;
          });
        }
        ensureProduct(entry.kind, await entry.create((await parseOptions(label, entry.options, {})) as never));
        for (const key of Object.keys(entry.kind === "solver" ? (entry.optionsOnlyWith ?? {}) : {})) {
          ensure(Object.hasOwn(properties, key), () => `optionsOnlyWith names '${key}', which is no option`);
        }
      },
    },
    {
      name: "refuses an option that it does not have, with ERR_OPTION",
      async run() {
        const error = await errorOf(
          () => parseOptions(label, entry.options, { noSuchOption: 1 }),
          ["ERR_OPTION"],
          "{ noSuchOption: 1 }",
        );
        ensure(error.message.includes("noSuchOption"), () => `the message does not name the option: ${error.message}`);
      },
    },
  ];
}

function entryChecks(entry: PluginEntry, { options = {}, ...claims }: EntryClaims): readonly Check[] {
  const parsed = async (): Promise<never> => (await parseOptions(labelOf(entry), entry.options, options)) as never;
  switch (entry.kind) {
    case "solver":
      return solverChecks({ ...claims, create: async () => entry.create(await parsed()) });
    case "saliency":
      return saliencyChecks({ ...claims, create: async () => entry.create(await parsed()) });
    case "selector":
      return selectorChecks({ ...claims, create: async () => entry.create(await parsed()) });
    case "updater":
      return updaterChecks({ ...claims, create: async () => entry.create(await parsed()) });
    case "curvature":
      return curvatureChecks({ ...claims, create: async () => entry.create(await parsed()) });
    case "schedule":
      return scheduleChecks({ ...claims, create: async () => entry.create(await parsed()) });
    case "allocation":
      return allocationChecks({ create: async () => entry.create(await parsed()) });
    case "training-rule":
      return trainingRuleChecks({ ...claims, create: () => entry.create(parsedNow(entry, options)) });
    case "task": {
      const { outputs } = claims;
      return outputs === undefined
        ? [unclaimed("task", "outputs (and targets)", "{ outputs: { scores: { shape: [2, 3], data } } }")]
        : taskChecks({ ...claims, outputs, create: () => entry.create(parsedNow(entry, options)) });
    }
    case "quantizer":
      return quantizerChecks({ create: async () => entry.create(await parsed()) });
    case "format":
      return formatEntryChecks(entry.create(parsedNow(entry, options)), claims);
    case "architecture":
      return architectureChecks(async () => entry.create(await parsed()));
    case "dataset":
      return datasetChecks(entry.name, async () => entry.create(await parsed()), claims);
    case "reporter":
      return reporterChecks(async () => entry.create(await parsed()));
    default:
      return entry satisfies never;
  }
}

/** For what is needed before the first check runs; schemas that take their time are not for it. */
function parsedNow(entry: PluginEntry, options: Readonly<Record<string, unknown>>): never {
  const result = entry.options["~standard"].validate(options);
  if (result instanceof Promise || result.issues)
    throw new Error(`${labelOf(entry)}: its schema does not take the options`);
  return result.value as never;
}

/** Fails: without the claim nothing of the entry would be tried. */
function unclaimed(kind: EntryKind, what: string, example: string): Check {
  return {
    name: `is given ${what} to be tried on`,
    async run() {
      throw new Error(`a ${kind} needs ${what} among its claims, such as ${example}`);
    },
  };
}

function formatEntryChecks(format: Format, claims: Partial<FormatSpec>): readonly Check[] {
  const { decode, encode, endings } = format;
  const own: Check = {
    name: "names endings with a dot, in lower case, and takes its own files for its own and an empty one not",
    async run() {
      ensureProduct("format", format);
      ensure(
        endings.length > 0 && endings.every((ending) => /^\.[a-z0-9]+$/.test(ending)),
        () => `found ${endings.join(", ")}`,
      );
      ensure(!format.detects(new Uint8Array(0)), () => "an empty file is detected");
      ensure(decode !== undefined || encode !== undefined, () => "it neither reads nor writes");
      const files = (claims.samples ?? []).map(({ name, bytes }) => ({ name, bytes }));
      if (encode) files.push({ name: "what it writes", bytes: await encode(formatContents(claims)[0]!) });
      const foreign = files.find(({ bytes }) => !format.detects(bytes.subarray(0, 4096)));
      ensure(foreign === undefined, () => `${foreign?.name} is not detected`);
    },
  };
  if (!encode && (claims.samples ?? []).length === 0) {
    return [own, unclaimed("format", "samples", "{ samples: [{ name, bytes, tensors }] }, as it only reads")];
  }
  return [own, ...formatChecks({ ...claims, ...(decode ? { decode } : {}), ...(encode ? { encode } : {}) })];
}

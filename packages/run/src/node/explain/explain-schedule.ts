/** What `secateur explain` says of a schedule of retraining: its phases and the rates of their steps, as numbers and bars. */
import type { EntryOf, RunSituation } from "@secateur/core";
import { plotRates } from "@secateur/imp-scheduler";
import { formatFraction, formatNumber, formatTable, wrapText } from "@secateur/report/text";
import type { FoundEntry } from "../../plugins/found-entry.ts";
import { completeSettings, graphTraining } from "../retrain/complete-settings.ts";
import { denseTraining, makeSchedule, planPhases } from "../retrain/retrain-plan.ts";
import type { DenseSettings, RetrainSettings } from "../retrain/retrain-schema.ts";
import { parseRetrain } from "../retrain/retrain-settings.ts";
import type { ModelTraining } from "./plan-situation.ts";

/** Settings that a schedule is shown with; what is left out is usual. */
export interface ShownSchedule {
  readonly retrainEpochs?: number;
  readonly phases?: number | "auto";
  readonly denseTraining?: DenseSettings;
}

/**
 * The page of a schedule.
 *
 * @param spec.training - of the network that is retrained; absent: one that `secateur train` trained, unless `shown` says otherwise
 * @param spec.from - the folder from which plugins are looked for
 */
export async function explainSchedule(spec: {
  found: FoundEntry<EntryOf<"schedule">>;
  situation: RunSituation;
  training?: ModelTraining | undefined;
  shown: ShownSchedule;
  from: string;
}): Promise<string> {
  const { found, situation, training, shown, from: cwd } = spec;
  const given = await shownSettings(found.entry.name, shown, cwd);
  const { sparsity, examples, initialSparsity: from } = situation;
  const { name, summary, explanation = summary, reference } = found.entry;
  const settings = completeSettings({ settings: given, record: training?.record, sparsity });
  const plan = await makeSchedule(found.entry, settings);
  const stepsPerEpoch = Math.max(1, Math.ceil(examples / settings.batchSize));
  const phases = planPhases({ schedule: plan, settings, sparsity, from, stepsPerEpoch });
  const everything = { normBefore: 1, normAfter: 0, prunedFraction: 1 };
  const right = { align: "right" } as const;
  const rows = phases.map((phase, index) => {
    const steps = phase.epochs * stepsPerEpoch;
    const rates = Array.from(phase.rates(steps, everything));
    return [
      String(index + 1),
      formatFraction(phase.sparsity),
      String(phase.epochs),
      formatNumber(rates[0] ?? 0),
      formatNumber(rates.reduce((most, rate) => Math.max(most, rate), 0)),
      formatNumber(rates[rates.length - 1] ?? 0),
      plotRates(rates, 40),
    ];
  });
  const table = formatTable(
    [
      { title: "phase", ...right },
      { title: "sparsity", ...right },
      { title: "epochs", ...right },
      { title: "first rate", ...right },
      { title: "highest", ...right },
      { title: "last", ...right },
      { title: "rates over the steps" },
    ],
    rows,
  );
  const { schedule, learningRate, epochs } = settings.dense;
  const dense = denseTraining(settings, stepsPerEpoch);
  const source = given.dense === undefined ? `, ${sourceOf(training)}` : "";
  return [
    `${name}: ${explanation}\n`,
    ...(reference === undefined ? [] : [`${wrapText(`Reference: ${reference}`)}\n`]),
    table,
    `Dense training: ${schedule} from ${learningRate} over ${epochs} epochs${source}.\n  ${plotRates(dense.rates, 60)}\n`,
    `Of ${phases.length} ${phases.length === 1 ? "phase" : "phases"} with ${stepsPerEpoch} steps an epoch. From ${found.packageName} ${found.version}.\n`,
  ].join("\n");
}

/** Where the numbers of the dense training come from. */
function sourceOf(training: ModelTraining | undefined): string {
  if (!training) return "which is what secateur train does unless told otherwise";
  const { path, record, isTrainable } = training;
  if (!isTrainable)
    return `which is assumed here: ${path} is a TensorFlow.js model, which is pruned as it is and not retrained`;
  if (record === graphTraining) return "which is what graphs are trained by unless told otherwise";
  return record
    ? `as ${path} says it was trained`
    : `which is assumed here: ${path} does not say how it was trained, so a run first finds its rates by short trainings on held-out examples`;
}

async function shownSettings(
  name: string,
  { retrainEpochs, phases, denseTraining: dense }: ShownSchedule,
  from: string,
): Promise<RetrainSettings> {
  // Programs of many prunings are shown at the length of their papers.
  const epochs = retrainEpochs ?? (name === "gradual" ? 100 : name === "gmp" || name === "bimp" ? 20 : 10);
  const value = {
    schedule: name,
    epochs,
    ...(phases === undefined ? {} : { phases }),
    ...(dense === undefined ? {} : { dense }),
  };
  const { settings } = await parseRetrain({ where: "explain", value, from });
  return settings;
}

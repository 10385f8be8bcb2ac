/** What `secateur explain` says of a schedule of retraining: its phases and the rates of their steps, as numbers and bars. */
import type { EntryOf, RunSituation } from "@secateur/core";
import { plotRates } from "@secateur/imp-scheduler";
import { formatFraction, formatNumber, formatTable } from "@secateur/report/text";
import type { FoundEntry } from "@secateur/run";
import { completeSettings, denseTraining, makeSchedule, planPhases, type RetrainSettings } from "@secateur/run/node";

/** The page of a schedule. */
export async function explainSchedule(spec: {
  found: FoundEntry<EntryOf<"schedule">>;
  situation: RunSituation;
  settings: RetrainSettings;
}): Promise<string> {
  const { found, situation } = spec;
  const { sparsity, examples, initialSparsity: from } = situation;
  const { name, summary, explanation = summary, reference } = found.entry;
  const settings = completeSettings({ settings: spec.settings, record: undefined, sparsity });
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
  const assumed = spec.settings.dense === undefined ? ", which is what secateur train does unless told otherwise" : "";
  return [
    `${name}: ${explanation}\n`,
    ...(reference === undefined ? [] : [`Reference: ${reference}\n`]),
    table,
    `Dense training: ${schedule} from ${learningRate} over ${epochs} epochs${assumed}.\n  ${plotRates(dense.rates, 60)}\n`,
    `Of ${phases.length} ${phases.length === 1 ? "phase" : "phases"} with ${stepsPerEpoch} steps an epoch. From ${found.packageName} ${found.version}.\n`,
  ].join("\n");
}

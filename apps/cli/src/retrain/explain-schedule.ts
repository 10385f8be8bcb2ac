/** What `secateur explain` says of a schedule of retraining: its phases and the rates of their steps, as numbers and bars. */
import { plotRates } from "@secateur/imp-scheduler";
import { formatFraction, formatNumber, formatTable } from "@secateur/report/text";
import {
  completeSettings,
  denseTraining,
  planPhases,
  type RetrainName,
  type RetrainSettings,
} from "@secateur/run/node";

const formulas: Readonly<Record<RetrainName, string>> = {
  ft: "Constant at the smallest rate of the dense training after its warm-up (Han et al. 2015). Of a dense training whose rate ends near 0 it moves next to nothing.",
  lrw: "The last steps of the dense training once more, as many as there are (Renda et al. 2020).",
  slr: "All rates of the dense training in fewer steps, after a warm-up (Le and Hua 2021).",
  clr: "Half a cosine from the dense training's highest rate to its lowest, after a warm-up (Le and Hua 2021).",
  llr: "Linear from the dense training's highest rate to 0, after a warm-up (Zimmer et al. 2023). The safe choice.",
  allr: "Like llr, from a peak that is lower the less the pruning took: the highest rate times |lost weights| / |weights| / sqrt(pruned fraction), at least its share of the epochs (Zimmer et al. 2023). Shown is the peak of a pruning that takes as much as it could.",
  gmp: "Sparsity grows with a cube during one training, pruned every few epochs (Zhu and Gupta 2017).",
  gradual: "Prunings with restarted cosines between them (Benbaki et al. 2023).",
  bimp: "Dense training and cycles of pruning and retraining within one budget of epochs (Zimmer et al. 2023).",
};

/** The page of a schedule. */
export function explainSchedule(spec: {
  name: RetrainName;
  sparsity: number;
  trainExamples: number;
  settings: Omit<RetrainSettings, "schedule">;
}): string {
  const { name, sparsity, trainExamples } = spec;
  const settings = completeSettings({ settings: { ...spec.settings, schedule: name }, record: undefined, sparsity });
  const stepsPerEpoch = Math.ceil(trainExamples / settings.batchSize);
  const phases = planPhases({ settings, sparsity, from: 0, stepsPerEpoch });
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
    `${name}: ${formulas[name]}\n`,
    table,
    `Dense training: ${schedule} from ${learningRate} over ${epochs} epochs${assumed}.\n  ${plotRates(dense.rates, 60)}\n`,
    `Of ${phases.length} ${phases.length === 1 ? "phase" : "phases"} with ${stepsPerEpoch} steps an epoch. From @secateur/imp-scheduler.\n`,
  ].join("\n");
}

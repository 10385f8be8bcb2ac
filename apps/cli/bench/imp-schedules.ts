/** MLPNet on MNIST, one-shot magnitude pruning: every schedule at every budget; and CHITA under LLR beside it. */
import { retrainingNames } from "@secateur/imp-scheduler";
import { figureAxis, figureOption, svgFile } from "@secateur/report";
import { networkPath } from "./bench-network.ts";
import { type BenchSetting, fresh, meanAndDeviation, pruneAndRetrain, pruneOnly } from "./imp-run.ts";
import { printLine, printTable, showProgress } from "./print.ts";

interface Row {
  readonly name: string;
  readonly sparsity: number;
  /** Accuracies over the seeds, by budget. */
  readonly byBudget: readonly (readonly number[])[];
}

/** Prints the tables. @returns the plot of the largest budget, an SVG file */
export async function runSchedules(
  spec: BenchSetting & { sparsities: readonly number[]; budgets: readonly number[]; seeds: number },
): Promise<string> {
  const { kernels, data, sparsities, budgets } = spec;
  const seeds = Array.from({ length: spec.seeds }, (_, seed) => seed);
  const path = networkPath(undefined);
  const titles = ["method", ...budgets.map((epochs) => `${epochs} epoch${epochs === 1 ? "" : "s"}`)];
  const all: Row[] = [];
  for (const sparsity of sparsities) {
    const none = await pruneOnly({
      kernels,
      data,
      network: (await fresh(path)).network,
      solver: "magnitude",
      sparsity,
      seed: 0,
    });
    const rows: Row[] = [];
    const measured = async (name: string, run: (epochs: number, seed: number) => Promise<number>): Promise<void> => {
      const byBudget: number[][] = [];
      for (const epochs of budgets) {
        const own: number[] = [];
        for (const seed of seeds) {
          showProgress(`${sparsity} ${name} ${epochs} epochs, seed ${seed}`);
          own.push(await run(epochs, seed));
        }
        byBudget.push(own);
      }
      rows.push({ name, sparsity, byBudget });
    };
    for (const schedule of retrainingNames) {
      await measured(`IMP + ${schedule.toUpperCase()}`, async (epochs, seed) => {
        const model = await fresh(path);
        const settings = { schedule, epochs };
        return (await pruneAndRetrain({ kernels, data, model, solver: "magnitude", sparsity, settings, seed }))
          .accuracy;
      });
    }
    const pruned: number[] = [];
    await measured("CHITA + LLR", async (epochs, seed) => {
      const model = await fresh(path);
      const settings = { schedule: "llr", epochs } as const;
      const run = await pruneAndRetrain({ kernels, data, model, solver: "chita", sparsity, settings, seed });
      pruned[seed] = run.pruned;
      return run.accuracy;
    });
    printLine(
      `\nsparsity ${sparsity}: without retraining magnitude ${none.toFixed(2)} %, chita ${meanAndDeviation(pruned)} %\n`,
    );
    printTable(
      titles,
      rows.map(({ name, byBudget }) => [name, ...byBudget.map(meanAndDeviation)]),
    );
    all.push(...rows);
  }
  return plot(all, budgets);
}

function plot(rows: readonly Row[], budgets: readonly number[]): string {
  const names = [...new Set(rows.map(({ name }) => name))];
  const mean = (values: readonly number[]) => values.reduce((sum, value) => sum + value, 0) / values.length;
  return svgFile({
    id: "schedules",
    title: `Accuracy after ${budgets[budgets.length - 1]} epochs of retraining`,
    caption: "",
    option: figureOption({
      xAxis: figureAxis({
        type: "category",
        name: "sparsity",
        data: [...new Set(rows.map(({ sparsity }) => String(sparsity)))],
      }),
      yAxis: figureAxis({ type: "value", name: "accuracy (%)", nameGap: 44, scale: true }),
      series: names.map((name) => ({
        name,
        type: "line",
        symbolSize: 7,
        data: rows
          .filter((row) => row.name === name)
          .map((row) => Number(mean(row.byBudget[row.byBudget.length - 1]!).toFixed(2))),
      })),
    }),
  });
}

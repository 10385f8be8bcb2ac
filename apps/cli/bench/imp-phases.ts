/** MLPNet on MNIST: how many phases the largest budget is best spent in, for magnitude and for chita. */
import { networkPath } from "./bench-network.ts";
import { type BenchSetting, fresh, meanAndDeviation, pruneAndRetrain } from "./imp-run.ts";
import { printTable, showProgress } from "./print.ts";

/** Prints a table a solver. */
export async function runPhases(
  spec: BenchSetting & { sparsities: readonly number[]; budgets: readonly number[]; seeds: number },
): Promise<void> {
  const { kernels, data, sparsities } = spec;
  const epochs = Math.max(...spec.budgets);
  const path = networkPath(undefined);
  const rows: (readonly string[])[] = [];
  for (const [solver, counts] of [
    ["magnitude", [1, 2, 3, 5, 10]],
    ["chita", [1, 2]],
  ] as const) {
    for (const phases of counts.filter((count) => count <= epochs)) {
      const cells: string[] = [];
      for (const sparsity of sparsities) {
        const own: number[] = [];
        for (let seed = 0; seed < spec.seeds; seed++) {
          showProgress(`${sparsity} ${solver} in ${phases} phases, seed ${seed}`);
          const settings = { schedule: "llr", epochs, phases } as const;
          const model = await fresh(path);
          own.push((await pruneAndRetrain({ kernels, data, model, solver, sparsity, settings, seed })).accuracy);
        }
        cells.push(meanAndDeviation(own));
      }
      rows.push([`${solver}, ${phases} phase${phases === 1 ? "" : "s"} of LLR`, ...cells]);
    }
  }
  printTable([`${epochs} epochs in all`, ...sparsities.map(String)], rows);
}

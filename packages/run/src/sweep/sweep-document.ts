/** The JSON document of `secateur sweep`: its keys are a contract, described in docs/cli.md. */
import { type Evaluation, type MeasuredValue, mainMeasure } from "@secateur/core";
import { bestOf, paretoFront, parseGoal } from "./goal.ts";

/** One run of a sweep: what distinguishes it from the others. */
export interface SweepPoint {
  readonly solver: string;
  readonly sparsity: number;
  /** Absent of a solver that takes no gradients, or where none was given. */
  readonly ridge?: number | "auto";
  readonly seed: number;
}

/** A run that was finished. */
export interface SweepRun extends SweepPoint {
  readonly options: Readonly<Record<string, unknown>>;
  /** On the training examples that no run saw: what runs are chosen by. */
  readonly choice: Evaluation;
  readonly pruned: Evaluation;
  readonly nonzeros: number;
  readonly objective: number;
  /** Of the packed file of int8 values, and what it is expected to take; absent where the network cannot be packed. */
  readonly bytes?: number;
  readonly milliseconds?: number;
}

/** A number over the seeds. */
export interface Spread {
  readonly mean: number;
  readonly lowest: number;
  readonly highest: number;
}

/** The runs that differ in their seed alone. */
export interface SweepConfiguration extends Omit<SweepPoint, "seed"> {
  readonly seeds: number;
  /** By what configurations are compared, on the examples that no run saw. */
  readonly choice: Spread;
  /** The same on the test examples; for the report only. */
  readonly test: Spread;
  readonly nonzeros: number;
  readonly bytes?: number;
  readonly milliseconds?: number;
  /** Whether none is at least as good and as small, and as fast; one whose runs are not all there stands on no front. */
  readonly onFront: { readonly bytes: boolean; readonly milliseconds: boolean };
}

/** What a sweep knows before its runs. */
export interface SweepFrame {
  readonly model: string;
  readonly modelSha256: string;
  readonly arch: string;
  readonly data: string;
  readonly dense: Evaluation;
  readonly measuredOn: "test" | "calibration";
  /** Statistics of batch normalisation were measured anew before `dense` was. */
  readonly remeasured?: true;
  readonly prunable: number;
  readonly keptDense?: readonly string[];
  readonly goal?: string;
  /** The arguments that decide the result. */
  readonly command: readonly string[];
  /** Names of the solvers that take gradients. */
  readonly takesGradients: readonly string[];
  /** Of every configuration. */
  readonly seeds: readonly number[];
  readonly backend: string;
  readonly versions: Readonly<Record<string, string>>;
}

/** A run that ended with an error. */
export interface FailedSweepRun extends SweepPoint {
  readonly code: string;
  readonly message: string;
}

/** What `secateur sweep --out` writes. The same bytes, wherever the runs were made. */
export interface SweepDocument extends SweepFrame {
  /** By what configurations are compared, with the value of the dense network on the test examples. */
  readonly measure: MeasuredValue;
  readonly runs: readonly SweepRun[];
  readonly configurations: readonly SweepConfiguration[];
  /** Place among the configurations; absent without a goal, or where none meets it. */
  readonly best?: number;
  readonly failed?: readonly FailedSweepRun[];
  /** Present where the sweep was called off: `runs` are those that were finished. */
  readonly interrupted?: true;
}

/** Puts the document together. @throws ERR_USAGE for a goal that cannot be read */
export function sweepDocument(spec: {
  frame: SweepFrame;
  runs: readonly SweepRun[];
  failed: readonly FailedSweepRun[];
  isInterrupted: boolean;
}): SweepDocument {
  const { frame, runs, failed, isInterrupted } = spec;
  const measure = mainMeasure(frame.dense);
  const sign = measure.better === "higher" ? 1 : -1;
  const groups = grouped(runs);
  const plain = groups.map(configuration);
  // The mean over some seeds is no match for that over all.
  const isComplete = ({ seeds }: { seeds: number }): boolean => seeds === frame.seeds.length;
  const front = (size: "bytes" | "milliseconds"): readonly number[] =>
    paretoFront(
      plain.map((one) => ({ quality: sign * one.choice.mean, size: isComplete(one) ? one[size] : undefined })),
    );
  const [byBytes, byTime] = [front("bytes"), front("milliseconds")];
  const configurations = plain.map((one, place) => ({
    ...one,
    onFront: { bytes: byBytes.includes(place), milliseconds: byTime.includes(place) },
  }));
  const best =
    frame.goal === undefined
      ? undefined
      : bestOf({
          goal: parseGoal(frame.goal, measureNames(frame.dense)),
          candidates: groups.map((group, place) =>
            isComplete(plain[place]!) ? judged(group, plain[place]!) : { values: {} },
          ),
          measure,
        });
  return {
    ...{ ...frame, measure, runs, configurations },
    ...(best === undefined ? {} : { best }),
    ...(failed.length === 0 ? {} : { failed }),
    ...(isInterrupted ? { interrupted: true as const } : {}),
  };
}

/** What a goal may name of a task. */
export function measureNames(dense: Evaluation): readonly string[] {
  return [...new Set([...dense.measures.map(({ name }) => name), "loss"])];
}

function configuration(group: readonly SweepRun[]): Omit<SweepConfiguration, "onFront"> {
  const { solver, sparsity, ridge } = group[0]!;
  const [bytes, milliseconds] = [mean(group.map((run) => run.bytes)), mean(group.map((run) => run.milliseconds))];
  return {
    ...{ solver, sparsity, ...(ridge === undefined ? {} : { ridge }), seeds: group.length },
    choice: spread(group.map((run) => mainMeasure(run.choice).value)),
    test: spread(group.map((run) => mainMeasure(run.pruned).value)),
    nonzeros: mean(group.map((run) => run.nonzeros))!,
    ...(bytes === undefined ? {} : { bytes }),
    ...(milliseconds === undefined ? {} : { milliseconds }),
  };
}

/** What a goal is held against: means over the seeds of what is known without the test examples. */
function judged(
  group: readonly SweepRun[],
  one: Omit<SweepConfiguration, "onFront">,
): { values: Record<string, number> } {
  const values: Record<string, number> = { sparsity: one.sparsity, nonzeros: one.nonzeros };
  for (const name of measureNames(group[0]!.choice)) {
    const of = ({ choice }: SweepRun): number | undefined =>
      name === "loss" ? choice.loss : choice.measures.find((measure) => measure.name === name)?.value;
    const value = mean(group.map(of));
    if (value !== undefined) values[name] = value;
  }
  if (one.bytes !== undefined) values["bytes"] = one.bytes;
  if (one.milliseconds !== undefined) values["milliseconds"] = one.milliseconds;
  return { values };
}

function mean(values: readonly (number | undefined)[]): number | undefined {
  const known = values.filter((value) => value !== undefined);
  return known.length < values.length ? undefined : known.reduce((sum, value) => sum + value, 0) / known.length;
}

function spread(values: readonly number[]): Spread {
  return { mean: mean(values)!, lowest: Math.min(...values), highest: Math.max(...values) };
}

/** Runs that differ in their seed alone, in the order of their first. */
function grouped(runs: readonly SweepRun[]): readonly (readonly SweepRun[])[] {
  const groups = new Map<string, SweepRun[]>();
  for (const run of runs) {
    const key = JSON.stringify([run.solver, run.sparsity, run.ridge]);
    groups.set(key, [...(groups.get(key) ?? []), run]);
  }
  return [...groups.values()];
}

/** The bytes of `--out`: of the same runs the same, wherever they were made. Keys are in alphabetical order. */
export function sweepBytes(document: SweepDocument): string {
  const ordered = (_key: string, value: unknown): unknown =>
    typeof value === "object" && value !== null && !Array.isArray(value)
      ? Object.fromEntries(Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1)))
      : value;
  return `${JSON.stringify(document, ordered, 2)}\n`;
}

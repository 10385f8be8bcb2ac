/**
 * Several tasks at once, each with its own outputs: l = sum_k w_k l_k (auxiliary heads, a detector's outputs, labels beside a teacher).
 * The Hessian is the sum of theirs, B = sum_k w_k R_k R_k', with the root [sqrt(w_1) R_1, sqrt(w_2) R_2, ...].
 */
import { type FloatTensors, zerosLike } from "../../data/tensor.ts";
import { badOption } from "../../errors.ts";
import type { Vec } from "../../problem/matrix.ts";
import type { OutputFactor, Task } from "../task.ts";

/** A task and how much it counts. */
export interface WeightedTask {
  readonly task: Task;
  /** > 0; default 1. */
  readonly weight?: number;
}

/**
 * The weighted sum of tasks; each names its outputs and targets unless there is only one. Losses are summed as each task sums them: one
 * by position counts every position, so its weight should fall with their number. The mean goes over examples. Measures of all but the
 * first part are prefixed with its name here.
 *
 * @param parts - at least one, by name
 * @throws ERR_OPTION
 * @example
 * const task = weightedTasks({
 *   main: { task: classification({ output: "scores" }) },
 *   auxiliary: { task: classification({ output: "early" }), weight: 0.3 },
 * });
 */
export function weightedTasks(parts: Readonly<Record<string, WeightedTask>>): Task {
  const name = "weighted";
  const list = Object.entries(parts).map(([key, { task, weight = 1 }]) => ({ key, task, weight }));
  if (list.length === 0) throw badOption(`task ${name}`, "there are no parts; give at least one");
  for (const { key, weight } of list) {
    if (!(weight > 0 && Number.isFinite(weight))) {
      throw badOption(`task ${name}`, `the weight of '${key}' is ${weight}; give a number above 0`, { key, weight });
    }
  }
  const sources = new Set(list.map(({ task }) => task.targetsFrom));
  if (sources.has("inputs") && sources.size > 1) {
    throw badOption(`task ${name}`, "a task whose targets are the inputs does not go with one whose targets are not");
  }
  return {
    name,
    options: Object.fromEntries(list.map(({ key, task, weight }) => [key, [task.name, task.options ?? {}, weight]])),
    targetsFrom: sources.has("teacher") ? "teacher" : list[0]!.task.targetsFrom,
    ...(list.some(({ task }) => task.targetKind === "values") ? { targetKind: "values" as const } : {}),
    // A part that names no output reads the only one there is, which is then all of them.
    valuesOf: list.some(({ task }) => task.valuesOf === "all")
      ? "all"
      : list.flatMap(({ task }) => (Array.isArray(task.valuesOf) ? task.valuesOf : [])),
    loss(call) {
      const examples = Object.values(call.outputs)[0]?.shape[0] ?? 1;
      let sum = 0;
      for (const { task, weight } of list) {
        const own = call.delta && zerosLike(call.delta);
        sum += weight * task.loss({ ...call, ...(own ? { delta: own } : {}) }).sum;
        if (call.delta && own) addScaled(own, weight, call.delta);
      }
      return { sum, count: examples };
    },
    outputFactor: (call) =>
      joinedFactor(
        list.map(({ task, weight }) => ({ factor: task.outputFactor(call), scale: Math.sqrt(weight) })),
        Object.values(call.outputs)[0]?.shape[0] ?? 1,
      ),
    measures: list.flatMap(({ key, task }, k) =>
      task.measures.map((measure) => (k === 0 ? measure : { ...measure, name: `${key} ${measure.name}` })),
    ),
  };
}

function joinedFactor(parts: readonly { factor: OutputFactor; scale: number }[], examples: number): OutputFactor {
  const columns = parts.reduce((sum, { factor }) => sum + factor.columns, 0);
  /** Copies between the columns of one part [examples, own] and of all [examples, columns]. */
  const eachSlice = (visit: (own: number, start: number, place: number) => void, part: number): void => {
    const own = parts[part]!.factor.columns;
    const start = parts.slice(0, part).reduce((sum, { factor }) => sum + factor.columns, 0);
    for (let i = 0; i < examples; i++) visit(own, i * own, i * columns + start);
  };
  const sumOf = (out: FloatTensors, write: (part: number, own: FloatTensors) => void): void => {
    for (const { data } of Object.values(out)) data.fill(0);
    parts.forEach(({ scale }, k) => {
      const own = zerosLike(out);
      write(k, own);
      addScaled(own, scale, out);
    });
  };
  return {
    columns,
    times(u, out) {
      sumOf(out, (k, own) => {
        const mine = new Float64Array(examples * parts[k]!.factor.columns);
        eachSlice((size, start, place) => mine.set(u.subarray(place, place + size), start), k);
        parts[k]!.factor.times(mine, own);
      });
    },
    transposeTimes(t, out: Vec) {
      parts.forEach(({ factor, scale }, k) => {
        const mine = new Float64Array(examples * factor.columns);
        factor.transposeTimes(t, mine);
        eachSlice((size, start, place) => {
          for (let c = 0; c < size; c++) out[place + c] = scale * mine[start + c]!;
        }, k);
      });
    },
    draw: (rng, out) => sumOf(out, (k, own) => parts[k]!.factor.draw(rng, own)),
  };
}

function addScaled(from: FloatTensors, factor: number, to: FloatTensors): void {
  for (const [name, { data }] of Object.entries(from)) {
    const sum = to[name]!.data;
    for (let i = 0; i < data.length; i++) sum[i]! += factor * data[i]!;
  }
}

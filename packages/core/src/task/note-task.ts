import type { Dataset } from "../data/dataset.ts";
import type { RunContext } from "../run-context.ts";
import type { Task } from "./task.ts";

/** Says what was taken for the task where nobody named one, and why; classification, what most networks do, goes without saying. */
export function noteTask({ name }: Task, { targets }: Dataset, report: RunContext["report"]): void {
  if (name === "classification") return;
  const all = (targets ?? []).map((target) => target.name).join(", ");
  const whole = targets?.find(({ classes }) => classes !== undefined)?.classes ?? 0;
  const why = !targets
    ? "because the data have no targets"
    : name === "binary" && whole > 0
      ? `because the targets (${all}) are 0 and 1, as many as the scores; name the task regression if they are numbers to be met`
      : name === "regression" && whole > 0
        ? `because the targets (${all}) are as many as the outputs, and whole numbers up to ${whole - 1}`
        : `for the targets ${all}`;
  report({ type: "note", level: "info", code: "task", message: `the task is ${name}, ${why}` });
}

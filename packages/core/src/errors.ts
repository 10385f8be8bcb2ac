/** Every error core throws, one factory each. Codes are stable; messages may improve. */
import { distance } from "fastest-levenshtein";
import { PruneError } from "./prune-error.ts";

/** A solver was given a problem that lacks something it needs. */
export function incompatible(spec: {
  who: string;
  problem: string;
  missing: string;
  has: string;
  remedy: string;
}): PruneError {
  return new PruneError(
    "ERR_INCOMPATIBLE",
    `${spec.who} cannot solve '${spec.problem}': needs ${spec.missing} (${spec.has}); ${spec.remedy}`,
    { details: spec },
  );
}

/** A strategy that looks at the model itself, where there is none or one that cannot be asked. */
export function modelLacks(spec: {
  who: string;
  problem: string;
  model: string | undefined;
  unmet: readonly string[];
}): PruneError {
  const { who, problem, model, unmet } = spec;
  const found = model === undefined ? "there are only numbers at hand" : `the model '${model}' does not have it`;
  const remedy =
    "whole networks of layers (checkpoints opened with --arch, such as mlpnet or resnet20) have it, ONNX and TensorFlow.js models and single layers do not; take another method for these";
  return new PruneError(
    "ERR_INCOMPATIBLE",
    `${who} cannot solve '${problem}': needs a model with ${unmet.join(" and ")}, and ${found}; ${remedy}`,
    { details: spec },
  );
}

/** A sparsity outside [0, 1), as it was found. */
export function sparsityOutOfRange(where: string, found: number): PruneError {
  const isPercent = found > 1 && found < 100;
  const meant = isPercent ? `; ${found} percent are ${Number((found / 100).toPrecision(12))}` : "";
  return new PruneError(
    "ERR_SPARSITY_RANGE",
    `${where}: sparsity ${found} is outside [0, 1); sparsity is the fraction of weights removed, so 0.9 keeps one weight in ten${meant}`,
    { details: { where, found } },
  );
}

/** A number of weights to keep that is found not to be a whole number in [0, size]. */
export function keepOutOfRange(where: string, found: number, size: number): PruneError {
  return new PruneError(
    "ERR_KEEP_RANGE",
    `${where}: cannot keep ${found} of ${size} weights; give a whole number from 0 to ${size}`,
    { details: { where, found, size } },
  );
}

/** A pattern "keep of every" that cannot be laid over the units. */
export function badPattern(spec: { count: number; keep: number; of: number; cols: number }): PruneError {
  const { count, keep, of, cols } = spec;
  return new PruneError(
    "ERR_PATTERN",
    `keep ${keep} of every ${of} in ${count} units of rows of ${cols}: allowed are whole numbers with 0 <= keep <= of, of >= 1, and a count that is a whole number of rows, such as { keep: 2, of: 4 }`,
    { details: spec },
  );
}

/** Groups of weights that overlap or leave one out. */
export function badGroups(spec: { index: number; size: number; times: number }): PruneError {
  const { index, size, times } = spec;
  const found = times === 2 ? "is in two groups" : index < size ? "is in no group" : "does not exist";
  return new PruneError(
    "ERR_GROUPS",
    `units of ${size} weights: weight ${index} ${found}; give every weight from 0 to ${size - 1} to exactly one group`,
    { details: spec },
  );
}

/** A solver returned something that no solver may. */
export function brokenSolution(spec: { who: string; problem: string; rule: string; found: string }): PruneError {
  const { who, problem, rule, found } = spec;
  return new PruneError(
    "ERR_SOLUTION",
    `${who}: its solution of '${problem}' breaks a rule: ${rule}; found ${found}; nothing was changed: use another solver, and tell whoever maintains this one`,
    { fault: "runtime", details: spec },
  );
}

/** A symmetric system without a unique solution; `enough` is a damping with which it has one. */
export function singularSystem(spec: { what: string; pivot: number; damping: number; enough: number }): PruneError {
  const { what, pivot, damping, enough } = spec;
  const advice = Number.isFinite(enough) && enough > damping ? `, for example to ${enough.toPrecision(3)}` : "";
  return new PruneError(
    "ERR_SINGULAR",
    `${what} is singular (pivot ${pivot} is not positive with damping ${damping}); raise the ridge${advice}`,
    { fault: "runtime", details: spec },
  );
}

/** The curvature gives no single columns of its gradient rows. */
export function needsColumns(who: string): PruneError {
  return new PruneError(
    "ERR_INCOMPATIBLE",
    `${who} needs single columns of the gradient rows, which this curvature does not offer; use the empirical-fisher curvature, or conjugate gradients`,
    { details: { who } },
  );
}

/** A budget that cannot be met, or says nothing. */
export function badBudget(found: string): PruneError {
  return new PruneError("ERR_BUDGET", `budget: ${found}`, { details: { found } });
}

/** Units that cannot be laid over a parameter. */
export function badUnits(param: string, found: string): PruneError {
  return new PruneError(
    "ERR_BUDGET",
    `budget: units of '${param}' are ${found}; extents are whole numbers of at least 1`,
    { details: { param, found } },
  );
}

/** Lengths that should agree and do not. */
export function shapeMismatch(spec: { where: string; found: string; expected: string; remedy?: string }): PruneError {
  return new PruneError(
    "ERR_SHAPE",
    `${spec.where}: found ${spec.found}, expected ${spec.expected}${spec.remedy ? `; ${spec.remedy}` : ""}`,
    { details: spec },
  );
}

/** `count` NaN or infinite numbers where only finite ones make sense, the first of them `value` at `index`. */
export function notFinite(spec: {
  where: string;
  index: number;
  value: number;
  count: number;
  remedy: string;
  /** Of a matrix in rows. */
  cols?: number | undefined;
}): PruneError {
  const { index, cols } = spec;
  const place =
    cols === undefined ? `index ${index}` : `row ${Math.floor(index / cols)}, column ${index % cols} (from 0)`;
  return new PruneError(
    "ERR_NOT_FINITE",
    `${spec.where}: ${spec.count} of its numbers ${spec.count === 1 ? "is" : "are"} not finite, the first is ${spec.value} at ${place}; ${spec.remedy}`,
    { details: spec },
  );
}

/** A label, of the example at `index`, that is not below the number of classes. */
export function labelOutOfRange(spec: {
  where: string;
  index: number;
  label: number;
  classes: number;
  /** What else they may be. */
  remedy?: string;
}): PruneError {
  const { remedy = "check that the labels belong to this data and this network" } = spec;
  return new PruneError(
    "ERR_LABEL_RANGE",
    `${spec.where}: label ${spec.label} of example ${spec.index} is outside 0..${spec.classes - 1}; ${remedy}`,
    { details: spec },
  );
}

/** Outputs and targets that a task cannot compare. */
export function taskMismatch(spec: { task: string; found: string; remedy: string }): PruneError {
  return new PruneError("ERR_TASK", `task ${spec.task}: found ${spec.found}; ${spec.remedy}`, { details: spec });
}

/** A network computed NaN or infinity for an example. */
export function notFiniteOutput(model: string, example: number): PruneError {
  return new PruneError(
    "ERR_NOT_FINITE",
    `network '${model}': its output for example ${example} is not finite; the weights or the inputs are damaged, or too large for f32`,
    { details: { model, example } },
  );
}

/** A loss that is not finite where all outputs are. */
export function notFiniteLoss(task: string, { sum, count }: { sum: number; count: number }): PruneError {
  return new PruneError(
    "ERR_NOT_FINITE",
    `task ${task}: loss() returned { sum: ${sum}, count: ${count} } for outputs that are all finite; check that the targets are what the task takes, and if they are, tell its author`,
    { details: { task, sum, count } },
  );
}

/** A choice among known names that is none of them. */
export function unknownName(spec: {
  where: string;
  what: string;
  found: string;
  known: readonly string[];
}): PruneError {
  const near = nearestName(spec.found, spec.known);
  const hint = near === undefined ? "" : `; did you mean '${near}'?`;
  return new PruneError(
    "ERR_UNKNOWN_NAME",
    `${spec.where}: there is no ${spec.what} '${spec.found}'; known: ${spec.known.join(", ")}${hint}`,
    { details: spec },
  );
}

/** An option whose value its schema refuses, or a key it does not know. @param details - what the message says, as data */
export function badOption(where: string, message: string, details: Readonly<Record<string, unknown>> = {}): PruneError {
  return new PruneError("ERR_OPTION", `${where}: ${message}`, { details: { where, ...details } });
}

/** Sparsities of stages that go down. */
export function sparsityFalls(before: number, after: number): PruneError {
  return badOption(
    "stages",
    `sparsity goes down from ${before} to ${after}; pruned weights stay pruned, so give sparsities that never decrease`,
    { before, after },
  );
}

/** Training brought back what is pruned. */
export function maskBroken(round: number, count: number): PruneError {
  return new PruneError(
    "ERR_MASK",
    `retrain: after round ${round} ${count} pruned weights are not zero; the retrainer ignores masks, use one that keeps them`,
    { fault: "runtime", details: { round, count } },
  );
}

/** The run was asked for something the model, the data or the stage plan cannot give. @param details - what the message says, as data */
export function impossibleRun(message: string, details: Readonly<Record<string, unknown>> = {}): PruneError {
  return new PruneError("ERR_IMPOSSIBLE", message, { details });
}

/** A solver for single layers that is given the whole network, and nothing that says how weights act together. */
export function layersNeeded(solver: string): PruneError {
  return incompatible({
    ...{
      who: solver,
      problem: "network",
      missing: "one layer at a time, with its inputs",
      has: "the whole network is one problem here, without a curvature",
    },
    remedy:
      "npm install @secateur/solvers-layerwise @secateur/fisher, and add layers: { loop: layerLoop(), curvature: activations() } to the call (layerLoop is of the first, activations of the second)",
  });
}

/** A solver's plan takes a curvature, and nothing was given that estimates it. */
export function curvatureMissing(who: string, curvature: string): PruneError {
  return new PruneError(
    "ERR_IMPOSSIBLE",
    `${who} takes the curvature '${curvature}' and none was given; npm install @secateur/fisher, then import { estimators } from "@secateur/fisher" and add curvature: estimators to the call`,
    { details: { who, curvature } },
  );
}

/** The saved state of an earlier run does not belong to this run; `difference` is a clause such as "seed was 0 and is 1". */
export function resumeMismatch(difference: string): PruneError {
  return new PruneError(
    "ERR_RESUME",
    `resume: the saved state is of another run: ${difference}; repeat the original command, or start afresh without resume`,
    { details: { difference } },
  );
}

/** The caller aborted the run. */
export function aborted(cause?: unknown): PruneError {
  return new PruneError("ERR_ABORTED", "the run was interrupted", { fault: "runtime", cause });
}

/** The known name nearest to what was typed (Levenshtein distance), if it is near enough to be a likely slip. */
export function nearestName(found: string, known: readonly string[]): string | undefined {
  let best: string | undefined;
  let bestDistance = Math.max(2, Math.floor(found.length / 3)) + 1;
  for (const name of known) {
    const edits = distance(found.toLowerCase(), name.toLowerCase());
    if (edits < bestDistance) {
      best = name;
      bestDistance = edits;
    }
  }
  return best;
}

/** A training rule that did what no rule may. */
export function ruleFailed(spec: {
  rule: string;
  hook: string;
  found: string;
  allowed: string;
  cause?: unknown;
}): PruneError {
  const { rule, hook, found, allowed, cause } = spec;
  return new PruneError("ERR_TRAINING_RULE", `training rule '${rule}': ${hook} ${found}; ${allowed}`, {
    cause,
    details: { rule, hook, found, allowed },
  });
}

/** Training rules that contradict each other. */
export function clashingRules({ rules, over }: { rules: readonly string[]; over: string }): PruneError {
  return new PruneError(
    "ERR_TRAINING_RULE",
    `training rules '${rules.join("' and '")}' contradict each other: ${over}; leave one out`,
    { details: { rules, over } },
  );
}

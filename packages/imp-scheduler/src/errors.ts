/** Every error this package throws itself, one factory each. Codes are stable; messages may improve. */
import { PruneError } from "@secateur/core";

/** A setting of the retraining out of range. */
export function badRetrainOption(option: string, found: unknown, allowed: string): PruneError {
  return new PruneError("ERR_OPTION", `retrain: '${option}' is ${String(found)}; give ${allowed}`, {
    details: { option, allowed },
  });
}

/** Learning-rate rewinding further back than the dense training went. */
export function rewindTooFar(span: string, most: number): PruneError {
  return new PruneError(
    "ERR_IMPOSSIBLE",
    `retrain: lrw repeats the last ${span} of the dense training, and that had ${most}; retrain for fewer epochs a phase, or use slr, which stretches it`,
    { details: { span, most } },
  );
}

/** A rate that is needed and not known. */
export function ratesUnknown(schedule: string): PruneError {
  return new PruneError(
    "ERR_IMPOSSIBLE",
    `retrain: ${schedule} needs the learning rates of the dense training, and they have no steps; say how the network was trained`,
    { details: { schedule } },
  );
}

/** Layers that must keep more than the budget leaves. */
export function budgetTooTight(spec: { keep: number; least: number; total: number; why: string }): PruneError {
  const { keep, least, total, why } = spec;
  const largest = Math.floor((1 - least / total) * 1e6) / 1e6;
  return new PruneError(
    "ERR_IMPOSSIBLE",
    `allocation: ${keep} of ${total} weights are to be kept, and ${why} keep${why.includes(",") ? "" : "s"} at least ${least}; ask for a sparsity of at most ${largest}, or exclude fewer layers`,
    { details: spec },
  );
}

/** A budget larger than what may be kept. */
export function budgetTooLarge(keep: number, most: number): PruneError {
  return new PruneError(
    "ERR_IMPOSSIBLE",
    `allocation: ${keep} weights are to be kept and only ${most} are left to keep; ask for a higher sparsity, or allow regrowth`,
    { details: { keep, most } },
  );
}

/** A pattern that names no layer. */
export function patternMatchesNothing(pattern: string, layers: readonly string[]): PruneError {
  return new PruneError(
    "ERR_OPTION",
    `allocation: no layer matches '${pattern}'; layers: ${layers.join(", ")}; write part of a name with * for the rest`,
    { details: { pattern, layers } },
  );
}

/** A plan of phases that cannot be made. */
export function impossiblePhases(message: string): PruneError {
  return new PruneError("ERR_IMPOSSIBLE", `retrain: ${message}`, { details: { message } });
}

/** An allocation that does not spread what it was asked to spread. */
export function badAllocation(spec: { method: string; found: string; keep: number }): PruneError {
  const { method, found, keep } = spec;
  return new PruneError(
    "ERR_ALLOCATION",
    `allocation ${method}: found ${found}, expected whole numbers, one a layer and within its bounds, that add up to ${keep}; tell the author of the allocation`,
    { fault: "runtime", details: spec },
  );
}

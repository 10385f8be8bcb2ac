/** What a stage's outcome has to say beyond its numbers. */
import type { Note } from "../problem/note.ts";
import type { PruneError } from "../prune-error.ts";
import type { RunContext, RunEvent } from "../run-context.ts";
import type { Candidate } from "./accept-step.ts";
import type { Estimate } from "./curvature-estimator.ts";

/** Notes on the way a stage went on. */
export function notesOn(
  { taken, factor, step }: Candidate,
  spec: { factors: readonly number[]; failure: PruneError | undefined; who: string },
): readonly Note[] {
  const { factors, failure, who } = spec;
  const why = failure ? ` (${failure.message})` : "";
  if (taken === "mask") {
    return [
      {
        code: "mask-alone",
        level: "debug",
        message: `${who}: no step lowered the loss of the mask alone, so kept weights stay as they were${why}`,
      },
    ];
  }
  if (taken === "magnitude") {
    return [
      {
        code: "magnitude-mask",
        level: "debug",
        message: `${who}: the largest magnitudes have a lower loss than anything it found, so they are kept, as they were${why}`,
      },
    ];
  }
  if (step > 0 && factor > Math.max(...factors)) {
    const times = factor / Math.max(...factors);
    return [
      {
        code: "damping-raised",
        level: "debug",
        message: `${who}: a step was accepted with ${times} times the ridge; with less the loss was higher than that of the mask alone${why}`,
      },
    ];
  }
  return [];
}

/** Every gradient is 0: the curvature is 0 everywhere, and its automatic ridge too. */
export function curvatureIsZero({ chosen }: Estimate): Note {
  return {
    code: "curvature-zero",
    level: "warn",
    message: `the curvature of all ${chosen.examples} rows is 0, because every gradient is: a layer passes nothing on, or the loss is 0; it does not tell weights apart, so the largest magnitudes are kept`,
  };
}

/** The same context with its notes also in a list. */
export function collectNotes(ctx: RunContext): { ctx: RunContext; notes: Note[] } {
  const notes: Note[] = [];
  const report = (event: RunEvent): void => {
    if (event.type === "note") {
      const { code, level, message } = event;
      notes.push({ code, level, message });
    }
    ctx.report(event);
  };
  return { ctx: { ...ctx, report }, notes };
}

/** The same context, which passes a note on once only, however often it is reported. */
export function reportNotesOnce(ctx: RunContext): RunContext {
  const seen = new Set<string>();
  const report = (event: RunEvent): void => {
    if (event.type === "note") {
      const key = `${event.code}: ${event.message}`;
      if (seen.has(key)) return;
      seen.add(key);
    }
    ctx.report(event);
  };
  return { ...ctx, report };
}

/** What a stage's outcome has to say beyond its numbers. */
import type { FlatParam } from "../problem/flat-weights.ts";
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

/** The layer of the largest weight, and that weight. */
export function largestLayer(params: readonly FlatParam[], weights: Float32Array): { name: string; largest: number } {
  const all = params.map((param) => ({ name: param.name, largest: largestWeight(param, weights) }));
  return all.reduce((most, one) => (one.largest > most.largest ? one : most));
}

/** max |w| of one parameter. */
export function largestWeight({ start, size }: FlatParam, weights: Float32Array): number {
  let largest = 0;
  for (let j = start; j < start + size; j++) largest = Math.max(largest, Math.abs(weights[j]!));
  return largest;
}

/** How many times larger than another's the weights of a layer may be before their sizes say nothing about each other. */
const comparable = 1e6;

/** Weights up to here are too small to change any output. */
const tiny = 1e-12;

/** Layers of weights of 1e30 beside layers of weights of 1: whatever adds up or compares both sees the first alone. Or weights of 1e-30 everywhere. */
export function scaleNote(params: readonly FlatParam[], weights: Float32Array): Note | undefined {
  if (params.length === 0) return undefined;
  const most = largestLayer(params, weights);
  const size = most.largest.toPrecision(2);
  if (most.largest > 0 && most.largest < tiny) {
    const message = `no weight is larger than ${size} in magnitude, so the outputs hardly depend on the inputs, if at all; check the checkpoint and how it was scaled`;
    return { code: "tiny-weights", level: "warn", message };
  }
  const small = params.flatMap((param) => {
    const largest = largestWeight(param, weights);
    return largest > 0 && most.largest > comparable * largest
      ? [`'${param.name}' none above ${largest.toPrecision(2)}`]
      : [];
  });
  if (small.length === 0) return undefined;
  const others = small.length === 1 ? "" : ` (of ${small.length} such layers)`;
  const message = `'${most.name}' has weights up to ${size}, and ${small[0]}${others}: sizes of weights and gradients say nothing about layers of such different scales, and their squares may overflow; check the checkpoint, or scale its layers alike`;
  return { code: "uneven-scales", level: "warn", message };
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

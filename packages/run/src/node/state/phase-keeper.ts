/** Keeps the state of a run of phases on disk, and finds it again. */
import { existsSync } from "node:fs";
import { rm } from "node:fs/promises";
import type { PhaseState } from "@secateur/imp-scheduler";
import type { Session } from "../../session.ts";
import { readPhases, type SavedPhases, writePhases } from "./phase-state-file.ts";

/** What a run of phases needs to save and to continue. */
export interface PhaseKeeper {
  readonly resume: PhaseState | undefined;
  /** Time that went into the parts of the run before this one. */
  readonly earlierMs: number;
  onState(state: PhaseState): Promise<void>;
}

/** Epochs and stages of small networks take less time than a file does. */
const saveEveryMs = 2000;

/**
 * Opens the keeper. With `resume` a saved state is read; without, an old one is removed (the caller has allowed that).
 *
 * @param spec.path - absolute
 * @param spec.run - identifies model, data and method
 */
export async function openPhaseKeeper(spec: {
  path: string;
  run: string;
  resume: boolean;
  session: Session;
}): Promise<PhaseKeeper> {
  const { path, run, session } = spec;
  const saved = await savedPhases(spec);
  const { now } = session.context();
  const started = now();
  const earlierMs = saved?.elapsedMs ?? 0;
  if (saved === undefined) await rm(path, { force: true });
  let last = Number.NEGATIVE_INFINITY;
  let phase = -1;
  return {
    resume: saved?.state,
    earlierMs,
    async onState(state) {
      // The end of a phase is always kept: should the disk be full when the results are written, no work is lost.
      if (state.phase === phase && now() - last < saveEveryMs) return;
      await writePhases(path, { state, run, elapsedMs: earlierMs + now() - started });
      last = now();
      phase = state.phase;
    },
  };
}

async function savedPhases(spec: {
  path: string;
  run: string;
  resume: boolean;
  session: Session;
}): Promise<SavedPhases | undefined> {
  const { path, run, resume, session } = spec;
  if (!resume) return undefined;
  if (!existsSync(path)) {
    const message = `there is no saved state at ${path}; starting from the beginning`;
    session.onEvent({ type: "note", level: "info", code: "nothing-to-resume", message });
    return undefined;
  }
  const saved = await readPhases(path, run);
  const { phase, open } = saved.state;
  const within = open?.training ? ` and ${open.training.epoch} epochs of the next` : "";
  const message = `continuing after ${phase} phases${within}, saved in ${path}`;
  session.onEvent({ type: "note", level: "info", code: "resumed", message });
  return saved;
}

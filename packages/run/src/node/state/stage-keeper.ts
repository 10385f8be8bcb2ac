/** Keeps the state of a run on disk between stages, and finds it again. */
import { existsSync } from "node:fs";
import { rm } from "node:fs/promises";
import type { RunState } from "@secateur/core";
import type { Session } from "../../session.ts";
import { readState, type SavedState, writeState } from "./resume-state.ts";

/** What the runner needs to save and to continue. */
export interface StageKeeper {
  readonly resume: RunState | undefined;
  /** Time that went into the stages done before this part of the run. */
  readonly earlierMs: number;
  onStage(state: RunState): Promise<void>;
}

/**
 * Opens the keeper. With `resume` a saved state is read; without, an old one is removed (the caller has allowed that).
 *
 * @param spec.path - absolute
 * @param spec.run - identifies model, data and method
 */
export async function openStageKeeper(spec: {
  path: string;
  run: string;
  resume: boolean;
  session: Session;
}): Promise<StageKeeper> {
  const { path, run, session } = spec;
  const saved = await savedState(spec);
  const { now } = session.context();
  const started = now();
  const earlierMs = saved?.elapsedMs ?? 0;
  if (saved === undefined) await rm(path, { force: true });
  else {
    const message = `continuing after stage ${saved.state.stage}, saved in ${path}`;
    session.onEvent({ type: "note", level: "info", code: "resumed", message });
  }
  // The last stage is saved too: should the disk be full when the results are written, no work is lost.
  const onStage = (state: RunState) => writeState(path, { state, run, elapsedMs: earlierMs + now() - started });
  return { resume: saved?.state, earlierMs, onStage };
}

async function savedState(spec: {
  path: string;
  run: string;
  resume: boolean;
  session: Session;
}): Promise<SavedState | undefined> {
  const { path, run, resume, session } = spec;
  if (!resume) return undefined;
  if (existsSync(path)) return await readState(path, run);
  const message = `there is no saved state at ${path}; starting from the beginning`;
  session.onEvent({ type: "note", level: "info", code: "nothing-to-resume", message });
  return undefined;
}

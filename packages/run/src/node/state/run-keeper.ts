/** Keeps the state of a run on disk, and finds it again. */
import { existsSync } from "node:fs";
import { rm } from "node:fs/promises";
import type { RunState } from "@secateur/core";
import type { Session } from "../../session.ts";
import { readState, type SavedState, writeState } from "./run-state-file.ts";

/** What a run needs to save and to continue. */
export interface RunKeeper {
  readonly resume: RunState | undefined;
  /** Time that went into the parts of the run before this one. */
  readonly earlierMs: number;
  onState(state: RunState): Promise<void>;
}

/** Epochs of small networks take less time than a file does. */
const saveEveryMs = 2000;

/**
 * Opens the keeper. With `resume` a saved state is read; without, an old one is removed (the caller has allowed that).
 *
 * @param spec.path - absolute
 * @param spec.run - identifies model, data and method
 */
export async function openRunKeeper(spec: {
  path: string;
  run: string;
  resume: boolean;
  session: Session;
}): Promise<RunKeeper> {
  const { path, run, session } = spec;
  const saved = await savedState(spec);
  const { now } = session.context();
  const started = now();
  const earlierMs = saved?.elapsedMs ?? 0;
  if (saved === undefined) await rm(path, { force: true });
  let last = Number.NEGATIVE_INFINITY;
  let reached = "";
  return {
    resume: saved?.state,
    earlierMs,
    async onState(state) {
      // Stages and rounds are always kept: should the disk be full when the results are written, no work is lost.
      const place = `${state.stage} ${state.training?.rounds.length}`;
      if (place === reached && now() - last < saveEveryMs) return;
      await writeState(path, { state, run, elapsedMs: earlierMs + now() - started });
      last = now();
      reached = place;
    },
  };
}

function counted(count: number, what: string): string {
  return `${count} ${what}${count === 1 ? "" : "s"}`;
}

async function savedState(spec: {
  path: string;
  run: string;
  resume: boolean;
  session: Session;
}): Promise<SavedState | undefined> {
  const { path, run, resume, session } = spec;
  if (!resume) return undefined;
  if (!existsSync(path)) {
    const message = `there is no saved state at ${path}; starting from the beginning`;
    session.onEvent({ type: "note", level: "info", code: "nothing-to-resume", message });
    return undefined;
  }
  const saved = await readState(path, run);
  const { stage, training } = saved.state;
  const epochs = training?.open?.training?.epoch;
  const rounds = training?.rounds.length ?? 0;
  const done = [
    ...(training && rounds === 0 ? [] : [training ? counted(rounds, "round") : `stage ${stage}`]),
    ...(epochs === undefined ? [] : [`${counted(epochs, "epoch")} of the ${rounds === 0 ? "first round" : "next"}`]),
  ];
  // Before the first epoch of the first round only the pruning is done.
  const message = `continuing after ${done.join(" and ") || "the pruning of the first round"}, saved in ${path}`;
  session.onEvent({ type: "note", level: "info", code: "resumed", message });
  return saved;
}

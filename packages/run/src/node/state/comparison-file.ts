/** The finished runs of a comparison as a file: what `secateur compare --resume` goes on from. */
import { existsSync } from "node:fs";
import { rm } from "node:fs/promises";
import { describeDifferences, isPruneError } from "@secateur/core";
import { readFileBytes, writeFileAtomic } from "@secateur/formats";
import type { ComparedRun } from "../../compare/compare-document.ts";
import { badState } from "../../errors.ts";
import type { Session } from "../../session.ts";

/** A file that grows by every finished run. */
export interface ComparisonKeeper {
  /** Runs that an earlier call finished. */
  readonly finished: readonly ComparedRun[];
  /** Adds a run, whole or not at all. */
  keep(run: ComparedRun): Promise<void>;
}

interface Content {
  readonly version: 1;
  /** Model, data and settings that all runs share; which methods and sparsities are compared may change. */
  readonly comparison: string;
  readonly runs: readonly ComparedRun[];
}

/** Where finished runs are kept: beside the report where there is one, else beside the model. Absolute paths. */
export function comparisonStatePath({ model, report }: { model: string; report: string | undefined }): string {
  const named = report ?? `${model.replace(/\.(safetensors|ckpt|json|onnx|pth?(\.tar)?)$/i, "")}.compare`;
  return `${named.replace(/\.(html?|json)$/i, "")}.resume.json`;
}

/**
 * Opens the file. With `resume` its runs are read, where it is there; without, an old one is removed (the caller has allowed that).
 *
 * @param spec.path - absolute
 * @param spec.comparison - JSON that identifies what all runs share
 * @throws ERR_RESUME for a file of another comparison, or of none
 */
export async function openComparison(spec: {
  path: string;
  comparison: string;
  resume: boolean;
  session: Session;
}): Promise<ComparisonKeeper> {
  const { path, comparison, resume, session } = spec;
  const isThere = existsSync(path);
  if (isThere && !resume) await rm(path);
  const finished = isThere && resume ? await readRuns(path, comparison) : [];
  if (resume) {
    const message = isThere
      ? `${finished.length} finished runs are in ${path}, and not repeated`
      : `there is no saved state at ${path}; starting from the beginning`;
    session.onEvent({ type: "note", level: "info", code: isThere ? "resumed" : "nothing-to-resume", message });
  }
  const runs = [...finished];
  let isWritable = true;
  return {
    finished,
    async keep(run) {
      runs.push(run);
      if (!isWritable) return;
      const content: Content = { version: 1, comparison, runs };
      try {
        await writeFileAtomic(path, `${JSON.stringify(content, nameNonFinite)}\n`, { overwrite: true });
      } catch (error) {
        if (!isPruneError(error)) throw error;
        isWritable = false;
        const message = `finished runs cannot be kept, so an interrupt would lose them: ${error.message}`;
        session.onEvent({ type: "note", level: "warn", code: "state-not-written", message });
      }
    },
  };
}

async function readRuns(path: string, comparison: string): Promise<readonly ComparedRun[]> {
  let content: Partial<Content> | null;
  try {
    content = JSON.parse(new TextDecoder().decode(await readFileBytes(path)), readNonFinite) as Partial<Content>;
  } catch (cause) {
    if (!(cause instanceof SyntaxError)) throw cause;
    throw badState(path, "it is not the state of a comparison");
  }
  const { version, runs } = content ?? {};
  if (version !== 1 || typeof content?.comparison !== "string" || !Array.isArray(runs) || !runs.every(isRun)) {
    throw badState(path, "it is not the state of a comparison");
  }
  if (content.comparison !== comparison) {
    const difference = describeDifferences(content.comparison, comparison);
    throw badState(path, `the saved runs are of another comparison: ${difference}`);
  }
  return runs;
}

function isRun(value: unknown): value is ComparedRun {
  const { solver, sparsity, dense, pruned, result } = (value ?? {}) as Partial<ComparedRun>;
  return (
    typeof solver === "string" &&
    typeof sparsity === "number" &&
    [dense, pruned, result, result?.stages, result?.timing].every((part) => typeof part === "object" && part !== null)
  );
}

/** JSON has no NaN, which is the accuracy of data without labels. */
function nameNonFinite(_key: string, value: unknown): unknown {
  return typeof value === "number" && !Number.isFinite(value) ? { nonFinite: String(value) } : value;
}

function readNonFinite(_key: string, value: unknown): unknown {
  const { nonFinite } = (value ?? {}) as { nonFinite?: unknown };
  return typeof nonFinite === "string" ? Number(nonFinite) : value;
}

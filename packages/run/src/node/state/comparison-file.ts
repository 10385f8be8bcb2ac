/** The finished runs of a comparison as a file: what `secateur compare --resume` goes on from. */
import { existsSync } from "node:fs";
import { rm } from "node:fs/promises";
import { describeDifferences, isPruneError, type RunPlan } from "@secateur/core";
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

/** What makes a method what it is: the versions of the packages it comes from, its options, what is fixed of its plan. */
interface Method {
  readonly packages: Readonly<Record<string, string>>;
  readonly options: Readonly<Record<string, unknown>>;
  readonly plan: RunPlan;
}

interface KeptRun {
  readonly run: ComparedRun;
  readonly method: Method;
}

interface Content {
  readonly version: 3;
  /** Model, data and settings that all runs share; which methods and sparsities are compared may change. */
  readonly comparison: string;
  readonly runs: readonly KeptRun[];
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
 * @param spec.methods - by name, those that are compared
 * @throws ERR_RESUME for a file of another comparison, of a method of other packages or settings, or of none
 */
export async function openComparison(spec: {
  path: string;
  comparison: string;
  methods: ReadonlyMap<string, Method>;
  resume: boolean;
  session: Session;
}): Promise<ComparisonKeeper> {
  const { path, resume, session, methods } = spec;
  const isThere = existsSync(path);
  if (isThere && !resume) await rm(path);
  const runs = isThere && resume ? [...(await readRuns(spec))] : [];
  const finished = runs.map(({ run }) => run);
  if (resume) {
    const message = isThere
      ? `${finished.length} finished runs are in ${path}, and not repeated`
      : `there is no saved state at ${path}; starting from the beginning`;
    session.onEvent({ type: "note", level: "info", code: isThere ? "resumed" : "nothing-to-resume", message });
  }
  let isWritable = true;
  return {
    finished,
    async keep(run) {
      runs.push({ run, method: methods.get(run.solver)! });
      if (!isWritable) return;
      const content: Content = { version: 3, comparison: spec.comparison, runs };
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

async function readRuns(
  spec: Pick<Parameters<typeof openComparison>[0], "path" | "comparison" | "methods">,
): Promise<readonly KeptRun[]> {
  const { path, comparison, methods } = spec;
  let content: Partial<Content> | null;
  try {
    content = JSON.parse(new TextDecoder().decode(await readFileBytes(path)), readNonFinite) as Partial<Content>;
  } catch (cause) {
    if (!(cause instanceof SyntaxError)) throw cause;
    throw badState(path, "it is not the state of a comparison");
  }
  const { version, runs } = content ?? {};
  if (typeof version === "number" && version !== 3) throw badState(path, "another version of secateur wrote it");
  if (version !== 3 || typeof content?.comparison !== "string" || !Array.isArray(runs) || !runs.every(isRun)) {
    throw badState(path, "it is not the state of a comparison");
  }
  if (content.comparison !== comparison) {
    const difference = describeDifferences(content.comparison, comparison);
    throw badState(path, `the saved runs are of another comparison: ${difference}`);
  }
  for (const { run, method: then } of runs) {
    const [before, now] = [JSON.stringify(then), JSON.stringify(methods.get(run.solver) ?? then)];
    if (before === now) continue;
    const difference = describeDifferences(before, now);
    throw badState(path, `the saved runs of ${run.solver} are of other packages or settings: ${difference}`);
  }
  return runs;
}

function isRun(value: unknown): value is KeptRun {
  const { run, method } = (value ?? {}) as Partial<KeptRun>;
  const { solver, sparsity, dense, pruned, result } = (run ?? {}) as Partial<ComparedRun>;
  return (
    typeof solver === "string" &&
    typeof sparsity === "number" &&
    [method, dense, pruned, result, result?.stages, result?.timing].every(
      (part) => typeof part === "object" && part !== null,
    )
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

/** Every error the command line throws itself, one factory each. Codes are stable; messages may improve. */
import { PruneError } from "@secateur/core";
import { badUsage } from "@secateur/run";

/** A flag's text is not what the flag takes. */
export function badFlagValue(spec: { flag: string; found: string; allowed: string }): PruneError {
  return badUsage(`${spec.flag}: found '${spec.found}', allowed is ${spec.allowed}`, spec);
}

/** Some parts of a command's work ended with an error; their messages stand in its result. @param spec.what - "runs" */
export function someFailed(spec: { what: string; failed: number; finished: number; remedy?: string }): PruneError {
  const { what, failed, finished, remedy } = spec;
  return new PruneError(
    "ERR_SOME_FAILED",
    `${failed} of ${failed + finished} ${what} failed, as the result says; ${remedy ?? "what the others gave is in it"}`,
    { fault: "runtime", details: { failed, finished } },
  );
}

/** Something that only the user can say was left out. */
export function missingFlag(flag: string, remedy: string): PruneError {
  return badUsage(`${flag} is missing; ${remedy}`, { flag, remedy });
}

/** A recipe that gives two different sparsities to reach. */
export function sparsityTwice(sparsity: number, last: number): PruneError {
  return badUsage(
    `the sparsity to reach is ${sparsity} and the last of retrain.sparsities is ${last}; make them equal, or leave one out`,
    { sparsity, last },
  );
}

/** An interrupted run left its state and this run was not told what to do with it. */
export function stateLeftBehind(path: string): PruneError {
  return new PruneError(
    "ERR_RESUME",
    `${path}: an interrupted run left its state here; continue it with --resume, or start afresh with --force`,
    { details: { path } },
  );
}

/** Ctrl-C or termination; what was saved is said by the caller. */
export function interrupted(remedy: string): PruneError {
  return new PruneError("ERR_ABORTED", `interrupted; ${remedy}`, { fault: "runtime", details: { remedy } });
}

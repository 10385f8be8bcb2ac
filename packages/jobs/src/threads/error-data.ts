/** Errors as data and back. */
import { isPruneError, PruneError } from "@secateur/core";
import type { ErrorData } from "./messages.ts";

/** What is kept of an error; of a defect its stack, which is what helps to find it. */
export function errorData(error: unknown): ErrorData {
  if (isPruneError(error)) {
    // Details are plain data; what is not, such as a cause, is left out.
    const details = JSON.parse(JSON.stringify(error.details)) as ErrorData["details"];
    return { code: error.code, message: error.message, fault: error.fault, details };
  }
  const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
  return {
    code: "ERR_JOB_DEFECT",
    message: `failed unexpectedly; please report this: ${text}`,
    fault: "runtime",
    details: {},
  };
}

/** The error again. */
export function errorFrom({ code, message, fault, details }: ErrorData): PruneError {
  return new PruneError(code, message, { fault, details });
}

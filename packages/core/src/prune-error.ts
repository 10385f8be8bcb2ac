/** Who has to act: "input" is something the caller gave (CLI exit code 2), "runtime" failed while running (exit code 1). */
export type Fault = "input" | "runtime";

/**
 * The one error class of the project. Its `code` is stable and documented; its message says where, what was found,
 * what was allowed and what to do. Tell errors apart by `code`, never by `instanceof` across packages.
 */
export class PruneError extends Error {
  override readonly name = "PruneError";
  readonly code: string;
  readonly fault: Fault;

  constructor(code: string, message: string, options: { fault?: Fault; cause?: unknown } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.fault = options.fault ?? "input";
  }
}

/** Whether a caught value is a PruneError of any copy of core. */
export function isPruneError(value: unknown): value is PruneError {
  return value instanceof Error && value.name === "PruneError" && "code" in value && "fault" in value;
}

/** Who has to act: "input" is something the caller gave, "runtime" failed while running. */
export type Fault = "input" | "runtime";

/**
 * The error class of Secateur, the same as in @secateur/core: this package depends on nothing, so that it has its own. Tell errors apart by
 * `code`, which is stable; the message says where, what was found, what was allowed and what to do.
 */
export class PruneError extends Error {
  override readonly name = "PruneError";
  readonly code: string;
  readonly fault: Fault;
  /** What the message says, as data. */
  readonly details: Readonly<Record<string, unknown>>;

  constructor(
    code: string,
    message: string,
    options: { fault?: Fault; cause?: unknown; details?: Readonly<Record<string, unknown>> } = {},
  ) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.fault = options.fault ?? "input";
    this.details = options.details ?? {};
  }

  /** The section of the documentation about this code. */
  get url(): string {
    return `https://secateur.github.io/secateur/documents/error-codes.html#${this.code.toLowerCase()}`;
  }
}

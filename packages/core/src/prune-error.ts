/** Who has to act: "input" is something the caller gave (CLI exit code 2), "runtime" failed while running (exit code 1). */
export type Fault = "input" | "runtime";

/**
 * The one error class of the project. Its `code` is stable and documented; its message says where, what was found,
 * what was allowed and what to do, in one line: control characters, which may come from names in files and could steer a
 * terminal, are escaped, and the middle of a message of more than 2000 characters is left out. Tell errors apart by `code`, never by `instanceof` across packages.
 */
export class PruneError extends Error {
  override readonly name = "PruneError";
  readonly code: string;
  readonly fault: Fault;

  constructor(code: string, message: string, options: { fault?: Fault; cause?: unknown } = {}) {
    super(plainMessage(message), options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.fault = options.fault ?? "input";
  }
}

const MAX_MESSAGE = 2000;
/** Of a long message its end is kept too: it says what to do. */
const KEPT_END = 600;

function plainMessage(message: string): string {
  const start = MAX_MESSAGE - KEPT_END;
  const text =
    message.length <= MAX_MESSAGE
      ? message
      : `${message.slice(0, start)} ... (${message.length - MAX_MESSAGE} characters) ... ${message.slice(-KEPT_END)}`;
  return text.replace(
    /[\p{Cc}\p{Cf}\p{Surrogate}\u2028\u2029]/gu,
    (char) => `\\u{${(char.codePointAt(0) ?? 0).toString(16)}}`,
  );
}

/** Whether a caught value is a PruneError of any copy of core. */
export function isPruneError(value: unknown): value is PruneError {
  return value instanceof Error && value.name === "PruneError" && "code" in value && "fault" in value;
}

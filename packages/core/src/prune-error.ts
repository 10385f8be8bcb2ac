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
  /** What the message says as plain data, for programs; no code reads numbers or names out of a message. */
  readonly details: Readonly<Record<string, unknown>>;

  constructor(
    code: string,
    message: string,
    options: { fault?: Fault; cause?: unknown; details?: Readonly<Record<string, unknown>> } = {},
  ) {
    super(plainMessage(message), options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.fault = options.fault ?? "input";
    this.details = options.details ?? {};
  }

  /** The section of the documentation about this code: what it means, and every message that ends with it. */
  get url(): string {
    return `${site}/documents/error-codes.html#${this.code.toLowerCase()}`;
  }
}

/** Where the pages are that are made from the sources. */
const site = "https://secateur.github.io/secateur";

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

/** Every error of this package: a code, what was found, what is allowed, what to do. */

/** Something in the arguments or the folder that the user can put right. */
export class CreateError extends Error {
  override readonly name = "CreateError";
  readonly code: string;
  /** What the message says, as data. */
  readonly details: Readonly<Record<string, unknown>>;

  constructor(code: string, message: string, details: Readonly<Record<string, unknown>> = {}) {
    super(message);
    this.code = code;
    this.details = details;
  }
}

/** A name that npm or the command line could not use. */
export function badName(found: string, why: string): CreateError {
  return new CreateError(
    "ERR_NAME",
    `the name '${found}' ${why}; give lower-case letters, digits and '-', such as my-method or @me/my-method`,
    { found, why },
  );
}

/** A name that a built-in method, task, ... has: the command line would always take that one. */
export function takenName(found: string, what: string): CreateError {
  return new CreateError(
    "ERR_NAME_TAKEN",
    `the name '${found}' is a built-in ${what}'s; give another, such as my-${found}`,
    { found },
  );
}

/** A kind of method that does not exist. */
export function badKind(found: string, known: readonly string[]): CreateError {
  return new CreateError("ERR_KIND", `--kind: found '${found}', allowed is ${known.join(", ")}`, { found, known });
}

/** Flags or arguments that cannot be understood. */
export function badUsage(message: string, details: Readonly<Record<string, unknown>>): CreateError {
  return new CreateError("ERR_USAGE", `${message}; see npm create secateur-plugin -- --help`, details);
}

/** The system does not let the target be made. */
export function folderNotMade(folder: string, reason: string): CreateError {
  return new CreateError("ERR_FOLDER", `${folder}: it cannot be made (${reason}); give another folder with --dir`, {
    folder,
    reason,
  });
}

/** The target holds something already. */
export function folderInUse(folder: string, found: string): CreateError {
  return new CreateError(
    "ERR_FOLDER",
    `${folder}: it holds ${found} already and nothing is overwritten; give another folder with --dir, or an empty one`,
    { folder, found },
  );
}

/** Something worth knowing about a run that no number says. */
export interface Note {
  /** Stable, for example "damping-raised"; told apart by it, never by the message. */
  readonly code: string;
  /** "warn": somebody should look; "info": what was decided; "debug": details. */
  readonly level: "debug" | "info" | "warn";
  /** What was found and what to do about it, in a sentence. */
  readonly message: string;
}

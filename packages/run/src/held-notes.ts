/** Notes of a run, printed once it has begun or ended. */
export interface HeldNotes {
  print(text: string): void;
  /** Prints what was held, and from now on at once. */
  release(): void;
  /** Forgets what was held. */
  drop(): void;
}

/** Holds notes back. @param write - prints a line */
export function holdNotes(write: (text: string) => void): HeldNotes {
  let held: string[] | undefined = [];
  return {
    print: (text) => (held ? void held.push(text) : write(text)),
    release() {
      for (const text of held ?? []) write(text);
      held = undefined;
    },
    drop() {
      if (held) held = [];
    },
  };
}

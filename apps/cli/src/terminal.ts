/** Where one call of the command line runs: its streams, its folder, and what interrupts it. */
export interface Terminal {
  /** Results. With --json exactly one document. */
  readonly stdout: NodeJS.WritableStream;
  /** Messages, notes and progress. */
  readonly stderr: NodeJS.WritableStream & { readonly isTTY?: boolean };
  /** Absolute path of the folder that relative paths start from. */
  readonly cwd: string;
  /** Fires on Ctrl-C or termination. */
  readonly signal: AbortSignal;
}

/** Absolute paths of the results. */
export interface PruneOutputs {
  /** A folder for a TensorFlow.js model, else a file. */
  readonly out: string;
  readonly recipe: string;
  /** The state between stages; exists only while a run is under way or was interrupted. */
  readonly state: string;
  readonly report: string | undefined;
  readonly overwrite: boolean;
}

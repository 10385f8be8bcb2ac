import type { OutputForm } from "../export/encode-model.ts";

/** Absolute paths of the results. */
export interface PruneOutputs {
  /** A folder where `form` is "tfjs", else a file. */
  readonly out: string;
  readonly form: OutputForm;
  /** ONNX operator set; undefined: the lowest that holds the graph. */
  readonly opset: number | undefined;
  readonly recipe: string;
  /** The state between stages; exists only while a run is under way or was interrupted. */
  readonly state: string;
  readonly report: string | undefined;
  readonly overwrite: boolean;
}

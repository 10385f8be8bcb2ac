/** What the page and its worker say to each other. */

/** From the page to the worker. */
export type Request =
  /** Comes first. `data`: address of the folder with the network and the images. */
  | { readonly type: "open"; readonly data: string }
  | { readonly type: "prune"; readonly sparsity: number }
  | { readonly type: "stop" };

/** Weights of the first layer and accuracy of the whole network. */
export interface Snapshot {
  /** Fraction of the weights removed. */
  readonly sparsity: number;
  /** Percent of the test images. */
  readonly accuracy: number;
  /** [40, 784] row-major: the first layer, zeros where pruned. */
  readonly firstLayer: Float32Array;
}

/** From the worker to the page. */
export type Answer =
  | { readonly type: "ready"; readonly dense: Snapshot; readonly backend: string; readonly threads: number }
  | { readonly type: "progress"; readonly fraction: number; readonly text: string }
  | { readonly type: "stage"; readonly snapshot: Snapshot }
  | {
      readonly type: "done";
      readonly snapshot: Snapshot;
      readonly kept: number;
      readonly prunable: number;
      readonly seconds: number;
      /** Of the pruned weights, hexadecimal: the same as in Node with the same build of the kernels. */
      readonly sha256: string;
    }
  | { readonly type: "stopped" }
  | { readonly type: "failed"; readonly message: string };

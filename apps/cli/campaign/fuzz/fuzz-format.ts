import type { Rng } from "@secateur/core";

/** One format under test. */
export interface FuzzFormat {
  readonly name: string;
  /** Whole files, made by the code beside it: nothing is read from disk. */
  readonly corpus: readonly Uint8Array[];
  /** A damaged file that knows the format: sizes and checksums that fit, parts that do not. Undefined where damage to bytes is all there is. */
  readonly mutate?: (rng: Rng) => Uint8Array;
  /**
   * Reads a file as users do. Returns how many bytes its content takes once decoded, having checked what must hold of
   * whatever is accepted; throws what the reader throws.
   */
  read(bytes: Uint8Array): number | Promise<number>;
  /** Gives back what reading needed, such as a folder. */
  close?(): void;
}

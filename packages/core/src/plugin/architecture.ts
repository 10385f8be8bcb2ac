/** Networks as data. */

/** A classifier as a list of layers: what `createNetwork` of @secateur/nn takes. Plain JSON; it says itself which layers there are. */
export interface Architecture {
  readonly name: string;
  /** Shape of one example, whole numbers >= 1. */
  readonly inputShape: readonly number[];
  /** Number of classes, the length of the last layer's output. */
  readonly classes: number;
  /** In order, each taking the one before it unless it names its inputs. */
  readonly layers: readonly { readonly kind: string }[];
}

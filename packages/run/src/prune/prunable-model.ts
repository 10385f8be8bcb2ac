import type { Model } from "@secateur/core";

/** A model that can be evaluated and pruned. */
export interface PrunableModel extends Model {
  evaluate: NonNullable<Model["evaluate"]>;
}

import type { ModelAdapter } from "@secateur/core";

/** A model that can be evaluated and pruned. */
export interface PrunableModel extends ModelAdapter {
  evaluate: NonNullable<ModelAdapter["evaluate"]>;
}

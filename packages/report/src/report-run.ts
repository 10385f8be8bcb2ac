import type { StageReport } from "@secateur/core";

/** Whether a stage had a model made from gradients; without, it was H = I. */
export function takesGradients({ examples }: StageReport): boolean {
  return examples !== undefined;
}

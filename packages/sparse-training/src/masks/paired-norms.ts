/** Which normalisation stands behind which weight. */
import type { ParamInfo } from "@secateur/core";

/** Names of what a normalisation multiplies its channels with, and of what it adds. */
export interface PairedNorm {
  readonly scale: string;
  readonly shift: string | undefined;
}

/**
 * The normalisation behind each prunable weight, by the weight's name: the first scale among the parameters between it and the next prunable one that
 * has as many channels as the weight has rows. Parameters must be in the order of the layers.
 */
export function pairedNorms(params: readonly ParamInfo[]): ReadonlyMap<string, PairedNorm> {
  const found = new Map<string, PairedNorm>();
  for (const [p, { name, rows, prunable }] of params.entries()) {
    if (!prunable) continue;
    const rest = params.slice(p + 1);
    const next = rest.findIndex((other) => other.prunable);
    const between = next < 0 ? rest : rest.slice(0, next);
    const at = between.findIndex((other) => other.isScale && other.rows === rows);
    if (at < 0) continue;
    const behind = between[at + 1];
    const shift = behind && !behind.isScale && behind.rows === rows ? behind.name : undefined;
    found.set(name, { scale: between[at]!.name, shift });
  }
  return found;
}

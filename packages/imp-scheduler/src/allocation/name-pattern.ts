import { type LayerInfo, matchesPattern } from "@secateur/core";
import { patternMatchesNothing } from "../errors.ts";

/** The layers whose name, or name without ".weight", fits. @throws ERR_OPTION when there is none */
export function matchingLayers(pattern: string, layers: readonly LayerInfo[]): readonly LayerInfo[] {
  const found = layers.filter(({ name }) => matchesPattern(pattern, name));
  if (found.length === 0)
    throw patternMatchesNothing(
      pattern,
      layers.map(({ name }) => name),
    );
  return found;
}

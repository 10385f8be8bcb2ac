import type { LayerInfo } from "@secateur/core";
import { patternMatchesNothing } from "../errors.ts";

/** Whether a name fits a pattern: * stands for any characters, everything else for itself; the whole name must fit. */
export function matchesPattern(pattern: string, name: string): boolean {
  const parts = pattern.split("*").map((part) => part.replace(/[\\^$.|?+()[\]{}]/g, "\\$&"));
  return new RegExp(`^${parts.join(".*")}$`).test(name);
}

/** The layers whose name, or name without ".weight", fits. @throws ERR_OPTION when there is none */
export function matchingLayers(pattern: string, layers: readonly LayerInfo[]): readonly LayerInfo[] {
  const found = layers.filter(
    ({ name }) => matchesPattern(pattern, name) || matchesPattern(pattern, name.replace(/\.weight$/, "")),
  );
  if (found.length === 0)
    throw patternMatchesNothing(
      pattern,
      layers.map(({ name }) => name),
    );
  return found;
}

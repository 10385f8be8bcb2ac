import type { RunEvent } from "@secateur/core";
import type { CurvatureEntry, SolverEntry } from "./found-entry.ts";
import { kebab } from "./option-schema.ts";

/**
 * What to tell about options that the solver does not read under a curvature.
 *
 * @param spec.given - the options that the user set
 */
function unreadOptions(spec: { entry: SolverEntry; given: readonly string[]; curvature: string }): readonly string[] {
  const { entry, given, curvature } = spec;
  const unread = Object.entries(entry.optionsOnlyWith ?? {}).filter(([, readers]) => !readers.includes(curvature));
  if (!unread.some(([key]) => given.includes(key))) return [];
  const readers = [...new Set(unread.flatMap(([, names]) => names))].map((name) => `--curvature ${name}`);
  const flags = unread.map(([key]) => `--${kebab(key)}`);
  return [
    `${inList(flags)} of ${entry.name} ${flags.length === 1 ? "matters" : "matter"} with ${readers.join(" or ")} only, and the curvature here is ${curvature}`,
  ];
}

/**
 * Tells settings that the user gave and that the curvature in force leaves without effect.
 *
 * @param spec.given - options of the solver and settings of its plan
 */
export function noteUnread(spec: {
  entry: SolverEntry;
  given: readonly string[];
  curvature: CurvatureEntry;
  onEvent: (event: RunEvent) => void;
}): void {
  const { entry, given, curvature, onEvent } = spec;
  const { name, unread = [] } = curvature;
  for (const message of [
    ...unreadOptions({ entry, given, curvature: name }),
    ...given
      .filter((key) => unread.includes(key))
      .map((key) => `--${kebab(key)} changes nothing with --curvature ${name}, which does not read it`),
  ]) {
    onEvent({ type: "note", level: "warn", code: "unread-setting", message });
  }
}

function inList(items: readonly string[]): string {
  return items.length < 2 ? items.join("") : `${items.slice(0, -1).join(", ")} and ${items[items.length - 1]}`;
}

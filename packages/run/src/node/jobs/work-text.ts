import { formatDuration, formatTable, plainText } from "@secateur/report/text";
import type { JobReport } from "./run-jobs.ts";

/** What ran where and how long it waited, a line for every place; empty where nothing ran but in this process. */
export function workText(work: readonly JobReport[]): string {
  const places = [
    ...new Set(work.flatMap(({ where, state }) => (where && state === "finished" ? [where] : []))),
  ].sort();
  const reused = work.filter(({ state }) => state === "reused").length;
  const before = reused === 0 ? "" : `${reused} of ${work.length} jobs were finished before, and not repeated\n`;
  if (places.length === 0 || (places.length === 1 && places[0] === "this process")) return before;
  const right = { align: "right" } as const;
  const table = formatTable(
    [
      { title: "worker" },
      { title: "jobs", ...right },
      { title: "computing", ...right },
      { title: "longest wait", ...right },
    ],
    places.map((place) => {
      const own = work.filter(({ where, state }) => where === place && state === "finished");
      const total = own.reduce((sum, { ms = 0 }) => sum + ms, 0);
      const longest = Math.max(...own.map(({ waitedMs = 0 }) => waitedMs));
      return [plainText(place), String(own.length), formatDuration(total), formatDuration(longest)];
    }),
  );
  return `${before}${table}`;
}

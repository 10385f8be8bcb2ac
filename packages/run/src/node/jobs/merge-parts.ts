/** `secateur merge`: the parts that --shard wrote as the whole that one process would have written. */
import { readFileBytes } from "@secateur/formats";
import { assertWholePlan, decodePart, openStore, type Part, storePart } from "@secateur/jobs";
import { badUsage } from "../../errors.ts";
import { type SweepDocument, type SweepFrame, type SweepPoint, sweepDocument } from "../../sweep/sweep-document.ts";
import { sweepRun } from "../sweep/run-sweep.ts";

/** What a part of a sweep remembers of it. */
interface SweepRequest {
  readonly command: string;
  readonly frame: SweepFrame;
  readonly points: readonly (SweepPoint & { readonly id: string })[];
}

/**
 * Reads the parts, all of one plan and each once, and puts the document together.
 *
 * @param spec.paths - absolute, in any order
 * @param spec.store - absolute path of a store that takes the results over, so that later runs do not repeat them; default: none
 * @throws ERR_PART; file errors
 */
export async function mergeParts(spec: {
  paths: readonly string[];
  store?: string | undefined;
}): Promise<SweepDocument> {
  const parts: Part[] = [];
  for (const path of spec.paths) parts.push(decodePart(await readFileBytes(path), path));
  assertWholePlan(parts);
  const { command, frame, points } = parts[0]!.request as unknown as Partial<SweepRequest>;
  const results = new Map(parts.flatMap((part) => part.results.map((one) => [one.id, one] as const)));
  const lacking = points?.find(({ id }) => !results.has(id));
  if (command !== "sweep" || !frame || !points || lacking) {
    throw badUsage(`${parts[0]!.path}: its parts are not those of a whole sweep; make them again`, { command });
  }
  if (spec.store !== undefined) {
    const store = await openStore(spec.store);
    for (const part of parts) await storePart(store, part);
  }
  const runs = points.map(({ id, ...point }) => {
    const { result, record } = results.get(id)!;
    return sweepRun(point, result, record.measured);
  });
  return sweepDocument({ frame, runs, failed: [], isInterrupted: false });
}

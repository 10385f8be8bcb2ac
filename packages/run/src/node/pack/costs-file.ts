/** What kernels take on a machine: measured, and read from a file that `secateur bench --calibrate --json` printed. */
import { readFileBytes } from "@secateur/formats";
import { type CostTable, calibrate } from "@secateur/runtime/pack";
import { z } from "zod";
import { badUsage } from "../../errors.ts";

const cost = z.object({ row: z.number().nonnegative(), tap: z.number().nonnegative() });
const costTable = z.object({
  sparse: cost,
  block: cost,
  rows: cost,
  block4: cost,
  block16: cost,
  number: z.number().nonnegative(),
});

/** Measures this machine; about a second. */
export async function runCalibrate(): Promise<CostTable> {
  return await calibrate();
}

/** @throws ERR_USAGE for a file that is no table of costs; file errors */
export async function readCosts(path: string): Promise<CostTable> {
  const text = new TextDecoder().decode(await readFileBytes(path));
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    json = undefined;
  }
  const table = costTableOf(json);
  if (!table) {
    throw badUsage(
      `--costs: ${path} is no table of costs; make one with secateur bench --calibrate --json > costs.json`,
      { path },
    );
  }
  return table;
}

/** A table of costs from JSON; undefined for what is none. */
export function costTableOf(json: unknown): CostTable | undefined {
  return costTable.safeParse(json).data;
}

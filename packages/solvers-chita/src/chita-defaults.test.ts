import { expect, test } from "vitest";
import { chitaDefaults, effortFor, manyRows } from "./chita-defaults.ts";

test("up to 1,024 rows the plain numbers hold, beyond them more is tried", () => {
  const { iterations, pool } = chitaDefaults;
  for (const rows of [1, 1000, manyRows.from]) expect(effortFor(rows)).toEqual({ iterations, pool, leastGain: 3e-4 });
  expect(effortFor(manyRows.from + 1)).toEqual({ iterations: 60, pool: 65, leastGain: 1e-4 });
  expect(effortFor(2048)).toEqual({ iterations: 60, pool: 128, leastGain: 1e-4 });
});

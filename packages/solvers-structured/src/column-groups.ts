/** Units as groups of columns of H, which all rows of weights share. */
import type { Problem } from "@secateur/core";
import { onlyWholeColumns } from "./errors.ts";

/**
 * The columns of each unit, ascending: of a problem of one row any unit's weights, of several rows those of a unit that owns whole columns.
 *
 * @throws ERR_INCOMPATIBLE where a unit owns some rows of a column only
 */
export function columnGroups(who: string, { id, units, w }: Problem): readonly Uint32Array[] {
  const { rows, cols } = w;
  return Array.from({ length: units.count }, (_, unit) => {
    const indices = units.indices(unit);
    // Ascending flat indices come row after row, so that the first row's are the columns.
    const own = indices.filter((index) => index < cols);
    const isWhole =
      own.length * rows === indices.length && indices.every((index, i) => index % cols === own[i % own.length]!);
    if (!isWhole) throw onlyWholeColumns(who, id);
    return own;
  });
}

/** How `pack` can store values. */
import type { ValueType } from "../file/packed-model.ts";

/** A type of the file, or whole numbers of fewer bits in bytes of int8. */
export type PackedValues = ValueType | "int6" | "int5";

/** The largest whole number of those types that have a scale. */
export const packedMost = { int8: 127, int6: 31, int5: 15, int4: 7 } as const;

/** What the file calls it. */
export function fileType(values: PackedValues): ValueType {
  return values === "int6" || values === "int5" ? "int8" : values;
}

// Rows of a table by number: out[n] = table[index[n]]. Words: 2 table, 3 indices (whole numbers held as f32), 4 out, 5 numbers of a row,
// 6 rows of the table. A unit is an index. A negative one counts from the end; one beyond the table takes its first or last row, so that
// nothing else is read. Inputs that are read here as they are given are refused before (src/inputs.ts).
import { word } from "./step";

export function gatherUnits(step: usize, begin: u32, end: u32): void {
  const bytes = word(step, 5) << 2, rows = <i32>word(step, 6);
  for (let unit = begin; unit < end; unit++) {
    let index = i32x4.extract_lane(i32x4.trunc_sat_f32x4_s(v128.load32_splat(word(step, 3) + (unit << 2))), 0);
    if (index < 0) index += rows;
    index = max(0, min(rows - 1, index));
    memory.copy(word(step, 4) + unit * bytes, word(step, 2) + <usize>index * bytes, bytes);
  }
}

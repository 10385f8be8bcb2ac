/** Operators that only move numbers of their first input, or leave some out. */
export const movers: ReadonlySet<string> = new Set([
  "Identity",
  "Reshape",
  "Slice",
  "Split",
  "Squeeze",
  "Transpose",
  "Unsqueeze",
]);

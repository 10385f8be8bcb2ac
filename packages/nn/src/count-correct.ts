import type { Mat } from "@secateur/core";

/** Number of rows whose largest logit is the label's; a tie goes to the lower class. */
export function countCorrect(logits: Mat, labels: Uint32Array): number {
  let correct = 0;
  for (let i = 0; i < logits.rows; i++) {
    let best = 0;
    for (let c = 1; c < logits.cols; c++) {
      if (logits.data[i * logits.cols + c]! > logits.data[i * logits.cols + best]!) best = c;
    }
    if (best === labels[i]) correct++;
  }
  return correct;
}

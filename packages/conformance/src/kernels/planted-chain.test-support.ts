/** chainGram broken on purpose: by which number the tangents of an example are lessened before their mean is taken. */
import { type ChainGramSpec, panelWidth, referenceKernels } from "@secateur/core";

/**
 * chainGram as the reference has it, but for the class beside which tangents are taken.
 *
 * @param beside - the number that the tangents t of an example are taken less
 */
export function chainGramBeside(beside: (t: readonly number[]) => number): (spec: ChainGramSpec) => void {
  return ({ chain, x, probabilities: p, out }) => {
    const t = p.slice();
    referenceKernels.chainTimes!({ chain, x, out: t });
    const panel = p.length / chain.count;
    for (let i = 0; i < p.length; i++) {
      if (i % panel >= panelWidth) continue;
      const lines = Array.from({ length: panel / panelWidth }, (_, c) => i + c * panelWidth);
      const less = beside(lines.map((at) => t[at]!));
      for (const at of lines) t[at]! -= less;
      const mean = lines.reduce((sum, at) => sum + p[at]! * t[at]!, 0);
      for (const at of lines) t[at] = p[at]! * (t[at]! - mean);
    }
    referenceKernels.chainTransposeTimes!({ chain, u: t, out });
  };
}

/** Work of a known length for benchmarks: it keeps a processor busy, as pruning does. */
import { createRunContext } from "@secateur/core";
import type { JobKinds } from "@secateur/jobs";

/** The kinds that workers of benchmarks know. */
export const benchKinds: JobKinds = {
  /** Computes for so many milliseconds, with a safe point in each; the result depends on the settings alone. */
  async busy({ settings }, { signal, onEvent }) {
    const { ms, value } = settings as { ms: number; value: number };
    const ctx = createRunContext({ signal, onEvent });
    let sum = value;
    for (let done = 0; done < ms; done++) {
      for (const end = performance.now() + 1; performance.now() < end; );
      sum = (sum * 1103515245 + 12345) % 2147483648;
      await ctx.tick({ task: "busy", done, total: ms });
    }
    return { result: sum };
  },
};

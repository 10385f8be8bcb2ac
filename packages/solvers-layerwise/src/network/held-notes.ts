/** Notes of work that may not last: a first look at layers, or a try that another one beats. */
import type { RunContext, RunEvent } from "@secateur/core";

/** The same context, which keeps notes to itself until they are told, all or those of one code; progress goes on as it comes. */
export function holdNotes(ctx: RunContext): { readonly ctx: RunContext; tell(code?: string): void } {
  const held: RunEvent[] = [];
  const report = (event: RunEvent): void => {
    if (event.type === "note") held.push(event);
    else ctx.report(event);
  };
  return {
    ctx: { ...ctx, report },
    tell(code) {
      for (const event of held.splice(0)) {
        if (code === undefined || (event.type === "note" && event.code === code)) ctx.report(event);
      }
    },
  };
}

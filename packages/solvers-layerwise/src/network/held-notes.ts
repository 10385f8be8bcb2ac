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

/** Names told in a summary. */
const mostNames = 6;

type Note = Extract<RunEvent, { type: "note" }>;

/**
 * The same context, which tells the first note of each code at once and sums up the others in the end: a network may have thousands of layers that the
 * same is to be said of.
 */
export function foldNotes(ctx: RunContext): {
  readonly ctx: RunContext;
  /** What was noted since the last time is of this layer. */
  leave(layer: string): void;
  finish(): void;
} {
  const held = new Map<string, { readonly note: Note; layer?: string }[]>();
  const report = (event: RunEvent): void => {
    const before = event.type === "note" ? held.get(event.code) : undefined;
    if (event.type === "note" && before) before.push({ note: event });
    else {
      if (event.type === "note") held.set(event.code, []);
      ctx.report(event);
    }
  };
  return {
    ctx: { ...ctx, report },
    leave(layer) {
      for (const notes of held.values()) for (const one of notes) one.layer ??= layer;
    },
    finish() {
      for (const [code, notes] of held) {
        const [first] = notes;
        if (!first) continue;
        const names = [...new Set(notes.flatMap(({ layer }) => (layer === undefined ? [] : [layer])))];
        const told = names.slice(0, mostNames).join(", ");
        const rest = names.length > mostNames ? ` and ${names.length - mostNames} more` : "";
        const message = `the same (${code}) ${notes.length} times more: ${told}${rest}`;
        ctx.report(notes.length === 1 ? first.note : { ...first.note, message });
      }
      held.clear();
    },
  };
}

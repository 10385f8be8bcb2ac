/** Times apart from results: a result is the same on every machine, how long it took is not. */
import type { Json } from "@secateur/jobs";

/** A value without its times, and these by path. */
export interface WithoutTimes {
  readonly value: Json;
  readonly times: Readonly<Record<string, number>>;
}

/** Takes the numbers away whose key ends in "Ms"; nothing stands in their places, which stay where they are among the others. */
export function withoutTimes(value: Json): WithoutTimes {
  const times: Record<string, number> = {};
  const walk = (one: Json, path: string): Json => {
    if (typeof one !== "object" || one === null) return one;
    if (Array.isArray(one)) return one.map((item, place) => walk(item as Json, `${path}/${place}`));
    const kept: Record<string, Json> = {};
    for (const [key, inner] of Object.entries(one as { readonly [key: string]: Json | undefined })) {
      if (inner === undefined) continue;
      const takes = isTime(key, inner);
      if (takes) times[`${path}/${key}`] = inner as number;
      kept[key] = takes ? null : walk(inner, `${path}/${key}`);
    }
    return kept;
  };
  return { value: walk(value, ""), times };
}

/** Puts times back into their places. */
export function withTimes({ value, times }: WithoutTimes): Json {
  const whole = structuredClone(value) as Json;
  for (const [path, time] of Object.entries(times)) {
    const keys = path.slice(1).split("/");
    let at = whole as Record<string, unknown>;
    for (const key of keys.slice(0, -1)) at = at[key] as Record<string, unknown>;
    at[keys.at(-1)!] = time;
  }
  return whole;
}

function isTime(key: string, value: Json): boolean {
  return key.endsWith("Ms") && typeof value === "number";
}

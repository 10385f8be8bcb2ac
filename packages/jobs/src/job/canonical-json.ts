/** JSON whose bytes depend on what it says alone: keys in order, numbers that JSON lacks by name. */

/** What jobs are made of. */
export type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json | undefined };

/** The bytes of a value: keys sorted, those without a value left out, NaN and infinities as { nonFinite: "NaN" }. */
export function encodeJson(value: Json): Uint8Array {
  return new TextEncoder().encode(canonicalJson(value));
}

/** The same but for the order of keys, which stays as it is: what code that depends on nothing else wrote has one order too. */
export function encodeInOrder(value: Json): Uint8Array {
  return new TextEncoder().encode(JSON.stringify(plain(value, false)));
}

/** The same as text. */
export function canonicalJson(value: Json): string {
  return JSON.stringify(plain(value, true));
}

/** Back from the bytes. @throws SyntaxError */
export function decodeJson(bytes: Uint8Array): Json {
  return JSON.parse(new TextDecoder().decode(bytes), (_key, value: unknown) => {
    const { nonFinite } = (value ?? {}) as { nonFinite?: unknown };
    return typeof nonFinite === "string" ? Number(nonFinite) : value;
  }) as Json;
}

/** What JSON holds, with keys in order or as they are. */
function plain(value: Json, isSorted: boolean): Json {
  if (typeof value === "number") return Number.isFinite(value) ? value : { nonFinite: String(value) };
  if (typeof value !== "object" || value === null) return value;
  if (Array.isArray(value)) return value.map((one) => plain(one, isSorted));
  const all = Object.entries(value as { readonly [key: string]: Json | undefined });
  const entries = all.filter((entry): entry is [string, Json] => entry[1] !== undefined);
  if (isSorted) entries.sort(([a], [b]) => (a < b ? -1 : 1));
  return Object.fromEntries(entries.map(([key, one]) => [key, plain(one, isSorted)]));
}

/**
 * Text from a file, made fit for one line of a message: in single quotes, control characters escaped so that they
 * cannot steer a terminal, at most 100 characters.
 */
export function quote(text: string): string {
  return `'${shorten(text).replace(/[\p{Cc}\p{Cf}\p{Surrogate}]/gu, escapeCharacter)}'`;
}

/** At most eight of a list, and how many more there are. */
export function listOf(names: readonly string[]): string {
  return `${names.slice(0, 8).join(", ")}${names.length > 8 ? ` and ${names.length - 8} more` : ""}`;
}

/** A value of parsed JSON, made fit for a message. Nested lists and objects are not opened. */
export function describeJson(value: unknown): string {
  if (value === undefined) return "nothing";
  if (typeof value === "string") return quote(value);
  if (!Array.isArray(value)) return typeof value === "object" && value !== null ? "an object" : String(value);
  const items = value.slice(0, 8).map((item) => (Array.isArray(item) ? "[...]" : describeJson(item)));
  return `[${items.join(", ")}${value.length > 8 ? ", ..." : ""}]`;
}

function shorten(text: string): string {
  return text.length > 100 ? `${text.slice(0, 97)}...` : text;
}

function escapeCharacter(char: string): string {
  return `\\u{${(char.codePointAt(0) ?? 0).toString(16)}}`;
}

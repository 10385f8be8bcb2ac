/** How two descriptions of runs differ, in words. */

/**
 * Compares two JSON objects field by field.
 *
 * @param before - JSON text
 * @param now - JSON text
 * @returns clauses such as "seed was 0 and is 1", joined by commas; a text that is no JSON object counts as unreadable
 */
export function describeDifferences(before: string, now: string): string {
  const [old, present] = [parseObject(before), parseObject(now)];
  if (!old || !present) return "its description cannot be read";
  const names = [...new Set([...Object.keys(old), ...Object.keys(present)])];
  const differing = names.filter((name) => JSON.stringify(old[name]) !== JSON.stringify(present[name]));
  if (differing.length === 0) return "its description is written differently";
  return differing.flatMap((name) => clauses(name, old[name], present[name])).join(", ");
}

function clauses(name: string, old: unknown, present: unknown): readonly string[] {
  if (isObject(old) && isObject(present)) return [describeDifferences(JSON.stringify(old), JSON.stringify(present))];
  if (old === undefined) return [`${name} is ${inWords(present)} and was not set`];
  if (present === undefined) return [`${name} was ${inWords(old)} and is not set`];
  return [`${name} was ${inWords(old)} and is ${inWords(present)}`];
}

function inWords(value: unknown): string {
  if (typeof value === "boolean") return value ? "on" : "off";
  if (Array.isArray(value)) return value.map(inWords).join(" ");
  return typeof value === "object" ? JSON.stringify(value) : String(value);
}

function parseObject(text: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return isObject(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

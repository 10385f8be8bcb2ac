import { parseJsonText } from "./json.ts";

const [QUOTE, BACKSLASH, COLON, COMMA] = [34, 92, 58, 44];
const [OPEN_OBJECT, CLOSE_OBJECT, OPEN_LIST, CLOSE_LIST] = [123, 125, 91, 93];

/**
 * Visits the members of a JSON object in the order of the text, repeated names too. Each value is parsed by itself, so that of an
 * object of a hundred thousand members only one is in memory beside what the visitor keeps.
 *
 * @param json - any text
 * @param visit - told the name, the value, and the value's own text
 * @param before - told a name and the value's text before it is parsed, to refuse what would take too much
 * @returns whether the text is a JSON object: where it is none, the members before the fault were visited. O(length)
 */
export function visitMembers(
  json: string,
  visit: (name: string, value: unknown, text: string) => void,
  before?: (name: string, text: string) => void,
): boolean {
  let at = afterSpace(json, 0);
  if (json.charCodeAt(at) !== OPEN_OBJECT) return false;
  at = afterSpace(json, at + 1);
  if (json.charCodeAt(at) === CLOSE_OBJECT) return afterSpace(json, at + 1) === json.length;
  for (;;) {
    if (json.charCodeAt(at) !== QUOTE) return false;
    const nameEnd = afterString(json, at);
    const name = parseJsonText(json.slice(at, nameEnd));
    const colon = afterSpace(json, nameEnd);
    if (typeof name !== "string" || json.charCodeAt(colon) !== COLON) return false;
    const end = afterValue(json, colon + 1);
    const text = json.slice(colon + 1, end);
    before?.(name, text);
    const value = parseJsonText(text);
    if (value === undefined) return false;
    visit(name, value, text);
    if (json.charCodeAt(end) === CLOSE_OBJECT) return afterSpace(json, end + 1) === json.length;
    if (json.charCodeAt(end) !== COMMA) return false;
    at = afterSpace(json, end + 1);
  }
}

function afterSpace(json: string, start: number): number {
  let i = start;
  for (let code = json.charCodeAt(i); code === 32 || code === 10 || code === 13 || code === 9; ) {
    code = json.charCodeAt(++i);
  }
  return i;
}

/** The index after the closing quote of the string that opens at `start`. */
function afterString(json: string, start: number): number {
  let i = start + 1;
  for (; i < json.length && json.charCodeAt(i) !== QUOTE; i++) if (json.charCodeAt(i) === BACKSLASH) i++;
  return i + 1;
}

/** The index of the comma or bracket that ends the value which begins at `start`: the first outside its strings and brackets. */
function afterValue(json: string, start: number): number {
  let depth = 0;
  let i = start;
  while (i < json.length) {
    const code = json.charCodeAt(i);
    if (code === QUOTE) {
      i = afterString(json, i);
      continue;
    }
    if (code === OPEN_OBJECT || code === OPEN_LIST) depth++;
    else if (depth === 0 && (code === COMMA || code === CLOSE_OBJECT || code === CLOSE_LIST)) return i;
    else if (code === CLOSE_OBJECT || code === CLOSE_LIST) depth--;
    i++;
  }
  return i;
}

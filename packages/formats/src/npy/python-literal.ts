/**
 * Reads the Python literals that .npy headers are made of: dictionaries with string keys, tuples, lists, strings
 * without escapes, whole numbers, True and False. Nothing is evaluated; anything else is refused.
 */

/** A tuple or list becomes an array, a dictionary a Map. */
export type PythonValue = string | number | boolean | PythonValue[] | Map<string, PythonValue>;

/** .npy headers nest a structure's fields a few levels deep; more is an attack on the stack. */
const MAX_DEPTH = 16;

/** One token: a string, a number (Python 2 wrote 3L), a word or a mark. */
const TOKEN = /\s*(?:'([^'\\\n]*)'|"([^"\\\n]*)"|(\d+)L?|(True|False)|([{}()[\],:]))/y;

interface Token {
  /** a mark such as "{", or "value" */
  readonly kind: string;
  readonly value: string | number | boolean;
}

/** @returns the value of the text, or undefined when it is not one literal of the kinds above. O(length). */
export function parsePythonLiteral(text: string): PythonValue | undefined {
  const tokens = tokenize(text);
  if (tokens === undefined) return undefined;
  let next = 0;

  function takes(kind: string): boolean {
    if (tokens?.[next]?.kind !== kind) return false;
    next++;
    return true;
  }

  function value(depth: number): PythonValue | undefined {
    const token = tokens?.[next++];
    if (token === undefined || depth > MAX_DEPTH) return undefined;
    if (token.kind === "value") return token.value;
    if (token.kind === "{") return dictionary(depth);
    if (token.kind === "(") return sequence(")", depth);
    if (token.kind === "[") return sequence("]", depth);
    return undefined;
  }

  function sequence(close: string, depth: number): PythonValue[] | undefined {
    const items: PythonValue[] = [];
    while (!takes(close)) {
      const item = value(depth + 1);
      if (item === undefined) return undefined;
      items.push(item);
      if (takes(",")) continue;
      // (3) is the number 3 in Python, not a tuple.
      return takes(close) && (close === "]" || items.length > 1) ? items : undefined;
    }
    return items;
  }

  function dictionary(depth: number): Map<string, PythonValue> | undefined {
    const fields = new Map<string, PythonValue>();
    while (!takes("}")) {
      const key = value(depth + 1);
      if (typeof key !== "string" || fields.has(key) || !takes(":")) return undefined;
      const item = value(depth + 1);
      if (item === undefined) return undefined;
      fields.set(key, item);
      if (takes(",")) continue;
      return takes("}") ? fields : undefined;
    }
    return fields;
  }

  const result = value(0);
  return next === tokens.length ? result : undefined;
}

function tokenize(text: string): Token[] | undefined {
  const tokens: Token[] = [];
  const end = text.trimEnd().length;
  const token = new RegExp(TOKEN);
  while (token.lastIndex < end) {
    const match = token.exec(text);
    if (match === null) return undefined;
    const [, single, double, number, word, mark] = match;
    if (mark !== undefined) tokens.push({ kind: mark, value: mark });
    else if (number !== undefined) tokens.push({ kind: "value", value: Number(number) });
    else if (word !== undefined) tokens.push({ kind: "value", value: word === "True" });
    else tokens.push({ kind: "value", value: single ?? double ?? "" });
  }
  return tokens;
}

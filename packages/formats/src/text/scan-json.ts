/** What a JSON text says that JSON.parse does not: found in one walk that makes nothing, for headers of a hundred megabytes. */

/** What {@link scanJson} finds. */
export interface JsonScan {
  /** Keys of all objects, repeated ones too: more than the parsed value has where one occurs twice. */
  readonly keys: number;
  /** The first number that is not spelled in plain digits, such as -0, 1.0 or 1e2, which JSON.parse takes for whole ones. */
  readonly otherNumber: string | undefined;
}

const [QUOTE, BACKSLASH, COLON, ZERO, NINE, PLUS, MINUS, POINT] = [34, 92, 58, 48, 57, 43, 45, 46];

/** Walks a JSON text; of a text that is none it says nothing certain, and ends. O(length) time, no memory. */
export function scanJson(json: string): JsonScan {
  let keys = 0;
  let otherNumber: string | undefined;
  for (let i = 0; i < json.length; i++) {
    const code = json.charCodeAt(i);
    if (code === QUOTE) {
      for (i++; i < json.length && json.charCodeAt(i) !== QUOTE; i++) if (json.charCodeAt(i) === BACKSLASH) i++;
    } else if (code === COLON) {
      keys++;
    } else if (otherNumber === undefined && (isDigit(code) || code === MINUS)) {
      const start = i;
      let isPlain = true;
      for (; isOfNumber(json.charCodeAt(i)); i++) isPlain &&= isDigit(json.charCodeAt(i));
      if (!isPlain) otherNumber = json.slice(start, i);
      i--;
    }
  }
  return { keys, otherNumber };
}

/** How many keys all objects of a parsed value have. O(size), no recursion. */
export function countKeys(value: unknown): number {
  let count = 0;
  const open: object[] = [];
  const visit = (item: unknown): void => {
    if (typeof item === "object" && item !== null) open.push(item);
  };
  visit(value);
  for (let one = open.pop(); one !== undefined; one = open.pop()) {
    if (Array.isArray(one)) {
      for (const item of one) visit(item);
      continue;
    }
    for (const key of Object.keys(one)) {
      count++;
      visit(Reflect.get(one, key));
    }
  }
  return count;
}

function isDigit(code: number): boolean {
  return code >= ZERO! && code <= NINE!;
}

/** Digits, signs, the point, and e or E. */
function isOfNumber(code: number): boolean {
  return isDigit(code) || code === PLUS || code === MINUS || code === POINT || code === 69 || code === 101;
}

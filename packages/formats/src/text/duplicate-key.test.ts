import fc from "fast-check";
import { expect, test } from "vitest";
import { findDuplicateKey } from "./duplicate-key.ts";

test("no key is called duplicate in what JSON.stringify writes, however nested", () => {
  fc.assert(
    fc.property(fc.jsonValue(), fc.nat({ max: 2 }), (value, indent) => {
      expect(findDuplicateKey(JSON.stringify(value, undefined, indent))).toBeUndefined();
    }),
  );
});

test("a key that is repeated in one object is found, wherever it lies and however it is escaped", () => {
  expect(findDuplicateKey('{"a":1,"b":[{"x":"{\\"x\\":","y":2},{"x" : 1, "\\u0078" : 2}]}')).toBe("x");
  expect(findDuplicateKey('{"a":"a","b":{"a":"a"},"a":1}')).toBe("a");
  expect(findDuplicateKey('{"\\\\":1,"\\\\":2}')).toBe("\\");
});

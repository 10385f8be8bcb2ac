import fc from "fast-check";
import { expect, test } from "vitest";
import { findDuplicateKey } from "./duplicate-key.ts";
import { countKeys, scanJson } from "./scan-json.ts";

test("a text has as many keys as its value, whatever stands in its strings, and one more for every repeated key", () => {
  fc.assert(
    fc.property(fc.jsonValue({ maxDepth: 4 }), fc.string(), (value, key) => {
      const json = JSON.stringify(value);
      expect(scanJson(json).keys).toBe(countKeys(JSON.parse(json)));
      const name = JSON.stringify(key);
      const twice = `{${name}:${json},${name}:1}`;
      expect(findDuplicateKey(twice)).toBeDefined();
      expect(scanJson(twice).keys).toBeGreaterThan(countKeys(JSON.parse(twice)));
    }),
  );
});

test("a text that is cut off, or none at all, ends too", () => {
  const json = '{"a\\"b":[1,"c"],"d":"e\\\\"}';
  for (let end = 0; end < json.length; end++) expect(scanJson(json.slice(0, end)).keys).toBeLessThanOrEqual(2);
});

test("the first number that is not plain digits is found, and none inside strings", () => {
  expect(scanJson('{"a\\"-1":[12,{"1.5":"-2"},0]}')).toEqual({ keys: 2, otherNumber: undefined });
  for (const number of ["-0", "1.0", "1e2", "1E+2", "-7"]) {
    expect(scanJson(`{"a":[1, ${number} ,2.5]}`).otherNumber).toBe(number);
  }
});

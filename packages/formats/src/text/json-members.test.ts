import fc from "fast-check";
import { expect, test } from "vitest";
import { visitMembers } from "./json-members.ts";

/** The members as a list, or undefined where the text is refused. */
function membersOf(json: string): [string, unknown][] | undefined {
  const members: [string, unknown][] = [];
  return visitMembers(json, (name, value) => members.push([name, value])) ? members : undefined;
}

test("an object gives the members that JSON.parse gives, however its text is spaced", () => {
  fc.assert(
    fc.property(fc.dictionary(fc.string(), fc.jsonValue({ maxDepth: 3 })), fc.nat({ max: 2 }), (record, indent) => {
      const json = JSON.stringify(record, undefined, indent);
      expect(new Map(membersOf(` ${json}\n`))).toEqual(new Map(Object.entries(JSON.parse(json))));
    }),
  );
});

test("a text is taken exactly where JSON.parse takes it for an object: damage to any place of one", () => {
  const json = '{ "a":[1,{"b":"\\"}"}] , "c" : null,"d":{},"e":-1.5e3}';
  for (let at = 0; at <= json.length; at++) {
    for (const put of ["", ",", "}", "]", '"', "{", ":", "\\", " ", "1"]) {
      for (const text of [json.slice(0, at) + put + json.slice(at), json.slice(0, at) + put + json.slice(at + 1)]) {
        let parsed: unknown;
        try {
          parsed = JSON.parse(text);
        } catch {
          parsed = undefined;
        }
        expect([text, membersOf(text) !== undefined]).toEqual([text, typeof parsed === "object"]);
      }
    }
  }
});

test("a repeated name is visited each time, and a name may be any text", () => {
  expect(membersOf('{"a":1,"__proto__":2,"\\u0061":3,"":4}')).toEqual([
    ["a", 1],
    ["__proto__", 2],
    ["a", 3],
    ["", 4],
  ]);
  for (const other of ["", "[]", "null", "1", '"a"']) expect(membersOf(other)).toBeUndefined();
});

import { describe, expect, test } from "vitest";
import { admits, admittedTypes, describeRange, kebab, optionValue, valueLabel } from "./option-schema.ts";

const number = { type: "number", minimum: 0, exclusiveMaximum: 1, default: 0.5 };
const numberOrAuto = {
  anyOf: [
    { type: "number", minimum: 0 },
    { type: "string", const: "auto" },
  ],
};
const choice = { type: "string", enum: ["exact", "published"], default: "exact" };
const whole = { type: "integer", minimum: 1, maximum: Number.MAX_SAFE_INTEGER };

describe("an option's schema", () => {
  test("gives the flag's name", () => {
    expect(kebab("maxIterations")).toBe("max-iterations");
    expect(kebab("l2")).toBe("l2");
  });

  test("gives what the flag takes", () => {
    expect(valueLabel(number)).toBe("<number>");
    expect(valueLabel(numberOrAuto)).toBe("<number|auto>");
    expect(valueLabel(choice)).toBe("<exact|published>");
    expect(valueLabel(whole)).toBe("<n>");
    expect(valueLabel({})).toBe("<value>");
  });

  test("gives default and range in words, without the limits of all whole numbers", () => {
    expect(describeRange(number)).toBe("default 0.5, at least 0, below 1");
    expect(describeRange(numberOrAuto)).toBe("at least 0");
    expect(describeRange(choice)).toBe("default exact");
    expect(describeRange(whole)).toBe("at least 1");
  });

  test("gives every type that a value may have", () => {
    expect([...admittedTypes(numberOrAuto)].sort()).toEqual(["number", "string"]);
    expect([...admittedTypes({ type: ["boolean", "null"] })]).toEqual(["boolean", "null"]);
    expect([...admittedTypes({ enum: [1, "a", null] })]).toEqual(["number", "string", "null"]);
  });
});

describe("a flag's text", () => {
  const cases: readonly [string, object, unknown][] = [
    ["0.25", number, 0.25],
    ["1e-3", numberOrAuto, 1e-3],
    ["auto", numberOrAuto, "auto"],
    ["0x10", number, "0x10"],
    ["", number, ""],
    ["Infinity", number, "Infinity"],
    ["true", { type: "boolean" }, true],
    ["true", { type: "string" }, "true"],
    ["3", { type: "string" }, "3"],
    ["null", { type: ["string", "null"] }, null],
    ["[1,2]", { type: "array" }, [1, 2]],
    ["[1,", { type: "array" }, "[1,"],
  ];
  for (const [text, property, value] of cases) {
    test(`'${text}' for ${JSON.stringify(property)} is ${JSON.stringify(value)}`, () => {
      expect(optionValue(text, property as Record<string, unknown>)).toEqual(value);
    });
  }
});

describe("whether an option may have a value", () => {
  test.each([
    [{ type: "integer", minimum: 1 }, [1, 7], [0, 1.5, "1", Number.NaN]],
    [{ type: "number", exclusiveMinimum: 0, exclusiveMaximum: 1 }, [0.5], [0, 1, Number.POSITIVE_INFINITY, "x"]],
    [{ anyOf: [{ type: "integer", minimum: 1 }, { const: "auto" }] }, [3, "auto"], [0, "none"]],
    [{ enum: ["a", "b"] }, ["a"], ["c", 1]],
    [{ type: "string" }, ["x"], [1]],
    [{ type: "boolean" }, [true], ["true"]],
  ])("%j", (property, good, bad) => {
    for (const value of good) expect(admits(property, value), String(value)).toBe(true);
    for (const value of bad) expect(admits(property, value), String(value)).toBe(false);
  });
});

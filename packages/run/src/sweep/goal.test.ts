import { describe, expect, test } from "vitest";
import { bestOf, paretoFront, parseGoal } from "./goal.ts";

const measure = { name: "accuracy", better: "higher" } as const;
const known = ["accuracy", "loss"];

function best(text: string, values: readonly Readonly<Record<string, number>>[]): number | undefined {
  return bestOf({ goal: parseGoal(text, known), candidates: values.map((one) => ({ values: one })), measure });
}

describe("the best under a goal", () => {
  const three = [
    { accuracy: 97, bytes: 300, nonzeros: 30 },
    { accuracy: 98, bytes: 400, nonzeros: 20 },
    { accuracy: 95, bytes: 100, nonzeros: 10 },
  ];

  test("is the smallest that is good enough, or the best that is small enough", () => {
    expect(best("accuracy>=96", three)).toBe(0);
    expect(best("bytes<=300", three)).toBe(0);
    expect(best("bytes<=1000", three)).toBe(1);
    expect(best("accuracy>=97,bytes<300", three)).toBeUndefined();
    expect(best("accuracy>96,accuracy<97.5", three)).toBe(0);
  });

  test("compares nonzeros where one has no bytes, and never a number that is none", () => {
    const [first, second, third] = three as [(typeof three)[0], (typeof three)[0], (typeof three)[0]];
    const { bytes: _, ...unpacked } = second;
    expect(best("accuracy>=96", [first, unpacked, third])).toBe(1);
    expect(best("nonzeros<=100", [{ accuracy: Number.NaN, nonzeros: 1 }, third])).toBe(1);
    expect(best("bytes<=1000", [unpacked])).toBeUndefined();
  });

  test.each(["", "accuracy", "accuracy=97", "speed>1", "accuracy>=x", "accuracy>=97,"])("'%s' is no goal", (text) => {
    expect(() => parseGoal(text, known)).toThrow(expect.objectContaining({ code: "ERR_USAGE" }));
  });
});

test("the front is what brute force finds: none is at least as good and as small, and better in one", () => {
  const points = Array.from({ length: 60 }, (_, i) => ({
    quality: (i * 7919) % 13,
    size: i % 10 === 0 ? undefined : (i * 104729) % 17,
  }));
  const front = new Set(paretoFront(points));
  points.forEach(({ quality, size }, place) => {
    const beaten = points.some(
      (one) => one.size! <= size! && one.quality >= quality && (one.size! < size! || one.quality > quality),
    );
    expect(front.has(place)).toBe(size !== undefined && !beaten);
  });
});

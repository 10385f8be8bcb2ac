import { Writable } from "node:stream";
import { expect, test } from "vitest";
import { createProgressLines } from "./progress-lines.ts";

test("off a terminal a run says what it does, but not more than once in ten seconds", () => {
  let time = 0;
  let text = "";
  const stream = new Writable({
    write(chunk, _encoding, done) {
      text += String(chunk);
      done();
    },
  });
  const handle = createProgressLines(stream, () => time);
  for (let i = 0; i <= 30; i++) {
    time = i * 1000;
    handle({ type: "progress", task: "train", done: i, total: 40, values: {} });
  }
  expect(text.split("\n").slice(0, -1)).toEqual([
    expect.stringMatching(/^25 % .*training/),
    expect.stringMatching(/^50 % .*training/),
    expect.stringMatching(/^75 % .*training/),
  ]);
  text = "";
  for (const done of [4, 4, 2]) {
    time += 20_000;
    handle({ type: "progress", task: "solve", done, total: 4, values: {} });
  }
  // Solved twice in the same words, it is said once.
  expect(text.split("\n").slice(0, -1)).toEqual(["100 % solving", expect.stringMatching(/^50 % .*solving/)]);
});

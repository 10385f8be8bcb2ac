import { matrix, referenceKernels } from "@secateur/core";
import { expect, test } from "vitest";
import { profileRun, unreported } from "./profile-run.ts";

/** A clock that only moves when told to. */
function watched() {
  let time = 0;
  const spend = (ms: number): void => {
    time += ms;
  };
  const kernels = {
    ...referenceKernels,
    gram(spec: Parameters<typeof referenceKernels.gram>[0]) {
      spend(30);
      referenceKernels.gram(spec);
    },
    dot(a: never, b: never) {
      spend(5);
      return referenceKernels.dot(a, b);
    },
  };
  const profile = profileRun(kernels, () => time);
  const done = (task: string): void => profile.onEvent({ type: "progress", task, done: 1, values: {} });
  return { profile, spend, done };
}

test("time before a report is its task's, what comes after the last is everything else, and all of it adds up", () => {
  const { profile, spend, done } = watched();
  spend(10);
  done("gradients");
  spend(40);
  done("solve");
  profile.onEvent({ type: "note", level: "info", code: "X", message: "no task" });
  spend(3);
  done("gradients");
  spend(2);
  expect(profile.parts().tasks).toEqual([
    { name: "solve", ms: 40, calls: 1 },
    { name: "gradients", ms: 13, calls: 2 },
    { name: unreported, ms: 2, calls: 1 },
  ]);
});

test("kernels compute what they did, are timed, and count once where one calls another", () => {
  const { profile } = watched();
  const a = matrix(2, 3, Float64Array.of(1, 2, 3, 4, 5, 6));
  const out = matrix(2, 2, new Float64Array(4));
  profile.kernels.gram({ a, out, alpha: 1, beta: 0 });
  profile.kernels.gram({ a, out, alpha: 1, beta: 0 });
  expect([...out.data]).toEqual([14, 32, 32, 77]);
  expect(profile.kernels.dot(a.data, a.data)).toBe(91);
  expect(profile.kernels.threads).toBe(referenceKernels.threads);
  const named = profile.parts().kernels.filter(({ ms }) => ms > 0);
  expect(named).toEqual([
    { name: "gram", ms: 60, calls: 2 },
    { name: "dot", ms: 5, calls: 1 },
  ]);
});

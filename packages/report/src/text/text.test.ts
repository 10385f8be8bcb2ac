import { expect, test } from "vitest";
import { formatBytes, formatDuration, formatFraction, formatLoss, formatNumber, plainText } from "./format.ts";
import { profileText } from "./profile-text.ts";
import { shellCommand } from "./shell-command.ts";
import { shownArchitecture } from "./shown-architecture.ts";
import { formatTable } from "./table.ts";

test("durations are read in the unit that fits", () => {
  expect([0, 340, 2410, 12340, 59940, 59960, 185000, 11_100_000, 98_000_000].map(formatDuration)).toEqual([
    "0 ms",
    "340 ms",
    "2.41 s",
    "12.3 s",
    "59.9 s",
    "1 min 00 s",
    "3 min 05 s",
    "3 h 05 min",
    "1 d 3 h",
  ]);
});

test("bytes count in powers of 1000", () => {
  expect([0, 812, 999, 1000, 129776, 999600, 1.21e9].map(formatBytes)).toEqual([
    "0 B",
    "812 B",
    "999 B",
    "1.00 kB",
    "129.8 kB",
    "1.00 MB",
    "1.21 GB",
  ]);
});

test("numbers keep four digits and use exponents only where they help", () => {
  expect([0, 0.123456, -12.34567, 1e-9, 1234567].map(formatNumber)).toEqual([
    "0",
    "0.1235",
    "-12.35",
    "1.000e-9",
    "1.235e+6",
  ]);
});

test("a fraction shows the places it needs", () => {
  expect([0.9, 1 - 3236 / 32361, 0].map(formatFraction)).toEqual(["90 %", "90 %", "0 %"]);
});

test("text from outside cannot steer a terminal", () => {
  expect(plainText("a\u001b[2Jb\u202ec")).toBe("a\\u{1b}[2Jb\\u{202e}c");
});

test("a table aligns its columns and leaves no trailing blanks", () => {
  const table = formatTable(
    [{ title: "name" }, { title: "n", align: "right" }, { title: "" }],
    [
      ["a", "100", ""],
      ["bcdef", "2", "x"],
    ],
  );
  expect(table).toBe("name     n\na      100\nbcdef    2  x\n");
});

test("a command line is quoted where a shell would take it apart", () => {
  expect(shellCommand("secateur", ["prune", "my net.safetensors", "--option", "a='b'"])).toBe(
    "secateur prune 'my net.safetensors' --option 'a='\\''b'\\'''",
  );
});

test("a column that wraps goes on below its first line, and every line fits", () => {
  const columns = [{ title: "a" }, { title: "b", wrap: 12 }];
  expect(
    formatTable(columns, [
      ["x", "one two three four"],
      ["y", "short"],
    ]),
  ).toBe("a  b\nx  one two\n   three four\ny  short\n");
});

test("a profile gives shares of the whole, and what is in no kernel", () => {
  const text = profileText({
    tasks: [
      { name: "solve", ms: 15, calls: 3 },
      { name: "everything else", ms: 5, calls: 1 },
    ],
    kernels: [{ name: "gemm", ms: 5, calls: 2 }],
  });
  expect(text).toMatch(/solve +15 ms +75\.00 % +3\n/);
  expect(text).toMatch(/in all +20 ms +100\.00 %/);
  expect(text).toMatch(/gemm +5 ms +25\.00 % +2\n/);
  expect(text).toMatch(/outside of kernels +15 ms +75\.00 %/);
});

test("cross-entropies are in nats, squared errors in what only the data know", () => {
  const measured = (name: string) => [{ name, unit: "", better: "higher" as const, value: 1 }];
  expect(formatLoss({ task: "distillation", measures: measured("agreement"), loss: 0.5 })).toBe("0.5 nats");
  expect(formatLoss({ task: "distillation", measures: measured("rmse-to-dense"), loss: 0.5 })).toBe("0.5");
  expect(formatLoss({ task: "regression", measures: measured("rmse"), loss: 0.5 })).toBe("0.5");
});

test("a network that is described in full is called what its description calls it", () => {
  expect(shownArchitecture("resnet20")).toBe("resnet20");
  expect(shownArchitecture('{"name":"resnet20","layers":[]}')).toBe("resnet20, described in the file");
  expect(shownArchitecture("{}")).toBe("a network described in the file");
  expect(shownArchitecture("{")).toBe("{");
});

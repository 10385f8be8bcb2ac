import { expect, test } from "vitest";
import { PruneError } from "./prune-error.ts";

test("a message is one line whatever stands in the names that it quotes", () => {
  const { message } = new PruneError("ERR_X", "tensor '\u001b[2J\nfake: done\u202e\u2028' is damaged");
  expect(message).toBe("tensor '\\u{1b}[2J\\u{a}fake: done\\u{202e}\\u{2028}' is damaged");
});

test("a long message loses its middle, and keeps where it was and what to do", () => {
  const { message } = new PruneError("ERR_X", `net.pt: missing ${"fc.weight, ".repeat(60_000)}; save it again`);
  expect(message.length).toBeLessThan(2100);
  expect(message).toMatch(/^net\.pt: missing fc\.weight, .* \.\.\. \(658\d{3} characters\) \.\.\. .*; save it again$/);
});

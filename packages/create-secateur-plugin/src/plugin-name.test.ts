import { describe, expect, test } from "vitest";
import { pluginName } from "./plugin-name.ts";

describe("the names of a plugin", () => {
  test("follow from what was typed, with the prefix or without", () => {
    const names = { typed: "my-rule", packageName: "secateur-plugin-my-rule", method: "my-rule", identifier: "myRule" };
    expect(pluginName("my-rule")).toEqual(names);
    expect(pluginName("secateur-plugin-my-rule")).toEqual(names);
    expect(pluginName("@me/my-rule")).toMatchObject({
      typed: "@me/my-rule",
      packageName: "@me/secateur-plugin-my-rule",
      method: "my-rule",
    });
  });

  test("are functions that JavaScript allows", () => {
    expect(pluginName("delete").identifier).toBe("deleteMethod");
    expect(pluginName("read").identifier).toBe("readMethod");
    expect(pluginName("l0-norm-2").identifier).toBe("l0Norm2");
  });

  test.each(["", "My", "a b", "-a", "a-", "a--b", "2nd", "../x", "a/b", "@/a", "@Me/a", "a.b", "ü", "a".repeat(300)])(
    "refuse '%s'",
    (text) => {
      expect(() => pluginName(text)).toThrow(expect.objectContaining({ code: "ERR_NAME" }));
    },
  );

  test("do not clash with built-in methods, which would always be found first", () => {
    expect(() => pluginName("chita")).toThrow(/built-in method's; give another, such as my-chita/);
    expect(pluginName("@me/chita").method).toBe("chita");
    expect(() => pluginName("npy", "format")).toThrow(/built-in format's/);
    expect(pluginName("npy", "solver").method).toBe("npy");
  });
});

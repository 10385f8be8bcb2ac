import { expect, test } from "vitest";
import { optionProperties, parseOptions } from "../plugin/plugin.ts";
import plugin from "./plugin.ts";

const entryOf = (name: string) => plugin.entries.find((entry) => entry.name === name)!;

test("every task of core is an entry, and made with its defaults says its own name", async () => {
  expect(plugin.entries.length).toBeGreaterThan(4);
  for (const entry of plugin.entries) {
    const task = entry.create((await parseOptions(entry.name, entry.options, {})) as never);
    expect(task).toMatchObject({ name: entry.name });
  }
});

test("options are described, and refused where they are not the task's", async () => {
  const { options } = entryOf("distillation");
  expect(optionProperties(options)).toMatchObject({
    loss: { enum: ["kl", "squared"] },
    temperature: { type: "number" },
  });
  expect(await parseOptions("distillation", options, { temperature: 4 })).toEqual({ temperature: 4 });
  for (const wrong of [{ temperature: "warm" }, { loss: "l1" }, { depth: 3 }]) {
    await expect(parseOptions("distillation", options, wrong)).rejects.toMatchObject({ code: "ERR_OPTION" });
  }
});

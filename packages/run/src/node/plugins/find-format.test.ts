import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { findEncoder, findReader, pluginEndings } from "./find-format.ts";

let folder = "";
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "secateur-formats-"));
  // A layout whose ninth byte is that of JSON, as a safetensors file's is.
  await install("box", `{ endings: [".box", ".bx"], ${detects("BOX")}, ${decode}, ${encode} }`);
  await install("write", `{ endings: [".write"], ${detects("WRT")}, ${encode} }`);
});
afterAll(() => rm(folder, { recursive: true }));

const detects = (magic: string): string =>
  `detects: (head) => String.fromCharCode(...head.subarray(0, 3)) === "${magic}"`;
const decode = "decode: () => ({ tensors: [] })";
const encode = "encode: () => new Uint8Array(3)";

async function install(name: string, made: string): Promise<void> {
  const place = join(folder, "node_modules", `secateur-plugin-${name}`);
  await mkdir(place, { recursive: true });
  const json = { name: `secateur-plugin-${name}`, version: "1.0.0", type: "module", keywords: ["secateur-plugin"] };
  await writeFile(join(place, "package.json"), JSON.stringify({ ...json, exports: { "./plugin": "./index.js" } }));
  const options = `{ "~standard": { version: 1, vendor: "test", validate: (value) => ({ value }),
    jsonSchema: { input: () => ({ properties: {} }), output: () => ({}) } } }`;
  const entry = `{ kind: "format", name: "${name}", summary: "x", options: ${options}, create: () => (${made}) }`;
  await writeFile(join(place, "index.js"), `export default { api: 2, name: "x", entries: [${entry}] };`);
}

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
const box = bytes('BOX\n\x40\x00\x00\x00{"tensors":[]}');

describe("the reader of a file", () => {
  test("is the format of its ending, also where the first bytes look like those of one of ours", async () => {
    expect(await findReader("net.box", box, folder)).toMatchObject({ name: "box", packageName: "secateur-plugin-box" });
  });

  test("is found by the content, whatever the name", async () => {
    expect((await findReader("net.bin", bytes("BOX and more"), folder))?.name).toBe("box");
    // Without a plugin that takes it, it would be told as a damaged safetensors file.
    const looksOurs = bytes('BOX\n\x40\x01\x01\x00{"tensors":[]}');
    expect((await findReader("net.bin", looksOurs, folder))?.name).toBe("box");
    expect(await findReader("net.bin", bytes('XYZ\n\x40\x01\x01\x00{"tensors":[]}'), folder)).toBeUndefined();
    expect(await findReader("net.safetensors", bytes("\x20\0\0\0\0\0\0\0{}"), folder)).toBeUndefined();
  });

  test("is none where the content is of one of ours, whatever the ending", async () => {
    expect(await findReader("net.box", bytes("\x20\0\0\0\0\0\0\0{}"), folder)).toBeUndefined();
  });

  test("is refused by name where the format only writes, or does not take the file", async () => {
    await expect(findReader("net.write", bytes("WRT"), folder)).rejects.toThrow(
      /net\.write: the format 'write' of secateur-plugin-write only writes/,
    );
    await expect(findReader("net.box", bytes("something else"), folder)).rejects.toThrow(
      /'box' of secateur-plugin-box does not take it/,
    );
  });
});

describe("the writer of a file", () => {
  test("is chosen by the endings that a format names, of which its own name need not be one", async () => {
    expect(await (await findEncoder("net.bx", folder))({ tensors: [] })).toHaveLength(3);
    await install("named", `{ endings: [".nm", ".safetensors"], ${detects("NAM")}, ${encode} }`);
    await expect(findEncoder("net.named", folder)).rejects.toThrow(/chooses its format/);
    expect(await (await findEncoder("net.nm", folder))({ tensors: [] })).toHaveLength(3);
    const endings = await pluginEndings(folder);
    expect(endings).toContain(".nm (secateur-plugin-named)");
    // What is ours is never asked of a plugin.
    expect(endings.join()).not.toContain(".safetensors");
  });
});

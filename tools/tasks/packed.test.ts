import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { describe, expect, onTestFinished, test } from "vitest";
import { manifestProblems, packedManifest, sizeLimits, withNeeded } from "./packed.mjs";

/** A tarball as npm makes them: every file below `package/`, in blocks of 512 bytes. */
function tarball(files: Readonly<Record<string, string>>): string {
  const folder = mkdtempSync(join(tmpdir(), "secateur-packed-"));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  const blocks = Object.entries(files).flatMap(([name, text]) => {
    const header = Buffer.alloc(512);
    header.write(`package/${name}`, 0);
    header.write(Buffer.byteLength(text).toString(8).padStart(11, "0"), 124);
    header.write("0", 156);
    const body = Buffer.alloc(512 * Math.ceil(Buffer.byteLength(text) / 512));
    body.write(text);
    return [header, body];
  });
  const path = join(folder, "one.tgz");
  writeFileSync(path, gzipSync(Buffer.concat([...blocks, Buffer.alloc(1024)])));
  return path;
}

const good = {
  name: "@secateur/one",
  license: "MIT",
  repository: { url: "git+https://example.com/one.git", directory: "packages/one" },
  publishConfig: { access: "public", provenance: true },
  peerDependencies: { "@secateur/core": "^0.1.0" },
};
const files = ["package.json", "LICENSE", "README.md", "dist/index.js"];

describe("a tarball", () => {
  test("is read without unpacking it", async () => {
    const path = tarball({ "README.md": "x".repeat(700), "package.json": JSON.stringify(good), "dist/index.js": "" });
    const { manifest, files: found } = await packedManifest(path);
    expect(manifest).toEqual(good);
    expect(found).toEqual(["README.md", "package.json", "dist/index.js"]);
  });

  test("with everything in it is good", () => {
    expect(manifestProblems({ manifest: good, files })).toEqual([]);
  });

  test.each([
    [{ license: "ISC" }, files, /its licence is ISC/],
    [{ repository: undefined }, files, /where its sources are/],
    [{ publishConfig: { access: "public" } }, files, /"provenance": true/],
    [{ publishConfig: { provenance: true } }, files, /access is not public/],
    [{ dependencies: { zod: "catalog:" } }, files, /zod is 'catalog:'/],
    [{ peerDependencies: { "@secateur/core": "0.1.0" } }, files, /a peer is a range/],
    [{}, ["package.json", "README.md"], /ships no LICENSE/],
  ])("with %j and %j is refused", (change, shipped, message) => {
    expect(manifestProblems({ manifest: { ...good, ...change }, files: shipped })).toEqual([
      expect.stringMatching(message),
    ]);
  });
});

test("a package is installed with those of ours that it needs, and optional peers stay out", () => {
  const packages = [
    {
      manifest: {
        name: "a",
        dependencies: { b: "1" },
        peerDependencies: { d: "1" },
        peerDependenciesMeta: { d: { optional: true } },
      },
    },
    { manifest: { name: "b", peerDependencies: { c: "1" } } },
    { manifest: { name: "c" } },
    { manifest: { name: "d" } },
  ];
  expect(withNeeded(packages[0]!, packages).map(({ manifest }) => manifest.name)).toEqual(["a", "b", "c"]);
});

test("every library has a limit of size that leaves no room for TensorFlow.js", () => {
  // TensorFlow.js takes some 150 MB installed.
  expect(sizeLimits("@secateur/core").installed).toBeLessThan(50e6);
});

import { readFileSync } from "node:fs";
import { expect, test } from "vitest";

const lockfile = readFileSync(new URL("../pnpm-lock.yaml", import.meta.url), "utf8");
const packages = lockfile.slice(lockfile.indexOf("\npackages:"), lockfile.indexOf("\nsnapshots:"));
const names = [...packages.matchAll(/^ {2}'?(@?[^@\s]+)@[^:]+:$/gm)].map(([, name]) => name ?? "");

// Tools that ship native code do so as one optional package a platform. Where the registry lacked one when the
// lockfile was written, pnpm leaves it out in silence, and contributors on that platform could not install.
const native = names.filter((name) => /linux-x64/.test(name) && !name.startsWith("node-linux"));

test("the lockfile names the native tools", () => {
  expect(native.length).toBeGreaterThanOrEqual(6);
});

for (const platform of ["linux-arm64", "darwin-arm64", "darwin-x64", "win32-x64"]) {
  test(`the lockfile has every native tool for ${platform}`, () => {
    const without = native.filter((name) => {
      const family = name.slice(0, name.indexOf("linux-x64"));
      return !names.some((other) => other.startsWith(`${family}${platform}`));
    });
    expect(without).toEqual([]);
  });
}

test("the lockfile says nothing of the place it was written at", () => {
  expect(lockfile).not.toMatch(/tarball:|[ @]file:|https?:\/\//);
});

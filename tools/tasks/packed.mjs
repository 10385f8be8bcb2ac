// What a tarball says of itself, and what it is allowed to weigh.
import { readFileSync } from "node:fs";
import { gunzipSync } from "node:zlib";

const megabyte = 1_000_000;

/** Bytes at most: packed, and installed with everything that npm brings along. The plotting library of reports
 * has 60 of them, and what puts runs together brings the reports. */
export function sizeLimits(name) {
  if (name === "secateur" || name === "@secateur/run" || name === "@secateur/report")
    return { packed: 0.5 * megabyte, installed: 90 * megabyte };
  // Core has what all others build on; half of it is docstrings in type declarations.
  const packed = name === "@secateur/core" ? 0.23 : 0.2;
  return { packed: packed * megabyte, installed: 10 * megabyte };
}

/** The package.json inside a tarball, and the paths of all its files below `package/`. */
export async function packedManifest(path) {
  const tar = gunzipSync(readFileSync(path));
  const files = [];
  let manifest;
  // A tar is a row of 512-byte headers (name at 0, size in octal at 124, prefix at 345), each followed by its padded file.
  for (let at = 0; at + 512 <= tar.length && tar[at] !== 0; ) {
    const text = (start, length) => tar.toString("utf8", at + start, at + start + length).replace(/\0[\s\S]*$/, "");
    const name = [text(345, 155), text(0, 100)]
      .filter(Boolean)
      .join("/")
      .replace(/^package\//, "");
    const size = Number.parseInt(text(124, 12), 8) || 0;
    if (text(156, 1) === "0" || text(156, 1) === "") files.push(name);
    if (name === "package.json") manifest = JSON.parse(tar.toString("utf8", at + 512, at + 512 + size));
    at += 512 + Math.ceil(size / 512) * 512;
  }
  if (!manifest) throw new Error(`${path} holds no package.json`);
  return { manifest, files };
}

/** What is wrong with a packed package, in words. */
export function manifestProblems({ manifest, files }) {
  const { name } = manifest;
  const found = [];
  for (const file of ["LICENSE", "README.md"]) if (!files.includes(file)) found.push(`${name} ships no ${file}`);
  if (manifest.license !== "MIT") found.push(`${name}: its licence is ${manifest.license}`);
  if (!manifest.repository?.url || !manifest.repository.directory)
    found.push(`${name}: says not where its sources are`);
  if (manifest.publishConfig?.access !== "public") found.push(`${name}: publishConfig.access is not public`);
  if (manifest.publishConfig?.provenance !== true) {
    found.push(
      `${name}: add "provenance": true to publishConfig, so that npm shows which commit and build it came from`,
    );
  }
  const ranges = Object.entries({ ...manifest.dependencies, ...manifest.peerDependencies });
  for (const [other, range] of ranges) {
    if (/workspace:|catalog:/.test(range)) found.push(`${name}: ${other} is '${range}', which npm does not know`);
  }
  const peer = manifest.peerDependencies?.["@secateur/core"];
  if (peer !== undefined && !peer.startsWith("^"))
    found.push(`${name}: takes @secateur/core as '${peer}'; a peer is a range, '^'`);
  return found;
}

/** A package and those of ours that it needs, directly or not: nothing is published yet, so npm cannot find them. */
export function withNeeded(one, packages) {
  const chosen = new Set([one]);
  for (const { manifest } of chosen) {
    const optional = manifest.peerDependenciesMeta ?? {};
    const names = Object.keys({ ...manifest.dependencies, ...manifest.peerDependencies });
    for (const needed of packages) {
      if (names.includes(needed.manifest.name) && !optional[needed.manifest.name]?.optional) chosen.add(needed);
    }
  }
  return [...chosen];
}

/** One line a package. */
export function sizeTable(sizes) {
  const rows = sizes.map(({ name, packedBytes, installedBytes, libraries }) => [
    name,
    kilobytes(packedBytes),
    kilobytes(installedBytes),
    String(libraries),
  ]);
  const head = ["package", "packed", "installed with dependencies", "packages it brings"];
  const widths = head.map((title, c) => Math.max(title.length, ...rows.map((row) => row[c].length)));
  const line = (row) =>
    `${row.map((cell, c) => (c === 0 ? cell.padEnd(widths[c]) : cell.padStart(widths[c]))).join("  ")}\n`;
  return [head, ...rows].map(line).join("");
}

function kilobytes(bytes) {
  return `${(bytes / 1000).toFixed(0)} kB`;
}

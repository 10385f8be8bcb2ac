/**
 * Checks every link of the built site that stays inside it: the file must be there, and the anchor in it. Links to the
 * outside are counted, not fetched: a build must not depend on other people's servers.
 */
import { existsSync, globSync, readFileSync, statSync } from "node:fs";
import { dirname, join, resolve } from "node:path";

/** What was found. */
export interface LinkReport {
  readonly pages: number;
  readonly inside: number;
  readonly outside: number;
  /** "page.html: link: what is wrong" */
  readonly broken: readonly string[];
}

/** Checks the site in a folder. */
export function checkLinks(site: string): LinkReport {
  const pages = globSync("**/*.html", { cwd: site }).sort();
  const anchors = new Map<string, ReadonlySet<string>>();
  const anchorsOf = (file: string) => {
    const known = anchors.get(file) ?? idsIn(readFileSync(file, "utf8"));
    anchors.set(file, known);
    return known;
  };
  let [inside, outside] = [0, 0];
  const broken: string[] = [];
  for (const page of pages) {
    for (const link of new Set(linksIn(readFileSync(join(site, page), "utf8")))) {
      if (/^(https?|mailto|data):/.test(link)) {
        outside++;
        continue;
      }
      inside++;
      const [path = "", anchor] = link.split("#");
      const target = path === "" ? join(site, page) : resolve(site, dirname(page), decodeURIComponent(path));
      if (!existsSync(pageAt(target))) broken.push(`${page}: ${link}: no such file`);
      else if (anchor && target.endsWith(".html") && !anchorsOf(target).has(decodeURIComponent(anchor))) {
        broken.push(`${page}: ${link}: no such anchor`);
      }
    }
  }
  return { pages: pages.length, inside, outside, broken };
}

/** A link to a folder shows its index. */
function pageAt(path: string): string {
  return statSync(path, { throwIfNoEntry: false })?.isDirectory() ? join(path, "index.html") : path;
}

function linksIn(html: string): readonly string[] {
  return [...html.matchAll(/<(?:a|link|img|script)\b[^>]*?\s(?:href|src)="([^"]*)"/g)].map(([, link]) =>
    unescaped(link!),
  );
}

function idsIn(html: string): ReadonlySet<string> {
  return new Set([...html.matchAll(/\s(?:id|name)="([^"]*)"/g)].map(([, id]) => unescaped(id!)));
}

function unescaped(text: string): string {
  return text.replaceAll("&amp;", "&").replaceAll("&lt;", "<").replaceAll("&gt;", ">").replaceAll("&quot;", '"');
}

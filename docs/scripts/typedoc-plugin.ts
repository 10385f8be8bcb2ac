/**
 * What typedoc lacks for these pages: a page is named after its first heading and stands in a group of the sidebar, and a
 * link to a file of the repository that is no page goes to the repository instead of copying the file.
 */
import { readFileSync } from "node:fs";
import { relative, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import {
  Application,
  type CommentDisplayPart,
  Converter,
  type DocumentReflection,
  IndexEvent,
  type ProjectReflection,
} from "typedoc";

const root = fileURLToPath(new URL("../..", import.meta.url));
const repository = "https://github.com/secateur/secateur/blob/main";
const image = /\.(svg|png|jpe?g|gif|webp)$/i;

/** How much more a page counts in the search than a name in the code. */
const GUIDE_BOOST = 1000;

/** Called by typedoc. */
export function load(app: Application): void {
  app.converter.on(Converter.EVENT_CREATE_DOCUMENT, (_context, page: DocumentReflection) => {
    const file = page.project.files.getReflectionPath(page);
    if (file === undefined) return;
    const heading = /^# (.+)$/m.exec(readFileSync(file, "utf8"))?.[1];
    if (heading !== undefined) page.name = heading;
    page.frontmatter["group"] ??= groupOf(file);
    // Ten results are shown, and a word stands in hundreds of names: the pages that explain it come first.
    page.relevanceBoost = GUIDE_BOOST;
  });
  app.renderer.on(IndexEvent.PREPARE_INDEX, (event: IndexEvent) => {
    event.searchFieldWeights["document"] = 100;
  });
  app.on(Application.EVENT_PROJECT_REVIVE, linkToRepository, -1000);
}

function groupOf(file: string): string {
  if (/\/docs\/generated\//.test(file)) return "Reference";
  return /\/examples\//.test(file) ? "Examples" : "Guides";
}

/** The site's title is the project's name, and the README begins with it again. */
function dropTitle({ readme, name }: ProjectReflection): void {
  const [first] = readme ?? [];
  if (first) first.text = first.text.replace(new RegExp(`^\\s*# ${name}\\n+`), "");
}

function linkToRepository(project: ProjectReflection): void {
  dropTitle(project);
  const texts: CommentDisplayPart[][] = [project.readme ?? []];
  for (const reflection of Object.values(project.reflections)) {
    if (reflection.isDocument()) texts.push(reflection.content);
    if (reflection.isDeclaration() && reflection.readme) texts.push(reflection.readme);
  }
  const forgotten = new Set<number>();
  for (const parts of texts) {
    for (const [index, part] of parts.entries()) {
      if (part.kind !== "relative-link" || part.target === undefined) continue;
      const target = project.files.resolve(part.target, project);
      if (typeof target !== "string" || image.test(target)) continue;
      const anchor = part.targetAnchor === undefined ? "" : `#${part.targetAnchor}`;
      const path = relative(root, resolve(target)).replaceAll("\\", "/");
      parts[index] = { kind: "text", text: `${repository}/${path}${anchor}` };
      forgotten.add(part.target);
    }
  }
  // Otherwise the files would be copied to the site all the same; the registry has no method for it.
  const paths = Reflect.get(project.files, "mediaToPath") as Map<number, string>;
  for (const id of forgotten) paths.delete(id);
}

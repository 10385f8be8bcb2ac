import { badName } from "../errors.ts";

/** The parts of a relative name with "/". Names come from other machines, and must not lead out of the folder. @throws ERR_STORE */
export function safeParts(name: string): readonly string[] {
  const parts = name.split("/");
  if (parts.some((part) => part === "" || part === "." || part === ".." || /[\\\0]/.test(part))) throw badName(name);
  return parts;
}

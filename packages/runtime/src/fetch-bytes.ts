import { notFetched, notRead } from "./errors.ts";

/**
 * The bytes of an address, or of a file where Node gets a path or a file: URL.
 *
 * @throws ERR_PACKED_FETCH: nothing there, a status that is no success, an HTML page instead of a network
 */
export async function fetchBytes(url: string | URL): Promise<Uint8Array> {
  const text = String(url);
  const { process } = globalThis as { process?: NodeJS.Process };
  if (typeof process?.getBuiltinModule === "function" && !/^(https?|data|blob):/.test(text)) {
    try {
      return process.getBuiltinModule("node:fs").readFileSync(text.startsWith("file:") ? new URL(text) : text);
    } catch (cause) {
      throw notRead(text, (cause as { code?: string }).code ?? String(cause), cause);
    }
  }
  let response: Response;
  try {
    response = await fetch(url);
  } catch (cause) {
    throw notFetched(text, "nothing answered, or the page may not ask there", cause);
  }
  if (!response.ok) throw notFetched(text, `the answer is ${response.status} ${response.statusText}`.trimEnd());
  if (response.headers.get("content-type")?.startsWith("text/html"))
    throw notFetched(text, "the answer is an HTML page");
  try {
    return new Uint8Array(await response.arrayBuffer());
  } catch (cause) {
    throw notFetched(text, "the answer broke off", cause);
  }
}

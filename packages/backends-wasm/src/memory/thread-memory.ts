import type { Engine } from "../engine.ts";

/** The arguments by which a thread finds its own `bytes` of a workspace. */
export function ownMemory({ scratch, scratchBytes }: Engine, workspace: number, bytes: number): number[] {
  return [scratch[0]!, scratchBytes, workspace, bytes];
}

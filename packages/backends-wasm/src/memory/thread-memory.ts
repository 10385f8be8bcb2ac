/** Working memory of a call that threads find their own parts of. */
import type { Engine } from "../engine.ts";

/** The arguments by which a thread finds its own `bytes` of a workspace. */
export function ownMemory({ scratch, scratchBytes }: Engine, workspace: number, bytes: number): number[] {
  return [scratch[0]!, scratchBytes, workspace, bytes];
}

/**
 * Workspace that lies ready where it fits into a slab, which nothing else may use meanwhile: its address and 0, or 0 and the bytes that have to be reserved.
 */
export function readyWorkspace({ slabs }: Engine, bytes: number): readonly [address: number, missing: number] {
  return bytes <= slabs.a.bytes ? [slabs.a.address, 0] : [0, bytes];
}

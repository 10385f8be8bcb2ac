/**
 * secateur: the command line as a function, for tests and for programs that embed it.
 * @packageDocumentation
 */
export { main } from "./cli.ts";
export type { Terminal } from "./terminal.ts";

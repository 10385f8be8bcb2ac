/**
 * Where the calling thread and the workers meet: words in the first 4 KiB of the shared memory (indices of 4 bytes).
 * Those that several threads write have a cache line each.
 */
/** Counts dispatches; workers sleep on it. */
export const GENERATION = 0;
/** The next unit nobody has taken. */
export const NEXT = 16;
/** Workers that may be reading the words below. */
export const ACTIVE = 32;
/** 1 while the dispatch described below may be joined. */
export const OPEN = 48;
/** 1 once the workers must end. */
export const STOP = 49;
/** 1 once a kernel failed on a worker. */
export const FAILED = 50;
/** Which kernel, by its place in the list of names. */
export const KERNEL = 51;
/** How many units it has. */
export const UNITS = 52;
/** A thread takes one of so many equal shares of the units that are left: many units at first, single ones at the end. */
export const SHARES = 53;
/** How many arguments follow. */
export const ARGUMENT_COUNT = 54;
/** Words in all. */
export const WORD_COUNT = 64;
/** Byte address of the arguments, f64 each. */
export const ARGUMENTS_ADDRESS = 512;
/** The most arguments a kernel takes. */
export const MAX_ARGUMENTS = 32;

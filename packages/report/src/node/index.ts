/** What a report embeds and only files have. */
export { plottingLibrary } from "./plotting-library.ts";

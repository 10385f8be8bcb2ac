/** The file that threads of benchmarks start. */
import { serveJobs } from "@secateur/jobs";
import { benchKinds } from "./bench-kinds.ts";

await serveJobs(() => benchKinds);

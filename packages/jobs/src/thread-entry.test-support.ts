/** The file that threads of tests start. */
import { testKinds } from "./kinds.test-support.ts";
import { serveJobs } from "./threads/serve-jobs.ts";

await serveJobs(() => testKinds);

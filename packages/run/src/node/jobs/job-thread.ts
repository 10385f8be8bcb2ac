/** The file that threads of `--workers` and of `secateur worker` start. */
import { serveJobs } from "@secateur/jobs";
import { jobHost } from "./job-host.ts";
import { jobKinds } from "./kinds/job-kinds.ts";

await serveJobs((cwd, shareBytes) => jobKinds(jobHost({ cwd, shareBytes })));

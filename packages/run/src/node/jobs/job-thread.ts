/** The file that threads of `--workers` and of `secateur worker` start. */
import process from "node:process";
import { serveJobs } from "@secateur/jobs";
import { jobHost } from "./job-host.ts";
import { jobKinds } from "./job-kinds.ts";

await serveJobs(jobKinds(jobHost({ cwd: process.cwd() })));

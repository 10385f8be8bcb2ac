/** The file that threads of `secateur solve --column-shards N --workers N` start: they read the rows where they lie, as no worker of a queue may. */
import { serveJobs } from "@secateur/jobs";
import { jobHost } from "../jobs/job-host.ts";
import { columnsKind, columnsKindName } from "./columns-kind.ts";

await serveJobs((cwd) => ({ [columnsKindName]: columnsKind(jobHost({ cwd }), { readsPaths: true }) }));

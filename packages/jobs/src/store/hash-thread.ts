/** The file that threads start which hash a large file. */
import { parentPort, workerData } from "node:worker_threads";
import { hashFileHere } from "./hash-file.ts";

parentPort?.postMessage(hashFileHere(workerData as string));

export { createPool, type Pool, withPool } from "@secateur/core";

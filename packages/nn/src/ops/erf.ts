export { erf } from "@secateur/core";

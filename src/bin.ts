#!/usr/bin/env node
import { setFlagsFromString } from "node:v8";
import { main } from "./cli/cli.ts";

// undici's parser is WebAssembly, and V8 optimises it in the background. Nothing here needs that speed, but the process
// could not end before it is done: 100 ms, in which a host expects a server to be gone.
setFlagsFromString("--liftoff-only");
// A reader that went away (`amp-mcp inbox | head -1`) is no failure.
process.stdout.on("error", () => {});
process.exitCode = await main(process.argv.slice(2), process.env);
process.exit();

#!/usr/bin/env node
import { main } from "./cli/cli.ts";

// A reader that went away (`amp-mcp inbox | head -1`) is no failure.
process.stdout.on("error", () => {});
process.exitCode = await main(process.argv.slice(2), process.env);
process.exit();

#!/usr/bin/env node

const args = process.argv.slice(2);
const [command, ...rest] = args;
// A hook runs at every turn of a host and may take half as long again as an empty program: no command line is loaded.
const isHook = command === "hook" && !rest.some((word) => word === "--help" || word === "-h");
const fetch = async () => (await import("./cli/hook/fetch.ts")).fetchFirst(rest, process.env);
// Loaded beside the command line, not after it: hosts wait for a server to start.
if (command === undefined || command.startsWith("-") || command === "serve") void import("./cli/commands/serve.ts");
process.exitCode = isHook
  ? await (await import("./cli/commands/hook.ts")).hookCommand(rest, process.env, fetch)
  : await (await import("./cli/cli.ts")).main(args, process.env);
process.exit();

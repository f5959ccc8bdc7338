import { setFlagsFromString } from "node:v8";
import { Command, CommanderError, Option } from "commander";
import { VERSION } from "../version.ts";
import type { Output } from "./output.ts";

const SETUP = `
Without a command it serves MCP on stdin and stdout, for a host such as Claude Desktop or Claude Code.

Variables: AMP_AGENT, AMP_CONFIG_DIR, AMP_PROVIDER_URL, AMP_EMBEDDED=1, AMP_DASHBOARD=1,
AMP_ALLOW_HTTP=HOST,…, AMP_CONFIRM_SEND=external|always|never, AMP_REPLY_LIMIT=N, AMP_LOG=debug`;

/**
 * The command line. Each command's code is loaded when it is called, so that none pays for the others.
 *
 * @returns the exit status: 0 done, 1 failed, 2 wrong usage.
 */
export async function main(args: readonly string[], env: NodeJS.ProcessEnv): Promise<number> {
  // undici's parser is WebAssembly, and V8 optimises it in the background. Nothing here needs that speed, but the
  // process could not end before it is done: 100 ms, in which a host expects a server to be gone.
  setFlagsFromString("--liftoff-only");
  // A reader that went away (`amp-mcp inbox | head -1`) is no failure.
  process.stdout.on("error", () => {});
  const output: Output = {
    stdout: (text) => void process.stdout.write(text),
    stderr: (text) => void process.stderr.write(text),
  };
  let status = 0;
  const done = (result: number) => {
    status = result;
  };
  const program = commands(env, output, done);
  try {
    await program.parseAsync(args.map(withoutArmour), { from: "user" });
    return status;
  } catch (thrown) {
    if (thrown instanceof CommanderError) return thrown.exitCode === 0 ? 0 : 2;
    throw thrown;
  }
}

/** A public key in PEM starts as an option does; its base64 says the same. */
function withoutArmour(argument: string): string {
  const body = /^-----BEGIN PUBLIC KEY-----([A-Za-z0-9+/=\s]+)-----END PUBLIC KEY-----\s*$/.exec(argument)?.[1];
  return body === undefined ? argument : body.replace(/\s/g, "");
}

function commands(env: NodeJS.ProcessEnv, output: Output, done: (status: number) => void): Command {
  const program = new Command("amp-mcp")
    .description("An AI assistant's place in an Agent Messaging Protocol (AMP) mesh.")
    .version(VERSION)
    .addHelpText("after", SETUP)
    .exitOverride()
    .configureOutput({ writeOut: output.stdout, writeErr: output.stderr })
    .showHelpAfterError("(amp-mcp --help tells more)");

  const add = (name: string, description: string) =>
    program
      .command(name)
      .description(description)
      .exitOverride()
      .configureOutput({ writeOut: output.stdout, writeErr: output.stderr });
  const agent = new Option("-a, --agent <name>", "agent to act as (default: first registered)");
  const directory = new Option("-d, --directory <dir>", "config directory (default: ~/.agent-messaging)");
  const provider = new Option("--provider <url>", "provider URL (default: the agent's own)");
  const dashboard = new Option("--dashboard", "receive through AI Maestro's dashboard (no signatures)");
  const json = new Option("--json", "print one JSON object");

  program
    .command("serve", { isDefault: true })
    .description("serve MCP on stdin and stdout (the default)")
    .option("-a, --agent <name>", "agent to act as (default: the only one)")
    .addOption(directory)
    .addOption(provider)
    .addOption(dashboard)
    .option("--embedded", "serve as the provider too when none answers (also AMP_EMBEDDED=1)")
    .option("--tenant <name>", "tenant of the embedded provider", "local")
    .option("--data <dir>", "where the embedded provider keeps its queue")
    .option("--channel", "tell a running Claude Code session of new mail (2025 protocol only)")
    .option("--channel-texts", "the same with the texts of the messages, fenced")
    .exitOverride()
    .configureOutput({ writeOut: output.stdout, writeErr: output.stderr })
    .allowExcessArguments(true)
    .action(async (options, command: Command) => {
      const [unknown] = command.args;
      if (unknown !== undefined) command.error(`error: unknown command '${unknown}'`);
      done(await (await import("./commands/serve.ts")).serveCommand(options, env, output));
    });

  add("register", "register an agent with a provider")
    .requiredOption("-n, --name <name>", "agent name")
    .option("-p, --provider <url>", "provider URL (default: http://localhost:23000)")
    .option("-t, --tenant <tenant>", "tenant (default: the provider's own)")
    .option("--alias <text>", "name for people")
    .addOption(directory)
    .addOption(json)
    .action(async (options) =>
      done(await (await import("./commands/register.ts")).registerCommand(options, env, output)),
    );

  add("send", "send a message to another agent")
    .argument("<recipient>", "address or name")
    .argument("<subject>", "one line")
    .argument("<message>", "the text")
    .addOption(agent)
    .option("-p, --priority <level>", "low, normal, high, urgent", "normal")
    .option("-t, --type <type>", "request, response, notification, update, …", "request")
    .option("-r, --reply-to <id>", "message id this is a reply to")
    .option("-c, --context <json>", "structured data, a JSON object")
    .addOption(directory)
    .addOption(provider)
    .addOption(json)
    .action(async (to, subject, message, options) =>
      done(await (await import("./commands/send.ts")).sendCommand({ ...options, to, subject, message }, env, output)),
    );

  add("inbox", "check and manage incoming messages")
    .argument("[command]", "list (default), read <id>, ack <id>, ack-all")
    .argument("[ids...]", "message ids, whole or a unique beginning")
    .addOption(agent)
    .option("-l, --limit <n>", "messages to list", "10")
    .addOption(directory)
    .addOption(provider)
    .addOption(dashboard)
    .addOption(json)
    .action(async (command, ids, options) =>
      done(
        await (await import("./commands/inbox.ts")).inboxCommand(
          { ...options, command: command ?? "list", ids },
          env,
          output,
        ),
      ),
    );

  add("status", "who am I, is the provider reachable, what waits")
    .addOption(agent)
    .addOption(directory)
    .addOption(provider)
    .addOption(json)
    .action(async (options) => done(await (await import("./commands/status.ts")).statusCommand(options, env, output)));

  add("keys", "senders' keys: what is known, and what a person decides about them")
    .argument("[command]", "list (default), show <address>, trust <address> <fingerprint|key>, forget <address>")
    .argument("[address]", "full address of the sender")
    .argument("[key]", "fingerprint or public key, compared over another channel")
    .addOption(agent)
    .addOption(directory)
    .addOption(provider)
    .addOption(json)
    .action(async (command, address, key, options) =>
      done(
        await (await import("./commands/keys.ts")).keysCommand(
          { ...options, command: command ?? "list", address, key },
          env,
          output,
        ),
      ),
    );

  // Called by hosts; `bin.ts` leads there without this parser. It stands here for its help.
  add("hook", "for a host's hook: put one line before its model when there is new mail")
    .requiredOption("--host <host>", "claude-code, codex or gemini")
    .option("--fetch", "ask the provider first, for at most two seconds")
    .option("-a, --agent <name>", "agent to act as (default: the only one; of several none)")
    .addOption(directory)
    .addOption(provider)
    .addOption(dashboard);

  add("doctor", "say what is wrong with the config directory")
    .option("--fix", "repair what is safe to repair")
    .addOption(directory)
    .addOption(json)
    .action(async (options) => done(await (await import("./commands/doctor.ts")).doctorCommand(options, env, output)));

  add("prune", "remove acknowledged messages from this machine")
    .option("--older-than <age>", "for example 30d, 12h, 4w")
    .option("--dry-run", "only say what would be removed")
    .addOption(agent)
    .addOption(directory)
    .addOption(json)
    .action(async (options) => done(await (await import("./commands/prune.ts")).pruneCommand(options, env, output)));

  add("provider", "run a small AMP provider on this machine")
    .option("--port <port>", "port to listen on; 0 takes a free one", "23000")
    .option("--host <address>", "address to listen on", "127.0.0.1")
    .option("--tenant <name>", "tenant (organization) of its agents", "local")
    .option("--data <dir>", "where queue and registrations are kept")
    .option("--rate-limit <n>", "messages a minute for each agent; 0 for no limit", "60")
    .option("--allow-remote", "allow an address beyond this machine")
    .action(async (options) =>
      done(await (await import("./commands/provider.ts")).providerCommand(options, env, output)),
    );

  return program;
}

import type {
  CallToolResult,
  McpServer,
  ServerContext,
  StandardSchemaWithJSON,
  ToolAnnotations,
} from "@modelcontextprotocol/server";
import * as z from "zod";
import type { Agent } from "../agent/agent.ts";
import { newsLine } from "../agent/announce.ts";
import { toAmpError } from "../errors.ts";
import { checkArguments } from "./arguments.ts";
import { Person, Question } from "./person.ts";
import { errorText, header } from "./render.ts";

/** What a handler gives back. The agent's address is put before it by `defineTool`. */
export interface ToolAnswer {
  text: string;
  /**
   * The same facts for hosts that show a model only this. Left out where sender-written text is in the answer, which
   * must not reach a model without its fence.
   */
  structured?: Record<string, unknown>;
  /** Something of what was asked for was not done. */
  isError?: boolean;
  /** Ids of messages that this answer shows or counts: the assistant need not be told that they wait. */
  shown?: readonly string[];
}

/** Tells the host how far a long call has come, if it wants to know: seconds, of how many, in words. */
export type Progress = (done: number, total: number, words: string) => Promise<void>;

export interface ToolSpec<Shape extends z.core.$ZodLooseShape> {
  name: string;
  title: string;
  description: string;
  input: z.ZodObject<Shape>;
  annotations: ToolAnnotations;
  /** Asks hosts that hide tools behind a search to show this one at once. */
  isAlwaysLoaded?: boolean;
  /** For tools that deal with the mail itself: their results carry no line about new mail. */
  isAboutMail?: boolean;
  run(
    agent: Agent,
    args: z.output<z.ZodObject<Shape>>,
    signal: AbortSignal,
    person: Person,
    progress: Progress,
  ): Promise<ToolAnswer>;
}

/** A tool, ready to be put on a server. */
export interface Tool {
  name: string;
  register(server: McpServer, agent: Agent): void;
}

/**
 * A tool is data and a short handler; this is the one place that checks arguments, turns errors into results, and adds
 * the line about new mail.
 */
export function defineTool<Shape extends z.core.$ZodLooseShape>(spec: ToolSpec<Shape>): Tool {
  const call = async (server: McpServer, agent: Agent, given: unknown, context: ServerContext) => {
    const { signal } = context.mcpReq;
    void agent.arrivals.activity();
    const answer = await outcome(server, agent, given, context);
    if (answer instanceof Question) return answer.request();
    const news = spec.isAboutMail || signal.aborted ? undefined : await agent.news();
    if (news) void agent.settle(news, isWritten(signal));
    if (answer.shown?.length) void agent.noteTold(answer.shown);
    return result(agent, answer, news && newsLine(news));
  };
  const outcome = async (server: McpServer, agent: Agent, given: unknown, context: ServerContext) => {
    try {
      const args = checkArguments(spec.name, spec.input, given);
      const person = new Person(server, context);
      return await spec.run(agent, args, context.mcpReq.signal, person, progressOf(context));
    } catch (thrown) {
      if (thrown instanceof Question) return thrown;
      agent.log(thrown);
      return { text: errorText(toAmpError(thrown)), isError: true };
    }
  };
  return {
    name: spec.name,
    register(server, agent) {
      const { title, description, annotations } = spec;
      const config = { title, description, annotations, inputSchema: advertised(spec.input) };
      const meta = spec.isAlwaysLoaded ? { _meta: { "anthropic/alwaysLoad": true } } : {};
      server.registerTool(spec.name, { ...config, ...meta }, (args, context) => call(server, agent, args, context));
    },
  };
}

/** The address is asked for at the end: a registration changes it. */
async function result(agent: Agent, answer: ToolAnswer, mail: string | undefined): Promise<CallToolResult> {
  const lines = [header(await agent.headline()), answer.text, ...(mail === undefined ? [] : [`mail: ${mail}`])];
  const address = (await agent.address()) ?? null;
  const facts = { agent: address, ...answer.structured, ...(mail === undefined ? {} : { mail }) };
  return {
    content: [{ type: "text", text: lines.join("\n") }],
    ...(answer.structured ? { structuredContent: facts } : {}),
    ...(answer.isError ? { isError: true } : {}),
  };
}

/** Whether the result that is about to be returned reached the host's pipe, and not a call that was cancelled. */
async function isWritten(signal: AbortSignal): Promise<boolean> {
  await new Promise((resolve) => setImmediate(() => process.stdout.write("", resolve)));
  return !signal.aborted;
}

function progressOf({ mcpReq }: ServerContext): Progress {
  const token = mcpReq._meta?.progressToken;
  if (token === undefined) return async () => {};
  return (progress, total, message) =>
    mcpReq.notify({
      method: "notifications/progress",
      params: { progressToken: token, progress, total, message },
    });
}

/**
 * The schema as hosts see it. The SDK's own check is passed over, so that a wrong argument gets the same kind of
 * answer as any other failure: `checkArguments` is the one that counts.
 */
function advertised(input: z.ZodObject): StandardSchemaWithJSON<unknown, unknown> {
  const schema = () => {
    const { $schema: _unused, ...json } = z.toJSONSchema(input, { io: "input" });
    return json;
  };
  return {
    "~standard": {
      version: 1,
      vendor: "amp-mcp",
      validate: (value) => ({ value }),
      jsonSchema: { input: schema, output: schema },
    },
  };
}

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
import type { Ways } from "./ways.ts";

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

/** What a handler may need of the host that calls it. */
export interface Call {
  /** Aborted when the host no longer wants the answer. */
  signal: AbortSignal;
  person: Person;
  /** By which ways this host learns of new mail, in words and as facts. */
  describeWays(agent: Agent): ReturnType<Ways["describe"]>;
  /** Tells how far a long call has come, to a host that wants to know: seconds, of how many, in words. */
  progress(done: number, total: number, words: string): Promise<void>;
}

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
  run(agent: Agent, args: z.output<z.ZodObject<Shape>>, call: Call): Promise<ToolAnswer>;
}

/** A tool, ready to be put on a server. */
export interface Tool {
  name: string;
  register(server: McpServer, agent: Agent, ways: Ways): void;
}

/**
 * A tool is data and a short handler; this is the one place that checks arguments, turns errors into results, and adds
 * the line about new mail.
 */
export function defineTool<Shape extends z.core.$ZodLooseShape>(spec: ToolSpec<Shape>): Tool {
  const answered = async (agent: Agent, given: unknown, call: Call) => {
    const { signal } = call;
    agent.arrivals.start();
    void agent.arrivals.activity();
    const answer = await outcome(agent, given, call);
    if (answer instanceof Question) return answer.request();
    const { shown = [] } = answer;
    const news = spec.isAboutMail || signal.aborted ? undefined : await agent.news({ except: shown });
    if (news) void agent.settle(news, isWritten(signal));
    if (shown.length > 0) void agent.noteTold(shown, isWritten(signal));
    return result(agent, answer, news && newsLine(news));
  };
  const outcome = async (agent: Agent, given: unknown, call: Call) => {
    try {
      return await spec.run(agent, checkArguments(spec.name, spec.input, given), call);
    } catch (thrown) {
      if (thrown instanceof Question) return thrown;
      agent.log(thrown);
      return { text: errorText(toAmpError(thrown)), isError: true };
    }
  };
  return {
    name: spec.name,
    register(server, agent, ways) {
      const { title, description, annotations } = spec;
      const config = { title, description, annotations, inputSchema: advertised(spec.input) };
      const meta = spec.isAlwaysLoaded ? { _meta: { "anthropic/alwaysLoad": true } } : {};
      server.registerTool(spec.name, { ...config, ...meta }, (args, context) =>
        answered(agent, args, callOf(server, context, ways)),
      );
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

function callOf(server: McpServer, context: ServerContext, ways: Ways): Call {
  const { signal, notify, _meta } = context.mcpReq;
  return {
    signal,
    person: new Person(server, context),
    describeWays: (agent) => ways.describe(agent, server),
    async progress(progress, total, message) {
      const progressToken = _meta?.progressToken;
      if (progressToken === undefined) return;
      await notify({ method: "notifications/progress", params: { progressToken, progress, total, message } });
    },
  };
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

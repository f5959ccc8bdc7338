import type {
  CallToolResult,
  McpServer,
  ServerContext,
  StandardSchemaWithJSON,
  ToolAnnotations,
} from "@modelcontextprotocol/server";
import * as z from "zod";
import type { Agent } from "../agent/agent.ts";
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
}

export interface ToolSpec<Shape extends z.core.$ZodLooseShape> {
  name: string;
  title: string;
  description: string;
  input: z.ZodObject<Shape>;
  annotations: ToolAnnotations;
  /** Asks hosts that hide tools behind a search to show this one at once. */
  isAlwaysLoaded?: boolean;
  run(agent: Agent, args: z.output<z.ZodObject<Shape>>, signal: AbortSignal, person: Person): Promise<ToolAnswer>;
}

/** A tool, ready to be put on a server. */
export interface Tool {
  name: string;
  register(server: McpServer, agent: Agent): void;
}

/** A tool is data and a short handler; this is the one place that checks arguments and turns errors into results. */
export function defineTool<Shape extends z.core.$ZodLooseShape>(spec: ToolSpec<Shape>): Tool {
  const call = async (server: McpServer, agent: Agent, given: unknown, context: ServerContext) => {
    try {
      const args = checkArguments(spec.name, spec.input, given);
      // The address is asked for afterwards: a registration changes it.
      const answer = await spec.run(agent, args, context.mcpReq.signal, new Person(server, context));
      return await result(agent, answer);
    } catch (thrown) {
      if (thrown instanceof Question) return thrown.request();
      const error = toAmpError(thrown);
      agent.log(thrown);
      return result(agent, { text: errorText(error), isError: true });
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

async function result(agent: Agent, answer: ToolAnswer): Promise<CallToolResult> {
  const text = `${header(await agent.headline())}\n${answer.text}`;
  const address = (await agent.address()) ?? null;
  return {
    content: [{ type: "text", text }],
    ...(answer.structured ? { structuredContent: { agent: address, ...answer.structured } } : {}),
    ...(answer.isError ? { isError: true } : {}),
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

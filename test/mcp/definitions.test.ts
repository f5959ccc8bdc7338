import { afterAll, beforeAll, describe, expect, it } from "vitest";
import * as z from "zod";
import { createHome, type Home } from "../support/home.ts";
import { type Connected, connectClient, connectOldClient } from "../support/mcp-clients.ts";

const parameterSchema = z.looseObject({ description: z.string().optional(), enum: z.array(z.string()).optional() });
const toolSchema = z.looseObject({
  name: z.string(),
  title: z.string(),
  description: z.string(),
  annotations: z.looseObject({ readOnlyHint: z.boolean(), openWorldHint: z.boolean() }),
  inputSchema: z.looseObject({
    additionalProperties: z.literal(false),
    properties: z.record(z.string(), parameterSchema),
  }),
});

let home: Home;
let connected: Connected<Awaited<ReturnType<typeof connectClient>>["client"]>;
let tools: z.infer<typeof toolSchema>[];
beforeAll(async () => {
  home = createHome();
  connected = await connectClient({ env: home.env });
  tools = z.array(toolSchema).parse((await connected.client.listTools()).tools);
});
afterAll(async () => {
  await connected.close();
  home.remove();
});

it("what a host is told of this server changes only by a reviewed change", async () => {
  const { client } = connected;
  const told = {
    instructions: client.getInstructions()?.split("\n"),
    tools: (await client.listTools()).tools,
    resources: (await client.listResources()).resources,
    resourceTemplates: (await client.listResourceTemplates()).resourceTemplates,
    prompts: (await client.listPrompts()).prompts,
    check_inbox: await client.getPrompt({ name: "check_inbox" }),
    reply: await client.getPrompt({ name: "reply", arguments: { message_id: "msg_1" } }),
    handoff: await client.getPrompt({ name: "handoff", arguments: { to: "bob" } }),
  };
  await expect(`${JSON.stringify(told, undefined, 2)}\n`).toMatchFileSnapshot("definitions.snapshot");
});

it("the tools stand in the order in which a newcomer needs them", () => {
  expect(tools.map(({ name }) => name)).toEqual([
    "amp_status",
    "amp_register",
    "amp_send",
    "amp_reply",
    "amp_inbox",
    "amp_read",
    "amp_ack",
    "amp_wait",
  ]);
});

it("a host of the 2025 protocol is told the same", async () => {
  const { client, close } = await connectOldClient({ env: home.env });
  expect(client.getInstructions()).toBe(connected.client.getInstructions());
  const { tools: old } = await client.listTools();
  const words = (tool: { name: string; description?: string | undefined; inputSchema: unknown }) => [
    tool.name,
    tool.description,
    tool.inputSchema,
  ];
  expect(old.map(words)).toEqual(tools.map(words));
  await close();
});

describe("what a model pays", () => {
  it("for the list of tools is at most 2,500 tokens", () => {
    expect(JSON.stringify(tools).length / 4).toBeLessThanOrEqual(2_500);
  });

  it("for the instructions is less than the 2,048 characters at which hosts cut them", () => {
    const length = connected.client.getInstructions()?.length ?? 0;
    expect(length).toBeGreaterThan(0);
    expect(length).toBeLessThan(2_000);
  });

  it("for a description is less than the 2,048 characters at which hosts cut it", () => {
    for (const { name, description } of tools) expect(description.length, name).toBeLessThan(2_000);
  });
});

describe("each tool", () => {
  it("describes every parameter, or lists its values, and takes no other", () => {
    for (const { name, inputSchema } of tools) {
      for (const [parameter, { description, enum: values }] of Object.entries(inputSchema.properties))
        expect(description ?? values, `${name}.${parameter}`).toBeDefined();
    }
  });

  it("says truly what it changes, how often that may be repeated, and whom it reaches", () => {
    const annotations = Object.fromEntries(tools.map((tool) => [tool.name, tool.annotations]));
    const changes = { readOnlyHint: false, destructiveHint: false };
    expect(annotations).toEqual({
      amp_status: { readOnlyHint: true, openWorldHint: false },
      amp_register: { ...changes, idempotentHint: true, openWorldHint: false },
      amp_send: { ...changes, idempotentHint: false, openWorldHint: true },
      amp_reply: { ...changes, idempotentHint: false, openWorldHint: true },
      amp_inbox: { readOnlyHint: true, openWorldHint: false },
      amp_read: { readOnlyHint: true, openWorldHint: false },
      amp_ack: { ...changes, idempotentHint: true, openWorldHint: false },
      amp_wait: { readOnlyHint: true, openWorldHint: false },
    });
  });
});

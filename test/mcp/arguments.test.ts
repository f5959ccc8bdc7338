import { afterAll, beforeAll, expect, it } from "vitest";
import { createHome, type Home } from "../support/home.ts";
import { type Host, startHost } from "../support/host.ts";

/** Arguments are looked at before anything else, so one server without an agent does for all. */
let home: Home;
let host: Host;
beforeAll(async () => {
  home = createHome({ AMP_PROVIDER_URL: "http://127.0.0.1:9" });
  host = startHost({ env: home.env });
  const capabilities = {};
  const clientInfo = { name: "amp-mcp-test", version: "1" };
  await host.request("initialize", { protocolVersion: "2025-11-25", capabilities, clientInfo });
  host.notify("notifications/initialized");
});
afterAll(async () => {
  await host.close();
  home.remove();
});

async function told(tool: string, args: unknown): Promise<string> {
  const answer = await host.request("tools/call", { name: tool, arguments: args });
  expect(answer.result).toMatchObject({ isError: true, content: [{ type: "text" }] });
  return JSON.stringify(answer.result);
}

it.each([
  ["amp_send", "recipient", "to"],
  ["amp_send", "body", "message"],
  ["amp_send", "text", "message"],
  ["amp_send", "content", "message"],
  ["amp_send", "title", "subject"],
  ["amp_send", "reply_to", "in_reply_to"],
  ["amp_send", "TO", "to"],
  ["amp_reply", "id", "message_id"],
  ["amp_reply", "body", "message"],
  ["amp_reply", "in_reply_to", "message_id"],
  ["amp_read", "id", "message_ids"],
  ["amp_read", "ids", "message_ids"],
  ["amp_read", "message_id", "message_ids"],
  ["amp_ack", "id", "message_ids"],
  ["amp_ack", "ids", "message_ids"],
  ["amp_inbox", "sender", "from"],
  ["amp_inbox", "max", "limit"],
  ["amp_inbox", "page", "cursor"],
  ["amp_register", "provider", "provider_url"],
  ["amp_register", "url", "provider_url"],
])("%s called with %s is told that it is called %s", async (tool, given, right) => {
  expect(await told(tool, { [given]: "x" })).toContain(
    `There is no parameter \\"${given}\\": ${tool} calls it \\"${right}\\".`,
  );
});

it("a parameter that nobody could mean is answered with those that there are", async () => {
  expect(await told("amp_ack", { volume: 11 })).toContain("amp_ack takes message_ids, all.");
  expect(await told("amp_status", { agent: "root" })).toContain("amp_status takes none.");
});

it.each([
  ["amp_send", { to: "bob", subject: "S" }, "message: "],
  ["amp_send", { to: 7, subject: "S", message: "M" }, "to: expected string, received number."],
  [
    "amp_send",
    { to: "bob", subject: "S", message: "M", priority: "asap" },
    "priority: expected one of low, normal, high, urgent.",
  ],
  ["amp_send", { to: "bob", subject: "S", message: "M", context: "text" }, "context: "],
  ["amp_send", { to: "bob", subject: "S".repeat(257), message: "M" }, "subject: "],
  ["amp_read", { message_ids: "msg_1" }, "message_ids: expected array, received string."],
  ["amp_read", { message_ids: [] }, "message_ids: "],
  ["amp_read", { message_ids: Array(11).fill("msg_1") }, "message_ids: "],
  ["amp_read", { message_ids: ["msg_1", 2] }, "message_ids.1: "],
  ["amp_read", { message_ids: ["msg_1"], offset: -1 }, "offset: "],
  ["amp_inbox", { limit: "20" }, "limit: expected number, received string."],
  ["amp_inbox", { limit: 51 }, "limit: "],
  ["amp_inbox", { limit: 1.5 }, "limit: "],
  ["amp_ack", { all: "yes" }, "all: expected boolean, received string."],
  ["amp_register", {}, "name: "],
] as const)("%s with %j says what is wrong, and does nothing", async (tool, args, problem) => {
  const text = await told(tool, args);
  expect(text).toContain(`Error invalid_argument: ${problem.replaceAll('"', '\\"')}`);
  expect(text).toContain("Not done: the call was not carried out.");
  expect(text).toContain(`call ${tool} again`);
});

it("a tool that there is not is a protocol error", async () => {
  expect((await host.request("tools/call", { name: "amp_sent", arguments: {} })).error).toMatchObject({ code: -32602 });
});

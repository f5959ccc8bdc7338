import * as z from "zod";

import { statusView } from "../../agent/status-view.ts";
import { defineTool } from "../tool.ts";

export const ampStatus = defineTool({
  name: "amp_status",
  title: "AMP status",
  description:
    "Who am I in the agent mail (AMP), is the provider reachable, how many messages wait, and what to do next. Call it first, or when another amp tool failed. Works unregistered and offline. Changes nothing.",
  input: z.strictObject({}),
  annotations: { readOnlyHint: true, openWorldHint: false },
  async run(agent, _args, { signal, describeWays }) {
    const { lines, facts } = statusView(await agent.status(signal));
    const arrival = await describeWays(agent);
    const text = [...lines.slice(0, -1), ...arrival.lines, ...lines.slice(-1)].join("\n");
    return { text, structured: { ...facts, ...arrival.facts } };
  },
});

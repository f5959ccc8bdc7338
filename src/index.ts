export { Agent, type AgentOptions } from "./agent/agent.ts";
export { type Flags, readSettings, type Settings } from "./agent/settings.ts";
export type { Verdict } from "./agent/trust.ts";
export { AmpError, type AmpErrorCode } from "./errors.ts";
export { type Provider, type ProviderOptions, startProvider } from "./provider/server.ts";

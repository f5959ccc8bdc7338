import { isObject, text } from "./json.ts";

/** What an announcement needs to know of a message file; far less than `readMessage`, and without its cost. */
export interface Glance {
  id: string;
  isUnread: boolean;
  isUrgent: boolean;
  /** Base of the provider whose queue it came from and waits in. */
  queuedAt: string | undefined;
  /** When that queue lets go of it, milliseconds since 1970; `NaN` where that is not known. */
  expiresAt: number;
}

/** A message file at a glance; `undefined` for what `readMessage` would not take either. */
export function glanceAt(file: unknown): Glance | undefined {
  if (!isObject(file) || !isObject(file.envelope)) return undefined;
  const id = file.envelope.id ?? file.id;
  const { from } = file.envelope;
  if (typeof id !== "string" || id === "" || id.length > 512) return undefined;
  if (typeof from !== "string" || from.length > 512) return undefined;
  const local = isObject(file.local) ? file.local : {};
  const status = text(local, "status") ?? text(file.metadata, "status");
  return {
    id,
    isUnread: status !== "read" && status !== "archived",
    isUrgent: file.envelope.priority === "urgent",
    queuedAt: local.delivery_method === "relay" ? text(local, "fetched_from") : undefined,
    expiresAt: Date.parse(text(local, "expires_at") ?? ""),
  };
}

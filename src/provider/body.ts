import type { Context } from "hono";
import { isObject } from "../wire/json.ts";
import { BODY_MAX_BYTES } from "../wire/limits.ts";
import { Refusal } from "./refusal.ts";

/**
 * The JSON object in a request's body; an empty body is an empty object, as AI Maestro takes it. At most
 * `BODY_MAX_BYTES` are ever held, whether the client said how many would come or not. Throws a 413, or a 400 for what
 * is no JSON object in UTF-8.
 */
export async function readBody(c: Context): Promise<Record<string, unknown>> {
  const bytes = await readBytes(c);
  if (bytes.length === 0) return {};
  const value = decode(bytes);
  if (!isObject(value)) throw new Refusal(400, "invalid_request", "Invalid JSON body");
  return value;
}

function decode(bytes: Uint8Array): unknown {
  try {
    const value: unknown = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
    return value;
  } catch {
    return undefined;
  }
}

async function readBytes(c: Context): Promise<Uint8Array> {
  const declared = c.req.header("Content-Length");
  if (declared !== undefined) {
    // Node's parser holds the client to this length, and refuses one beside a Transfer-Encoding.
    if (Number(declared) > BODY_MAX_BYTES) throw tooLarge();
    return new Uint8Array(await c.req.arrayBuffer());
  }
  const chunks: Uint8Array[] = [];
  let size = 0;
  const reader = c.req.raw.body?.getReader();
  for (let part = await reader?.read(); part && !part.done; part = await reader?.read()) {
    size += part.value.length;
    if (size > BODY_MAX_BYTES) throw tooLarge();
    chunks.push(part.value);
  }
  return Buffer.concat(chunks);
}

function tooLarge(): Refusal {
  return new Refusal(413, "payload_too_large", `Payload exceeds maximum size of ${BODY_MAX_BYTES} bytes`);
}

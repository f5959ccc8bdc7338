import type { Context } from "hono";
import { isObject, parseJson } from "../wire/json.ts";
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
  const text = decode(bytes);
  const value = parseJson(text) ?? parseJson(withEscapedLineEnds(text));
  if (!isObject(value)) throw new Refusal(400, "invalid_request", "Invalid JSON body");
  return value;
}

/** Bytes that are no UTF-8 are no JSON either: they become the empty text, which none is. */
function decode(bytes: Uint8Array): string {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    return "";
  }
}

const ESCAPES: Record<string, string> = { "\n": "\\n", "\r": "\\r", "\t": "\\t" };

/**
 * The guide's command for curl pastes a key file, line ends and all, between the quotes of a JSON string. That is not
 * JSON, but it is what the guide's readers send.
 */
function withEscapedLineEnds(json: string): string {
  let inside = false;
  return json.replace(/\\[\s\S]|["\n\r\t]/g, (token) => {
    if (token === '"') inside = !inside;
    return inside ? (ESCAPES[token] ?? token) : token;
  });
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

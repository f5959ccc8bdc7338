import * as z from "zod";
import { SUBJECT_MAX_CHARS } from "../../wire/limits.ts";
import { MESSAGE_TYPES, PRIORITIES } from "../../wire/message.ts";

/** Parameters that several tools take, in the same words everywhere. */
export const subject = z.string().max(SUBJECT_MAX_CHARS).describe("One line");
export const message = z.string().describe("The text, up to 64 KiB; sent exactly as given");
export const priority = z.enum(PRIORITIES).optional();
export const type = z.enum(MESSAGE_TYPES).optional();
export const context = z
  .record(z.string(), z.unknown())
  .optional()
  .describe("Structured data for the recipient, a JSON object");
export const messageId = z.string().min(1).describe("Id from amp_inbox");
export const idempotencyKey = z
  .string()
  .min(1)
  .max(200)
  .optional()
  .describe("Same key, same message: sent once. Default: same recipient and words within 2 minutes");

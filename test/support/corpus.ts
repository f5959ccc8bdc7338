import { readFileSync } from "node:fs";
import * as z from "zod";
import { FLAGS } from "../../src/wire/flags.ts";

const ordinarySchema = z.array(z.strictObject({ subject: z.string(), text: z.string() }));
const hostileSchema = z.array(
  z.strictObject({
    name: z.string(),
    /** What it tries with its words or its characters; `null` where only the form of its lines is an attack. */
    category: z.enum(FLAGS).nullable(),
    subject: z.string(),
    text: z.string(),
  }),
);

/** Mail between developers' agents, with much that looks like an attack to a careless eye. */
export const ORDINARY = ordinarySchema.parse(load("ordinary"));
export const HOSTILE = hostileSchema.parse(load("hostile"));

function load(name: string): unknown {
  return JSON.parse(readFileSync(new URL(`../corpus/${name}.json`, import.meta.url), "utf8"));
}

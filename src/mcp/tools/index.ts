import type { Tool } from "../tool.ts";
import { ampAck } from "./amp-ack.ts";
import { ampInbox } from "./amp-inbox.ts";
import { ampRead } from "./amp-read.ts";
import { ampRegister } from "./amp-register.ts";
import { ampReply } from "./amp-reply.ts";
import { ampSend } from "./amp-send.ts";
import { ampStatus } from "./amp-status.ts";
import { ampWait } from "./amp-wait.ts";

/** Every tool, in the order in which hosts list them. */
export const TOOLS: readonly Tool[] = [ampStatus, ampRegister, ampSend, ampReply, ampInbox, ampRead, ampAck, ampWait];

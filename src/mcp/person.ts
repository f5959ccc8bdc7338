import {
  CLIENT_CAPABILITIES_META_KEY,
  type InputRequiredResult,
  inputRequired,
  inputResponse,
  type McpServer,
  type ServerContext,
} from "@modelcontextprotocol/server";
import { AmpError } from "../errors.ts";
import { isObject } from "../wire/json.ts";

const KEY = "confirm";

/** The person behind the host, who can be asked while a tool is called. */
export class Person {
  readonly #server: McpServer;
  readonly #context: ServerContext;

  constructor(server: McpServer, context: ServerContext) {
    this.#server = server;
    this.#context = context;
  }

  /**
   * Goes on only if the person has agreed. The call is made again with the answer, so nothing may have been done yet.
   *
   * @throws Question the first time; AmpError `declined`, or `confirmation_needed` where the host cannot ask.
   */
  confirm(question: string): void {
    const answer = inputResponse(this.#context.mcpReq.inputResponses, KEY);
    if (answer.kind === "elicit") {
      if (answer.action === "accept" && answer.content?.send === true) return;
      throw declined();
    }
    if (!this.#canBeAsked()) throw confirmationNeeded();
    throw new Question(question);
  }

  #canBeAsked(): boolean {
    // A request of the 2026-07-28 protocol says what its host can do; before that, the connection did once.
    const said = new Map<string, unknown>(Object.entries(this.#context.mcpReq.envelope ?? {})).get(
      CLIENT_CAPABILITIES_META_KEY,
    );
    const capabilities = said ?? this.#server.server.getClientCapabilities();
    const elicitation = isObject(capabilities) ? capabilities.elicitation : undefined;
    // An empty object means forms, as it did before there was anything else; a host may know URLs only.
    return isObject(elicitation) && (elicitation.form !== undefined || elicitation.url === undefined);
  }
}

/** Thrown through a handler that cannot go on before a person has answered. */
export class Question extends Error {
  override readonly name = "Question";

  /** As the 2026-07-28 protocol puts it; the SDK turns it into an elicitation for older hosts. */
  request(): InputRequiredResult {
    const send = { type: "boolean" as const, title: "Send it", description: "Whether the message may be sent" };
    const requestedSchema = { type: "object" as const, properties: { send }, required: ["send"] };
    return inputRequired({
      inputRequests: { [KEY]: inputRequired.elicit({ message: this.message, requestedSchema }) },
    });
  }
}

function declined(): AmpError {
  return new AmpError("declined", {
    message: "The person was asked and did not agree.",
    notDone: "nothing was sent.",
    next: "Do not try again in another way; ask the person what to do instead.",
    mender: "person",
  });
}

function confirmationNeeded(): AmpError {
  return new AmpError("confirmation_needed", {
    message: "A person has to agree before this message may leave, and this host cannot ask one.",
    notDone: "nothing was sent.",
    next: 'Ask the user. To allow it, a person puts AMP_CONFIRM_SEND=never into "env" of this server\'s configuration and restarts it, or sends it with amp-mcp send.',
    mender: "person",
  });
}

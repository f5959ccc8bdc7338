import {
  agentNamed,
  authenticate,
  failure,
  type MaestroState,
  type Received,
  type RegisteredAgent,
  type Reply,
} from "./state.ts";

/** HEAD's directory of agents. SEED has none. */
export function listAgents(state: MaestroState, request: Received, query: URLSearchParams): Reply {
  const caller = authenticate(state, request);
  if ("status" in caller) return caller;
  const search = (query.get("search") ?? "").toLowerCase();
  const agents = [...state.agents.values()]
    .filter((agent) => agent.name.includes(search))
    .map(({ address, alias }) => ({ address, alias, online: false }));
  return { status: 200, body: { agents, total: agents.length } };
}

/** Only the name counts: any domain behind it resolves. */
export function resolveAgent(state: MaestroState, request: Received, address: string): Reply {
  const caller = authenticate(state, request);
  if ("status" in caller) return caller;
  const agent = agentNamed(state, address.replace(/@.*/, "").toLowerCase());
  if (!agent) return failure(404, "not_found", `Agent not found: ${address}`);
  return {
    status: 200,
    body: {
      address: agent.address,
      alias: agent.alias,
      public_key: agent.publicKeyPem,
      key_algorithm: "Ed25519",
      fingerprint: agent.fingerprint,
      did: didKey(agent),
      online: false,
    },
  };
}

const BASE58 = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz";

/** did:key: base58 of the multicodec prefix of Ed25519 and the raw key. */
function didKey(agent: RegisteredAgent): string {
  let rest = BigInt(`0xed01${agent.publicKeyHex}`);
  let text = "";
  for (; rest > 0n; rest /= 58n) text = `${BASE58[Number(rest % 58n)]}${text}`;
  return `did:key:z${text}`;
}

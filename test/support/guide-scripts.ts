import { writeFileSync } from "node:fs";
import path from "node:path";
import type { Ended } from "./command.ts";
import { run } from "./command.ts";
import type { Home } from "./home.ts";

/**
 * The guide's three scripts, made anew for tests: what they read and write of the directory, by the same means (`find`
 * for the agent, `grep` over `config.json`, no JSON parser), and the same requests. Like the guide's they put what they
 * are given into JSON unescaped.
 */
const COMMON = `#!/bin/sh
set -eu
ROOT="$HOME/.agent-messaging"
field() { grep -o "\\"$1\\"[[:space:]]*:[[:space:]]*\\"[^\\"]*\\"" "$2" | sed 's/.*"\\([^"]*\\)"$/\\1/'; }
http() { "$NODE" "$HTTP" "$@"; }
use_agent() {
  if [ -n "$1" ]; then DIR="$ROOT/agents/$1"; else DIR=$(find "$ROOT/agents" -maxdepth 1 -type d ! -path "$ROOT/agents" | head -1); fi
  [ -f "$DIR/config.json" ] && [ -f "$DIR/api_key" ] || { echo "Agent config incomplete" >&2; exit 1; }
  ENDPOINT=$(field endpoint "$DIR/config.json")
  ADDRESS=$(field address "$DIR/config.json")
  KEY=$(cat "$DIR/api_key")
}
`;

const REGISTER = `${COMMON}
NAME=$1 URL=$2
DIR="$ROOT/agents/$NAME"
mkdir -p "$DIR/keys"
chmod 700 "$DIR/keys"
"$NODE" "$KEYGEN" "$DIR/keys"
chmod 600 "$DIR/keys/private.pem"
PEM=$(sed 's/$/\\\\n/' "$DIR/keys/public.pem" | tr -d '\\n')
TENANT=$(http GET "$URL/.well-known/agent-messaging.json" | field provider /dev/stdin | cut -d. -f1)
ANSWER=$(http POST "$URL/api/v1/register" "" "{\\"tenant\\":\\"$TENANT\\",\\"name\\":\\"$NAME\\",\\"public_key\\":\\"$PEM\\",\\"key_algorithm\\":\\"Ed25519\\"}")
get() { printf '%s' "$ANSWER" | field "$1" /dev/stdin | head -1; }
get api_key > "$DIR/api_key"
cat > "$DIR/config.json" <<JSON
{
  "agent_name": "$NAME",
  "agent_id": "$(get agent_id)",
  "address": "$(get address)",
  "tenant": "$TENANT",
  "provider": {
    "name": "$TENANT.aimaestro.local",
    "endpoint": "$URL/api/v1"
  },
  "fingerprint": "$(get fingerprint)",
  "registered_at": "$(date -u +%Y-%m-%dT%H:%M:%SZ)"
}
JSON
chmod 600 "$DIR/config.json" "$DIR/api_key"
echo "Address: $(get address)"
`;

const SEND = `${COMMON}
AGENT=
if [ "$1" = "-a" ]; then AGENT=$2; shift 2; fi
use_agent "$AGENT"
echo "From: $ADDRESS"
http POST "$ENDPOINT/route" "$KEY" "{\\"to\\":\\"$1\\",\\"subject\\":\\"$2\\",\\"priority\\":\\"normal\\",\\"payload\\":{\\"type\\":\\"request\\",\\"message\\":\\"$3\\\\n\\"}}"
`;

const INBOX = `${COMMON}
AGENT=
if [ "$1" = "-a" ]; then AGENT=$2; shift 2; fi
use_agent "$AGENT"
case "$1" in
  list) http GET "$ENDPOINT/messages/pending?limit=10" "$KEY" ;;
  ack) http DELETE "$ENDPOINT/messages/pending?id=$2" "$KEY" ;;
esac
`;

/** In place of curl: prints the body, and fails where the status is not 2xx. */
const HTTP = `
const [method, url, key, body] = process.argv.slice(2);
const headers = { "Content-Type": "application/json", ...(key ? { Authorization: "Bearer " + key } : {}) };
const response = await fetch(url, { method, headers, ...(body ? { body } : {}) });
console.log(await response.text());
process.exitCode = response.ok ? 0 : 22;
`;

/** In place of openssl. */
const KEYGEN = `
import { generateKeyPairSync } from "node:crypto";
import { writeFileSync } from "node:fs";
const { privateKey, publicKey } = generateKeyPairSync("ed25519");
writeFileSync(process.argv[2] + "/private.pem", privateKey.export({ type: "pkcs8", format: "pem" }), { mode: 0o600 });
writeFileSync(process.argv[2] + "/public.pem", publicKey.export({ type: "spki", format: "pem" }));
`;

export type Script = "register" | "send" | "inbox";

/** Puts the scripts into `home`, and gives the way to run them there. */
export function installGuideScripts(home: Home): (script: Script, ...args: string[]) => Promise<Ended> {
  const files = { "register.sh": REGISTER, "send.sh": SEND, "inbox.sh": INBOX, "http.mjs": HTTP, "keygen.mjs": KEYGEN };
  for (const [name, text] of Object.entries(files)) writeFileSync(home.at(name), text);
  const env = { ...home.env, NODE: process.execPath, HTTP: home.at("http.mjs"), KEYGEN: home.at("keygen.mjs") };
  return (script, ...args) => run(args, { env, program: ["/bin/sh", path.join(home.path, `${script}.sh`)] });
}

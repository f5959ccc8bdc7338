/** The multicodec prefix of an Ed25519 public key. */
const ED25519 = "ed01";
const BASE58 = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz";

/** `did:key:z6Mk…` of a raw public key (W3C did:key, base58btc), as AI Maestro's directory answers it. */
export function didKey(publicKey: Uint8Array): string {
  let rest = BigInt(`0x${ED25519}${Buffer.from(publicKey).toString("hex")}`);
  let text = "";
  for (; rest > 0n; rest /= 58n) text = `${BASE58[Number(rest % 58n)]}${text}`;
  return `did:key:z${text}`;
}

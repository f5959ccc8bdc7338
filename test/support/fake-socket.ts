import { createHash } from "node:crypto";
import type { IncomingMessage } from "node:http";
import type { Duplex } from "node:stream";

const TEXT = 1;
const BINARY = 2;
const CLOSE = 8;
const PING = 9;
const PONG = 10;

/** A frame as the client sent it. */
export interface FakeFrame {
  opcode: number;
  text: string;
}

/** The provider's end of one WebSocket, by hand, so that it can do what no library lets it do. */
export class FakeSocket {
  readonly path: string;
  readonly headers: IncomingMessage["headers"];
  /** Every frame that came, in order. */
  readonly received: FakeFrame[] = [];
  /** When the client is gone, however it went. */
  readonly closed: Promise<void>;
  readonly #connection: Duplex;
  readonly #waiters = new Set<() => void>();
  #unread = Buffer.alloc(0);

  constructor(incoming: IncomingMessage, connection: Duplex) {
    this.path = incoming.url ?? "";
    this.headers = incoming.headers;
    this.#connection = connection;
    this.closed = new Promise((resolve) => connection.once("close", resolve));
    connection.on("error", () => {});
    connection.on("data", (chunk: Buffer) => this.#read(chunk));
  }

  /** Resolves when so many frames have come. */
  async frames(count: number): Promise<void> {
    while (this.received.length < count) await this.#more();
  }

  #more(): Promise<void> {
    return new Promise((resolve) => this.#waiters.add(resolve));
  }

  /** Objects are sent as JSON, bytes as a binary frame. */
  send(...contents: unknown[]): void {
    const frames = contents.map((content) => {
      if (Buffer.isBuffer(content)) return frame(BINARY, content);
      return frame(TEXT, Buffer.from(typeof content === "string" ? content : JSON.stringify(content)));
    });
    this.write(Buffer.concat(frames));
  }

  /** Resolves when it was answered: what was sent before is known to the client then. */
  async ping(content: string): Promise<void> {
    this.write(frame(PING, Buffer.from(content)));
    const isAnswer = (one: FakeFrame) => one.opcode === PONG && one.text === content;
    while (!this.received.some(isAnswer)) await this.#more();
  }

  hangUp(code: number): void {
    this.write(frame(CLOSE, Buffer.from([code >> 8, code & 255])));
    this.#connection.end();
  }

  /** Bytes as they are. */
  write(bytes: Buffer): void {
    if (!this.#connection.destroyed) this.#connection.write(bytes);
  }

  destroy(): void {
    this.#connection.destroy();
  }

  #read(chunk: Buffer): void {
    this.#unread = Buffer.concat([this.#unread, chunk]);
    for (let end = this.#take(); end > 0; end = this.#take()) this.#unread = this.#unread.subarray(end);
    for (const resolve of this.#waiters) resolve();
    this.#waiters.clear();
  }

  /** Where the first frame ends; 0 while it is not complete. Clients mask theirs (RFC 6455, section 5.3). */
  #take(): number {
    const [first = 0, second = 0] = this.#unread;
    const short = second & 127;
    const start = (short === 126 ? 4 : 2) + 4;
    if (this.#unread.length < start) return 0;
    const end = start + (short === 126 ? this.#unread.readUInt16BE(2) : short);
    if (this.#unread.length < end) return 0;
    const mask = this.#unread.subarray(start - 4, start);
    const content = this.#unread.subarray(start, end).map((byte, i) => byte ^ (mask[i % 4] ?? 0));
    this.received.push({ opcode: first & 15, text: Buffer.from(content).toString("utf8") });
    return end;
  }
}

/** All WebSockets of one provider. */
export class FakeSockets {
  /** Those that were accepted, in order. */
  readonly accepted: FakeSocket[] = [];
  /** What it does with a new one, after the handshake. */
  onConnect: (socket: FakeSocket) => void = () => {};
  /** What it answers instead of the handshake; empty for nothing at all. */
  refusal: string | undefined;
  readonly #waiters = new Set<() => void>();
  readonly #connections = new Set<Duplex>();
  #asked = 0;

  /** How many connections were asked for. */
  get asked(): number {
    return this.#asked;
  }

  accept(incoming: IncomingMessage, connection: Duplex): void {
    this.#asked += 1;
    this.#connections.add(connection);
    connection.once("close", () => this.#connections.delete(connection));
    const key = `${incoming.headers["sec-websocket-key"]}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`;
    const accept = createHash("sha1").update(key).digest("base64");
    const handshake = ["HTTP/1.1 101 Switching Protocols", "Upgrade: websocket", "Connection: Upgrade"];
    connection.on("error", () => {});
    // Node's HTTP server leaves its half of a connection open when the other one is closed.
    connection.on("end", () => connection.end());
    connection.resume();
    connection.write(this.refusal ?? `${[...handshake, `Sec-WebSocket-Accept: ${accept}`].join("\r\n")}\r\n\r\n`);
    if (this.refusal === undefined) {
      const socket = new FakeSocket(incoming, connection);
      this.accepted.push(socket);
      this.onConnect(socket);
    }
    for (const resolve of this.#waiters) resolve();
    this.#waiters.clear();
  }

  /** The connection with that number from 0, when it is there. */
  async at(index: number): Promise<FakeSocket> {
    for (;;) {
      const socket = this.accepted[index];
      if (socket) return socket;
      await this.#change();
    }
  }

  /** When so many were asked for. */
  async count(asked: number): Promise<void> {
    while (this.#asked < asked) await this.#change();
  }

  #change(): Promise<void> {
    return new Promise((resolve) => this.#waiters.add(resolve));
  }

  close(): void {
    for (const connection of this.#connections) connection.destroy();
  }
}

/** Unmasked, as servers send them. */
function frame(opcode: number, content: Buffer): Buffer {
  const head = [0x80 | opcode];
  if (content.length < 126) head.push(content.length);
  else if (content.length < 65_536) head.push(126, content.length >> 8, content.length & 255);
  else {
    const length = Buffer.alloc(8);
    length.writeBigUInt64BE(BigInt(content.length));
    head.push(127, ...length);
  }
  return Buffer.concat([Buffer.from(head), content]);
}

/**
 * Every limit and every timeout, each with its reason. Times are milliseconds, sizes bytes unless the name says
 * characters. One deadline covers one operation, however many requests or attempts it takes.
 */

// ---- What a message may hold (protocol, section 04: the sizes every provider must take) ----

/** Characters in a subject. */
export const SUBJECT_MAX_CHARS = 256;
/** Bytes of UTF-8 in a message text. */
export const MESSAGE_MAX_BYTES = 64 * 1024;
/** Bytes of JSON in a context. */
export const CONTEXT_MAX_BYTES = 256 * 1024;
/** Levels of nesting in a payload. Deeper ones exist only to exhaust a reader's stack. */
export const PAYLOAD_MAX_DEPTH = 64;
/** Values in a payload, those inside others counted. Sorting ten thousand keys takes some 10 ms; no known mail has a thousand. */
export const PAYLOAD_MAX_VALUES = 10_000;
/** A whole address: the protocol's cap. */
export const ADDRESS_MAX_CHARS = 254;
/**
 * Signature checks spent on one message that its path re-shaped: the known paths need 1 to 40. A hostile message costs
 * all of them, about 20 ms.
 */
export const RECOVERY_MAX_CHECKS = 160;
/** Characters hashed for them: a message of the usual size in every shape, the largest in some. */
export const RECOVERY_MAX_CHARS = 2 * 1024 * 1024;
/** Characters of a payload that is checked at all: the protocol's cap on a whole message. */
export const CHECKED_PAYLOAD_MAX_CHARS = 512 * 1024;

/** How long a provider's word on a sender's key is taken as it is, so that an index and a reading agree on it. */
export const RESOLVED_KEPT = 60_000;
/** Senders without a known key that a provider is asked about for an index within that time. */
export const RESOLVED_MAX = 50;

/**
 * Characters of one text that are searched for phrases of injection: the largest text and a good part of a context.
 * Hundred thousand characters take some 30 ms, and hostile ones up to four times as long; what comes later is not
 * looked at.
 */
export const FLAGGED_MAX_CHARS = 128 * 1024;

// ---- Sending with care ----

/** How long the same message to the same agent counts as one call repeated by a host or a model. */
export const REPEAT_WINDOW = 2 * 60_000;
/** How long a key that the caller gave stands for one message, and an attempt is remembered. */
export const REPEAT_KEY_WINDOW = 24 * 60 * 60_000;
/** Attempts on disk from which on old ones are looked for. */
export const ATTEMPTS_MAX = 200;
/** Pause between two looks at an attempt that is under way in another call. */
export const ATTEMPT_PAUSE = 50;
/** Characters up to which a message without a question can be a mere courtesy. */
export const COURTESY_MAX_CHARS = 200;
/** How far back courtesies are counted. */
export const COURTESY_WINDOW = 60 * 60_000;
/** How often the writer may change in a run of courtesies before it is stopped. */
export const REPLY_LIMIT = 8;

// ---- Talking to a provider ----

/** One request, from the first connection attempt to the last byte. Hosts give a tool call 30 s or more. */
export const REQUEST_DEADLINE = 15_000;
/** Is anybody there? Short, because a person or a host is waiting for the status. */
export const PROBE_DEADLINE = 2_000;
/** Pauses before a refused connection is tried again: enough for a provider that is just starting to listen. */
export const REFUSED_PAUSES = [100, 400] as const;
/** The least pause after HTTP 429, whatever the provider says: its headers count in seconds. */
export const LIMITED_PAUSE_MIN = 1_000;
/** One answer of a provider. A page of 100 messages may be larger; then a smaller page is asked for. */
export const RESPONSE_MAX_BYTES = 8 * 1024 * 1024;
/** Messages a provider hands out at once: AI Maestro's own maximum. */
export const PENDING_PAGE = 100;
/** Pages of a queue that one look goes through: twenty thousand messages, or a provider that never ends. */
export const QUEUE_PAGES = 200;
/** Characters of a cursor: it goes into a URL. */
export const CURSOR_MAX_CHARS = 1_024;
/** Characters of a provider's own words that are passed on. */
export const PROVIDER_TEXT_MAX_CHARS = 300;
/** How long an idle connection is kept; AI Maestro allows 900 s, others close sooner and say so. */
export const KEEP_ALIVE = 60_000;

// ---- Files ----

/** A configuration, registration or index file. The largest seen has 1 kB. */
export const CONFIG_FILE_MAX_BYTES = 256 * 1024;
/** A message file: AI Maestro takes a body of 1 MiB, which JSON may escape to more. */
export const MESSAGE_FILE_MAX_BYTES = 8 * 1024 * 1024;
/** A lock is held for some file writes, at most for one registration with its retries; older ones are left-overs. */
export const LOCK_STALE = 90_000;
/** Removing an abandoned lock takes milliseconds; a guard of that older than this was left by a process that ended. */
export const LOCK_GUARD_STALE = 5_000;
/** How long to wait for another process's lock before giving up. */
export const LOCK_WAIT = 20_000;
/** Pause between two looks at a lock. */
export const LOCK_PAUSE = 15;

/** Scripts write in place: a file that was changed so short a time ago may be half-written, and is looked at again. */
export const TORN_AGE = 1_000;
/** Looks at such a file, and the pause between two: a script's write takes a millisecond or two. */
export const TORN_LOOKS = 5;
export const TORN_PAUSE = 10;
/** Times of directories are coarse, some to 10 ms: one that changed so shortly before it was listed is listed again. */
export const RACY_AGE = 100;
/** Attempts to change a file that others change at the same moment. */
export const CHANGE_ATTEMPTS = 50;
/** After which an entry of ours in a shared index is looked for again: scripts read, merge and replace without a lock. */
export const INDEX_RECHECK = 50;

// ---- Announcing ----

/** Telling takes milliseconds; who has not done it by then is hanging, and another process tells instead. */
export const CLAIM_STALE = 10_000;
/** How long an announcement is remembered after its message stopped waiting: what another process just looked at. */
export const TOLD_KEPT = 10 * 60_000;
/** Between two updates of a subscribed resource: of a hundred messages a host need not hear a hundred times. */
export const UPDATE_PAUSE = 250;
/** Between two rounds of notices of a channel: each is a turn of a model. */
export const CHANNEL_PAUSE = 250;
/** Messages in one notice of a channel. */
export const CHANNEL_MAX = 20;
/** How long an announcement waits for the ledger. A result or a hook is not held up for it; the next one tells. */
export const LEDGER_WAIT = 250;
/** Files that a look reads at once: 20 ms, in which nothing else is answered. */
export const READS_AT_ONCE = 500;
/** Files read in a look that found nothing to tell: from here on it is noted, so that the next hook need not read them. */
export const READS_NOTED = 20;
/** Changing the ledger takes milliseconds: a lock on it that is older was left by a process that ended. */
export const LEDGER_STALE = 5_000;
/** What may lie between a file's own time and this machine's clock where the directory is on another one. */
export const CLOCK_SLACK = 10_000;

/** An event that a host hands to a hook; the answer of a tool may be in it. */
export const HOOK_EVENT_MAX_BYTES = 16 * 1024 * 1024;
/** How long a hook waits for the rest of its event: hosts write it in one go. */
export const HOOK_EVENT_WAIT = 1_000;

// ---- Receiving ----

/** From the first message of a host to the first look for mail: the answer to it takes some 10 ms. */
export const ARRIVALS_DELAY = 100;
/** Between two looks at the disk, at the receiver's lock and at its bell; watches tell most of it earlier. */
export const TICK = 1_000;
/** Between two looks that watches ask for: one file is several events, and a thousand files are a look each. */
export const LOOK_GAP = 5;
/** Between two attempts to begin, while nobody is registered or the provider refuses the API key. */
export const UNREGISTERED_PAUSE = 2_000;
/** The receiver of a machine says that often that it is there; one that is silent for so long has lost its place. */
export const LEASE_RENEWAL = 10_000;
export const LEASE_STALE = 45_000;
/** Mail that came in so short ago need not be looked for in the queue before it is told about. */
export const FRESH = 2_000;
/** How long a result may wait for that look. */
export const QUEUE_LOOK = 500;

/** Unread messages that AI Maestro's dashboard is asked for at once; each costs a request of its own. */
export const DASHBOARD_PAGE = 100;

/** How long a provider may hold a long-poll. The protocol's draft allows 30 s; proxies cut off at 30 or 60. */
export const LONG_POLL = 25_000;
/** What an answer to it may take longer than that. */
export const LONG_POLL_GRACE = 10_000;
/** An empty answer within this time was not held: then the provider is asked as seldom as one that cannot hold. */
export const LONG_POLL_HELD = 1_000;
/** Pauses between two questions to a provider without long-poll: right after activity, and after minutes without. */
export const IDLE_MIN = 1_000;
export const IDLE_MAX = 30_000;
/** Pauses while a provider fails: it is back soon after a restart, and nobody floods it until then. */
export const FAILED_MIN = 1_000;
export const FAILED_MAX = 10_000;
/** The longest pause that a provider is granted when it asks for one: mail may come, and it may have been a mistake. */
export const ASKED_MAX = 5 * 60_000;
/** Questions that may follow each other at once, and the milliseconds after which one more may. */
export const BURST = 40;
export const BURST_REFILL = 200;

/** After a WebSocket has opened: AI Maestro loses what it is sent within the first ten or so. */
export const SOCKET_AUTH_DELAY = 100;
/** Between two times that the API key is sent, until it is taken; AI Maestro hangs up after 10 s. */
export const SOCKET_AUTH_AGAIN = 300;
/** A connection that died unnoticed (a machine that slept) is silent for ever; after this long it is made anew. */
export const SOCKET_SILENT = 5 * 60_000;
/** One that held for so long was no failure. */
export const SOCKET_SETTLED = 60_000;
/** One frame: a message of AI Maestro's own cap of 1 MiB, which JSON may escape to more. */
export const SOCKET_FRAME_MAX_BYTES = 8 * 1024 * 1024;
/** Characters of a frame that may be a word on the connection itself rather than a message. */
export const SOCKET_WORD_MAX_CHARS = 4_096;
/** Frames between two looks at the queue, which follow within a fifth of a second mostly: more of them are a flood. */
export const SOCKET_FLOOD = 1_000;

/** Directories that are watched: systems give a user some thousand watches for all programs. */
export const WATCHES_MAX = 256;

// ---- What a model reads ----

/** Characters of message text in one `amp_read` result: hosts cut results from about 10,000 characters on. */
export const READ_MAX_CHARS = 8_000;
/** Messages in one `amp_read`. */
export const READ_MAX_MESSAGES = 10;
/** Messages in one `amp_inbox` page. */
export const INBOX_DEFAULT = 20;
export const INBOX_MAX = 50;
/** Characters of a subject in the index: what tells two messages apart; twenty of them fit the budget of a list. */
export const INDEX_SUBJECT_CHARS = 60;
/** What the end of a server grants to answers that the host has not read yet; see `CLOSE_GRACE`. */
export const FLUSH_GRACE = 50;
/** Seconds that `amp_wait` waits: hosts give up on a call that is silent for longer than a minute. */
export const WAIT_DEFAULT_SECONDS = 20;
export const WAIT_MAX_SECONDS = 45;
/** Between two signs of life while it waits, at which the disk is looked at, too; news ends it earlier. */
export const WAIT_STEP = 2_000;
/** Between two questions to the provider while another process receives: that one may hang. */
export const WAIT_ASK = 5_000;
/** Messages that it lists. */
export const WAIT_FOUND = 10;
/** Ids that the answer to `amp_ack` lists: of hundreds the number says enough. */
export const ACK_SHOWN = 25;
/** Ids in one `amp_ack`: the providers' own batch maximum. */
export const ACK_MAX = 100;

// ---- Being a provider (the embedded one) ----

/** One request's body: AI Maestro's own cap, counted here in chunked bodies too. */
export const BODY_MAX_BYTES = 1024 * 1024;
/** Messages in one answer of the pending queue when none or nonsense was asked for: AI Maestro's own number. */
export const PENDING_DEFAULT = 10;
/** How long a request is held for a first message: the protocol's cap (section 12). */
export const HOLD_MAX = 30_000;
/**
 * Pause between two looks of a held request for what another process queued, which is to be noticed within a second or
 * so. A look at a thousand names takes about a millisecond.
 */
export const HOLD_LOOK = 500;
/** How long an unacknowledged message waits: AI Maestro's seven days. */
export const QUEUE_LIFETIME = 7 * 24 * 60 * 60 * 1000;
/** Messages one agent may send in a `RATE_WINDOW`: AI Maestro's own limit. */
export const RATE_PER_MINUTE = 60;
export const RATE_WINDOW = 60_000;
/** How long the provider keeps an idle connection: longer than `KEEP_ALIVE`, so that the client is who hangs up. */
export const SERVER_KEEP_ALIVE = 2 * KEEP_ALIVE;
/** What closing grants to requests in flight, which take some milliseconds. A host expects an exit within 100 ms. */
export const CLOSE_GRACE = 20;
/** A temporary file is renamed within moments; one that is this old was left by a process that died. */
export const TEMPORARY_STALE = 60 * 60 * 1000;
/** Characters of an agent's alias: a name for people to read, in a list. */
export const ALIAS_MAX_CHARS = 128;

//! Every limit and tolerance, each with its reason.

use std::time::Duration;

/// Largest logout token accepted, in bytes. Real ones stay below 2 KB.
pub const TOKEN_BYTES: usize = 16 * 1024;
/// Largest back-channel request body, in bytes: a token plus fields we ignore.
pub const LOGOUT_BODY_BYTES: usize = 64 * 1024;
/// Longest `kid` looked up, in bytes.
pub const KEY_ID_BYTES: usize = 512;
/// Keys tried for one token.
pub const KEYS_TRIED: usize = 4;
/// Largest metadata document or key set accepted, in bytes.
pub const OP_DOCUMENT_BYTES: usize = 64 * 1024;
/// RSA modulus sizes accepted, in bits. RFC 7518 section 3.3 asks for at least 2048; above the
/// upper bound a published key would only cost CPU.
pub const RSA_MODULUS_BITS: std::ops::RangeInclusive<usize> = 2048..=8192;

/// Tolerated difference between an OP's clock and ours, where `clock_skew` says nothing else.
pub const CLOCK_SKEW: Duration = Duration::from_mins(1);
/// Largest `clock_skew`: "a few minutes" (RFC 7519 section 4.1.4).
pub const CLOCK_SKEW_MAX: Duration = Duration::from_mins(5);
/// Greatest age of a logout token without `exp`, where that is allowed.
pub const AGE_WITHOUT_EXP: Duration = Duration::from_mins(5);
/// Time for the OP's metadata and key set together. OPs give up on us after as little as 2.5 s.
pub const OP_FETCH: Duration = Duration::from_millis(1500);
/// Time for the body of a back-channel request.
pub const BODY_DEADLINE: Duration = Duration::from_secs(10);
/// Time for a back-channel request from the end of its body to our answer.
pub const BACK_CHANNEL_DEADLINE: Duration = Duration::from_secs(2);
/// How long a code is known after the callback request that brought it: OPs let codes live for a
/// minute or so, and a back end redeems one at once.
pub const CODE_LIFETIME: Duration = Duration::from_mins(1);
/// Largest form of a callback request, and of a token request, in bytes.
pub const RELAYED_FORM_BYTES: usize = 64 * 1024;
/// Largest answer of a token endpoint, in bytes: a few tokens.
pub const TOKEN_ANSWER_BYTES: usize = 256 * 1024;
/// Time for the OP's token endpoint. Clients give up after some ten seconds.
pub const TOKEN_ENDPOINT: Duration = Duration::from_secs(9);
/// Time for the session store to answer the gate.
pub const GATE_DEADLINE: Duration = Duration::from_secs(10);
/// How long a fetched key set is used without asking again. A withdrawn key lives as long, or
/// longer while the OP is down.
pub const KEY_SET_LIFETIME: Duration = Duration::from_mins(5);
/// Least time between two fetches of one issuer's keys, so that made-up key ids cost the OP little.
pub const KEY_SET_COOL_DOWN: Duration = Duration::from_secs(1);
/// A bad signature of a known `kid` is believed if the key set is at most this old: some OPs give
/// a new key the old one's `kid`, and a flood of bad signatures must not become one of fetches.
pub const KEY_REUSE_CHECK: Duration = Duration::from_secs(10);
/// How often a request that waits for another's key fetch looks again.
pub const KEY_SET_POLL: Duration = Duration::from_millis(50);

/// Nodes of one OP have clocks of their own: a session that was there when a logout came is ended
/// even if its login seems this much later.
pub const OP_CLOCK_SPREAD: Duration = Duration::from_secs(10);
/// Greatest `ledger_lease_seconds`: a logout takes effect that much later.
pub const LEDGER_LEASE_MAX: Duration = Duration::from_mins(1);
/// Beliefs of one kind that an isolate keeps.
pub const BELIEFS: usize = 10_000;
/// Of opened seals that an isolate keeps, with what they hold.
pub const OPENED_BYTES: usize = 1024 * 1024;
/// Time for the list of a `sid` to tell the lists of users before it answers.
pub const LEDGER_INLINE: Duration = Duration::from_millis(1200);
/// Entries that the list of a user deletes before it answers: as many as go at once, so that a logout
/// of many sessions is answered as soon as one of a few. The alarm deletes the rest.
pub const LEDGER_ENTRIES_INLINE: usize = KV_PARALLEL_DELETES;
/// Time for that. The list of a `sid` may be waiting for it, and must not take a slow KV for a user
/// who has not been told.
pub const LEDGER_ENTRIES_DEADLINE: Duration = Duration::from_millis(600);
/// How long a list that a logout has emptied is kept: to make one anew costs more than to keep it.
pub const LEDGER_EMPTY: Duration = Duration::from_hours(1);
/// Sessions that a list keeps: all of them are in an object's memory, and read when it wakes, some 5 µs each.
pub const LEDGER_SESSIONS: usize = 10_000;
/// Ended sessions of a list that are dealt with at a time.
pub const LEDGER_BATCH: usize = 64;
/// Pause before a list whose storage or configuration is broken looks again.
pub const LEDGER_REPAIR: Duration = Duration::from_secs(10);
/// Least and greatest pause before a list of the ledger tries again what an end demands.
pub const LEDGER_RETRY_MIN: Duration = Duration::from_secs(1);
/// See [`LEDGER_RETRY_MIN`].
pub const LEDGER_RETRY_MAX: Duration = Duration::from_mins(5);

/// KV has no common order of a birth and a logout: a session whose login is at most this much
/// later than the logout is ended by it, and refused at birth.
pub const KV_ORDER_MARGIN: Duration = Duration::from_secs(2);
/// How long after its registration a session without a KV entry still lives: KV may cache the
/// miss of a read that came before the write.
pub const KV_ENTRY_LAG: Duration = Duration::from_mins(3);
/// Shortest cache time KV reads may ask for.
pub const KV_CACHE_TTL: Duration = Duration::from_secs(30);
/// Shortest time to live KV takes for an entry.
pub const KV_MIN_TTL: Duration = Duration::from_mins(1);
/// KV operations that one logout or cron run may do, where `LIMITS` says nothing else: below the 50
/// subrequests of the free plan, with room for two fetches. The rest is left to the next cron run.
pub const KV_OPERATIONS: usize = 45;
/// Bounds of `LIMITS.kv_operations`: the platform's own bound is the upper one.
pub const KV_OPERATIONS_BOUNDS: std::ops::RangeInclusive<usize> = 20..=1000;
/// How long after a logout its index is listed once more: KV lists may lag that much.
pub const KV_LIST_LAG: Duration = Duration::from_mins(2);
/// Time kept back for the answer when entries are deleted before it.
pub const KV_ANSWER_MARGIN: Duration = Duration::from_millis(100);
/// Time for one cron run.
pub const SWEEP_DEADLINE: Duration = Duration::from_secs(25);
/// Deletions under way at once while the entries of a logout are removed.
pub const KV_PARALLEL_DELETES: usize = 32;
/// Time that the runtime grants for work after an answer.
pub const BACKGROUND_TIME: Duration = Duration::from_secs(30);
/// How long after a token that was not genuine its sender is asked about before another is verified:
/// the longest period of a rate limit.
pub const SUSPICION: Duration = Duration::from_mins(1);
/// Time for the rate limit to say whether a token may be verified. The platform's answers at once.
pub const RATE_LIMIT: Duration = Duration::from_millis(100);
/// Tokens per issuer and isolate that may wait for the OP's keys after their answer.
pub const UNVERIFIED_RETRIES: usize = 64;
/// Pauses before each further try to finish a logout. With the tries' own deadlines they stay
/// within [`BACKGROUND_TIME`].
pub const FINISH_RETRIES: [Duration; 4] = [
    Duration::from_millis(250),
    Duration::from_secs(1),
    Duration::from_secs(4),
    Duration::from_secs(12),
];

/// How long after a logout a login needs a newer authentication: OPs send the token before they
/// kill their own session, and a silent sign-on in that moment would revive it.
pub const REBIRTH_WINDOW: Duration = Duration::from_mins(1);
/// An ID token older than this cannot begin a session: marks need not outlive it.
pub const LOGIN_MAX_AGE: Duration = Duration::from_mins(10);
/// Lifetime of a session where the app does not set `session_lifetime`.
pub const SESSION_LIFETIME: Duration = Duration::from_hours(12);
/// Bounds of `session_lifetime`.
pub const SESSION_LIFETIME_BOUNDS: std::ops::RangeInclusive<Duration> =
    Duration::from_mins(1)..=Duration::from_hours(30 * 24);
/// Longest life of sealed cookies of one name that no login has bound, however often they roll.
pub const UNBOUND_LIFETIME: Duration = Duration::from_hours(24);
/// Longest life of unbound cookies set on a login path: until the announcement on the next page.
pub const LATE_ANNOUNCEMENT: Duration = Duration::from_mins(1);
/// How far ahead `accept_unsealed_until` may lie.
pub const UNSEALED_MAX: Duration = Duration::from_hours(7 * 24);
/// Shortest shared secret with which an app announces logins without an ID token, in bytes.
pub const ANNOUNCE_KEY_BYTES: usize = 32;

/// Largest index of a data point that Workers Analytics Engine takes, in bytes.
pub const ANALYTICS_INDEX_BYTES: usize = 96;
/// Shortest `OPERATOR_KEY`, in bytes.
pub const OPERATOR_KEY_BYTES: usize = 32;
/// Largest body of a request of an operator, in bytes.
pub const OPERATOR_BODY_BYTES: usize = 16 * 1024;
/// Time for a request of an operator.
pub const OPERATOR_DEADLINE: Duration = Duration::from_secs(10);
/// Time for what an operator has confirmed.
pub const OPERATOR_ORDER: Duration = Duration::from_secs(9);
/// How long an operator may take to confirm.
pub const CONFIRMATION: Duration = Duration::from_mins(2);
/// Sessions that an operator is shown at a time.
pub const SESSIONS_LISTED: usize = 100;
/// Users whose lists are asked when the sessions of one `sid` are counted.
pub const USERS_SURVEYED: usize = 20;

/// Time for a breaker to decide about a logout: half of what there is, so that it can be performed
/// in the other half.
pub const BREAKER: Duration = Duration::from_secs(1);
/// Time for the desk of an app to tell the gate what an operator has ended.
pub const EPOCH_ASKED: Duration = Duration::from_secs(2);
/// Time for what an operator orders to be done before the answer. What a desk has to do it goes on
/// with by alarm.
pub const OPERATOR_WORK: Duration = Duration::from_secs(5);
/// How long an isolate believes a desk about what an operator has ended.
pub const EPOCH_BELIEVED: Duration = Duration::from_secs(10);
/// At this age one request asks again, and the others need not wait for it.
pub const EPOCH_RENEWED: Duration = Duration::from_secs(8);
/// How long it is believed where the desk does not answer,
pub const EPOCH_LAST_RESORT: Duration = Duration::from_mins(5);
/// and how often it is asked then.
pub const DESK_RETRY: Duration = Duration::from_secs(1);
/// Entries of an app's journal, at its desk and in an isolate that has not delivered them yet.
pub const JOURNAL: usize = 200;
/// Entries told to a desk at a time.
pub const JOURNAL_BATCH: usize = 50;
/// Least time between two deliveries of an isolate to one journal.
pub const JOURNAL_PAUSE: Duration = Duration::from_secs(1);
/// Bounds of `breaker.sessions`.
pub const BREAKER_SESSIONS: std::ops::RangeInclusive<usize> = 1..=10_000;
/// Bounds of `breaker.seconds`.
pub const BREAKER_SPAN: std::ops::RangeInclusive<Duration> =
    Duration::from_secs(1)..=Duration::from_hours(1);
/// Logouts that a breaker holds.
pub const HELD: usize = 10_000;
/// Calls that performing one held logout is taken for.
pub const HELD_COST: usize = 4;

/// How often a path's percent-encoding is undone to see whose it might be.
pub const PATH_DECODINGS: usize = 3;
/// Ways in which servers may read one path before it is refused: each costs time.
pub const PATH_READINGS: usize = 32;

/// Largest `name=value` a browser keeps, in bytes (RFC 6265bis section 5.6).
pub const COOKIE_BYTES: usize = 4096;
/// Cookies that one sealed value may take: more than the largest that a browser takes from an app.
pub const COOKIE_PIECES: usize = 4;
/// Sessions of one request asked about until one lives: a logout must not be had by planting a
/// cookie that is dead.
pub const SESSIONS_PER_REQUEST: usize = 3;
/// Seals opened per request; further ones are withheld.
pub const SEALS_PER_REQUEST: usize = 16;

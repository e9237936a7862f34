//! Owns the bounds of every key's value, each with its reason. Reads nothing: the kinds do.

use std::time::Duration;

use super::checked::{
    AccessFormat, AccessMode, HostPolicy, Inspect, KeyMode, Level, LogFormat, ServeRelays,
    SharedQuotaMode, SpikeMode, StorePolicy, UploadUrl,
};
use super::kinds::{
    Count, PerTime, PoolWord, Portion, Projects, Size, SizeOrOff, Span, Token, Word, Workers,
};
use crate::domain::incident::Severity;

const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;
const TIB: u64 = 1 << 40;

/// A wait: never zero, which would fail everything, and at most a day, since
/// longer is a slip of the unit.
pub(super) const WAIT: Span = Span {
    min: Duration::from_millis(1),
    max: Duration::from_secs(86_400),
};
/// Faster would be a flood of lookups.
pub(super) const LOOKUP: Span = Span {
    min: Duration::from_millis(100),
    max: Duration::from_secs(86_400),
};
/// Sooner than a connection takes to fail would be a flood.
pub(super) const PROBE: Span = Span {
    min: Duration::from_millis(10),
    max: Duration::from_secs(3600),
};
/// Less would not hold a large event.
pub(super) const SPOOL: Size = Size {
    min: MIB,
    max: 1024 * TIB,
};
/// Sentry takes nothing that is older than a month.
pub(super) const KEPT: Span = Span {
    min: Duration::from_secs(1),
    max: Duration::from_secs(30 * 86_400),
};
pub(super) const REPLAY: Count = Count { min: 1, max: 4096 };
/// More threads than any machine has cores; each costs a runtime.
pub(super) const WORKERS: Workers = Workers { max: 1024 };
/// Descriptors, of which Linux gives a process a million by its own ceiling.
pub(super) const CONNECTIONS: Count = Count {
    min: 1,
    max: 1 << 20,
};
/// Each holds a few kilobytes and its turn at the processor.
pub(super) const HANDSHAKES: Count = Count {
    min: 1,
    max: 1 << 16,
};
/// Zero counts nobody.
pub(super) const PER_CLIENT: Count = Count {
    min: 0,
    max: 1 << 20,
};
/// Zero blocks nobody.
pub(super) const MISDEEDS: Count = Count {
    min: 0,
    max: 1_000_000,
};
/// Shorter would forget who is slow on purpose.
pub(super) const MISDEEDS_PER: Span = Span {
    min: Duration::from_secs(1),
    max: Duration::from_secs(86_400),
};
/// Longer belongs into a firewall.
pub(super) const BLOCKED_FOR: Span = Span {
    min: Duration::from_secs(1),
    max: Duration::from_secs(30 * 86_400),
};
/// One would make HTTP/2 slower than HTTP/1; each may hold a window of its own.
pub(super) const STREAMS: Count = Count {
    min: 1,
    max: 10_000,
};
/// HTTP/2 begins with 64 KiB for both.
pub(super) const STREAM_WINDOW: Size = Size {
    min: 64 * KIB,
    max: 64 * MIB,
};
pub(super) const CONNECTION_WINDOW: Size = Size {
    min: 64 * KIB,
    max: GIB,
};
pub(super) const RESETS: Count = Count {
    min: 1,
    max: 1_000_000,
};
/// Fewer would refuse the settings and windows that a client begins with.
pub(super) const CONTROL_FRAMES: Count = Count {
    min: 10,
    max: 1_000_000,
};
pub(super) const FINISHING: Count = Count {
    min: 1,
    max: 1 << 20,
};
pub(super) const UNPACKING: Count = Count {
    min: 1,
    max: 1 << 20,
};
pub(super) const BODY: Size = Size { min: 1, max: TIB };
/// Less would hold hardly more than the form around its chunks.
pub(super) const CAP: SizeOrOff = SizeOrOff(Size {
    min: 64 * KIB,
    max: TIB,
});
/// Less would hold no loader with its bundle.
pub(super) const CACHE: Size = Size {
    min: 64 * KIB,
    max: GIB,
};
/// Whoever makes room looks at all of them.
pub(super) const CACHE_ENTRIES: Count = Count {
    min: 1,
    max: 10_000,
};
/// Zero serves nothing that is stale; what is older than a month helps nobody.
pub(super) const STALE: Span = Span {
    min: Duration::ZERO,
    max: Duration::from_secs(30 * 86_400),
};
pub(super) const UPLOAD_URL: Word<UploadUrl> = Word::of(UploadUrl::WORDS);
pub(super) const READ_AHEAD: Size = Size {
    min: 4 * KIB,
    max: GIB,
};
/// Less would hold no answer whole.
pub(super) const AHEAD: Size = Size { min: MIB, max: TIB };
/// Zero keeps everything off the disk.
pub(super) const DISK: Size = Size {
    min: 0,
    max: 1024 * TIB,
};
pub(super) const INSPECT: Size = Size {
    min: KIB,
    max: 64 * MIB,
};
/// The HTTP library takes no buffer under 8 KiB, and each client may fill one.
pub(super) const REQUEST_HEAD: Size = Size {
    min: 8 * KIB,
    max: MIB,
};
pub(super) const RESPONSE_HEAD: Size = Size {
    min: 8 * KIB,
    max: 4 * MIB,
};
/// One would refuse whatever is compressed.
pub(super) const DECODE_RATIO: Count = Count {
    min: 2,
    max: 10_000,
};
/// More than any edge takes in all.
pub(super) const UNPROVEN_RATE: PerTime = PerTime {
    max_per_second: 1_000_000,
};
/// Fewer would forget keys between two events; each entry is memory.
pub(super) const TABLE: Count = Count {
    min: 100,
    max: 1_000_000,
};
/// Sooner says nothing new, later lets a disk fill in between.
pub(super) const GUARD_LOOK: Span = Span {
    min: Duration::from_millis(100),
    max: Duration::from_secs(60),
};
/// Below, hardly a disk is ever.
pub(super) const GUARD_MARK: Portion = Portion {
    min: 10_000,
    max: 1_000_000,
    such: "85%",
};
/// Zero ends a stage as soon as the use is below its mark.
pub(super) const GUARD_BACK: Portion = Portion {
    min: 0,
    max: 500_000,
    such: "2%",
};
pub(super) const GUARD_ERRORS: Portion = Portion {
    min: 0,
    max: 1_000_000,
    such: "10%",
};
/// A header has whole seconds; longer than a day is a slip of the unit.
pub(super) const RETRY_AFTER: Span = Span {
    min: Duration::from_secs(1),
    max: Duration::from_secs(86_400),
};
/// Each item is judged by itself, whatever it weighs.
pub(super) const ITEMS: Count = Count {
    min: 1,
    max: 100_000,
};
/// Some twenty bytes each, all of them taken at start.
pub(super) const QUOTA_IPS: Count = Count {
    min: 1_000,
    max: 10_000_000,
};
/// As many lines in each family that has projects.
pub(super) const PROJECTS_SHOWN: Count = Count {
    min: 1,
    max: 100_000,
};
/// Ten times what the largest installations have; all of it is read at once.
pub(super) const PROJECTS: Projects = Projects {
    max: 100_000,
    keys_max: 1_000_000,
};
/// More often would be load for what seldom changes.
pub(super) const ASK: Span = Span {
    min: Duration::from_secs(10),
    max: Duration::from_secs(86_400),
};
/// Sentry counts by the hour: later, an hour's would stand in another; sooner would be a flood.
pub(super) const REPORT: Span = Span {
    min: Duration::from_secs(1),
    max: Duration::from_secs(3600),
};
/// Each is an event in Sentry: more often would be a flood.
pub(super) const CANARY: Span = Span {
    min: Duration::from_secs(1),
    max: Duration::from_secs(3600),
};
/// Once would call every second hour a spike.
pub(super) const SPIKE_TIMES: Count = Count { min: 2, max: 1000 };
pub(super) const SPIKE_FLOOR: Count = Count {
    min: 1,
    max: 1_000_000_000,
};
pub(super) const ADMIN_TOKEN: Token = Token {
    what: "token",
    file: "admin.token_file",
};
pub(super) const HASH_KEY: Token = Token {
    what: "key",
    file: "client_ip.hash_key_file",
};
pub(super) const SENTRY_TOKEN: Token = Token {
    what: "token",
    file: "sentry.token_file",
};
pub(super) const WEBHOOK_TOKEN: Token = Token {
    what: "token",
    file: "alerts.webhook.token_file",
};
pub(super) const CANARY_TOKEN: Token = Token {
    what: "token",
    file: "canary.token_file",
};
/// Zero tells at once of what a restart of Sentry's brings.
pub(super) const WEBHOOK_AFTER: Span = Span {
    min: Duration::ZERO,
    max: Duration::from_secs(86_400),
};
/// Longer holds up the messages behind it.
pub(super) const WEBHOOK_TIMEOUT: Span = Span {
    min: Duration::from_millis(100),
    max: Duration::from_secs(60),
};
pub(super) const SEVERITY: Word<Severity> = Word::of(&[
    (Severity::Page.as_str(), Severity::Page),
    (Severity::Ticket.as_str(), Severity::Ticket),
]);
pub(super) const POOL_PASSWORD: Token = Token {
    what: "password",
    file: "shared_quota.password_file",
};
pub(super) const POOL_USER: PoolWord = PoolWord { or_none: true };
pub(super) const POOL_MODE: Word<SharedQuotaMode> = Word::of(SharedQuotaMode::WORDS);
/// Nobody makes more of them.
pub(super) const POOL_DATABASE: Count = Count { min: 0, max: 1023 };
/// Longer, and an edge would be given up by others before it knows.
pub(super) const POOL_WAIT: Span = Span {
    min: Duration::from_millis(50),
    max: Duration::from_secs(2),
};
pub(super) const HOST_POLICY: Word<HostPolicy> = Word::of(HostPolicy::WORDS);
pub(super) const SERVE_RELAYS: Word<ServeRelays> = Word::of(ServeRelays::WORDS);
pub(super) const LOOKED_AT: Word<Inspect> = Word::of(Inspect::WORDS);
pub(super) const KEY_MODE: Word<KeyMode> = Word::of(KeyMode::WORDS);
pub(super) const STORE: Word<StorePolicy> = Word::of(StorePolicy::WORDS);
/// Less than a batch of lines would never fit.
pub(super) const ACCESS_FILE: Size = Size {
    min: 64 * KIB,
    max: TIB,
};
/// Each is renamed when one is full.
pub(super) const ACCESS_FILES: Count = Count { min: 0, max: 1000 };
/// Zero would drop every line.
pub(super) const ACCESS_BUFFER: Size = Size {
    min: 64 * KIB,
    max: GIB,
};
/// More than any edge serves.
pub(super) const ACCESS_ERRORS: PerTime = PerTime {
    max_per_second: 1_000_000,
};
pub(super) const ACCESS_MODE: Word<AccessMode> = Word::of(AccessMode::WORDS);
pub(super) const ACCESS_FORMAT: Word<AccessFormat> = Word::of(AccessFormat::WORDS);
pub(super) const LOG_FORMAT: Word<LogFormat> = Word::of(LogFormat::WORDS);
pub(super) const SPIKE_MODE: Word<SpikeMode> = Word::of(SpikeMode::WORDS);
pub(super) const LEVEL: Word<Level> = Word::of(Level::WORDS);

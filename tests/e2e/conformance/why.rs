//! Why nginx or HAProxy does otherwise, where one reason stands behind many cases.

pub(super) const CHUNKS_STAY: &str =
    "HAProxy hands chunks on as chunks; here a body that ended in time leaves with its length";
pub(super) const LENGTH_OF_NOTHING: &str =
    "nginx gives an empty body a length of 0; here one without a byte is none";
pub(super) const UNKNOWN_CODING: &str = "nginx answers 501 to a coding it does not know; here a framing that cannot be read is a bad request";
pub(super) const CHUNKS_WIN: &str = "HAProxy believes the chunks and closes behind its answer, as it may; here both framings at once are refused";
pub(super) const PASSED_ON_AT_ONCE: &str = "HAProxy passes a body on as it comes; here the upstream hears of it once it is whole or judged";
pub(super) const LEAVE_FROM_BEHIND: &str =
    "HAProxy leaves it to the upstream to give leave; here leave is given, or refused, at once";
pub(super) const LEAVE_FOR_NOTHING: &str = "nginx gives leave for bodies that nobody announced";
pub(super) const HUNDRED_FIELDS: &str =
    "nginx counts no fields; here a hundred are the limit, as about at HAProxy";
pub(super) const HEAD_BUFFERS: &str =
    "its buffers hold less of a head than limits.header_bytes, which is 64 KiB";
pub(super) const NO_GUARD: &str =
    "it knows nothing of keys, of events and of paths that are not public";
pub(super) const BARE_LINE_FEEDS: &str = "it takes a bare line feed between chunks for a line's end; RFC 9112 allows that in a head alone";
pub(super) const TRAILERS_END_IT: &str = "it goes on behind trailers; here the connection ends behind them, since where they end is read in two ways";
pub(super) const TRAILERS_UNREAD: &str =
    "nginx skips trailers without a look at them; here they are fields, within limits";
pub(super) const REFUSED_BUT_KEPT: &str = "it closes behind a target that it cannot read; here the request's end is known, and the connection stays";
pub(super) const ANY_HOST: &str =
    "it passes on what is no host; RFC 9112 wants that refused, since links are made of it";
pub(super) const SAME_AUTHORITY: &str =
    "nginx refuses a host beside an authority, HAProxy takes any; here the two must be equal";
pub(super) const FOLDS: &str =
    "HAProxy makes one line of folded ones; here they are refused, as a server may (RFC 9112, 5.2)";
pub(super) const NAMES_UNREAD: &str =
    "nginx drops a line whose name it cannot read; here its whole head is refused";
pub(super) const CONTROLS_PASS: &str =
    "it passes control characters on; RFC 9110 calls a value with them invalid";
pub(super) const FIRST_LINE_FORGIVEN: &str =
    "it forgives other blanks in a first line; here it has one form (RFC 9112, 3)";
pub(super) const LATER_VERSIONS: &str =
    "it takes a later version for the last it knows; here only those that exist are spoken";
pub(super) const ABSOLUTE_STAYS: &str = "HAProxy passes an absolute target on, and compares its host; here path and query leave, and the host in Host";
pub(super) const PATH_UNREAD: &str =
    "HAProxy does not look into a path; here one that a guard cannot read is refused";
pub(super) const ODD_CHARACTERS: &str =
    "it passes on what RFC 3986 allows in no target; browsers and SDKs escape it";
pub(super) const ASCII_ALONE: &str =
    "HAProxy takes nothing but ASCII; here and at nginx the bytes leave as they came";
pub(super) const FRAGMENTS: &str =
    "a fragment is none of a request's; nginx passes it on, HAProxy refuses it, here it goes";
pub(super) const INTERIM_UNKNOWN: &str =
    "nginx 1.22 takes a 1xx for the answer, which then never comes";
pub(super) const INTERIM_PASSES: &str =
    "HAProxy hands 1xx on; here they stay between edge and upstream, since nobody asked";
pub(super) const ANSWER_GUESSED: &str =
    "it makes something of an answer's framing that can be read in two ways; here it is a failure";
pub(super) const ANSWER_TAKEN: &str =
    "it takes an answer that is no HTTP/1.1; here the upstream has failed";
pub(super) const ANSWER_BUFFERS: &str = "its buffers hold less of an answer's head than the 512 KiB that a page may have, or more than an event";
pub(super) const HEAD_HELD_BACK: &str = "HAProxy finds the fault before the head has left; here the answer breaks off, and never looks whole";
pub(super) const NO_SWITCH: &str = "it lets two peers change their protocol; nothing of Sentry's does, so here no byte passes unread";
pub(super) const STREAM_OR_CONNECTION: &str =
    "one ends the stream, the other the connection, as RFC 9113 allows for any error (5.4.1)";
pub(super) const NO_STREAM_STATES: &str =
    "nginx ignores frames on streams that it does not have; RFC 9113 calls them errors (5.1)";
pub(super) const HOP_FIELDS_IGNORED: &str =
    "nginx ignores fields that HTTP/2 forbids; here such a head is malformed (RFC 9113, 8.2.2)";
pub(super) const TRAILERS_REFUSED: &str = "nginx refuses trailers, HAProxy those that no trailer may be; here all of them end at the edge";
pub(super) const SMALL_HEADS: &str =
    "its buffers hold less of a head, and the connection pays; here the stream is answered";
pub(super) const SIZES_AT_A_GLANCE: &str =
    "it refuses a size that no number holds by its sign; here a body's limit ends it";

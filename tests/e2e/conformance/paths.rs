//! Paths that a guard might read otherwise than whoever serves them. The raw one is forwarded.

use super::case::Case;
use super::why;

pub(super) const CASES: &[Case] = &[
    Case::of(
        "an empty query",
        "9112 3.2.1",
        &["GET /web? HTTP/1.1\r\nHost: a\r\n\r\n"],
    )
    .page("200, open; GET /web? bare"),
    Case::of(
        "a fragment",
        "9112 3.2.1",
        &["GET /web#top HTTP/1.1\r\nHost: a\r\n\r\n"],
    )
    .page("200, open; GET T bare")
    .nginx(why::FRAGMENTS)
    .haproxy(why::FRAGMENTS),
    Case::of(
        "a fragment in a query",
        "9112 3.2.1",
        &["GET /web?a#top HTTP/1.1\r\nHost: a\r\n\r\n"],
    )
    .page("200, open; GET /web?a bare")
    .nginx(why::FRAGMENTS)
    .haproxy(why::FRAGMENTS),
    Case::of(
        "two slashes",
        "3986 3.3",
        &["GET //web//x/ HTTP/1.1\r\nHost: a\r\n\r\n"],
    )
    .page("200, open; GET //web//x/ bare"),
    Case::of(
        "a host in the path",
        "3986 3.3",
        &["GET //evil.example/web HTTP/1.1\r\nHost: a\r\n\r\n"],
    )
    .page("200, open; GET //evil.example/web bare"),
    Case::of(
        "dots",
        "3986 5.2.4",
        &["GET /a/../web/./x HTTP/1.1\r\nHost: a\r\n\r\n"],
    )
    .page("200, open; GET /a/../web/./x bare"),
    Case::of(
        "dots above the root",
        "3986 5.2.4",
        &["GET /../web HTTP/1.1\r\nHost: a\r\n\r\n"],
    )
    .page("400, open")
    .nginx(why::REFUSED_BUT_KEPT)
    .haproxy(why::PATH_UNREAD),
    Case::of(
        "escaped dots",
        "3986 2.4",
        &["GET /a/%2e%2e/web HTTP/1.1\r\nHost: a\r\n\r\n"],
    )
    .page("200, open; GET /a/%2e%2e/web bare"),
    Case::of(
        "escaped slashes",
        "3986 2.2",
        &["GET /a%2f..%2fweb HTTP/1.1\r\nHost: a\r\n\r\n"],
    )
    .page("200, open; GET /a%2f..%2fweb bare"),
    Case::of(
        "dots escaped twice",
        "3986 2.4",
        &["GET /a/%252e%252e/web HTTP/1.1\r\nHost: a\r\n\r\n"],
    )
    .page("200, open; GET /a/%252e%252e/web bare"),
    Case::of(
        "an escaped letter of a guarded path",
        "3986 2.3",
        &["POST /api/0/%72elays/register/challenge/ HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n"],
    )
    .page("200, open; POST /api/0/%72elays/register/challenge/ length "),
    Case::of(
        "slashes in a guarded path",
        "3986 3.3",
        &["GET //api//relay//x HTTP/1.1\r\nHost: a\r\n\r\n"],
    )
    .page("404, open")
    .nginx(why::NO_GUARD)
    .haproxy(why::NO_GUARD),
    Case::of(
        "a guarded path behind dots",
        "3986 5.2.4",
        &["GET /x/../api/relay/x HTTP/1.1\r\nHost: a\r\n\r\n"],
    )
    .page("404, open")
    .nginx(why::NO_GUARD)
    .haproxy(why::NO_GUARD),
    Case::of(
        "a guarded path behind an escaped slash",
        "3986 2.2",
        &["GET /x%2f..%2fapi/relay/x HTTP/1.1\r\nHost: a\r\n\r\n"],
    )
    .page("404, open")
    .nginx(why::NO_GUARD)
    .haproxy(why::NO_GUARD),
    Case::of(
        "a guarded path in capitals",
        "3986 6.2.2.1",
        &["GET /API/relay/x HTTP/1.1\r\nHost: a\r\n\r\n"],
    )
    .page("200, open; GET /API/relay/x bare"),
    Case::of(
        "a guarded path with a parameter",
        "3986 3.3",
        &["GET /api/relay;x/y HTTP/1.1\r\nHost: a\r\n\r\n"],
    )
    .page("200, open; GET /api/relay;x/y bare"),
    Case::of(
        "a guarded path with a backslash",
        "3986 3.3",
        &["GET /api\\relay/x HTTP/1.1\r\nHost: a\r\n\r\n"],
    )
    .page("200, open; GET /api\\\\relay/x bare"),
    Case::of(
        "an escape without digits",
        "3986 2.1",
        &["GET /web% HTTP/1.1\r\nHost: a\r\n\r\n"],
    )
    .page("400, open")
    .nginx(why::REFUSED_BUT_KEPT)
    .haproxy(why::PATH_UNREAD),
    Case::of(
        "an escape with other letters",
        "3986 2.1",
        &["GET /web%zz HTTP/1.1\r\nHost: a\r\n\r\n"],
    )
    .page("400, open")
    .nginx(why::REFUSED_BUT_KEPT)
    .haproxy(why::PATH_UNREAD),
    Case::of(
        "an escape in a query that is none",
        "3986 2.1",
        &["GET /web?a=%zz HTTP/1.1\r\nHost: a\r\n\r\n"],
    )
    .page("200, open; GET /web?a=%zz bare"),
    Case::of(
        "an escaped NUL",
        "3986 2.1",
        &["GET /web%00x HTTP/1.1\r\nHost: a\r\n\r\n"],
    )
    .page("400, open")
    .nginx(why::REFUSED_BUT_KEPT)
    .haproxy(why::PATH_UNREAD),
    Case::of(
        "an escaped line end",
        "3986 2.1",
        &["GET /web%0d%0aX:%201 HTTP/1.1\r\nHost: a\r\n\r\n"],
    )
    .page("200, open; GET /web%0d%0aX:%201 bare"),
    Case::of(
        "an escaped NUL in a query",
        "3986 2.1",
        &["GET /web?a=%00 HTTP/1.1\r\nHost: a\r\n\r\n"],
    )
    .page("200, open; GET /web?a=%00 bare"),
    Case::of(
        "a bare NUL",
        "9112 3.2",
        &["GET /web\0x HTTP/1.1\r\nHost: a\r\n\r\n"],
    )
    .page("400, closed"),
    Case::of(
        "a control",
        "9112 3.2",
        &["GET /web\x01x HTTP/1.1\r\nHost: a\r\n\r\n"],
    )
    .page("400, closed"),
    Case::of(
        "a blank",
        "9112 3.2",
        &["GET /we b HTTP/1.1\r\nHost: a\r\n\r\n"],
    )
    .page("400, closed"),
    Case::of(
        "not ASCII",
        "9112 3.2",
        &["GET /é HTTP/1.1\r\nHost: a\r\n\r\n"],
    )
    .page("200, open; GET /\\xc3\\xa9 bare")
    .haproxy(why::ASCII_ALONE),
    Case::of(
        "a query that is not ASCII",
        "9112 3.2",
        &["GET /web?é HTTP/1.1\r\nHost: a\r\n\r\n"],
    )
    .page("200, open; GET /web?\\xc3\\xa9 bare")
    .haproxy(why::ASCII_ALONE),
    Case::of(
        "quotes",
        "9112 3.2",
        &["GET /\"x\" HTTP/1.1\r\nHost: a\r\n\r\n"],
    )
    .page("200, open; GET /\\\"x\\\" bare"),
    Case::of(
        "angle brackets",
        "9112 3.2",
        &["GET /<x> HTTP/1.1\r\nHost: a\r\n\r\n"],
    )
    .page("400, closed")
    .nginx(why::ODD_CHARACTERS)
    .haproxy(why::ODD_CHARACTERS),
    Case::of(
        "a grave accent",
        "9112 3.2",
        &["GET /`x` HTTP/1.1\r\nHost: a\r\n\r\n"],
    )
    .page("400, closed")
    .nginx(why::ODD_CHARACTERS)
    .haproxy(why::ODD_CHARACTERS),
    Case::of(
        "square brackets and bars",
        "9112 3.2",
        &["GET /[x]|^ HTTP/1.1\r\nHost: a\r\n\r\n"],
    )
    .page("200, open; GET /[x]|^ bare"),
    Case::of(
        "quotes in a query",
        "9112 3.2",
        &["GET /web?a=\"x\" HTTP/1.1\r\nHost: a\r\n\r\n"],
    )
    .page("400, closed")
    .nginx(why::ODD_CHARACTERS)
    .haproxy(why::ODD_CHARACTERS),
    Case::of(
        "brackets in a query",
        "9112 3.2",
        &["GET /web?a[]=[x]|^{y} HTTP/1.1\r\nHost: a\r\n\r\n"],
    )
    .page("200, open; GET /web?a[]=[x]|^{y} bare"),
    Case::of(
        "braces",
        "9112 3.2",
        &["GET /%7bx{y} HTTP/1.1\r\nHost: a\r\n\r\n"],
    )
    .page("200, open; GET /%7bx{y} bare"),
    Case::of(
        "a backslash",
        "9112 3.2",
        &["GET /web\\x HTTP/1.1\r\nHost: a\r\n\r\n"],
    )
    .page("200, open; GET /web\\\\x bare"),
    Case::of(
        "an equals sign and an at",
        "3986 3.3",
        &["GET /web/=@x;a=b,c HTTP/1.1\r\nHost: a\r\n\r\n"],
    )
    .page("200, open; GET /web/=@x;a=b,c bare"),
];

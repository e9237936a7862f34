//! What is asked for: its forms, its methods.

use super::case::Case;
use super::why;

pub(super) const CASES: &[Case] = &[
    Case::of(
        "absolute",
        "9112 3.2.2",
        &["GET http://a@T HTTP/1.1\r\nHost: a\r\n\r\n"],
    )
    .page("200, open; GET T bare")
    .haproxy(why::ABSOLUTE_STAYS),
    Case::of(
        "absolute with another host",
        "9112 3.2.2",
        &["GET http://b@T HTTP/1.1\r\nHost: a\r\n\r\n"],
    )
    .page("200, open; GET T bare")
    .haproxy(why::ABSOLUTE_STAYS),
    Case::of(
        "absolute by https",
        "9112 3.2.2",
        &["GET https://a@T HTTP/1.1\r\nHost: a\r\n\r\n"],
    )
    .page("200, open; GET T bare")
    .haproxy(why::ABSOLUTE_STAYS),
    Case::of(
        "absolute with another scheme",
        "9112 3.2.2",
        &["GET ftp://a@T HTTP/1.1\r\nHost: a\r\n\r\n"],
    )
    .page("200, open; GET T bare")
    .haproxy(why::ABSOLUTE_STAYS),
    Case::of(
        "absolute without a path",
        "9112 3.2.2",
        &["GET http://a HTTP/1.1\r\nHost: a\r\n\r\n"],
    )
    .page("200, open; GET / bare")
    .haproxy(why::ABSOLUTE_STAYS),
    Case::of(
        "absolute without a path, with a query",
        "9112 3.2.2",
        &["GET http://a?b HTTP/1.1\r\nHost: a\r\n\r\n"],
    )
    .page("200, open; GET /?b bare")
    .haproxy(why::ABSOLUTE_STAYS),
    Case::of(
        "absolute without a host",
        "9112 3.2.2",
        &["GET http:///web HTTP/1.1\r\nHost: a\r\n\r\n"],
    )
    .page("400, closed")
    .haproxy(why::ABSOLUTE_STAYS),
    Case::of(
        "absolute with a user",
        "9112 3.2.2",
        &["GET http://u:p@a@T HTTP/1.1\r\nHost: a\r\n\r\n"],
    )
    .page("400, closed")
    .haproxy(why::ABSOLUTE_STAYS),
    Case::of(
        "absolute with a port",
        "9112 3.2.2",
        &["GET http://a:8443@T HTTP/1.1\r\nHost: a\r\n\r\n"],
    )
    .page("200, open; GET T bare")
    .haproxy(why::ABSOLUTE_STAYS),
    Case::of(
        "absolute without a Host",
        "9112 3.2.2",
        &["GET http://a@T HTTP/1.1\r\n\r\n"],
    )
    .page("400, closed")
    .haproxy("HAProxy leaves it to its upstream to ask for a host"),
    Case::of(
        "authority for a GET",
        "9112 3.2.3",
        &["GET a:80 HTTP/1.1\r\nHost: a\r\n\r\n"],
    )
    .page("400, open")
    .nginx(why::REFUSED_BUT_KEPT)
    .haproxy(why::REFUSED_BUT_KEPT),
    Case::of(
        "asterisk for OPTIONS",
        "9112 3.2.4",
        &["OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n"],
    )
    .page("400, open")
    .nginx(why::REFUSED_BUT_KEPT)
    .haproxy("HAProxy lets the upstream answer for the whole server; here there are two behind one address"),
    Case::of(
        "asterisk for a GET",
        "9112 3.2.4",
        &["GET * HTTP/1.1\r\nHost: a\r\n\r\n"],
    )
    .page("400, open")
    .nginx(why::REFUSED_BUT_KEPT)
    .haproxy("HAProxy lets the upstream answer for the whole server; here there are two behind one address"),
    Case::of(
        "CONNECT",
        "9110 9.3.6",
        &["CONNECT a:443 HTTP/1.1\r\nHost: a\r\n\r\n"],
    )
    .page("405, closed")
    .haproxy("HAProxy passes on what an origin does not serve; here it is refused, as at nginx"),
    Case::of(
        "CONNECT to a path",
        "9110 9.3.6",
        &["CONNECT @T HTTP/1.1\r\nHost: a\r\n\r\n"],
    )
    .page("405, closed"),
    Case::of(
        "TRACE",
        "9110 9.3.8",
        &["TRACE @T HTTP/1.1\r\nHost: a\r\n\r\n"],
    )
    .page("405, closed")
    .haproxy("HAProxy passes on what an origin does not serve; here it is refused, as at nginx"),
    Case::of(
        "a method nobody knows",
        "9110 9.1",
        &["BREW @T HTTP/1.1\r\nHost: a\r\n\r\n"],
    )
    .page("200, open; BREW T bare"),
    Case::of(
        "a method in small letters",
        "9110 9.1",
        &["get @T HTTP/1.1\r\nHost: a\r\n\r\n"],
    )
    .page("200, open; get T bare")
    .nginx("nginx takes no method in small letters; RFC 9110 allows any token"),
    Case::of(
        "a method with a bracket",
        "9110 9.1",
        &["G(T @T HTTP/1.1\r\nHost: a\r\n\r\n"],
    )
    .page("400, closed"),
    Case::of(
        "PATCH",
        "9110 9.1",
        &["PATCH @T HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n"],
    )
    .page("200, open; PATCH T length "),
    Case::of(
        "DELETE with a body",
        "9110 9.3.5",
        &["DELETE @T HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello"],
    )
    .page("200, open; DELETE T length hello"),
    Case::of(
        "no slash",
        "9112 3.2.1",
        &["GET web HTTP/1.1\r\nHost: a\r\n\r\n"],
    )
    .page("400, open")
    .nginx(why::REFUSED_BUT_KEPT)
    .haproxy(why::REFUSED_BUT_KEPT),
    Case::of(
        "nothing but a query",
        "9112 3.2.1",
        &["GET ?a=b HTTP/1.1\r\nHost: a\r\n\r\n"],
    )
    .page("400, closed"),
];

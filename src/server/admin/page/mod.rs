//! The dashboard's files, built into the program. They hold no data, so that whoever may not
//! read any can be asked for a token by the page itself. Nothing in them asks another server
//! for anything, and a policy says so to the browser.
//!
//! `uplot/` is uPlot as its authors distribute it (MIT, its licence beside it); all else is ours.

use std::hash::Hasher as _;

use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, ETAG, IF_NONE_MATCH, REFERRER_POLICY};
use http::{HeaderValue, Method, Request, StatusCode};
use siphasher::sip::SipHasher;

use super::{Answer, not_allowed, typed};

/// What the page may do: nothing but read its own files and ask its own server.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; \
img-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'";

/// A file: its path, its content type, its bytes.
type File = (&'static str, &'static str, &'static [u8]);

const HTML: &str = "text/html; charset=utf-8";
const CSS: &str = "text/css; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";
const TEXT: &str = "text/plain; charset=utf-8";
const PICTURE: &str = "image/svg+xml";

/// Declares the files: each is served below `/page/` by its own name.
macro_rules! files {
    ($($kind:ident { $($name:literal,)+ })+) => {
        const FILES: &[File] = &[
            ("/", HTML, include_bytes!("index.html")),
            $($((concat!("/page/", $name), $kind, include_bytes!($name)),)+)+
        ];
    };
}

files! {
    CSS {
        "page.css",
        "uplot/uPlot.min.css",
    }
    SCRIPT {
        "admission.js",
        "board.js",
        "clients.js",
        "dialogs.js",
        "elements.js",
        "endings.js",
        "frames.js",
        "incidents.js",
        "leaders.js",
        "light.js",
        "machine.js",
        "main.js",
        "mirrors.js",
        "plots.js",
        "project.js",
        "quotas.js",
        "spool.js",
        "stream.js",
        "switches.js",
        "theme.js",
        "traffic.js",
        "units.js",
        "upstreams.js",
        "uplot/uPlot.iife.min.js",
    }
    TEXT {
        "uplot/LICENSE",
    }
    PICTURE {
        "icon.svg",
    }
}

fn find(path: &str) -> Option<&'static File> {
    FILES.iter().find(|(own, _, _)| *own == path)
}

/// Whether the path is one of the dashboard's.
pub(super) fn is_file(path: &str) -> bool {
    find(path).is_some()
}

/// The file; 304 for whoever has it.
pub(super) fn answer<B>(request: &Request<B>) -> Answer {
    let Some((_, kind, bytes)) = find(request.uri().path()) else {
        return super::error_answer(StatusCode::NOT_FOUND, "there is no such path");
    };
    if request.method() != Method::GET && request.method() != Method::HEAD {
        return not_allowed("GET, HEAD");
    }
    let tag = tag(bytes);
    let known = request.headers().get(IF_NONE_MATCH);
    let same = known.is_some_and(|known| known.as_bytes() == tag.as_bytes());
    let mut answer = typed(Bytes::from_static(bytes), kind);
    if same {
        answer = answer.map(|_| http_body_util::Full::default());
        *answer.status_mut() = StatusCode::NOT_MODIFIED;
    }
    let headers = answer.headers_mut();
    // Asked for each time, and then mostly not sent: an edge that was replaced shows its own.
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    headers.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    if let Ok(tag) = HeaderValue::from_str(&tag) {
        headers.insert(ETAG, tag);
    }
    answer
}

/// Differs when the bytes do. Some ten microseconds for the largest.
fn tag(bytes: &[u8]) -> String {
    let mut hasher = SipHasher::new();
    hasher.write(bytes);
    format!("\"{:016x}\"", hasher.finish())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(path: &str, tag: Option<&str>) -> Answer {
        let mut request = Request::new(());
        *request.uri_mut() = path.parse().unwrap();
        if let Some(tag) = tag {
            let tag = HeaderValue::from_str(tag).unwrap();
            request.headers_mut().insert(IF_NONE_MATCH, tag);
        }
        answer(&request)
    }

    #[test]
    fn a_file_is_sent_once() {
        let first = ask("/", None);
        assert_eq!(first.status(), StatusCode::OK);
        let tag = first.headers().get(ETAG).unwrap().to_str().unwrap();
        assert_eq!(ask("/", Some(tag)).status(), StatusCode::NOT_MODIFIED);
        assert_eq!(ask("/", Some("\"other\"")).status(), StatusCode::OK);
        assert_eq!(
            ask("/page/nothing.js", None).status(),
            StatusCode::NOT_FOUND
        );
    }

    #[test]
    fn every_file_comes_with_the_policy() {
        for (path, kind, _) in FILES {
            let answer = ask(path, None);
            let header = |name| answer.headers().get(name).unwrap().to_str().unwrap();
            assert_eq!(header(CONTENT_SECURITY_POLICY), POLICY, "{path}");
            assert_eq!(header(http::header::CONTENT_TYPE), *kind, "{path}");
        }
    }

    /// What the policy forbids would only be found by whoever opens the page.
    #[test]
    fn the_page_has_no_script_style_or_address_of_another() {
        for (path, _, bytes) in FILES.iter().filter(|(path, ..)| !path.contains("uplot")) {
            let text = std::str::from_utf8(bytes).unwrap();
            // A picture has to say what it is written in.
            let text = text.replace("http://www.w3.org/2000/svg", "");
            for banned in [
                "http://",
                "https://",
                "//cdn",
                " style=",
                " onclick=",
                "innerHTML",
            ] {
                assert!(!text.contains(banned), "{path}: {banned}");
            }
        }
    }

    #[test]
    fn every_file_that_the_page_names_is_there() {
        let index = std::str::from_utf8(include_bytes!("index.html")).unwrap();
        let names = |text: &'static str, before: &str| {
            let behind: Vec<&str> = text.split(before).skip(1).collect();
            behind.into_iter().filter_map(|rest| rest.split('"').next())
        };
        for name in names(index, "\"page/") {
            assert!(is_file(&format!("/page/{name}")), "{name}");
        }
        for (path, kind, bytes) in FILES.iter().filter(|(_, kind, _)| *kind == SCRIPT) {
            let text = std::str::from_utf8(bytes).unwrap();
            for name in names(text, "from \"./") {
                assert!(is_file(&format!("/page/{name}")), "{path} ({kind}): {name}");
            }
        }
    }
}

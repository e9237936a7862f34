//! Who gave an answer, as far as its head tells, and how its limit is raised. Asks nobody.

use super::post::Answer;

/// Who stands where an answer came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Who {
    /// The edge: it says why in `x-sentry-error`.
    Edge,
    Cloudflare,
    Nginx,
    Caddy,
    /// By the name that it gives itself.
    Other(String),
    Nameless,
}

impl Who {
    pub(super) fn of(answer: &Answer) -> Self {
        let server = answer.header("server").unwrap_or_default();
        let lower = server.to_ascii_lowercase();
        // Every hop may put its name over the one before it; only the edge gives reasons.
        if answer.header("x-sentry-error").is_some() {
            return Self::Edge;
        }
        if lower == "cloudflare" || answer.header("cf-ray").is_some() {
            return Self::Cloudflare;
        }
        match lower.split(['/', ' ']).next().unwrap_or_default() {
            "" => Self::Nameless,
            "nginx" | "openresty" => Self::Nginx,
            "caddy" => Self::Caddy,
            _ => Self::Other(server.to_owned()),
        }
    }

    /// How it is called in a sentence.
    pub(super) fn name(&self) -> String {
        match self {
            Self::Edge => "vidette".to_owned(),
            Self::Cloudflare => "Cloudflare".to_owned(),
            Self::Nginx => "nginx".to_owned(),
            Self::Caddy => "Caddy".to_owned(),
            Self::Other(name) => name.clone(),
            Self::Nameless => "somebody who gives no name".to_owned(),
        }
    }

    /// Where its limit on bodies is set, and a line for that.
    pub(super) fn limit(&self, key: &str, least: &str) -> (String, Option<String>) {
        match self {
            Self::Edge => (format!("raise limits.bodies.{key} in vidette.yml"), None),
            Self::Nginx => (
                "in that nginx, at the server or the location:".to_owned(),
                Some("client_max_body_size 0;".to_owned()),
            ),
            Self::Cloudflare => (
                "its plan sets that, 100 MB for most: send uploads by a name that does not go \
                 through it"
                    .to_owned(),
                None,
            ),
            Self::Caddy => (
                "in its Caddyfile, at the site:".to_owned(),
                Some(format!("request_body {{ max_size {least} }}")),
            ),
            Self::Other(_) | Self::Nameless => (
                "find whose limit on request bodies that is, from the outermost proxy inwards"
                    .to_owned(),
                None,
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(headers: &[(&str, &str)], want: &Who) {
        let headers = headers.iter();
        let headers = headers.map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        let answer = Answer {
            status: 413,
            headers: headers.collect(),
        };
        assert_eq!(Who::of(&answer), *want);
    }

    #[test]
    fn an_answer_is_known_by_its_head() {
        check(&[("server", "nginx/1.22.1")], &Who::Nginx);
        check(&[("server", "cloudflare")], &Who::Cloudflare);
        check(&[("cf-ray", "x"), ("server", "nginx")], &Who::Cloudflare);
        check(&[("server", "Caddy")], &Who::Caddy);
        check(
            &[("server", "awselb/2.0")],
            &Who::Other("awselb/2.0".to_owned()),
        );
        check(&[], &Who::Nameless);
        check(
            &[("server", "nginx"), ("x-sentry-error", "too large")],
            &Who::Edge,
        );
    }
}

//! What an inbound filter says: which of a project's events nobody wants (PROTOCOL 10).
//!
//! Owns the values, and what is known of crawlers. Never matches an event: `policy::wanted`
//! does.

use ipnet::IpNet;

use super::glob::Glob;

/// A project's filters; the default lets everything pass.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Filters {
    /// Clients whose address is in one of them.
    pub client_ips: Vec<IpNet>,
    /// User agents, of the request or as an event tells of its own request.
    pub user_agents: Vec<Glob>,
    /// Search engines and other machines that read pages.
    pub crawlers: bool,
    /// Releases of events.
    pub releases: Vec<Glob>,
    /// Environments of events.
    pub environments: Vec<Glob>,
    /// An event's message, or one of its exceptions as `type: value`.
    pub error_messages: Vec<Glob>,
    /// Events from a developer's own machine.
    pub localhost: bool,
}

/// Words that stand in crawlers' user agents and in nobody else's, in lower case.
const CRAWLERS: [&str; 12] = [
    "baiduspider",
    "yahoo! slurp",
    "ia_archiver",
    "facebookexternalhit",
    "pingdom",
    "aws-security-scanner",
    "aws security scanner",
    "hubspot",
    "bytespider",
    "lytics",
    "slackbot-linkexpanding",
    "mediapartners-google",
];

/// Words with which crawlers call themselves, at the end of a name: `Googlebot/2.1`.
const KINDS: [&str; 3] = ["bot", "crawler", "spider"];

/// Names that end so and are no crawlers': a maker of phones, and a link's preview that a
/// person asked for.
const NOT_CRAWLERS: [&str; 2] = ["cubot", "slackbot"];

/// Whether a user agent is a crawler's, by its own word.
#[must_use]
pub fn is_crawler(user_agent: &str) -> bool {
    let agent = user_agent.to_ascii_lowercase();
    if CRAWLERS.iter().any(|word| agent.contains(word)) {
        return true;
    }
    let mut names = agent.split(|sign: char| !(sign.is_ascii_alphabetic()));
    names.any(|name| {
        let kind = KINDS.iter().any(|kind| name.ends_with(kind));
        kind && !NOT_CRAWLERS.contains(&name)
    })
}

/// Whether an address is of the machine on which its page is looked at.
#[must_use]
pub fn is_local(url: &str) -> bool {
    let Some((scheme, behind)) = url.split_once(':') else {
        return false;
    };
    if scheme.eq_ignore_ascii_case("file") {
        return true;
    }
    let Some(behind) = behind.strip_prefix("//") else {
        return false;
    };
    let authority = behind.split(['/', '?', '#']).next().unwrap_or_default();
    let host = authority.rsplit('@').next().unwrap_or_default();
    let name = match host.strip_prefix('[') {
        Some(v6) => v6.split(']').next().unwrap_or_default(),
        None => host.split(':').next().unwrap_or_default(),
    };
    let local = ["localhost", "127.0.0.1", "::1"];
    local.iter().any(|local| name.eq_ignore_ascii_case(local))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(user_agent: &str, crawler: bool) {
        assert_eq!(is_crawler(user_agent), crawler, "{user_agent}");
    }

    #[test]
    fn crawlers_say_what_they_are() {
        for agent in [
            "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)",
            "Mozilla/5.0 (compatible; bingbot/2.0; +http://www.bing.com/bingbot.htm)",
            "Mozilla/5.0 (compatible; Baiduspider/2.0)",
            "Mozilla/5.0 (compatible; Yahoo! Slurp; http://help.yahoo.com/)",
            "Sogou web spider/4.0(+http://www.sogou.com/docs/help/webmasters.htm)",
            "facebookexternalhit/1.1",
            "Pingdom.com_bot_version_1.4_(http://www.pingdom.com/)",
            "Slackbot-LinkExpanding 1.0 (+https://api.slack.com/robots)",
            "SomeNewCrawler/1.0",
        ] {
            check(agent, true);
        }
    }

    #[test]
    fn a_developers_own_machine_is_told_by_its_address() {
        for url in [
            "http://localhost",
            "http://LOCALHOST:3000/a",
            "https://127.0.0.1/?q",
            "http://user:word@localhost#a",
            "http://[::1]:80/",
            "file:///home/me/index.html",
            "FILE:c:/index.html",
        ] {
            assert!(is_local(url), "{url}");
        }
        for url in [
            "",
            "localhost",
            "/localhost",
            "http://localhost.example/",
            "http://example/localhost",
            "http://localhost@example/",
            "http://127.0.0.10/",
            "app:///index.js",
        ] {
            assert!(!is_local(url), "{url}");
        }
    }

    #[test]
    fn people_and_sdks_are_no_crawlers() {
        for agent in [
            "",
            "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 Chrome/120.0 Safari/537.36",
            "Mozilla/5.0 (Linux; Android 9; CUBOT X19) AppleWebKit/537.36",
            "Mozilla/5.0 (Linux; Android 7.0; CUBOT_NOTE Plus)",
            "sentry.python/2.0",
            "sentry.javascript.browser/8.0",
            "Slackbot 1.0 (+https://api.slack.com/robots)",
            "Robotics App/1.0",
        ] {
            check(agent, false);
        }
    }
}

//! One service of a Compose file, in the terms in which faults are looked for. Judges nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::variables;
use super::yaml::Node;

/// A service by its name.
#[derive(Clone, Copy, Debug)]
pub(super) struct Service<'n> {
    pub(super) name: &'n str,
    pub(super) node: &'n Node,
}

/// A port of the host that leads to one of the container.
#[derive(Debug)]
pub(super) struct Port {
    /// Where it is written.
    pub(super) place: String,
    /// `None`: every address of the host.
    pub(super) ip: Option<IpAddr>,
    /// `None`: the engine chooses one, or what is written names none.
    pub(super) published: Option<u16>,
    /// The container's.
    pub(super) target: Option<u16>,
    /// As written.
    pub(super) written: String,
}

/// What is mounted, and where.
#[derive(Debug)]
pub(super) struct Mount {
    pub(super) place: String,
    /// `None`: a volume without a name, or one in memory.
    pub(super) source: Option<String>,
    pub(super) target: String,
    pub(super) in_memory: bool,
    pub(super) read_only: bool,
}

impl<'n> Service<'n> {
    pub(super) fn all(root: &'n Node) -> Vec<Self> {
        let services = root.get("services").map(Node::entries).unwrap_or_default();
        services
            .iter()
            .map(|(name, node)| Self { name, node })
            .collect()
    }

    /// `FILE:LINE: service NAME: `, of a key if it is there.
    pub(super) fn place(&self, key: &str) -> String {
        let place = self.node.get(key).unwrap_or(self.node).place();
        format!("{place}: service {}", self.name)
    }

    pub(super) fn text(&self, key: &str) -> Option<&'n str> {
        self.node.get(key)?.text()
    }

    /// What the container's environment holds, `env_file` below it.
    pub(super) fn environment(&self, folder: &Path) -> BTreeMap<String, String> {
        let mut set = BTreeMap::new();
        if let Some(files) = self.node.get("env_file") {
            let path = |node: &'n Node| node.text().or_else(|| node.get("path")?.text());
            let paths = path(files).into_iter();
            for file in paths.chain(files.list().iter().filter_map(path)) {
                let text = std::fs::read_to_string(folder.join(file)).unwrap_or_default();
                set.extend(variables::lines(&text));
            }
        }
        let Some(node) = self.node.get("environment") else {
            return set;
        };
        for (name, value) in node.entries() {
            set.insert(name.clone(), value.text().unwrap_or_default().to_owned());
        }
        for pair in node.list().iter().filter_map(Node::text) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            set.insert(name.to_owned(), value.to_owned());
        }
        set
    }

    pub(super) fn ports(&self) -> Vec<Port> {
        let ports = self.node.get("ports").map(Node::list).unwrap_or_default();
        ports.iter().map(port).collect()
    }

    pub(super) fn mounts(&self) -> Vec<Mount> {
        let volumes = self.node.get("volumes").map(Node::list).unwrap_or_default();
        let tmpfs = self.node.get("tmpfs");
        let paths = tmpfs.into_iter().flat_map(|node| match node.text() {
            Some(_) => std::slice::from_ref(node),
            None => node.list(),
        });
        let in_memory = paths.filter_map(|node| {
            Some(Mount {
                place: node.place(),
                source: None,
                target: node.text()?.split(':').next()?.to_owned(),
                in_memory: true,
                read_only: false,
            })
        });
        volumes.iter().filter_map(mount).chain(in_memory).collect()
    }

    /// The networks that it is in.
    pub(super) fn networks(&self) -> BTreeSet<String> {
        let Some(node) = self.node.get("networks") else {
            return BTreeSet::from(["default".to_owned()]);
        };
        let listed = node.list().iter().filter_map(Node::text);
        let keyed = node.entries().iter().map(|(name, _)| name.as_str());
        listed.chain(keyed).map(str::to_owned).collect()
    }

    /// The names that others find it by.
    pub(super) fn answers_to(&self, name: &str) -> bool {
        let networks = self.node.get("networks").map(Node::entries);
        let aliases = networks
            .unwrap_or_default()
            .iter()
            .flat_map(|(_, network)| network.get("aliases").map(Node::list).unwrap_or_default());
        let mut aliases = aliases.filter_map(Node::text);
        self.name == name
            || ["container_name", "hostname"]
                .iter()
                .any(|key| self.text(key) == Some(name))
            || aliases.any(|alias| alias == name)
    }

    /// The words of a command or a check, whichever form they are in.
    pub(super) fn words(&self, path: &[&str]) -> Vec<&'n str> {
        let Some(node) = self.node.at(path) else {
            return Vec::new();
        };
        match node.text() {
            Some(text) => text.split_whitespace().collect(),
            None => node.list().iter().filter_map(Node::text).collect(),
        }
    }

    /// What a file at this path of the container is on the host.
    pub(super) fn on_host(&self, path: &str, folder: &Path) -> Option<PathBuf> {
        self.mounts().iter().find_map(|mount| {
            let source = mount.source.as_deref()?;
            if !source.starts_with(['.', '/', '~']) {
                return None;
            }
            let below = Path::new(path).strip_prefix(&mount.target).ok()?;
            let file = folder.join(source);
            // Nothing below: the file itself is mounted, and a slash would make it a folder.
            Some(if below.as_os_str().is_empty() {
                file
            } else {
                file.join(below)
            })
        })
    }
}

fn port(node: &Node) -> Port {
    let place = node.place();
    let number = |key| node.get(key)?.text()?.parse().ok();
    let Some(text) = node.text() else {
        let ip = node.get("host_ip").and_then(Node::text);
        let (published, target) = (number("published"), number("target"));
        let shown =
            |port: Option<u16>| port.map_or_else(|| "?".to_owned(), |port| port.to_string());
        return Port {
            place,
            ip: ip.and_then(|ip| ip.trim_matches(['[', ']']).parse().ok()),
            published,
            target,
            written: format!("{}:{}", shown(published), shown(target)),
        };
    };
    let plain = text.split('/').next().unwrap_or_default();
    let (host, target) = match plain.rsplit_once(':') {
        Some((host, target)) => (host, target),
        None => ("", plain),
    };
    let (ip, published) = match host.rsplit_once(':') {
        Some((ip, published)) => (ip, published),
        // An address alone leaves the port to the engine.
        None if host.parse::<IpAddr>().is_ok() => (host, ""),
        None => ("", host),
    };
    Port {
        place,
        ip: ip.trim_matches(['[', ']']).parse().ok(),
        published: published.parse().ok(),
        target: target.parse().ok(),
        written: text.to_owned(),
    }
}

fn mount(node: &Node) -> Option<Mount> {
    let place = node.place();
    let text = |key: &str| node.get(key).and_then(Node::text).map(str::to_owned);
    let Some(short) = node.text() else {
        return Some(Mount {
            place,
            source: text("source"),
            target: text("target")?,
            in_memory: text("type").as_deref() == Some("tmpfs"),
            read_only: text("read_only").as_deref() == Some("true"),
        });
    };
    let mut parts = short.split(':');
    let first = parts.next()?;
    let (source, target) = match parts.next() {
        Some(target) => (Some(first.to_owned()), target),
        None => (None, first),
    };
    let options = parts.next().unwrap_or_default();
    Some(Mount {
        place,
        source,
        target: target.to_owned(),
        in_memory: false,
        read_only: options.split(',').any(|option| option == "ro"),
    })
}

/// A duration as Compose writes it: `40s`, `1m30s`.
pub(super) fn duration(text: &str) -> Option<Duration> {
    let mut rest = text.trim();
    let mut total = Duration::ZERO;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !(c.is_ascii_digit() || c == '.'))?;
        let (number, after) = rest.split_at(digits);
        let unit = after.find(|c: char| !c.is_ascii_alphabetic());
        let (unit, after) = after.split_at(unit.unwrap_or(after.len()));
        let seconds = match unit {
            "h" => 3600.0,
            "m" => 60.0,
            "s" => 1.0,
            "ms" => 1e-3,
            "us" => 1e-6,
            _ => return None,
        };
        let number: f64 = number.parse().ok()?;
        total = total.checked_add(Duration::try_from_secs_f64(number * seconds).ok()?)?;
        rest = after;
    }
    Some(total)
}

#[cfg(test)]
mod tests {
    use super::super::yaml::read;
    use super::*;

    #[track_caller]
    fn check_port(written: &str, want: (Option<&str>, Option<u16>, Option<u16>)) {
        let root = read("f.yml", &format!("ports: [{written}]\n")).unwrap();
        let found = port(&root.get("ports").unwrap().list()[0]);
        let ip = found.ip.map(|ip| ip.to_string());
        assert_eq!(
            (ip.as_deref(), found.published, found.target),
            want,
            "{written}"
        );
    }

    #[test]
    fn ports_are_read_in_each_form() {
        check_port("'9000:80/tcp'", (None, Some(9000), Some(80)));
        check_port(
            "'127.0.0.1:9000:80'",
            (Some("127.0.0.1"), Some(9000), Some(80)),
        );
        check_port("'[::]:9000:80'", (Some("::"), Some(9000), Some(80)));
        check_port("'80'", (None, None, Some(80)));
        check_port("':80/tcp'", (None, None, Some(80)));
        check_port("'127.0.0.1::80'", (Some("127.0.0.1"), None, Some(80)));
        check_port(
            "{host_ip: '::1', published: '9000', target: 80}",
            (Some("::1"), Some(9000), Some(80)),
        );
    }

    #[test]
    fn durations_are_read_in_parts() {
        for (text, want) in [
            ("40s", Some(40_000)),
            ("1m30s", Some(90_000)),
            ("1.5s", Some(1_500)),
            ("500ms", Some(500)),
            ("40", None),
            ("x", None),
        ] {
            let read = duration(text).map(|time| time.as_millis());
            assert_eq!(read, want, "{text}");
        }
    }

    #[test]
    fn a_file_of_the_container_is_found_on_the_host() {
        let text = "services:\n  a:\n    volumes: ['./v.yml:/etc/vidette/vidette.yml:ro', '/conf:/c', 'named:/n']\n";
        let root = read("f.yml", text).unwrap();
        let service = Service::all(&root)[0];
        let folder = Path::new("/here");
        let found = |path| service.on_host(path, folder);
        assert_eq!(
            found("/etc/vidette/vidette.yml"),
            Some("/here/./v.yml".into())
        );
        assert_eq!(found("/c/x.yml"), Some("/conf/x.yml".into()));
        assert_eq!(found("/n/x.yml"), None);
        assert!(service.mounts()[0].read_only);
    }
}

//! The parts that tests stand on beside the edge itself: what is installed, and
//! what is left out where it is not. Installs nothing.

use std::path::{Path, PathBuf};

use libtest_mimic::{Failed, Trial};

/// Something that a bare machine lacks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Part {
    /// nginx from Debian.
    Nginx,
    /// HAProxy from Debian.
    Haproxy,
    /// Pebble from Debian: an ACME authority for tests, with names for it to look up.
    Pebble,
    /// OpenSSL's own client.
    Openssl,
    /// curl.
    Curl,
    /// The virtual environment with sentry-sdk, sentry-cli, Bugsink and sslyze.
    Python,
    /// Node with its SDKs' modules.
    Node,
    /// Chromium, driven from Node.
    Browser,
    /// An address of this machine's beside loopback.
    Address,
    /// Prometheus from Debian, with promtool.
    Prometheus,
    /// Redis from Debian, with its sentinel.
    Redis,
    /// The tools that come with systemd; it need not run.
    Systemd,
    /// groff, which sets manual pages.
    Groff,
    /// Mounts that nobody else sees, as Linux gives them to whoever may have namespaces.
    Mounts,
    /// Being root.
    Root,
}

impl Part {
    /// How it is named in the list of tests.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Nginx => "nginx",
            Self::Haproxy => "haproxy",
            Self::Pebble => "pebble",
            Self::Openssl => "openssl",
            Self::Curl => "curl",
            Self::Python => "venv",
            Self::Node => "node_modules",
            Self::Browser => "chromium",
            Self::Address => "address",
            Self::Prometheus => "prometheus",
            Self::Redis => "redis",
            Self::Systemd => "systemd",
            Self::Groff => "groff",
            Self::Mounts => "mount_namespaces",
            Self::Root => "root",
        }
    }

    fn is_here(self) -> bool {
        match self {
            Self::Nginx => program("nginx").is_some(),
            Self::Haproxy => program("haproxy").is_some(),
            Self::Pebble => program("pebble").is_some() && program("pebble-challtestsrv").is_some(),
            Self::Openssl => program("openssl").is_some(),
            Self::Curl => program("curl").is_some(),
            Self::Python => python().is_some(),
            Self::Node => program("node").is_some() && node_modules().is_some(),
            Self::Browser => program("chromium").is_some() && Self::Node.is_here(),
            Self::Address => crate::hostile::blocked::own_address().is_some(),
            Self::Prometheus => program("prometheus").is_some() && program("promtool").is_some(),
            Self::Redis => program("redis-server").is_some() && program("redis-sentinel").is_some(),
            Self::Systemd => program("systemd-analyze").is_some(),
            Self::Groff => program("groff").is_some(),
            Self::Root => rustix::process::geteuid().is_root(),
            Self::Mounts => {
                let tried = std::process::Command::new("unshare")
                    .args([
                        "--map-root-user",
                        "--mount",
                        "mount",
                        "-t",
                        "tmpfs",
                        "x",
                        "/mnt",
                    ])
                    .output();
                tried.is_ok_and(|tried| tried.status.success())
            }
        }
    }
}

/// Where a program is, also where Debian keeps daemons and a user's path does not lead.
pub(crate) fn program(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders =
        std::env::split_paths(&path).chain(["/usr/sbin".into(), "/usr/local/sbin".into()]);
    folders
        .map(|folder| folder.join(name))
        .find(|candidate| candidate.is_file())
}

/// The folder that the parts were installed to.
fn folder() -> Option<PathBuf> {
    std::env::var_os("VIDETTE_PARTS_DIR")
        .map(PathBuf::from)
        .filter(|folder| folder.is_dir())
}

/// The virtual environment's interpreter.
pub(crate) fn python() -> Option<PathBuf> {
    folder()
        .map(|folder| folder.join("venv/bin/python"))
        .filter(|python| python.is_file())
}

/// The folder that Node finds its modules in.
pub(crate) fn node_modules() -> Option<PathBuf> {
    folder()
        .map(|folder| folder.join("node_modules"))
        .filter(|modules| modules.is_dir())
}

/// Node itself.
pub(crate) fn node() -> PathBuf {
    program("node").unwrap()
}

/// A file of this checkout.
pub(crate) fn checkout(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// A test that needs parts. One that is absent leaves the test out, by name;
/// where all parts are required it fails instead.
pub(crate) fn trial(name: String, needs: &'static [Part], test: fn()) -> Trial {
    let absent = needs.iter().copied().find(|part| !part.is_here());
    let Some(absent) = absent else {
        return Trial::test(name, move || {
            test();
            Ok(())
        });
    };
    if std::env::var_os("VIDETTE_REQUIRE_PARTS").is_some_and(|value| value == "1") {
        return Trial::test(name, move || {
            Err(Failed::from(format!("{} is not installed", absent.name())))
        });
    }
    Trial::test(name, || Ok(()))
        .with_kind(absent.name())
        .with_ignored_flag(true)
}

/// Functions as trials, named after their module and themselves.
macro_rules! promises {
    ($needs:expr; $($test:ident),+ $(,)?) => {
        vec![$($crate::parts::trial(
            format!("{}::{}", module_path!().trim_start_matches("e2e::"), stringify!($test)),
            $needs,
            $test,
        )),+]
    };
}
pub(crate) use promises;

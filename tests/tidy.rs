//! House rules that the compiler does not know: which layer may use which, what
//! files may be called, how long they grow, what the inner layers must not touch.
//! Reads the tree; changes nothing. Each rule is tried on a snippet that breaks it.

#![expect(
    clippy::string_slice,
    clippy::unwrap_used,
    reason = "a place that was found in a text is one of its borders; a tree that cannot be read fails"
)]

#[path = "tidy/code.rs"]
mod code;

use std::fs;
use std::path::{Path, PathBuf};

use code::{code, is_word};

/// Which layers a layer may use. What is not listed is refused.
const ARROWS: &[(&str, &[&str])] = &[
    ("domain", &[]),
    ("policy", &["domain"]),
    ("tls", &["domain"]),
    ("config", &["domain", "tls"]),
    ("telemetry", &["domain"]),
    (
        "server",
        &["policy", "domain", "config", "telemetry", "tls"],
    ),
    ("demo", &["server", "config", "telemetry", "domain"]),
    (
        "cli",
        &["demo", "server", "config", "telemetry", "domain", "tls"],
    ),
    ("main", &["cli"]),
    ("lib", &[]),
];

/// Names that hide what a file is about.
const EMPTY_NAMES: &[&str] = &[
    "util", "utils", "common", "helper", "helpers", "misc", "types", "manager", "managers",
];

/// What `domain/` and `policy/` must do without: IO, clocks, chance and logs.
const BANNED_INSIDE: &[&str] = &[
    "tokio",
    "hyper",
    "hyper_util",
    "tracing",
    "Instant::now",
    "SystemTime::now",
    "fastrand",
    "rand",
    "getrandom",
    "std::fs",
    "std::env",
    "std::process",
    "TcpStream",
    "UdpSocket",
];

/// The longest a file may be before its tests.
const LINES_MAX: usize = 400;

/// Folders that are not part of the tree.
const SKIPPED: &[&str] = &["target", ".git", "node_modules", "shared", "__pycache__"];

/// A file of the tree: its path from the root, and its text.
struct File {
    path: String,
    text: String,
}

impl File {
    fn is_rust(&self) -> bool {
        self.path.ends_with(".rs")
    }

    /// The layer it belongs to, for files below `src/`.
    fn layer(&self) -> Option<&str> {
        let inside = self.path.strip_prefix("src/")?;
        Some(
            inside
                .split_once('/')
                .map_or_else(|| inside.trim_end_matches(".rs"), |(layer, _)| layer),
        )
    }

    /// How many `super::` lead from its module to the crate's root.
    fn depth(&self) -> usize {
        let inside = self
            .path
            .trim_start_matches("src/")
            .trim_end_matches(".rs")
            .trim_end_matches("/mod");
        inside.split('/').count()
    }
}

fn tree() -> Vec<File> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut folders = vec![root.to_path_buf()];
    let mut files = Vec::new();
    while let Some(folder) = folders.pop() {
        let mut entries: Vec<PathBuf> = fs::read_dir(&folder)
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .collect();
        entries.sort();
        for path in entries {
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            if path.is_symlink() || SKIPPED.contains(&name.as_str()) {
                continue;
            }
            if path.is_dir() {
                folders.push(path);
            } else if let Ok(text) = fs::read_to_string(&path) {
                let path = path
                    .strip_prefix(root)
                    .unwrap()
                    .to_string_lossy()
                    .into_owned();
                files.push(File { path, text });
            }
        }
    }
    assert!(
        files.iter().any(|file| file.path == "src/main.rs"),
        "the tree was not found"
    );
    files
}

/// Where `word` stands in `code` as a whole word.
fn places(code: &str, word: &str) -> Vec<usize> {
    let whole = |at: usize| {
        !code[..at].chars().next_back().is_some_and(is_word)
            && !code[at + word.len()..].chars().next().is_some_and(is_word)
    };
    code.match_indices(word)
        .map(|(at, _)| at)
        .filter(|&at| whole(at))
        .collect()
}

fn line_of(text: &str, at: usize) -> usize {
    text[..at].matches('\n').count() + 1
}

/// The first names of a path's continuation: `a::b` gives a, `{a, b::c}` gives a and b.
fn first_names(after: &str) -> Vec<&str> {
    let Some(group) = after.strip_prefix('{') else {
        return vec![
            after
                .split(|c: char| !is_word(c))
                .next()
                .unwrap_or_default(),
        ];
    };
    let mut names = Vec::new();
    let (mut depth, mut expecting) = (0_usize, true);
    let mut at = 0;
    while let Some(c) = group[at..].chars().next() {
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            ',' if depth == 0 => expecting = true,
            c if is_word(c) && expecting && depth == 0 => {
                names.push(
                    group[at..]
                        .split(|c: char| !is_word(c))
                        .next()
                        .unwrap_or_default(),
                );
                expecting = false;
            }
            _ => {}
        }
        at += c.len_utf8();
    }
    names
}

/// Uses of layers that no arrow leads to.
fn wrong_arrows(file: &File) -> Vec<String> {
    let Some(layer) = file.layer() else {
        return Vec::new();
    };
    let code = code(&file.text);
    let Some((_, allowed)) = ARROWS.iter().find(|(name, _)| *name == layer) else {
        return vec![format!(
            "{}: {layer} is no layer that the arrows know",
            file.path
        )];
    };
    let root = if layer == "main" { "vidette" } else { "crate" };
    let mut used: Vec<(usize, &str)> = Vec::new();
    for at in places(&code, root) {
        if let Some(after) = code[at + root.len()..].trim_start().strip_prefix("::") {
            used.extend(
                first_names(after.trim_start())
                    .into_iter()
                    .map(|name| (at, name)),
            );
        }
    }
    let climb = "super::".repeat(file.depth());
    used.extend(code.match_indices(&climb).map(|(at, _)| {
        let after = code[at..].trim_start_matches("super::");
        (
            at,
            after
                .split(|c: char| !is_word(c))
                .next()
                .unwrap_or_default(),
        )
    }));
    used.into_iter()
        .filter(|(_, name)| {
            *name != layer
                && !allowed.contains(name)
                && ARROWS.iter().any(|(known, _)| known == name)
        })
        .map(|(at, name)| {
            format!(
                "{}:{}: {layer} must not use {name}",
                file.path,
                line_of(&code, at)
            )
        })
        .collect()
}

/// What an inner layer must do without and uses all the same.
fn banned_inside(file: &File) -> Vec<String> {
    if !matches!(file.layer(), Some("domain" | "policy")) {
        return Vec::new();
    }
    let code = code(&file.text);
    let found = BANNED_INSIDE
        .iter()
        .flat_map(|word| places(&code, word).into_iter().map(move |at| (at, word)));
    found
        .map(|(at, word)| {
            format!(
                "{}:{}: {word} has no place here",
                file.path,
                line_of(&code, at)
            )
        })
        .collect()
}

/// A name that says nothing, of a file or a folder.
fn empty_name(file: &File) -> Vec<String> {
    let names = file
        .path
        .split('/')
        .map(|name| name.split('.').next().unwrap_or(name));
    names
        .filter(|name| EMPTY_NAMES.contains(name))
        .map(|name| format!("{}: {name} says nothing", file.path))
        .collect()
}

/// A file that does not say what it owns.
fn without_docs(file: &File) -> Vec<String> {
    let opens = file.text.starts_with("//! ");
    if opens {
        Vec::new()
    } else {
        vec![format!("{}: does not open with //!", file.path)]
    }
}

/// A file that has grown too long.
fn too_long(file: &File) -> Vec<String> {
    let before_tests = file
        .text
        .lines()
        .take_while(|line| *line != "#[cfg(test)]")
        .count();
    match before_tests > LINES_MAX {
        true => vec![format!(
            "{}: {before_tests} lines before its tests, {LINES_MAX} are allowed",
            file.path
        )],
        false => Vec::new(),
    }
}

/// A task that nobody owns.
fn ownerless(file: &File) -> Vec<String> {
    let word = concat!("TO", "DO");
    let owned = |at: usize| {
        let owner = file.text[at + word.len()..]
            .strip_prefix('(')
            .and_then(|rest| rest.split_once(')'));
        owner.is_some_and(|(owner, _)| !owner.trim().is_empty())
    };
    let places = places(&file.text, word)
        .into_iter()
        .filter(|&at| !owned(at));
    places
        .map(|at| {
            format!(
                "{}:{}: a task without an owner",
                file.path,
                line_of(&file.text, at)
            )
        })
        .collect()
}

/// A lint that is silenced without a reason: `expect` takes one.
fn silenced(file: &File) -> Vec<String> {
    let code = code(&file.text);
    let found = ["#[allow(", "#![allow("]
        .iter()
        .flat_map(|word| code.match_indices(word));
    found
        .map(|(at, _)| {
            format!(
                "{}:{}: allow, where expect with a reason is due",
                file.path,
                line_of(&code, at)
            )
        })
        .collect()
}

/// A path of the machine that somebody worked on.
fn machine_path(file: &File) -> Vec<String> {
    let roots = [
        concat!("/wo", "rk"),
        concat!("/ro", "ot/"),
        concat!("/ho", "me/"),
        concat!("/Us", "ers/"),
    ];
    let mut found = Vec::new();
    for root in roots {
        for (at, _) in file.text.match_indices(root) {
            let inside = file.text[..at]
                .chars()
                .next_back()
                .is_some_and(|c| is_word(c) || ".-/})*>\"".contains(c) && c != '"');
            let longer = !root.ends_with('/')
                && file.text[at + root.len()..]
                    .chars()
                    .next()
                    .is_some_and(|c| is_word(c) || c == '-' || c == '.');
            if !inside && !longer {
                found.push(format!(
                    "{}:{}: {root} is somebody's machine",
                    file.path,
                    line_of(&file.text, at)
                ));
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn holds(rule: fn(&File) -> Vec<String>, concerns: fn(&File) -> bool) {
        let complaints: Vec<String> = tree()
            .iter()
            .filter(|file| concerns(file))
            .flat_map(rule)
            .collect();
        assert!(complaints.is_empty(), "{}", complaints.join("\n"));
    }

    /// How often a rule complains about this text in a file of this name.
    #[track_caller]
    fn check(rule: fn(&File) -> Vec<String>, path: &str, text: &str, complaints: usize) {
        let file = File {
            path: path.to_owned(),
            text: text.to_owned(),
        };
        let got = rule(&file);
        assert_eq!(got.len(), complaints, "{path}: {text}\n{}", got.join("\n"));
    }

    #[test]
    fn layers_are_used_along_the_arrows_alone() {
        holds(wrong_arrows, File::is_rust);
    }

    #[test]
    fn a_use_against_the_arrows_is_found() {
        check(
            wrong_arrows,
            "src/domain/dsn.rs",
            "use crate::policy::Gate;",
            1,
        );
        check(
            wrong_arrows,
            "src/domain/dsn.rs",
            "use crate::domain::path;",
            0,
        );
        check(
            wrong_arrows,
            "src/policy/mod.rs",
            "fn f() { crate::server::x(); }",
            1,
        );
        check(
            wrong_arrows,
            "src/policy/mod.rs",
            "use crate::{domain::x, server::{y, config}, telemetry};",
            2,
        );
        check(wrong_arrows, "src/policy/mod.rs", "use super::config;", 1);
        check(
            wrong_arrows,
            "src/policy/limits.rs",
            "use super::config;",
            0,
        );
        check(
            wrong_arrows,
            "src/policy/limits.rs",
            "use super::super::config;",
            1,
        );
        check(
            wrong_arrows,
            "src/server/mod.rs",
            "use crate::cli; use crate::demo;",
            2,
        );
        check(
            wrong_arrows,
            "src/server/mod.rs",
            "use crate::policy; use crate::config; // crate::cli\nconst X: &str = \"crate::demo\";",
            0,
        );
        check(
            wrong_arrows,
            "src/config/mod.rs",
            "pub(crate) use crate ::telemetry::x;",
            1,
        );
        check(wrong_arrows, "src/main.rs", "use vidette::server;", 1);
        check(wrong_arrows, "src/main.rs", "use vidette::cli;", 0);
        check(wrong_arrows, "src/extra/mod.rs", "", 1);
    }

    #[test]
    fn inner_layers_do_without_io_clocks_chance_and_logs() {
        holds(banned_inside, File::is_rust);
    }

    #[test]
    fn a_clock_in_an_inner_layer_is_found() {
        check(
            banned_inside,
            "src/policy/limiter.rs",
            "let now = std::time::Instant::now();",
            1,
        );
        check(
            banned_inside,
            "src/policy/limiter.rs",
            "use std::time::Instant; // Instant::now is the server's",
            0,
        );
        check(
            banned_inside,
            "src/domain/dsn.rs",
            "use tokio::net;\nuse hyper::Uri;\nfn f() { tracing::info!(\"x\"); fastrand::u8(..); }",
            4,
        );
        check(
            banned_inside,
            "src/domain/dsn.rs",
            "let operand = \"tokio\"; let rand_free = 'r';",
            0,
        );
        check(banned_inside, "src/server/mod.rs", "use tokio::net;", 0);
    }

    #[test]
    fn names_say_what_is_inside() {
        holds(empty_name, |_| true);
    }

    #[test]
    fn a_name_that_says_nothing_is_found() {
        check(empty_name, "src/server/utils.rs", "", 1);
        check(empty_name, "tests/common/mod.rs", "", 1);
        check(empty_name, "src/server/manager.rs", "", 1);
        check(empty_name, "src/domain/item_types.rs", "", 0);
    }

    #[test]
    fn every_file_says_what_it_owns() {
        holds(without_docs, File::is_rust);
    }

    #[test]
    fn a_file_without_docs_is_found() {
        check(without_docs, "src/x.rs", "use std::fmt;", 1);
        check(without_docs, "src/x.rs", "", 1);
        check(without_docs, "src/x.rs", "//! Owns x.\n", 0);
    }

    #[test]
    fn files_stay_short() {
        holds(too_long, File::is_rust);
    }

    #[test]
    fn a_long_file_is_found() {
        check(too_long, "src/x.rs", &"x\n".repeat(LINES_MAX), 0);
        check(too_long, "src/x.rs", &"x\n".repeat(LINES_MAX + 1), 1);
        check(
            too_long,
            "src/x.rs",
            &format!(
                "{}#[cfg(test)]\n{}",
                "x\n".repeat(LINES_MAX),
                "x\n".repeat(500)
            ),
            0,
        );
    }

    #[test]
    fn tasks_have_owners() {
        holds(ownerless, |_| true);
    }

    #[test]
    fn a_task_without_an_owner_is_found() {
        let word = concat!("TO", "DO");
        check(ownerless, "src/x.rs", &format!("// {word}: later"), 1);
        check(ownerless, "src/x.rs", &format!("// {word}(): later"), 1);
        check(
            ownerless,
            "src/x.rs",
            &format!("// {word}(anna): when hyper 2 is out"),
            0,
        );
    }

    #[test]
    fn lints_are_silenced_with_a_reason() {
        holds(silenced, File::is_rust);
    }

    #[test]
    fn a_lint_silenced_without_a_reason_is_found() {
        check(silenced, "src/x.rs", "#[allow(dead_code)]\nfn f() {}", 1);
        check(silenced, "src/x.rs", "#![allow(dead_code)]", 1);
        check(
            silenced,
            "src/x.rs",
            "#[expect(dead_code, reason = \"x\")]",
            0,
        );
        check(silenced, "src/x.rs", "// #[allow(dead_code)]", 0);
    }

    #[test]
    fn no_path_of_a_machine_is_named() {
        holds(machine_path, |_| true);
    }

    #[test]
    fn a_path_of_a_machine_is_found() {
        let (base, user) = (concat!("/wo", "rk"), concat!("/ho", "me/"));
        check(machine_path, "README.md", &format!("see {base}/main"), 1);
        check(
            machine_path,
            "x.sh",
            &format!("cd {base}\ncd {user}anna"),
            2,
        );
        check(machine_path, "x.rs", &format!("\"{base}/x\""), 1);
        check(
            machine_path,
            "README.md",
            &format!("net{base} and {base}er and https://a.example{base}/"),
            0,
        );
    }
}

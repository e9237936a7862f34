//! The manual page of vidette.yml: every key, from what the program reads.

use clap_mangen::roff::{Inline, Roff, bold, italic, roman};

use crate::config::{self, Told};

/// The page, for section 5.
pub(super) fn page() -> String {
    let mut roff = Roff::default();
    roff.control(
        "TH",
        ["vidette.yml", "5", " ", super::page::SOURCE, "vidette"],
    );
    roff.control("SH", ["NAME"]);
    roff.text([roman(
        "vidette.yml - what an edge in front of Sentry is to do",
    )]);
    roff.control("SH", ["DESCRIPTION"]);
    lines(&mut roff, &config::head());
    roff.control("SH", ["KEYS"]);
    for told in &config::reference() {
        key(&mut roff, told);
    }
    roff.control("SH", ["SEE ALSO"]);
    roff.text([
        bold("vidette-check"),
        roman("(1), "),
        bold("vidette-schema"),
        roman("(1), "),
        bold("vidette-run"),
        roman("(1)"),
    ]);
    roff.to_roff()
}

fn key(roff: &mut Roff, told: &Told) {
    roff.control("SS", [told.key]);
    let mut head: Vec<Inline> = match &told.default {
        Some(default) => vec![roman("Default: "), bold(default.as_str())],
        None => vec![roman("No default.")],
    };
    if let Some(variable) = &told.variable {
        head.extend([roman("  Variable: "), italic(variable.as_str())]);
    }
    roff.text(head);
    roff.control("PP", []);
    lines(roff, &told.says);
}

/// Comments as they stand: text flows, but lines that begin with a blank stay as they are.
fn lines(roff: &mut Roff, text: &str) {
    let mut kept = false;
    for line in text.lines() {
        if line.starts_with(' ') != kept && !line.is_empty() {
            kept = !kept;
            roff.control(if kept { "nf" } else { "fi" }, []);
        }
        match line {
            "" => _ = roff.control("PP", []),
            line => _ = roff.text([roman(line)]),
        }
    }
    if kept {
        roff.control("fi", []);
    }
}

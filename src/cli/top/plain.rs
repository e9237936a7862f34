//! The same as text: for a file, a pipe, or eyes that want no screen.

use std::io::Write as _;
use std::process::ExitCode;
use std::time::Duration;

use super::answers::{Row, Top};
use super::asking::{Told, Wanted, ask};
use super::figures::{share, whole};
use super::question::{Question, named};
use super::view::{estimated, figures_line};
use crate::cli::admin::Address;
use crate::domain::units::about_size;
use crate::telemetry::live::senders::By;

/// A name is cut after so many characters.
const NAME_MAX: usize = 44;

/// Prints `count` tables, or for ever; one in each interval. A reader that has gone away ends it.
/// Exit code 1 where the last could not be had.
pub(super) fn tell(
    address: &Address,
    question: &Question,
    every: Duration,
    count: Option<u64>,
) -> ExitCode {
    let wanted = Wanted {
        question: question.clone(),
        opened: None,
    };
    let mut told = 0;
    loop {
        let asked = ask(address, &wanted);
        let is_told = match &asked {
            Ok(answer) => {
                let mut lines = table(answer);
                // An empty line between two tables.
                if told > 0 {
                    lines.insert(0, String::new());
                }
                lines.push(String::new());
                let written = std::io::stdout().write_all(lines.join("\n").as_bytes());
                if written.is_err() {
                    return ExitCode::SUCCESS;
                }
                true
            }
            Err(error) => {
                eprintln!("vidette: {error:#}");
                false
            }
        };
        told += 1;
        if count.is_some_and(|count| told >= count) {
            return if is_told {
                ExitCode::SUCCESS
            } else {
                ExitCode::FAILURE
            };
        }
        std::thread::sleep(every);
    }
}

fn table(told: &Told) -> Vec<String> {
    let Told {
        wanted,
        glance,
        top,
        ..
    } = told;
    let question = &wanted.question;
    let mut lines = vec![format!("{}  {}", glance.light, figures_line(glance))];
    lines.extend(glance.reasons.iter().map(|reason| format!("  {reason}")));
    lines.push(format!("{}{}", question.words(top.span_s), estimated(top)));
    if top.rows.is_empty() {
        lines.push(question.nobody().to_owned());
        return lines;
    }
    let names: Vec<String> = top.rows.iter().map(|row| cut(&row.shown())).collect();
    let widest = names.iter().map(|name| name.chars().count()).max();
    let width = widest.unwrap_or_default().max("all others".len());
    let line = |name: &str, cells: [&str; 5]| {
        let [project, items, bytes, dropped, share] = cells;
        let own = match question.by {
            By::Project => String::new(),
            By::Key | By::Release | By::Sdk | By::Ip => format!("  {project:>8}"),
        };
        let text =
            format!("{name:<width$}{own}  {items:>11}  {bytes:>10}  {dropped:>9}  {share:>6}");
        text.trim_end().to_owned()
    };
    lines.push(line(
        named(question.by),
        ["project", "items", "bytes", "dropped", "share"],
    ));
    for (row, name) in top.rows.iter().zip(&names) {
        lines.push(line(name, cells(row).each_ref().map(|cell| &**cell)));
    }
    lines.extend(others(top).map(|cells| line("all others", cells.each_ref().map(|cell| &**cell))));
    lines
}

fn cells(row: &Row) -> [String; 5] {
    [
        row.project
            .map_or_else(|| "-".to_owned(), |id| id.to_string()),
        whole(row.items),
        about_size(row.bytes),
        whole(row.dropped),
        share(row.share),
    ]
}

/// All others, if there are any.
fn others(top: &Top) -> Option<[String; 5]> {
    let others = top.others;
    (others.items > 0 || others.bytes > 0).then(|| {
        [
            String::new(),
            whole(others.items),
            about_size(others.bytes),
            whole(others.dropped),
            String::new(),
        ]
    })
}

fn cut(name: &str) -> String {
    if name.chars().count() <= NAME_MAX {
        return name.to_owned();
    }
    let kept: String = name.chars().take(NAME_MAX - 3).collect();
    format!("{kept}...")
}

#[cfg(test)]
mod tests {
    use super::super::answers::TOP;
    use super::*;

    fn told(by: By, top: &str) -> Told {
        let wanted = Wanted {
            question: Question::of(by),
            opened: None,
        };
        Told::of(wanted, top)
    }

    #[test]
    fn a_table_has_a_head_a_row_each_and_the_rest() {
        let lines = table(&told(By::Key, TOP));
        assert_eq!(
            lines,
            [
                "amber  in 228/s  delivered 227/s  3.2 KiB/s  spool 120 (64.0 KiB, 4 min old)  \
                 ingest degraded p95 2.5 ms  web up",
                "  the ingest upstream fails",
                "by key, most items first, all projects, last 5 min (estimated from 1 in 4)",
                "key             project        items       bytes    dropped   share",
                "web (a94a...)        42       12,345    43.5 MiB         12     61%",
                "beef...               7        4,000     1.0 KiB          0     20%",
                "\\u{1b}[2J             -            1         9 B          1    0.1%",
                "all others                     3,800    68.3 KiB          5",
            ]
        );
    }

    #[test]
    fn projects_have_no_project() {
        let lines = table(&told(By::Project, TOP));
        assert_eq!(
            lines[3],
            "project              items       bytes    dropped   share"
        );
        let nobody = r#"{"span_s":60,"one_in":1.0,"rows":[],
            "others":{"items":0,"bytes":0,"dropped":0}}"#;
        let lines = table(&told(By::Ip, nobody));
        assert_eq!(
            lines[2..],
            [
                "by IP, most items first, all projects, last 60 s",
                "nobody sent anything"
            ]
        );
    }

    #[test]
    fn a_long_name_is_cut() {
        let long = "x".repeat(NAME_MAX);
        assert_eq!(cut(&long), long);
        let longer = cut(&format!("{long}y"));
        assert_eq!(longer.len(), NAME_MAX);
        assert!(longer.ends_with("x..."), "{longer}");
    }
}

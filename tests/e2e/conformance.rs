//! A corpus of what clients and upstreams may put on a wire, sent byte by byte to vidette,
//! to nginx and to HAProxy. What becomes of each case at vidette is known to the letter;
//! where another does otherwise, the case says why, and says so only there. Whatever is
//! sent, strict and lenient readers find the same requests in what reaches the upstream.

mod answers;
mod case;
mod chunks;
mod codings;
mod expectations;
mod fields;
mod frames;
mod h2_frames;
mod h2_headers;
mod h2_streams;
mod lengths;
mod lies;
mod lines;
mod paths;
mod pipelines;
mod readers;
mod recorder;
mod side;
mod sizes;
mod stream_case;
mod targets;
mod trailers;
mod upgrades;
mod why;

use std::thread;

use libtest_mimic::Trial;

use crate::parts::{Part, promises};
use case::{Became, Case};
use side::{Side, Tongue, Who};
use stream_case::{StreamCase, Streams};

pub(crate) fn trials() -> Vec<Trial> {
    promises![&[Part::Nginx, Part::Haproxy];
        lengths_are_read_in_one_way,
        codings_are_read_in_one_way,
        chunks_are_read_in_one_way,
        trailers_end_at_the_edge,
        lines_of_a_head_are_read_in_one_way,
        fields_are_what_they_say,
        heads_have_a_size,
        pipelined_requests_stay_apart,
        expectations_stay_between_two_hops,
        targets_are_for_an_origin,
        paths_leave_as_they_came,
        nobody_switches_protocols,
        answers_end_where_they_say,
        answers_that_lie_are_not_believed,
        streams_of_http2_stay_apart,
        heads_of_http2_become_heads_of_http1,
        frames_of_http2_keep_their_rules,
    ]
}

fn lengths_are_read_in_one_way() {
    check(lengths::CASES);
}

fn codings_are_read_in_one_way() {
    check(codings::CASES);
}

fn chunks_are_read_in_one_way() {
    check(chunks::CASES);
}

fn trailers_end_at_the_edge() {
    check(trailers::CASES);
}

fn lines_of_a_head_are_read_in_one_way() {
    check(lines::CASES);
}

fn fields_are_what_they_say() {
    check(fields::CASES);
}

fn heads_have_a_size() {
    check(sizes::CASES);
}

fn pipelined_requests_stay_apart() {
    check(pipelines::CASES);
}

fn expectations_stay_between_two_hops() {
    check(expectations::CASES);
}

fn targets_are_for_an_origin() {
    check(targets::CASES);
}

fn paths_leave_as_they_came() {
    check(paths::CASES);
}

fn nobody_switches_protocols() {
    check(upgrades::CASES);
}

fn answers_end_where_they_say() {
    check(answers::CASES);
}

fn answers_that_lie_are_not_believed() {
    check(lies::CASES);
}

fn streams_of_http2_stay_apart() {
    check_h2(h2_streams::CASES);
}

fn heads_of_http2_become_heads_of_http1() {
    check_h2(h2_headers::CASES);
}

fn frames_of_http2_keep_their_rules() {
    check_h2(h2_frames::CASES);
}

/// What became of one way of a case, at vidette and at the two others.
struct Row {
    /// Which way it was.
    way: String,
    want: &'static str,
    /// To the letter, and what readers made of it at vidette.
    texts: [String; 3],
    /// As it is compared.
    classes: [String; 3],
    doubts: Vec<String>,
}

/// A case with what became of it.
struct Tried {
    name: String,
    whys: [Option<&'static str>; 2],
    rows: Vec<Row>,
}

/// Tries all cases at all three, and compares.
#[track_caller]
fn check(cases: &'static [Case]) {
    let became = at_all(Tongue::Http1, |side| {
        let ways = cases
            .iter()
            .flat_map(|case| case.wants().map(move |(route, _)| (case, route)));
        ways.map(|(case, route)| case.tried(side, route)).collect()
    });
    let [mut vidette, mut nginx, mut haproxy] = became.map(Vec::<Became>::into_iter);
    let tried = cases.iter().map(|case| Tried {
        name: format!("{} ({})", case.name, case.section),
        whys: case.whys,
        rows: case
            .wants()
            .map(|(route, want)| {
                let three = [&mut vidette, &mut nginx, &mut haproxy];
                let three = three.map(|became| became.next().unwrap());
                Row {
                    way: format!("{route:?}"),
                    want,
                    texts: three.each_ref().map(Became::text),
                    classes: three.each_ref().map(Became::class),
                    doubts: three[0].doubts.clone(),
                }
            })
            .collect(),
    });
    judge(&tried.collect::<Vec<Tried>>());
}

/// The same in HTTP/2.
#[track_caller]
fn check_h2(cases: &'static [StreamCase]) {
    let became = at_all(Tongue::Http2, |side| {
        cases.iter().map(|case| case.tried(side)).collect()
    });
    let [mut vidette, mut nginx, mut haproxy] = became.map(Vec::<Streams>::into_iter);
    let tried = cases.iter().map(|case| {
        let three = [&mut vidette, &mut nginx, &mut haproxy];
        let three = three.map(|became| became.next().unwrap());
        Tried {
            name: format!("{} ({})", case.name, case.section),
            whys: case.whys,
            rows: vec![Row {
                way: "Http2".to_owned(),
                want: case.want,
                texts: three.each_ref().map(Streams::text),
                classes: three.each_ref().map(Streams::class),
                doubts: three[0].doubts.clone(),
            }],
        }
    });
    judge(&tried.collect::<Vec<Tried>>());
}

/// Tries something at all three at once.
fn at_all<T: Send + 'static>(
    tongue: Tongue,
    attempt: impl Fn(&mut Side) -> Vec<T> + Send + Copy + 'static,
) -> [Vec<T>; 3] {
    let threads = Who::ALL.map(|who| thread::spawn(move || attempt(&mut Side::start(who, tongue))));
    threads.map(|thread| thread.join().unwrap())
}

/// Holds what became of all cases against what was wanted, and against the others. The
/// only one that judges.
#[track_caller]
fn judge(cases: &[Tried]) {
    let mut wrong = Vec::new();
    let mut differing = [0; 2];
    for case in cases {
        let mut report: String = case.rows.iter().map(told).collect();
        for (at, why) in case.whys.iter().enumerate() {
            let other = |row: &Row| row.classes[at + 1] != row.classes[0];
            let differs = case.rows.iter().any(other);
            differing[at] += u32::from(differs);
            let name = Who::ALL[at + 1].name();
            match (differs, why) {
                (true, None) => report.push_str(&format!("  WRONG: {name} differs, and no why\n")),
                (false, Some(_)) => report.push_str(&format!("  WRONG: {name} does not differ\n")),
                (true, Some(_)) | (false, None) => {}
            }
        }
        if report.contains("WRONG") {
            wrong.push(format!("{}\n{report}", case.name));
        }
    }
    if std::env::var_os("CONFORMANCE_TABLE").is_some() {
        let [nginx, haproxy] = differing;
        let count = cases.len();
        println!("{count} cases, other at nginx {nginx}, at HAProxy {haproxy}");
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

fn told(row: &Row) -> String {
    let mut report = format!("  {}\n", row.way);
    for (text, who) in row.texts.iter().zip(Who::ALL) {
        report.push_str(&format!("    {}: {text}\n", who.name()));
    }
    if row.texts[0] != row.want {
        report.push_str(&format!("  WRONG: wanted {}\n", row.want));
    }
    for doubt in &row.doubts {
        report.push_str(&format!("  WRONG: readers differ: {doubt}\n"));
    }
    report
}

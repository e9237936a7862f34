//! Promises about patterns: what they match, what they never match, and what a match costs.

use proptest::prelude::*;

use super::steps::STEPS_MAX;
use super::*;

#[track_caller]
fn check(pattern: &str, matched: &[&str], missed: &[&str]) {
    let glob = Glob::parse(pattern).unwrap();
    for text in matched {
        assert!(glob.matches(text), "{pattern} misses {text}");
    }
    for text in missed {
        assert!(!glob.matches(text), "{pattern} matches {text}");
    }
}

#[track_caller]
fn check_refused(pattern: &str, want: GlobError) {
    assert_eq!(Glob::parse(pattern), Err(want), "{pattern}");
}

#[test]
fn a_pattern_is_about_the_whole_text() {
    check("prod", &["prod", "PROD"], &["", "production", "a prod"]);
    check("prod*", &["prod", "production"], &["a prod"]);
    check("*prod", &["prod", "a prod"], &["production"]);
    check("*prod*", &["prod", "a production"], &["pro d", "rod"]);
    check("*", &["", "anything"], &[]);
    check("a*b*c", &["abc", "a1b2c", "abbcbc"], &["ab", "acb", "abcd"]);
    check("**a", &["a", "ba"], &["ab"]);
}

#[test]
fn a_question_mark_is_one_character_of_any_length() {
    check("a?c", &["abc", "aéc", "a\u{1f600}c"], &["ac", "abbc"]);
    check("?", &["é"], &["", "ab"]);
    check("*?", &["a", "éé"], &[""]);
    check("[a]?", &["aé"], &["a", "aéé"]);
}

#[test]
fn what_is_not_ascii_is_matched_as_it_is() {
    check("größe*", &["größe 4", "GRößE"], &["grÖße"]);
    check("gr[ö]\\ße*", &["größe 4", "GRößE"], &["grÖße"]);
}

/// A user copied these from Sentry's page: they passed `check`, and never matched.
#[test]
fn patterns_of_sentrys_own_page_match_as_there() {
    check(
        "[!3].[0-9].*",
        &["1.2.3", "4.0.x"],
        &["3.2.1", "1.x.1", "10.2.3"],
    );
    check("1.2.[!3]", &["1.2.4", "1.2.x"], &["1.2.3", "1.2."]);
    check("*/[_health]", &["a/h", "/_"], &["/_health", "/x"]);
    check("*panic*", &["a PaNiC b"], &["pan ic"]);
    check(
        "{Timeout,Type}Error: *",
        &["TimeoutError: x", "typeerror: "],
        &["ValueError: x", "{Timeout,Type}Error: x", "Error: x"],
    );
}

#[test]
fn a_class_is_one_character_of_some_or_of_all_others() {
    check("[abc]", &["a", "B"], &["", "d", "ab"]);
    check("[a-cx-z]", &["b", "Y"], &["d", "-"]);
    check("[A-C]", &["b", "B"], &["d"]);
    check("[!a-c]", &["d", "é", "-"], &["a", "B", ""]);
    check("[-a]", &["-", "a"], &["b"]);
    check("[a-]", &["-", "a"], &["b"]);
    check("[!-]", &["a"], &["-"]);
    check("[*?{,}[]", &["*", "?", "{", ",", "}", "["], &["]", "a"]);
    check("[\\]\\-\\^]", &["]", "-", "^"], &["\\"]);
    check("[a\\-z]", &["a", "-", "z"], &["b"]);
    check("[+-\\]]", &["+", "]", "A"], &["_"]);
    check("[a!]", &["!", "a"], &["b"]);
    check("[ä-ü]", &["ö"], &["Ö", "o"]);
}

#[test]
fn alternatives_are_either_wherever_they_stand() {
    check("{a,bc}d", &["ad", "BCD"], &["bd", "abcd", "d"]);
    check("{a,b}{c,d}", &["ac", "ad", "bc", "bd"], &["ab", "a", "cd"]);
    check("a{,b}", &["a", "ab"], &["b", "abb"]);
    check("{a*,*b}", &["ax", "xb", "a", "b"], &["x"]);
    check("{a?,[bc]}*d", &["axd", "c1d"], &["ad", "xd"]);
    check("{a,{b,{c,{d,e}}}}", &["a", "b", "c", "d", "e"], &["f", ""]);
    check("{a\\,b,c}", &["a,b", "c"], &["a", "b"]);
    check("*{x,}", &["", "x", "y"], &[]);
}

#[test]
fn a_backslash_takes_the_next_character_as_it_is() {
    check("\\*a*", &["*a", "*ab"], &["aa", "\\*a"]);
    check("\\[a]\\{b,c\\}\\?", &["[a]{b,c}?"], &["a"]);
    check("\\\\\\a", &["\\a", "\\A"], &["a"]);
}

/// An error of a browser, and a shell's way to read it.
#[test]
fn what_closes_nothing_and_parts_nothing_is_itself() {
    check(
        "*unexpected token }*",
        &["Unexpected token } in JSON"],
        &["token"],
    );
    check("a]", &["a]"], &["a"]);
    check("a,b()", &["a,b()"], &["a"]);
    check("\\a,b]}", &["a,b]}"], &["a"]);
}

#[test]
fn what_could_mean_two_things_is_no_pattern() {
    check_refused("", GlobError::Empty);
    check_refused("ab[a-z", GlobError::OpenClass { at: 3 });
    check_refused("[a-", GlobError::OpenClass { at: 1 });
    check_refused("[a\\", GlobError::OpenClass { at: 1 });
    check_refused("[a-\\", GlobError::OpenClass { at: 1 });
    check_refused("[", GlobError::OpenClass { at: 1 });
    check_refused("ä[]a]", GlobError::EmptyClass { at: 2 });
    check_refused("[!]", GlobError::EmptyClass { at: 1 });
    check_refused("[^a]", GlobError::Caret { at: 1 });
    check_refused("[[:digit:]]", GlobError::NamedClass { at: 2 });
    check_refused("[az-a]", GlobError::Range { at: 3 });
    check_refused("a{b", GlobError::OpenAlternatives { at: 2 });
    check_refused("{a,{b,c}", GlobError::OpenAlternatives { at: 1 });
    check_refused("{a}", GlobError::OneAlternative { at: 1 });
    check_refused("{}", GlobError::OneAlternative { at: 1 });
    check_refused("{a,{b,{c,{d,{e,f}}}}}", GlobError::TooDeep { at: 13 });
    check_refused("a\\", GlobError::Backslash);
}

#[test]
fn patterns_and_texts_have_a_limit() {
    let longest = "a".repeat(PATTERN_BYTES_MAX);
    assert!(Glob::parse(&longest).is_ok());
    check_refused(&format!("{longest}a"), GlobError::TooLong);
    let seen = "b".repeat(TEXT_BYTES_MAX);
    let beyond = format!("{seen}b");
    check("b*", &[&seen, &beyond], &[]);
    check("*b", &[&seen], &[&beyond]);
    check("[b]*", &[&seen, &beyond], &[]);
    check("*[b]", &[&seen], &[&beyond]);
    check("{*b,a*}", &[&seen], &[&beyond]);
    check("{*b,b*}", &[&seen, &beyond], &[]);
}

/// How many steps a walk takes, and the most it may: each once for each character and the end.
fn walk(pattern: &str, text: &str) -> (usize, usize) {
    let glob = Glob::parse(pattern).unwrap();
    let Form::Steps(steps) = &glob.form else {
        panic!("{pattern} is plain")
    };
    let mut taken = 0;
    steps.lead_through(text, || taken += 1);
    let characters = text.chars().count().min(TEXT_BYTES_MAX + 1) + 1;
    (taken, characters * (2 * pattern.len() + 1))
}

/// With a reader that tries one way after the other each of these takes longer than the world
/// has been there.
#[test]
fn no_text_makes_a_pattern_slow() {
    let text = "a".repeat(2 * TEXT_BYTES_MAX);
    for pattern in [
        format!("{}b", "*[a]".repeat(60)),
        format!("{}b", "{a,aa}".repeat(40)),
        format!("{}b", "{*,*a}".repeat(40)),
        format!("{}b", "{,}".repeat(80)),
        format!("{}b", "{*,{*,{*,{*a,*}}}}".repeat(14)),
        format!("{{{}b}}", ",".repeat(250)),
    ] {
        let (taken, most) = walk(&pattern, &text);
        assert!(taken <= most, "{pattern}: {taken} steps, at most {most}");
        assert!(most <= (TEXT_BYTES_MAX + 2) * (STEPS_MAX + 1), "{pattern}");
    }
}

/// What a pattern says without alternatives, as a shell spells them out.
fn spelled(pattern: &[char]) -> Vec<Vec<char>> {
    let mut at = 0;
    while at < pattern.len() && pattern[at] != '{' {
        at += if pattern[at] == '\\' { 2 } else { 1 };
    }
    if at >= pattern.len() {
        return vec![pattern.to_vec()];
    }
    let (mut depth, mut parts, mut end) = (0, vec![at + 1], at);
    for (at, sign) in pattern.iter().enumerate().skip(at) {
        match sign {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 1 => parts.push(at + 1),
            _ => {}
        }
        if depth == 0 {
            end = at;
            break;
        }
    }
    parts.push(end + 1);
    let each = parts.windows(2).map(|part| &pattern[part[0]..part[1] - 1]);
    each.flat_map(|part| spelled(&[&pattern[..at], part, &pattern[end + 1..]].concat()))
        .collect()
}

/// The plain definition of a pattern without alternatives.
fn plain(pattern: &[char], text: &[char]) -> bool {
    let same = |want: &char, is: &char| want.eq_ignore_ascii_case(is);
    match (pattern, text) {
        ([], []) => true,
        (['*', rest @ ..], _) => {
            plain(rest, text) || !text.is_empty() && plain(pattern, &text[1..])
        }
        (['?', rest @ ..], [_, left @ ..]) => plain(rest, left),
        (['[', '!', one, ']', rest @ ..], [is, left @ ..]) => !same(one, is) && plain(rest, left),
        (['[', one, ']', rest @ ..], [is, left @ ..]) => same(one, is) && plain(rest, left),
        (['[', from, '-', to, ']', rest @ ..], [is, left @ ..]) => {
            (*from..=*to).contains(&is.to_ascii_lowercase()) && plain(rest, left)
        }
        (['\\', want, rest @ ..], [is, left @ ..]) => same(want, is) && plain(rest, left),
        ([want, rest @ ..], [is, left @ ..]) => same(want, is) && plain(rest, left),
        ([], [_, ..]) | ([_, ..], []) => false,
    }
}

fn part() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        "[abc*?]",
        Just("[a]".to_owned()),
        Just("[!b]".to_owned()),
        Just("[a-b]".to_owned()),
        Just("\\*".to_owned()),
        Just("\\a".to_owned()),
    ];
    let one = prop::collection::vec(leaf, 0..3).prop_map(|parts| parts.concat());
    one.prop_recursive(2, 12, 3, |inner| {
        let each = prop::collection::vec(inner, 2..4);
        ("[ab*?]{0,1}", each).prop_map(|(before, each)| format!("{before}{{{}}}", each.join(",")))
    })
}

proptest! {
    #[test]
    fn it_agrees_with_a_plain_definition(
        parts in prop::collection::vec(part(), 1..4),
        text in "[abAcé*]{0,7}",
    ) {
        let pattern = parts.concat();
        prop_assume!(!pattern.is_empty());
        let glob = Glob::parse(&pattern).unwrap();
        let text_signs: Vec<char> = text.chars().collect();
        let signs: Vec<char> = pattern.chars().collect();
        let want = spelled(&signs).iter().any(|one| plain(one, &text_signs));
        prop_assert_eq!(glob.matches(&text), want, "{}", pattern);
        // Both ways of a match agree, wherever both are possible.
        let steps = reading::steps(&pattern).unwrap();
        prop_assert_eq!(steps.lead_through(&text, || {}), want, "{}", pattern);
    }

    #[test]
    fn nothing_written_panics_or_outgrows_its_steps(
        pattern in "[ab*?\\[\\]{},!^\\\\é-]{1,40}",
        text in "[ab,{}\\[\\]é-]{0,20}",
    ) {
        if let Ok(glob) = Glob::parse(&pattern) {
            std::hint::black_box(glob.matches(&text));
            if matches!(glob.form, Form::Steps(_)) {
                let (taken, most) = walk(&pattern, &text);
                prop_assert!(taken <= most, "{}", pattern);
            }
        }
    }
}

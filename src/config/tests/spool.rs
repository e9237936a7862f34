//! Promises about the spool's sizes, each of which makes sense only beside another.

use super::*;

/// A text's error, from its place to the advice; or its warnings.
#[track_caller]
fn check(text: &str, want: Result<&[&str], &str>) {
    let parsed = parse("v.yml", &format!("{UPSTREAM}{text}"), &Env::empty());
    match (parsed, want) {
        (Ok((_, warnings)), Ok(want)) => assert_eq!(warnings, want, "{text}"),
        (Err(errors), Err(want)) => assert_eq!(errors.to_string(), want, "{text}"),
        (Ok(_), Err(want)) => panic!("accepted: {text}, not {want}"),
        (Err(errors), Ok(_)) => panic!("refused: {text}: {errors}"),
    }
}

#[test]
fn no_project_may_have_more_than_all() {
    check("spool: {max_bytes: 1MiB, project_bytes: 1MiB}", Ok(&[]));
    check(
        "spool:\n  max_bytes: 1MiB\n  project_bytes: 1048577\n",
        Err(
            "v.yml:4:18: error: spool.project_bytes is larger than spool.max_bytes; lower it, or raise that",
        ),
    );
    check("spool: {project_bytes: 4GiB}", Ok(&[]));
    check(
        "spool: {project_bytes: 4294967297}",
        Err(
            "v.yml:2:24: error: spool.project_bytes is larger than spool.max_bytes; lower it, or raise that",
        ),
    );
}

#[test]
fn a_size_that_cannot_be_read_is_one_error_and_not_two() {
    let errors = refused("spool: {max_bytes: 1, project_bytes: 5GiB}", &Env::empty());
    assert_eq!(
        errors.matches("error: ").count(),
        2,
        "no upstream, and one: {errors}"
    );
    assert!(!errors.contains("larger than"), "{errors}");
}

#[test]
fn a_share_that_nobody_set_is_all_of_a_small_spool() {
    let share = |text: &str| accepted(text, &Env::empty()).spool.project_bytes;
    assert_eq!(share(""), 2 << 30);
    assert_eq!(share("spool: {max_bytes: 2GiB}"), 2 << 30);
    assert_eq!(share("spool: {max_bytes: 2147483647}"), (2 << 30) - 1);
    assert_eq!(share("spool: {max_bytes: 1MiB}"), 1 << 20);
}

#[test]
fn more_copies_than_could_be_kept_are_warned_of() {
    let warning =
        "spool.copies.disk is larger than spool.max_bytes: not all that is copied could be kept";
    check("spool: {max_bytes: 3GiB, copies: {disk: 3GiB}}", Ok(&[]));
    check(
        "spool: {max_bytes: 3GiB, copies: {disk: 3221225473}}",
        Ok(&[warning]),
    );
    // Nobody has asked for those of the usual size.
    check("spool: {max_bytes: 1MiB}", Ok(&[]));
    check(
        "spool: {path: off, max_bytes: 1MiB, copies: {disk: 1GiB}}",
        Ok(&[]),
    );
}

//! Promises about guarded disks and about budgets.

use std::time::Duration;

use super::*;
use crate::domain::switch::Share;

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

fn share(text: &str) -> Share {
    Share::read(text).unwrap()
}

#[test]
fn a_guard_is_read_whole_and_reads_back() {
    let config = accepted(
        "disk_guard:\n  paths: [/var/lib/docker, /data]\n  interval: 100ms\n  \
         stages: {large: 0.7, bulk: 80.5%, errors: 100%}\n  back: 0%\n  sample_errors: 0\n\
         global: {budget: 50GiB}\ndefaults: {budget: 1025B}\n\
         projects: [{id: 42, budget: 5GiB}, {id: 7, budget: off}, {id: 8}]\n",
        &Env::empty(),
    );
    let guard = &config.disk_guard;
    assert_eq!(guard.paths.len(), 2);
    assert_eq!(guard.interval, Duration::from_millis(100));
    assert_eq!(guard.stages.large, share("70%"));
    assert_eq!(guard.stages.bulk, share("80.5%"));
    assert_eq!(
        (guard.back, guard.sample_errors),
        (Share::NONE, Share::NONE)
    );
    assert_eq!(config.global.budget, Some(50 << 30));
    assert_eq!(config.defaults.budget, Some(1025));
    let own: Vec<_> = config
        .projects
        .iter()
        .map(|project| project.budget)
        .collect();
    assert_eq!(own, [Some(Some(5 << 30)), Some(None), None]);
    let (back, _) = parse("shown.yml", &config.to_yaml(), &Env::empty()).unwrap();
    assert_eq!(back, config, "{}", config.to_yaml());
}

#[test]
fn the_environment_sets_each_key() {
    let env = Env::from([
        ("VIDETTE_DISK_GUARD_PATHS", "/a,/b"),
        ("VIDETTE_DISK_GUARD_INTERVAL", "1s"),
        ("VIDETTE_DISK_GUARD_STAGES_LARGE", "50%"),
        ("VIDETTE_DISK_GUARD_STAGES_BULK", "60%"),
        ("VIDETTE_DISK_GUARD_STAGES_ERRORS", "70%"),
        ("VIDETTE_DISK_GUARD_BACK", "5%"),
        ("VIDETTE_DISK_GUARD_SAMPLE_ERRORS", "1%"),
        ("VIDETTE_GLOBAL_BUDGET", "1GiB"),
        ("VIDETTE_DEFAULTS_BUDGET", "off"),
    ]);
    let in_file = accepted(
        "disk_guard: {paths: [/a, /b], interval: 1s, stages: {large: 50%, bulk: 60%, errors: 70%}, \
         back: 5%, sample_errors: 1%}\nglobal: {budget: 1GiB}\n",
        &Env::empty(),
    );
    assert_eq!(accepted("", &env), in_file);
}

#[test]
fn a_share_is_a_percentage_within_its_bounds() {
    check_value("disk_guard: {stages: {large: 1%}, back: 0.5%}", "");
    check_value(
        "disk_guard: {stages: {large: 0.9%}}",
        "out of bounds in disk_guard.stages.large",
    );
    check_value("disk_guard: {stages: {errors: 100%}}", "");
    check_value(
        "disk_guard: {stages: {errors: 101%}}",
        "not a share in disk_guard.stages.errors",
    );
    check_value(
        "disk_guard: {back: 51%}",
        "out of bounds in disk_guard.back",
    );
    check_value(
        "disk_guard: {sample_errors: high}",
        "not a share in disk_guard.sample_errors",
    );
    check(
        "disk_guard: {stages: {large: 80}}",
        Err("v.yml:2:30: error: no unit in disk_guard.stages.large; write 80%"),
    );
    check_value(
        "disk_guard: {interval: 99ms}",
        "out of bounds in disk_guard.interval",
    );
    check_value(
        "disk_guard: {interval: 61s}",
        "out of bounds in disk_guard.interval",
    );
}

#[test]
fn a_path_is_absolute_and_stands_once() {
    check_value(
        "disk_guard: {paths: [data]}",
        "not an absolute path in disk_guard.paths[0]",
    );
    check(
        "disk_guard: {paths: [/a, /a]}",
        Err(
            "v.yml:2:26: error: the same path in disk_guard.paths[0] and disk_guard.paths[1]; each must be its own",
        ),
    );
    let many = (0..17)
        .map(|n| format!("/{n}"))
        .collect::<Vec<_>>()
        .join(", ");
    check_value(
        &format!("disk_guard: {{paths: [{many}]}}"),
        "more than 16 paths in disk_guard.paths",
    );
    check(
        "disk_guard: {path: [/a]}",
        Err("v.yml:2:14: error: unknown key \"path\" in disk_guard; did you mean \"paths\"?"),
    );
}

#[test]
fn each_stage_begins_above_the_one_before_and_can_end() {
    check(
        "disk_guard: {paths: [/a], stages: {bulk: 85%}}",
        Err(
            "v.yml:2:42: error: disk_guard.stages.bulk is 85%, and disk_guard.stages.large is 85%; each stage begins above the one before",
        ),
    );
    // What was not written is not what is wrong.
    check(
        "disk_guard: {paths: [/a], stages: {large: 92%}}",
        Err(
            "v.yml:2:43: error: disk_guard.stages.bulk is 90%, and disk_guard.stages.large is 92%; each stage begins above the one before",
        ),
    );
    check(
        "disk_guard: {paths: [/a], stages: {large: 2%}}",
        Err(
            "v.yml:2:43: error: disk_guard.back is not below disk_guard.stages.large: that stage would never end",
        ),
    );
    check("disk_guard: {paths: [/a], stages: {large: 2.1%}}", Ok(&[]));
    let errors = refused("disk_guard: {stages: {large: 85, bulk: 1%}}", &Env::empty());
    assert!(!errors.contains("above"), "one error is enough: {errors}");
}

#[test]
fn a_guard_of_nothing_is_warned_of() {
    let warning = "disk_guard does nothing: disk_guard.paths names no disk";
    check("disk_guard: {stages: {large: 50%}}", Ok(&[warning]));
    check("disk_guard: {back: 1%}", Ok(&[warning]));
    // Who writes that there are none knows it.
    check("disk_guard: {paths: [], back: 1%}", Ok(&[]));
}

#[test]
fn a_path_that_is_not_there_is_warned_of_where_files_are_read() {
    let place = tempfile::tempdir().unwrap();
    let file = place.path().join("v.yml");
    let path = place.path().display();
    let text = format!("{UPSTREAM}disk_guard: {{paths: ['{path}', '{path}/nothing']}}\n");
    std::fs::write(&file, text).unwrap();
    let loaded = load(Some(&file), &Env::empty()).unwrap();
    let want = "disk_guard.paths[1] cannot be looked at (entity not found): that disk is not guarded until it can";
    assert_eq!(loaded.warnings, [want]);
}

#[test]
fn a_budget_is_a_size_for_a_day() {
    for (text, wrong) in [
        ("5GiB", ""),
        ("off", ""),
        ("1B", ""),
        ("281474976710655B", ""),
        ("5", "no unit in global.budget"),
        ("0B", "nothing at all in global.budget"),
        ("256TiB", "out of bounds in global.budget"),
        ("5GiB/d", "a rate in global.budget"),
        ("much", "not a size in global.budget"),
        ("[1]", "a list in global.budget"),
    ] {
        check_value(&format!("global: {{budget: {text}}}"), wrong);
    }
    check_value(
        "projects: [{id: 1, budget: 5}]",
        "no unit in projects[0].budget",
    );
}

#[test]
fn no_other_quota_is_called_budget() {
    check(
        "global: {quotas: [{name: budget, limit: 1, per: 1h}]}",
        Err(
            "v.yml:2:26: error: the name of a budget in global.quotas[0].name; write another; budget: 5GiB beside quotas is one by the day",
        ),
    );
    check_value("global: {quotas: [{name: budgets, limit: 1, per: 1h}]}", "");
}

#[test]
fn a_budget_above_the_installations_is_warned_of() {
    check(
        "global: {budget: 5GiB}\ndefaults: {budget: 5GiB}\nprojects: [{id: 1}, {id: 2, budget: 5GiB}]",
        Ok(&[]),
    );
    check(
        "global: {budget: 5GiB}\ndefaults: {budget: 6GiB}\nprojects: [{id: 1}, {id: 2, budget: 5GB}, {id: 3, budget: 6GiB}]",
        Ok(&[
            "projects[2].budget is larger than global.budget: it can never be used up",
            "defaults.budget is larger than global.budget: no project can use it up",
        ]),
    );
    check("projects: [{id: 1, budget: 6GiB}]", Ok(&[]));
}

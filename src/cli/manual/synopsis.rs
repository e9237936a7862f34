//! How a command is typed, in one line: each option with the name of its value, in brackets where
//! it may be left out. `clap_mangen`'s own line leaves the values out.

use clap::builder::ValueRange;
use clap::{Arg, ArgAction, Command};
use clap_mangen::roff::{Inline, Roff, bold, italic, roman};

/// Writes the section. What is hidden is left out.
pub(super) fn section(roff: &mut Roff, command: &Command) {
    roff.control("SH", ["SYNOPSIS"]);
    let name = command
        .get_bin_name()
        .unwrap_or_else(|| command.get_name())
        .to_owned();
    let shown = || command.get_arguments().filter(|one| !one.is_hide_set());
    let (must, may): (Vec<&Arg>, Vec<&Arg>) = shown()
        .filter(|one| !one.is_positional())
        .partition(|one| one.is_required_set());
    let mut line = vec![bold(name)];
    let places = shown().filter(|one| one.is_positional());
    for argument in may.into_iter().chain(must).chain(places) {
        line.push(roman(" "));
        line.extend(typed(argument));
    }
    if command.has_subcommands() {
        line.extend([roman(" "), italic("<COMMAND>")]);
    }
    roff.text(line);
}

/// One argument as it is typed.
fn typed(argument: &Arg) -> Vec<Inline> {
    let mut inlines = Vec::new();
    let names = [
        argument.get_short().map(|short| format!("-{short}")),
        argument.get_long().map(|long| format!("--{long}")),
    ];
    for (place, name) in names.into_iter().flatten().enumerate() {
        inlines.extend((place > 0).then(|| roman("|")));
        inlines.push(bold(name));
    }
    if let Some(value) = value(argument) {
        inlines.extend((!inlines.is_empty()).then(|| roman(" ")));
        inlines.push(italic(value));
    }
    if !argument.is_required_set() {
        inlines.insert(0, roman("["));
        inlines.push(roman("]"));
    }
    // As often as there is something to say; names with brackets say it themselves.
    let repeats = matches!(argument.get_action(), ArgAction::Append) && !has_brackets(argument);
    inlines.extend(repeats.then(|| roman("...")));
    inlines
}

fn has_brackets(argument: &Arg) -> bool {
    let names = argument.get_value_names().unwrap_or_default();
    names.iter().any(|name| name.contains('['))
}

/// The names of what it takes, if it takes anything.
fn value(argument: &Arg) -> Option<String> {
    let takes = argument.get_num_args().unwrap_or(ValueRange::EMPTY);
    let names = argument
        .get_value_names()
        .filter(|_| takes.takes_values())?;
    let named = names.iter().map(|name| match name.contains('[') {
        // It has its brackets already.
        true => name.to_string(),
        false => format!("<{name}>"),
    });
    Some(named.collect::<Vec<_>>().join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The line of the command with this name, without fonts.
    #[track_caller]
    fn check(name: &str, want: &str) {
        let command = super::super::built();
        let mut found = &command;
        for word in name.split(' ').skip(1) {
            found = found.find_subcommand(word).unwrap();
        }
        let mut roff = Roff::default();
        section(&mut roff, found);
        let page = roff.to_roff();
        let line = page.lines().last().unwrap().replace("\\-", "-");
        let line = ["\\fB", "\\fI", "\\fR"]
            .iter()
            .fold(line, |line, font| line.replace(font, ""));
        assert_eq!(line, want, "{name}");
    }

    #[test]
    fn options_are_typed_with_the_names_of_their_values() {
        let asks = "[--admin <ADDR>] [--token <TOKEN>]";
        check(
            "vidette tail",
            &format!(
                "vidette tail [--project <PROJECT>] [--outcome <OUTCOME>] [--reason <REASON>] \
                 [--category <CATEGORY>] [-n <COUNT>] [--for <TIME>] [--json] {asks} [-h|--help]"
            ),
        );
        check(
            "vidette check",
            "vidette check [-c|--config <FILE>] [--print] [-h|--help] [<FILE>]",
        );
        check(
            "vidette unmute",
            &format!("vidette unmute {asks} [-h|--help] <PROJECT> [<CATEGORY>]"),
        );
        check(
            "vidette limit",
            &format!(
                "vidette limit [--for <TIME>] [--why <TEXT>] {asks} [-h|--help] <PROJECT> \
                 [CATEGORY] VALUE"
            ),
        );
        check("vidette doctor", "vidette doctor [-h|--help] <COMMAND>");
    }

    #[test]
    fn what_must_be_there_has_no_brackets_around_it() {
        let mut command = Command::new("send")
            .disable_help_flag(true)
            .arg(Arg::new("dsn").long("dsn").value_name("DSN").required(true))
            .arg(Arg::new("hid").long("hid").value_name("X").hide(true))
            .arg(
                Arg::new("more")
                    .short('m')
                    .value_name("M")
                    .action(ArgAction::Append),
            );
        command.build();
        let mut roff = Roff::default();
        section(&mut roff, &command);
        let page = roff.to_roff();
        assert!(
            page.ends_with(
                "\\fBsend\\fR [\\fB\\-m\\fR \\fI<M>\\fR]... \\fB\\-\\-dsn\\fR \\fI<DSN>\\fR\n"
            ),
            "{page}"
        );
    }
}

use super::*;

/// As wide as help ever gets, whatever the terminal.
fn wide() -> clap::Command {
    Cli::command().term_width(100)
}

fn help(command: &str) -> String {
    let mut cli = wide();
    cli.build();
    let sub = cli.find_subcommand_mut(command).unwrap();
    sub.render_long_help().to_string()
}

#[test]
fn the_command_line_is_consistent() {
    Cli::command().debug_assert();
}

#[test]
fn help_of_each_command_has_examples() {
    #[cfg(feature = "demo")]
    insta::assert_snapshot!("help", wide().render_long_help().to_string());
    #[cfg(feature = "demo")]
    assert!(help("demo").contains("Examples:\n  "));
    for command in ["serve", "verify", "discover", "inspect", "resolve", "check", "completions"] {
        let text = help(command);
        assert!(text.contains("Examples:\n  "), "{command}");
        insta::assert_snapshot!(format!("help_{command}"), text);
    }
}

#[test]
fn exit_codes_are_for_scripts() {
    for (outcome, code) in [(Outcome::Done, 0), (Outcome::Refused, 1), (Outcome::Undecided, 3)] {
        assert_eq!(ExitCode::from(outcome), ExitCode::from(code));
    }
    assert_eq!(USAGE, 2);
}

#[test]
fn usage_that_makes_no_sense_is_refused() {
    for (name, arguments) in [
        ("no reference", vec!["verify", "--config", "c"]),
        ("no policy at all", vec!["verify", "a"]),
        ("both ways", vec!["verify", "a", "--config", "c", "--trust-policy", "p", "--trust-store", "s"]),
        ("no store", vec!["verify", "a", "--trust-policy", "p"]),
        ("no policy", vec!["verify", "a", "--config", "c", "--trust-store", "s"]),
        ("no time", vec!["verify", "a", "--config", "c", "--at", "yesterday"]),
        ("no duration", vec!["verify", "a", "--config", "c", "--timeout", "60"]),
        ("no time at all", vec!["verify", "a", "--config", "c", "--timeout", "0s"]),
        ("hosts beside a configuration", vec!["verify", "a", "--config", "c", "--plain-http", "h"]),
        ("other output", vec!["verify", "a", "--config", "c", "--output", "xml"]),
        ("no configuration", vec!["serve"]),
        ("no configuration", vec!["check"]),
        ("two references", vec!["resolve", "a", "b"]),
        ("no reference", vec!["discover", "A/B"]),
        ("no reference", vec!["inspect"]),
        ("two places", vec!["inspect", "a", "--layout", "d", "--config", "c"]),
        ("no time", vec!["inspect", "a", "--at", "soon"]),
        ("other command", vec!["verfy", "a"]),
    ] {
        let parsed = Cli::try_parse_from(["countersign"].into_iter().chain(arguments));
        assert_eq!(parsed.map(|_| ()).map_err(|error| error.exit_code()), Err(i32::from(USAGE)), "{name}");
    }
    for arguments in [
        vec!["verify", "a", "b", "--config", "c", "--at", "2026-01-01T00:00:00Z", "--timeout", "1h"],
        vec!["verify", "a", "--trust-policy", "p", "--trust-store", "s", "--plain-http", "h", "--allow-loopback", "h"],
        vec!["discover", "a", "--layout", "d"],
        vec!["inspect", "a", "--layout", "d", "--at", "2026-01-01T00:00:00Z", "--output", "json"],
        vec!["resolve", "a", "--config", "c"],
        vec!["completions", "fish"],
    ] {
        let parsed = Cli::try_parse_from(["countersign"].into_iter().chain(arguments));
        assert!(parsed.is_ok(), "{parsed:?}");
    }
}

use super::*;

/// As wide as help ever gets, whatever the terminal.
fn wide() -> clap::Command {
    Cli::command().term_width(100)
}

/// Of `plugin`, and of `plugin test`.
fn help(command: &str) -> String {
    let mut cli = wide();
    cli.build();
    let found = command.split(' ').fold(&mut cli, |above, name| above.find_subcommand_mut(name).unwrap());
    found.render_long_help().to_string()
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
    for command in
        ["serve", "verify", "discover", "inspect", "resolve", "check", "apply", "plugin", "plugin test", "completions"]
    {
        let text = help(command);
        assert!(text.contains("Examples:\n  "), "{command}");
        insta::assert_snapshot!(format!("help_{}", command.replace(' ', "_")), text);
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
        ("a part that is none", vec!["apply", "--only", "verify,mutate"]),
        ("a bundle twice", vec!["apply", "--ca-bundle", "f", "--ca-secret", "s", "--namespace", "n"]),
        ("a Secret nowhere", vec!["apply", "--ca-secret", "s"]),
        ("an action that is none", vec!["apply", "--enforcement-action", "audit"]),
        ("half a second", vec!["apply", "--provider-timeout-verify", "500ms"]),
        ("no second", vec!["apply", "--provider-timeout-mutate", "0s"]),
        ("longer than a webhook", vec!["apply", "--provider-timeout-verify", "31s"]),
        ("a host for a namespace", vec!["apply", "--namespace", "a.b"]),
        ("every namespace", vec!["apply", "--exempt-namespaces", "*"]),
        ("patience", vec!["apply", "--wait", "2h"]),
        ("print and Secret", vec!["apply", "--print", "--ca-secret", "s", "--namespace", "n"]),
        ("two references", vec!["resolve", "a", "b"]),
        ("no reference", vec!["discover", "A/B"]),
        ("no reference", vec!["inspect"]),
        ("no artifact", vec!["plugin", "test", "./p", "--layout", "d"]),
        ("no layout", vec!["plugin", "test", "./p", "--artifact", "a"]),
        ("no program", vec!["plugin", "test", "--layout", "d", "--artifact", "a"]),
        ("nothing to do", vec!["plugin"]),
        ("no time at all", vec!["plugin", "test", "./p", "--layout", "d", "--artifact", "a", "--timeout", "0s"]),
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
        vec!["plugin", "test", "./p", "--layout", "d", "--artifact", "a:b", "--config", "c", "--output", "json"],
        vec!["resolve", "a", "--config", "c"],
        vec!["completions", "fish"],
        vec!["apply"],
        vec!["apply", "--only", "verify,constraint", "--wait", "0s", "--exempt-namespaces", "kube-*,own", "--dry-run"],
        vec!["apply", "--namespace", "n", "--service", "s", "--ca-secret", "c", "--provider-timeout-verify", "30s"],
        vec!["apply", "--manifests", "a", "--manifests", "b", "--print", "--ca-bundle", "f"],
    ] {
        let parsed = Cli::try_parse_from(["countersign"].into_iter().chain(arguments));
        assert!(parsed.is_ok(), "{parsed:?}");
    }
}

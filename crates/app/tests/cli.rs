//! The surface of the command line: help, man pages, completions, secrets. Whole nodes are tested
//! in `tests/`.

#![allow(clippy::unwrap_used, reason = "a test panics where it fails")]

use std::process::Command;

/// Every command, as it is typed.
const COMMANDS: [&[&str]; 27] = [
    &[],
    &["demo"],
    &["testnet"],
    &["join"],
    &["posts"],
    &["identity"],
    &["identity", "show"],
    &["identity", "rotate"],
    &["identity", "export"],
    &["identity", "import"],
    &["identity", "link"],
    &["identity", "revoke"],
    &["identity", "new-key"],
    &["topic", "add"],
    &["topic", "remove"],
    &["topic", "rotate"],
    &["topic", "invite"],
    &["topic", "accept"],
    &["topic", "new-secret"],
    &["doctor"],
    &["health"],
    &["config", "show"],
    &["config", "check"],
    &["config", "kinds"],
    &["topic"],
    &["completions"],
    &["man"],
];

fn kukuri(args: &[&str]) -> (Option<i32>, String, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_kukuri"))
        .args(args)
        .output()
        .unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (
        output.status.code(),
        text(output.stdout),
        text(output.stderr),
    )
}

#[test]
fn every_help_has_an_example() {
    for command in COMMANDS {
        let (code, text, _) = kukuri(&[command, &["--help"]].concat());
        assert_eq!(code, Some(0), "{command:?}");
        let examples = text.split("Examples:").nth(1);
        let examples = examples.unwrap_or_else(|| panic!("{command:?} has no examples:\n{text}"));
        let typed = ["kukuri", command.first().unwrap_or(&"demo")].join(" ");
        assert!(examples.contains(&typed), "{command:?}:\n{examples}");
    }
}

#[test]
fn every_example_has_flags_that_there_are() {
    for command in COMMANDS.into_iter().filter(|command| !command.is_empty()) {
        let (_, text, _) = kukuri(&[command, &["--help"]].concat());
        let (help, examples) = text.split_once("Examples:").unwrap();
        let typed = ["kukuri", &command.join(" ")].join(" ");
        let deeper = examples_below(command);
        for line in examples.lines().filter(|line| line.contains(&typed)) {
            let flags = line.split_whitespace().filter(|w| w.starts_with("--"));
            for flag in flags {
                let known = help.contains(flag) || deeper.contains(flag);
                assert!(known, "{command:?} has no {flag}: {line}");
            }
        }
    }
}

/// The help of all commands below this one: its examples may be theirs.
fn examples_below(command: &[&str]) -> String {
    let below = COMMANDS.iter().filter(|other| other.len() > command.len());
    let below = below.filter(|other| other.starts_with(command));
    let texts = below.map(|other| kukuri(&[other, &["--help"][..]].concat()).1);
    texts.collect()
}

#[test]
fn help_teaches() {
    for (args, words) in [
        (
            &["--help"][..],
            &[
                "kukuri demo",
                "kukuri join tea",
                "Exit codes",
                "0  all right",
                "1  failed",
                "2  wrong usage",
                "3  the node gave up",
            ][..],
        ),
        (
            &["join", "--help"],
            &[
                "--secret-file",
                "--dht-bootstrap",
                "Examples",
                "\nTopic:\n",
                "\nNetwork:\n",
                "\nNode:\n",
                "\nKeys:\n",
                "KUKURI_PASSPHRASE_FILE",
                "--insecure-plaintext-store",
            ],
        ),
        (&["demo", "--help"], &["--peers", "[default: 3]"]),
        (&["posts", "--help"], &["--since", "[default: 50]"]),
    ] {
        let (code, text, _) = kukuri(args);
        assert_eq!(code, Some(0));
        for word in words {
            assert!(text.contains(word), "{args:?} lacks {word:?}:\n{text}");
        }
    }
}

#[test]
fn completions_name_every_command_in_every_shell() {
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        let (code, script, errors) = kukuri(&["completions", shell]);
        assert_eq!((code, errors.as_str()), (Some(0), ""), "{shell}");
        for word in COMMANDS.concat().into_iter().chain(["--secret-file"]) {
            // PowerShell and zsh write flags with dashes, fish with `-l`.
            let word = word.trim_start_matches('-');
            assert!(script.contains(word), "{shell} lacks {word:?}");
        }
    }
    let (code, _, errors) = kukuri(&["completions", "tcsh"]);
    assert_eq!(code, Some(2));
    assert!(errors.contains("elvish"), "it says which there are");
}

#[test]
fn the_man_pages_tell_every_command() {
    let unescaped = |page: &str| page.replace("\\-", "-");
    let (code, page, _) = kukuri(&["man"]);
    assert_eq!(code, Some(0));
    let page = unescaped(&page);
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("man1");
    let (code, ..) = kukuri(&["man", "--out", out.to_str().unwrap()]);
    assert_eq!(code, Some(0));
    for command in COMMANDS {
        if let [name] = command {
            let name = format!("kukuri-{name}");
            assert!(page.contains(&name), "the main page lacks {name}:\n{page}");
        }
        let name = [&["kukuri"], command].concat().join("-");
        let page = std::fs::read_to_string(out.join(format!("{name}.1"))).unwrap();
        assert!(unescaped(&page).contains("Examples:"), "{name}");
    }
    let file = dir.path().join("file");
    std::fs::write(&file, "").unwrap();
    let (code, _, errors) = kukuri(&["man", "--out", file.to_str().unwrap()]);
    assert_eq!(code, Some(1));
    assert!(errors.contains(file.to_str().unwrap()), "{errors}");
}

#[test]
fn a_secret_file_is_for_its_owner_only_and_never_overwritten() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("tea.secret");
    let make = || kukuri(&["topic", "new-secret", "--out", file.to_str().unwrap()]);
    let (code, said, _) = make();
    assert_eq!(code, Some(0));
    let secret = std::fs::read_to_string(&file).unwrap();
    assert!(kukuri::parse_secret(&secret).is_ok());
    assert!(!said.contains(secret.trim()), "it is in the file only");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = std::fs::metadata(&file).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
    let (code, _, errors) = make();
    assert_eq!(code, Some(1));
    assert!(errors.contains("tea.secret exists already"), "{errors}");
    assert_eq!(std::fs::read_to_string(&file).unwrap(), secret);
}

#[test]
fn no_command_is_wrong_usage_and_shows_the_help() {
    let (code, _, errors) = kukuri(&[]);
    assert_eq!(code, Some(2));
    assert!(errors.contains("kukuri demo"), "{errors}");
}

#[test]
fn the_version_is_the_packages() {
    let (code, text, _) = kukuri(&["--version"]);
    assert_eq!(code, Some(0));
    assert_eq!(text.trim(), format!("kukuri {}", env!("CARGO_PKG_VERSION")));
}

//! The surface of the command line: help and version. Whole nodes are tested in `tests/`.

#![allow(clippy::unwrap_used, reason = "a test panics where it fails")]

use std::process::Command;

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
fn help_teaches() {
    for (args, words) in [
        (
            &["--help"][..],
            &["kukuri demo", "kukuri join tea", "Exit codes"][..],
        ),
        (
            &["join", "--help"],
            &["--secret-file", "--dht-bootstrap", "Examples"],
        ),
        (&["demo", "--help"], &["--peers", "[default: 3]"]),
    ] {
        let (code, text, _) = kukuri(args);
        assert_eq!(code, Some(0));
        for word in words {
            assert!(text.contains(word), "{args:?} lacks {word:?}:\n{text}");
        }
    }
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

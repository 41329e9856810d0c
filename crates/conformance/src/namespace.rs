//! Tests in a network namespace of their own.

use std::process::Command;

/// The variable that tells a test that it runs in a network namespace of its own.
const INSIDE: &str = "KUKURI_TEST_NAMESPACE";

/// Whether this test goes on here: true in a network namespace that `setup` (shell commands) was
/// run in. Outside, the test is run again in such a namespace, and must pass there; where that is
/// impossible (no root, no Linux, a program of `setup` is missing) it is skipped with a line that
/// says so.
///
/// # Panics
/// When the test does not pass inside.
pub fn in_namespace(test: &str, setup: &str) -> bool {
    if std::env::var_os(INSIDE).is_some() {
        return true;
    }
    let unshare = |script: &str| {
        let mut command = Command::new("unshare");
        command.args(["-n", "sh", "-c", script]);
        command
    };
    let tried = unshare(setup).output();
    if !tried.as_ref().is_ok_and(|tried| tried.status.success()) {
        println!("SKIPPED: {test} needs root and a network namespace: {tried:?}");
        return false;
    }
    let script = format!("{setup}\nexec \"$0\" --exact {test} --nocapture");
    let status = unshare(&script)
        .arg(std::env::current_exe().expect("a test knows its own file"))
        .env(INSIDE, "1")
        .status();
    let passed = status.is_ok_and(|status| status.success());
    assert!(passed, "{test} in a network namespace");
    false
}

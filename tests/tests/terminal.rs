//! What is seen on a terminal, and only there: progress that is gone at the end.

#![allow(clippy::unwrap_used, reason = "a test panics where it fails")]

use std::io::{Read, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::Instant;

use kukuri_tests::{DEADLINE, binary, key_file};
use tempfile::TempDir;

/// `kukuri ARGS` on a pseudo-terminal.
fn on_terminal(args: &[&str], home: &Path) -> Command {
    // Without `exec`, Ctrl-C would end the shell too, and its exit code be the one that is told.
    let line = format!("exec {} {}", binary().display(), args.join(" "));
    let mut script = Command::new("script");
    script.args(["--quiet", "--return", "--command", &line, "/dev/null"]);
    clean(&mut script, home);
    script
}

fn clean(command: &mut Command, home: &Path) {
    let path = std::env::var("PATH").unwrap();
    command.env_clear().env("PATH", path).env("TERM", "xterm");
    command.env("HOME", home).env("SHELL", "/bin/sh");
    command.env("KUKURI_IDENTITY__STORE", "file");
    command.env("KUKURI_IDENTITY__KEY_FILE", key_file(home));
}

fn has_script() -> bool {
    let found = Command::new("script").arg("--version").output();
    let found = found.is_ok_and(|output| output.status.success());
    if !found {
        println!("SKIPPED on a terminal: needs the program `script` of util-linux");
    }
    found
}

/// What a small demo writes to both of its outputs.
fn demo(mut command: impl FnMut(&[&str], &Path) -> Command) -> String {
    let home = TempDir::with_prefix("kukuri-test-").unwrap();
    let args = ["demo", "--peers", "2", "--dht-nodes", "3"];
    let mut command = command(&args, home.path());
    let output = command.stdin(Stdio::null()).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8([output.stdout, output.stderr].concat()).unwrap()
}

/// What stays on the screen: a terminal that clears a line forgets it.
fn left_on_screen(written: &str) -> String {
    let lines = written.split('\n').map(|line| {
        let line = line.trim_end_matches('\r');
        line.rsplit("\r\u{1b}[2K").next().unwrap()
    });
    lines.collect::<Vec<_>>().join("\n")
}

const SPINNER: &str = "starting 3 DHT nodes";

#[test]
fn without_a_terminal_there_is_no_progress() {
    let written = demo(|args, home| {
        let mut command = Command::new(binary());
        clean(command.args(args), home);
        command
    });
    assert!(!written.contains('\u{1b}'), "{written:?}");
    assert!(!written.contains(SPINNER), "{written:?}");
    assert!(written.contains("Every node got every post."), "{written}");
}

#[test]
fn progress_on_a_terminal_leaves_nothing_behind() {
    if !has_script() {
        return;
    }
    let written = demo(|args, home| {
        let mut command = on_terminal(args, home);
        command.env("NO_COLOR", "1");
        command
    });
    assert!(written.contains(SPINNER), "{written:?}");
    assert!(!written.contains("\u{1b}[3"), "no colors: {written:?}");
    let left = left_on_screen(&written);
    assert!(!left.contains('\u{1b}'), "{left:?}");
    assert!(!left.contains(SPINNER), "{left:?}");
    for line in [
        "1. A Mainline DHT of 3 nodes on this machine ...",
        "   ready",
    ] {
        assert!(left.lines().any(|l| l.starts_with(line)), "{left}");
    }
    assert!(left.contains("\nEvery node got every post."), "{left}");
}

#[test]
fn a_terminal_that_can_only_print_gets_no_progress() {
    for setting in [&[][..], &["--json"]] {
        if !has_script() {
            return;
        }
        let written = demo(|args, home| {
            let mut command = on_terminal(&[args, setting].concat(), home);
            // Scripts that run on a terminal get none either.
            if setting.is_empty() {
                command.env("TERM", "dumb");
            }
            command
        });
        assert!(!written.contains('\u{1b}'), "{setting:?}: {written:?}");
    }
}

/// Gone when dropped, and with it the program that runs on it.
struct Terminal(Child);

impl Drop for Terminal {
    fn drop(&mut self) {
        // It may have ended already.
        let _ended = self.0.kill();
        let _ended = self.0.wait();
    }
}

#[test]
fn typed_lines_stay_whole_beside_the_search() {
    if !has_script() {
        return;
    }
    let home = TempDir::with_prefix("kukuri-test-").unwrap();
    let flags = ["join", "tea", "--no-dht", "--bind", "127.0.0.1:0"];
    let child = on_terminal(&flags, home.path())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut terminal = Terminal(child);
    let mut output = terminal.0.stdout.take().unwrap();
    let (tx, rx) = mpsc::channel();
    std::thread::spawn(move || {
        let mut bytes = [0; 4096];
        while let Ok(n @ 1..) = output.read(&mut bytes) {
            if tx.send(bytes[..n].to_vec()).is_err() {
                return;
            }
        }
    });
    let deadline = Instant::now() + DEADLINE;
    let mut screen = Vec::new();
    let mut wait_for = |what: Option<&str>| loop {
        let text = String::from_utf8_lossy(&screen).into_owned();
        if what.is_some_and(|what| text.contains(what)) {
            return text;
        }
        let left = deadline.saturating_duration_since(Instant::now());
        match rx.recv_timeout(left) {
            Ok(more) => screen.extend(more),
            Err(mpsc::RecvTimeoutError::Disconnected) if what.is_none() => return text,
            Err(error) => {
                let end = text.chars().count().saturating_sub(1000);
                let end: String = text.chars().skip(end).collect();
                panic!("{error} while waiting for {what:?}: {end:?}");
            }
        }
    };
    let mut input = terminal.0.stdin.take().unwrap();
    wait_for(Some("looking for the first neighbor"));
    for line in ["one", "two"] {
        writeln!(input, "{line}").unwrap();
        // Put back over the row where the terminal had echoed it.
        wait_for(Some(&format!("\u{1b}[1A\r\u{1b}[J{line}\r\n")));
    }
    // Ctrl-C, as it is typed.
    input.write_all(b"\x03").unwrap();
    let text = wait_for(None);
    assert!(terminal.0.wait().unwrap().success(), "{text:?}");
    let (before, after) = text.rsplit_once("looking for the first neighbor").unwrap();
    assert!(before.contains("Joined the public topic"), "{before:?}");
    // The row of the spinner is deleted, and nothing comes but the last word.
    let end = "\u{1b}7\u{1b}[A\r\u{1b}[M\u{1b}8\u{1b}[A";
    let (_, last) = after
        .rsplit_once(end)
        .unwrap_or_else(|| panic!("{after:?}"));
    assert_eq!(last.trim(), "Left.", "{after:?}");
}

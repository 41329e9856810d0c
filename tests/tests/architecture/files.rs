//! Rules on files: which there are, how long they are, what is left in them.

use crate::SERVICES;
use crate::scan::{Source, line_of};

/// Files that every actor crate has.
const ROOMS: [&str; 6] = [
    "src/lib.rs",
    "src/config.rs",
    "src/actor.rs",
    "src/error.rs",
    "src/core/mod.rs",
    "tests/conformance.rs",
];

/// Most lines of a file.
const MOST: usize = 400;
/// Most lines of a `tests.rs`: a list of cases is read one case at a time.
const MOST_TESTS: usize = 600;

/// Each actor crate has all [`ROOMS`].
pub fn rooms(tree: &[Source]) -> Vec<String> {
    let mut out = Vec::new();
    for service in SERVICES {
        for room in ROOMS {
            let path = format!("crates/{service}/{room}");
            if !tree.iter().any(|source| source.path == path) {
                out.push(format!("{path}: missing"));
            }
        }
    }
    out
}

/// A `lib.rs` has docs, attributes, `mod` and `pub use`, nothing else.
pub fn lib_files(tree: &[Source]) -> Vec<String> {
    let mut out = Vec::new();
    let libs = tree.iter().filter(|source| {
        source.path.starts_with("crates/") && source.path.ends_with("/src/lib.rs")
    });
    for source in libs {
        let mut at = 0;
        for statement in source.code.split_inclusive(';') {
            let text = without_attributes(statement);
            let is_list = ["mod ", "pub mod ", "pub use "]
                .iter()
                .any(|s| text.starts_with(s));
            let fits = is_list && text.ends_with(';') && !has_body(text);
            if !(text.is_empty() || fits) {
                let line = line_of(&source.code, at + statement.find(text).unwrap_or(0));
                let head = text.lines().next().unwrap_or("");
                out.push(format!("{}:{line}: `{head}`", source.path));
            }
            at += statement.len();
        }
    }
    out
}

fn has_body(statement: &str) -> bool {
    statement.contains("mod ") && statement.contains('{')
}

fn without_attributes(mut text: &str) -> &str {
    text = text.trim();
    while text.starts_with('#') {
        let Some((_, rest)) = text.split_once(']') else {
            return text;
        };
        text = rest.trim();
    }
    text
}

/// Files are short.
pub fn sizes(tree: &[Source]) -> Vec<String> {
    let mut out = Vec::new();
    for Source { path, lines, .. } in tree {
        let most = match path.ends_with("/tests.rs") {
            true => MOST_TESTS,
            false => MOST,
        };
        if *lines > most {
            out.push(format!(
                "{path}:{lines}: {lines} lines, at most {most}: split it"
            ));
        }
    }
    out
}

/// Here tests are ignored unless asked for: they need Docker, and CI asks.
const CONTAINER_TESTS: &str = "tests/tests/compose/";

/// Nothing in any source says that it is not finished.
pub fn unfinished(tree: &[Source]) -> Vec<String> {
    let mut out = Vec::new();
    for source in tree {
        let asked_for = source.path.starts_with(CONTAINER_TESTS);
        let marks = ["todo!", "unimplemented!", "dbg!", "#[ignore"];
        for mark in marks
            .into_iter()
            .filter(|mark| !asked_for || *mark != "#[ignore")
        {
            let found = source.code.match_indices(mark);
            out.extend(found.map(|(at, _)| {
                let line = line_of(&source.code, at);
                format!("{}:{line}: `{mark}`", source.path)
            }));
        }
    }
    out
}

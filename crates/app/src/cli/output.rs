//! Two ways to say a thing: a JSON object per line for scripts, or text for people.

use std::fmt::Display;
use std::io::{IsTerminal, Write};

use serde_json::{Value, json};

use super::Failure;

/// How output is printed.
#[derive(Debug, Clone, Copy)]
pub struct Output {
    json: bool,
}

impl Output {
    /// JSON lines or text.
    pub fn new(json: bool) -> Self {
        Self { json }
    }

    /// Whether scripts read it.
    pub fn is_json(self) -> bool {
        self.json
    }

    /// Says one thing: an object with a field `event` for scripts, a line for people.
    pub fn event(self, event: &Value, text: impl Display) {
        match self.json {
            true => line(event),
            false => line(text),
        }
    }

    /// Says something that only people want to know.
    pub fn note(self, text: impl Display) {
        if !self.json {
            line(text);
        }
    }

    /// Says why a command failed, with all causes.
    pub fn failure(self, failure: &Failure) {
        let mut text = failure.to_string();
        let mut cause = failure.source();
        while let Some(error) = cause {
            // Some errors print their cause themselves.
            let part = error.to_string();
            let part = part.split_whitespace().collect::<Vec<_>>().join(" ");
            if !text.contains(&part) {
                text = format!("{text}: {part}");
            }
            cause = error.source();
        }
        if self.json {
            line(json!({ "event": "error", "message": text }));
        }
        eprintln!("error: {text}");
    }
}

/// Whether a stream wants colors: a terminal, and nobody has set NO_COLOR.
pub fn colors(stream: &impl IsTerminal) -> bool {
    let refused = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    stream.is_terminal() && !refused
}

fn line(text: impl Display) {
    let mut out = std::io::stdout().lock();
    // A reader that went away (`kukuri demo | head -1`) wants no more.
    let _gone = writeln!(out, "{text}").and_then(|()| out.flush());
}

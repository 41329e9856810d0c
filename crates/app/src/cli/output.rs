//! Two ways to say a thing: a JSON object per line for scripts, or text for people.

use std::fmt::Display;
use std::io::{IsTerminal, Write};

use serde_json::{Value, json};

use super::Failure;
use super::progress::{Progress, Screen};

/// How output is printed.
#[derive(Debug, Clone)]
pub struct Output {
    json: bool,
    screen: Screen,
}

impl Output {
    /// JSON lines or text. `typing`: lines are read from standard input.
    pub fn new(json: bool, typing: bool) -> Self {
        let screen = match json {
            true => Screen::hidden(),
            false => Screen::stderr(typing),
        };
        Self { json, screen }
    }

    /// Whether scripts read it.
    pub fn is_json(&self) -> bool {
        self.json
    }

    /// Says one thing: an object with a field `event` for scripts, a line for people.
    pub fn event(&self, event: &Value, text: impl Display) {
        match self.json {
            true => self.line(event),
            false => self.line(text),
        }
    }

    /// Says something that only people want to know.
    pub fn note(&self, text: impl Display) {
        if !self.json {
            self.line(text);
        }
    }

    /// Says something about the output that is no part of it, to people.
    pub fn aside(&self, text: impl Display) {
        if !self.json {
            self.log(format!("{text}\n").as_bytes());
        }
    }

    /// Hands out what another program reads, as it is.
    pub fn raw(&self, text: &[u8]) {
        let mut out = std::io::stdout().lock();
        // A reader that went away (`kukuri demo | head -1`) wants no more.
        let _gone = out.write_all(text).and_then(|()| out.flush());
    }

    /// Says why a command failed, with all causes.
    pub fn failure(&self, failure: &Failure) {
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
            self.line(json!({ "event": "error", "message": text }));
        }
        self.log(format!("error: {text}\n").as_bytes());
    }

    /// Writes to standard error.
    pub fn log(&self, text: &[u8]) {
        self.screen.print(|| {
            // Where standard error is closed, nobody wants to know.
            let _gone = std::io::stderr().lock().write_all(text);
        });
    }

    /// Shows on a terminal that something goes on, and for how long.
    pub fn spinner(&self, message: impl Display) -> Progress {
        self.screen.spinner(&message.to_string())
    }

    /// Shows on a terminal how much of something is done.
    pub fn bar(&self, message: impl Display, steps: u64) -> Progress {
        self.screen.bar(&message.to_string(), steps)
    }

    /// Whether lines that are typed must be told to [`typed`](Self::typed).
    pub fn is_typed_on(&self) -> bool {
        self.screen.is_typed_on()
    }

    /// Lines were typed.
    pub fn typed(&self, lines: &[String]) {
        self.screen.typed(lines);
    }

    fn line(&self, text: impl Display) {
        let text = format!("{text}\n");
        self.screen.print(|| self.raw(text.as_bytes()));
    }
}

/// Where log events go: to standard error, past any progress.
#[derive(Debug, Clone)]
pub struct LogWriter(pub Output);

impl Write for LogWriter {
    fn write(&mut self, text: &[u8]) -> std::io::Result<usize> {
        self.0.log(text);
        Ok(text.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// Whether a stream wants colors: a terminal that has them, and nobody refused them
/// (<https://no-color.org>, <https://bixense.com/clicolors>).
pub fn colors(stream: &impl IsTerminal) -> bool {
    let no_color = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    let clicolor = std::env::var_os("CLICOLOR").is_some_and(|value| value == "0");
    stream.is_terminal() && !no_color && !clicolor && !is_dumb()
}

/// Whether the terminal can only print: no colors, no moves of the cursor.
pub fn is_dumb() -> bool {
    std::env::var_os("TERM").is_some_and(|value| value == "dumb")
}

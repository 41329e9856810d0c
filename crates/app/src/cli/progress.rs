//! What goes on, as one line on standard error: only on a terminal, and gone at the end.
//!
//! indicatif animates the line; [`StatusLine`] is how it is drawn. Where lines are typed, it stands
//! *above* the line that is being typed, which the terminal itself echoes:
//!
//! ```text
//! * printed before
//! ⠋ 3s Looking for peers ...
//! hello wor_
//! ```

use std::io::{self, IsTerminal, Write};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use console::{Term, measure_text_width};
use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle, TermLike};

use super::output::is_dumb;
use super::post::printable;

/// A spinner turns this often: it is seen to move, and costs next to nothing.
const TICK: Duration = Duration::from_millis(120);
/// Draws per second at most, however often a bar moves.
const DRAWS: u8 = 15;

/// Where progress is shown, if it is.
#[derive(Debug, Clone)]
pub struct Screen {
    bars: MultiProgress,
    line: Option<StatusLine>,
}

impl Screen {
    /// Nothing is shown.
    pub fn hidden() -> Self {
        let target = ProgressDrawTarget::hidden();
        Self {
            bars: MultiProgress::with_draw_target(target),
            line: None,
        }
    }

    /// Standard error, where it is a terminal that can move its cursor. `typing`: lines are read
    /// from standard input.
    pub fn stderr(typing: bool) -> Self {
        let term = Term::stderr();
        let can_move = cfg!(unix) || term.features().colors_supported();
        if !term.is_term() || is_dumb() || !can_move {
            return Self::hidden();
        }
        let line = StatusLine {
            state: Arc::default(),
            above: typing && io::stdin().is_terminal(),
        };
        let target = ProgressDrawTarget::term_like_with_hz(Box::new(line.clone()), DRAWS);
        Self {
            bars: MultiProgress::with_draw_target(target),
            line: Some(line),
        }
    }

    /// Prints something while no progress is in its way.
    pub fn print<T>(&self, print: impl FnOnce() -> T) -> T {
        self.bars.suspend(print)
    }

    /// Whether [`typed`](Self::typed) has something to do.
    pub fn is_typed_on(&self) -> bool {
        self.line.as_ref().is_some_and(|line| line.above)
    }

    /// Lines were typed: keeps them whole, with the progress below them.
    pub fn typed(&self, lines: &[String]) {
        if let Some(line) = self.line.as_ref().filter(|line| line.above) {
            self.bars.suspend(|| line.restore(lines));
        }
    }

    /// A spinner with the time that it takes.
    pub fn spinner(&self, message: &str) -> Progress {
        let style = style("{spinner} {elapsed} {wide_msg}");
        self.show(ProgressBar::new_spinner().with_style(style), message)
    }

    /// A bar of so many steps.
    pub fn bar(&self, message: &str, steps: u64) -> Progress {
        let style = style("{spinner} {elapsed} {msg} [{wide_bar}] {pos}/{len}");
        let bar = ProgressBar::with_draw_target(Some(steps), ProgressDrawTarget::hidden());
        self.show(bar.with_style(style.progress_chars("=> ")), message)
    }

    fn show(&self, bar: ProgressBar, message: &str) -> Progress {
        if self.line.is_none() {
            return Progress(None);
        }
        let bar = self.bars.add(bar.with_message(message.to_owned()));
        bar.tick();
        bar.enable_steady_tick(TICK);
        Progress(Some(bar))
    }
}

fn style(template: &str) -> ProgressStyle {
    // No colors: nothing to refuse with NO_COLOR.
    let style = ProgressStyle::with_template(template);
    style.unwrap_or_else(|_| ProgressStyle::default_spinner())
}

/// Something that goes on. Gone from the screen when dropped.
#[derive(Debug)]
pub struct Progress(Option<ProgressBar>);

impl Progress {
    /// Says something else about it.
    pub fn say(&self, message: impl Into<String>) {
        if let Some(bar) = &self.0 {
            bar.set_message(message.into());
        }
    }

    /// So many steps are done.
    pub fn at(&self, steps: u64) {
        if let Some(bar) = &self.0 {
            bar.set_position(steps);
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some(bar) = &self.0 {
            bar.finish_and_clear();
        }
    }
}

/// One line of a terminal. All bars have one line, one is shown at a time, so indicatif's moves of
/// the cursor are not needed: what it writes between two flushes is the line, nothing clears it.
#[derive(Debug, Clone)]
struct StatusLine {
    state: Arc<Mutex<State>>,
    /// It stands above the line that is being typed.
    above: bool,
}

#[derive(Debug, Default)]
struct State {
    next: String,
    shown: bool,
    /// The last flush took a line away.
    cleared: bool,
}

impl StatusLine {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Called when the line was just cleared, but too low, because typed lines have ended since it
    /// was drawn: writes them where the terminal had echoed them, and where the line has stood.
    fn restore(&self, lines: &[String]) {
        if self.state().cleared {
            write(&restored(lines, Term::stderr().size().1.into()));
        }
    }
}

/// How lines that were typed are put back.
fn restored(lines: &[String], width: usize) -> String {
    let lines = lines
        .iter()
        .map(|line| printable(&line.replace('\t', "        ")));
    let lines: Vec<String> = lines.collect();
    let rows = |line: &String| measure_text_width(line).div_ceil(width.max(1)).max(1);
    let rows: usize = lines.iter().map(rows).sum();
    format!("\x1b[{rows}A\r\x1b[J{}\n", lines.join("\n"))
}

/// The sequence that brings the line on the screen, or up to date.
fn drawn(text: &str, above: bool, shown: bool) -> String {
    match (above, shown) {
        (false, _) => format!("\r\x1b[2K{text}"),
        (true, false) => format!("\r{text}\n"),
        // Save the cursor, which is where somebody types; go up; come back.
        (true, true) => format!("\x1b7\x1b[A\r\x1b[2K{text}\x1b8"),
    }
}

/// The sequence that takes the line off the screen.
fn cleared(above: bool) -> &'static str {
    match above {
        false => "\r\x1b[2K",
        // Delete the row above; what was typed moves up with its cursor.
        true => "\x1b7\x1b[A\r\x1b[M\x1b8\x1b[A",
    }
}

/// A terminal that went away wants no more.
fn write(text: &str) {
    let mut err = io::stderr().lock();
    let _gone = err.write_all(text.as_bytes()).and_then(|()| err.flush());
}

impl TermLike for StatusLine {
    fn width(&self) -> u16 {
        // A full row may or may not move the cursor on: one column stays free.
        Term::stderr().size().1.saturating_sub(1).max(1)
    }

    fn move_cursor_up(&self, _: usize) -> io::Result<()> {
        Ok(())
    }

    fn move_cursor_down(&self, _: usize) -> io::Result<()> {
        Ok(())
    }

    fn move_cursor_right(&self, _: usize) -> io::Result<()> {
        Ok(())
    }

    fn move_cursor_left(&self, _: usize) -> io::Result<()> {
        Ok(())
    }

    fn write_line(&self, text: &str) -> io::Result<()> {
        self.write_str(text)
    }

    fn write_str(&self, text: &str) -> io::Result<()> {
        self.state().next.push_str(text);
        Ok(())
    }

    fn clear_line(&self) -> io::Result<()> {
        Ok(())
    }

    fn flush(&self) -> io::Result<()> {
        let mut state = self.state();
        let next = std::mem::take(&mut state.next);
        let text = next.trim();
        state.cleared = text.is_empty() && state.shown;
        if !text.is_empty() {
            write(&drawn(text, self.above, state.shown));
        } else if state.shown {
            write(cleared(self.above));
        }
        state.shown = !text.is_empty();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn typed_lines_are_put_back_over_all_their_rows() {
        let lines = ["short", "twelve chars", "", "\u{1b}[2J"].map(str::to_owned);
        assert_eq!(
            restored(&lines, 10),
            "\u{1b}[5A\r\u{1b}[Jshort\ntwelve chars\n\n\u{fffd}[2J\n"
        );
        assert!(restored(&lines[..1], 0).starts_with("\u{1b}[5A"));
    }

    #[test]
    fn hidden_progress_prints_nothing_and_lets_print() {
        let screen = Screen::hidden();
        let bar = screen.bar("posts", 3);
        bar.at(2);
        bar.say("more");
        assert!(bar.0.is_none() && !screen.is_typed_on());
        assert_eq!(screen.print(|| 7), 7);
    }
}

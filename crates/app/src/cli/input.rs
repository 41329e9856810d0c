//! Lines from standard input.

use std::io::{BufRead, BufReader, Read};

use tokio::sync::mpsc;

/// Lines that wait to be posted; a faster writer has to wait.
const QUEUE: usize = 64;
/// Longest line that is read whole, in bytes. What goes beyond is refused as a post anyway, and
/// must not fill the memory.
const MAX_LINE: u64 = 64 * 1024;

/// Reads standard input on a thread of its own, because a blocked read can't be interrupted. Ends
/// with the input.
pub fn lines() -> mpsc::Receiver<String> {
    let (tx, rx) = mpsc::channel(QUEUE);
    std::thread::spawn(move || {
        let mut input = BufReader::new(std::io::stdin());
        while let Some(line) = next_line(&mut input) {
            let line = line.trim_end_matches(['\r', '\n']);
            if tx.blocking_send(line.to_owned()).is_err() {
                return;
            }
        }
    });
    rx
}

/// Reads one line; `None` at the end of the input.
pub fn line() -> Option<String> {
    next_line(&mut std::io::stdin().lock())
}

fn next_line(input: &mut impl BufRead) -> Option<String> {
    let mut line = Vec::new();
    let read = input.take(MAX_LINE).read_until(b'\n', &mut line);
    match read {
        Ok(0) | Err(_) => None,
        Ok(_) => Some(String::from_utf8_lossy(&line).into_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_bounded_and_need_not_be_utf8() {
        let text = [b"a\n\xff\n".as_slice(), &[b'x'; 100_000]].concat();
        let mut input = BufReader::new(text.as_slice());
        let lines: Vec<_> = std::iter::from_fn(|| next_line(&mut input)).collect();
        let lens: Vec<_> = lines.iter().map(String::len).collect();
        assert_eq!(lines[0], "a\n");
        assert_eq!(lines[1], "\u{fffd}\n");
        assert_eq!(lens[2..], [65_536, 34_464]);
    }
}

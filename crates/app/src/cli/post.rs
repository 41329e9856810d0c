//! How a post is shown, by `kukuri join` and `kukuri posts` alike.

use kukuri::PostEvent;
use serde_json::{Value, json};

/// A post for scripts.
pub fn as_json(post: &PostEvent) -> Value {
    json!({
        "event": "post",
        "author": post.author,
        "writer": post.writer,
        "seq": post.seq,
        "time_ms": post.time,
        "body": String::from_utf8_lossy(&post.body),
    })
}

/// A post for people.
pub fn as_text(post: &PostEvent) -> String {
    let body = String::from_utf8_lossy(&post.body);
    format!("<{}> {}", post.author.short(), printable(&body))
}

/// A body as it may go to a terminal: without control characters, which could drive it.
pub fn printable(body: &str) -> String {
    let visible = |c: char| if c.is_control() { '\u{fffd}' } else { c };
    body.chars().map(visible).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn posts_can_not_drive_the_terminal() {
        assert_eq!(printable("a\u{1b}[2Jb\r"), "a\u{fffd}[2Jb\u{fffd}");
    }
}

//! The code in `docs/SWAPPING.md` is that of `examples/swap`, which is built and tested.

use std::fs;

use crate::scan::root;

const FILE: &str = "docs/SWAPPING.md";

/// Blocks of code that are not the region of a file that they say they are.
pub fn stale() -> Vec<String> {
    let text = fs::read_to_string(root().join(FILE)).unwrap();
    compare(&text, |path| fs::read_to_string(root().join(path)).ok())
}

/// A block of Rust comes after a line such as `<!-- examples/swap/src/actor.rs: factory -->`, and the
/// region is between `// doc: factory` and `// end`.
fn compare(text: &str, read: impl Fn(&str) -> Option<String>) -> Vec<String> {
    let mut out = Vec::new();
    let mut count = 0;
    for (before, block) in blocks(text) {
        count += 1;
        let named = before.trim_end().lines().last().unwrap_or("");
        let named = named
            .strip_prefix("<!-- ")
            .and_then(|s| s.strip_suffix(" -->"));
        let Some((path, region)) = named.and_then(|named| named.split_once(": ")) else {
            out.push(format!(
                "{FILE}: a block says not where it is from:\n{block}"
            ));
            continue;
        };
        let code = read(path).unwrap_or_default();
        let start = format!("// doc: {region}\n");
        let code = code
            .split_once(&start)
            .and_then(|(_, code)| code.split_once("// end\n"));
        if code.map(|(code, _)| code) != Some(block) {
            out.push(format!(
                "{FILE}: the block {region:?} is not what {path} has"
            ));
        }
    }
    if count == 0 {
        out.push(format!("{FILE}: has no block of Rust"));
    }
    out
}

/// Each block of Rust, with the text before it.
fn blocks(text: &str) -> impl Iterator<Item = (&str, &str)> {
    let mut rest = text;
    std::iter::from_fn(move || {
        let (before, after) = rest.split_once("```rust\n")?;
        let (block, after) = after.split_once("```")?;
        rest = after;
        Some((before, block))
    })
}

#[test]
fn a_block_that_is_not_the_code_is_found() {
    let read =
        |path: &str| (path == "a.rs").then(|| "x\n// doc: b\nfn c() {}\n// end\n".to_owned());
    let doc = |head: &str, code: &str| format!("Text.\n\n{head}\n```rust\n{code}```\n");
    assert!(compare(&doc("<!-- a.rs: b -->", "fn c() {}\n"), read).is_empty());
    for (head, code) in [
        ("<!-- a.rs: b -->", "fn d() {}\n"),
        ("<!-- a.rs: e -->", "fn c() {}\n"),
        ("<!-- f.rs: b -->", "fn c() {}\n"),
        ("Text.", "fn c() {}\n"),
    ] {
        assert_eq!(compare(&doc(head, code), read).len(), 1, "{head} {code}");
    }
    assert_eq!(compare("no code", read).len(), 1);
}

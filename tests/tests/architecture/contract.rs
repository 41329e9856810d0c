//! The public items of the contract, as text: a change of it is one of `docs/contract.txt` too, so none
//! happens by accident.
//!
//! A crude reader: what it lists is what rustfmt has made of the sources, without comments and bodies.

use crate::scan::{Source, root};

/// The committed listing.
pub const FILE: &str = "docs/contract.txt";
/// Set, to write the listing anew.
pub const WRITE: &str = "KUKURI_WRITE_CONTRACT";

const HEAD: &str = "\
The public items of crates/contract. A test compares this list with the sources; after a change that is
meant, write it anew:

    KUKURI_WRITE_CONTRACT=1 cargo nextest run --workspace -E 'test(the_contract_is_as_listed)'

and think of CONTRACT_VERSION: it goes up where an implementation that kept to the contract may not any
more. Strings are left out.
";

/// The listing that there is.
pub fn listed() -> String {
    std::fs::read_to_string(root().join(FILE)).unwrap_or_default()
}

/// The listing as it should be.
pub fn listing(tree: &[Source]) -> String {
    let mut out = HEAD.to_owned();
    for source in tree {
        let Some(name) = source.path.strip_prefix("crates/contract/src/") else {
            continue;
        };
        let items: String = items(&source.shipped)
            .into_iter()
            .filter_map(public)
            .collect();
        if !source.is_test && !items.is_empty() {
            out.push_str(&format!("\n--- {name}\n{items}"));
        }
    }
    out
}

/// The items of a file, or of a block, each with its attributes.
fn items(code: &str) -> Vec<&str> {
    let (mut out, mut start, mut depth) = (Vec::new(), 0, 0);
    for (at, c) in code.char_indices() {
        match c {
            '{' | '(' | '[' => depth += 1,
            '}' | ')' | ']' => depth -= 1,
            _ => {}
        }
        let text = code[start..=at].trim_start();
        let by_block = c == '}' && !is_value(text);
        // What follows an attribute on its line is that of an item.
        if depth == 0 && (c == ';' || by_block) {
            out.push(code[start..=at].trim());
            start = at + 1;
        }
    }
    out
}

/// Ends with a semicolon, whatever blocks it has.
fn is_value(item: &str) -> bool {
    let item = bare(item);
    let item = item.strip_prefix("pub ").unwrap_or(item);
    ["use ", "static ", "type "]
        .iter()
        .any(|s| item.starts_with(s))
        || (item.starts_with("const ") && !item.starts_with("const fn "))
}

/// An item without its attributes.
fn bare(mut item: &str) -> &str {
    while let Some(rest) = item.trim_start().strip_prefix("#[") {
        let mut depth = 1;
        let end = rest.find(|c| {
            depth += match c {
                '[' => 1,
                ']' => -1,
                _ => 0,
            };
            depth == 0
        });
        item = end.map_or("", |end| &rest[end + 1..]);
    }
    item.trim_start()
}

/// What others see of an item; `None` where they don't.
fn public(item: &str) -> Option<String> {
    let text = bare(item);
    let attributes = &item[..item.len() - text.len()];
    let (head, body) = match text.split_once('{') {
        Some((head, body)) => (head.trim_end(), body.trim_end_matches(['}', ';'])),
        None => (text, ""),
    };
    let is_pub = text.starts_with("pub ");
    let words: Vec<&str> = head
        .split_whitespace()
        .filter(|word| *word != "pub")
        .collect();
    let shown = match words.first().copied().unwrap_or("") {
        word if word == "impl" || word.starts_with("impl<") => return implementation(head, body),
        macro_call if macro_call.ends_with('!') || macro_call.contains("!(") => lines(text),
        _ if !is_pub => return None,
        "struct" if !body.is_empty() => {
            let fields = lines(body)
                .lines()
                .filter(|line| line.trim().starts_with("pub "))
                .map(|line| format!("{line}\n"))
                .collect::<String>();
            format!("{head} {{\n{fields}}}\n")
        }
        "trait" => {
            let items = items(body).into_iter().map(signature).collect::<String>();
            format!("{head} {{\n{items}}}\n")
        }
        "fn" | "async" => signature(item),
        "const" if words.get(1) == Some(&"fn") => signature(item),
        _ => lines(text),
    };
    Some(format!("{}{shown}", lines(attributes)))
}

/// An inherent one: what is public in it. One of a trait: that there is one.
fn implementation(head: &str, body: &str) -> Option<String> {
    if head.contains(" for ") {
        return Some(lines(head));
    }
    let items: String = items(body)
        .into_iter()
        .filter(|item| bare(item).starts_with("pub "))
        .map(|item| {
            if is_value(item) {
                lines(item)
            } else {
                signature(item)
            }
        })
        .collect();
    (!items.is_empty()).then(|| format!("{} {{\n{items}}}\n", lines(head).trim_end()))
}

/// A function without its body.
fn signature(item: &str) -> String {
    let text = bare(item);
    let head = match is_value(text) {
        true => text,
        false => text.split('{').next().unwrap_or(text),
    };
    lines(&format!("    {}", head.trim()))
}

/// Without blank lines.
fn lines(text: &str) -> String {
    let lines = text
        .lines()
        .map(str::trim_end)
        .filter(|line| !line.trim().is_empty());
    lines.map(|line| format!("{line}\n")).collect()
}

#[test]
fn a_change_of_the_contract_shows_and_one_behind_it_does_not() {
    let listing = |code: &str| {
        let files = [("crates/contract/src/a.rs".to_owned(), code.to_owned())];
        listing(&crate::scan::read(files))
    };
    let before = "/// Doc.\n#[derive(Clone)]\npub struct A {\n    pub b: u8,\n    c: u8,\n}\n\
                  impl A {\n    pub fn d(&self) -> u8 {\n        self.c\n    }\n    fn e() {}\n}\n\
                  pub enum F {\n    G,\n    H { i: u8 },\n}\n\
                  pub trait J {\n    const K: u8;\n    fn l(&self) -> u8;\n}\n\
                  request! {\n    M => (), N;\n}\npub const O: u8 = 3;\nfn p() {}\n\
                  impl J for A {\n    const K: u8 = 1;\n}\n\
                  impl<R> S<R> {\n    pub fn t(&self) {}\n}\n";
    let listed = listing(before);
    for (from, to) in [
        ("Clone", "Clone, Copy"),
        ("pub b: u8", "pub b: u16"),
        ("-> u8 {", "-> u16 {"),
        ("i: u8", "i: u16"),
        ("    G,\n", ""),
        ("const K: u8;", "const K: u16;"),
        ("l(&self)", "l(self)"),
        ("M => ()", "M => u8"),
        ("= 3", "= 4"),
        ("impl J for A", "impl J for F"),
        ("t(&self)", "t(self)"),
    ] {
        let changed = listing(&before.replace(from, to));
        assert_ne!(changed, listed, "{from} -> {to}\n{listed}");
    }
    for (from, to) in [
        ("Doc", "Docs"),
        ("    c: u8", "    c: u16"),
        ("self.c\n", "self.c + 0\n"),
        ("fn e() {}", "fn e(_: u8) {}"),
        ("fn p() {}", "fn q() {}"),
    ] {
        assert_eq!(listing(&before.replace(from, to)), listed, "{from} -> {to}");
    }
}

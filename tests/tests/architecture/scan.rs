//! A crude reader of Rust sources: comments and literals out, test modules apart, words found.

use std::fs;
use std::path::{Path, PathBuf};

/// A source file of the workspace.
#[derive(Debug, Default)]
pub struct Source {
    /// Path from the root of the workspace, with `/`.
    pub path: String,
    /// Number of its lines.
    pub lines: usize,
    /// Without comments; each literal is `""`. Line numbers are those of the file.
    pub code: String,
    /// `code` without modules under `#[cfg(test)]`.
    pub shipped: String,
    /// String literals of `shipped`, with their lines.
    pub literals: Vec<(usize, String)>,
    /// The whole file is a test.
    pub is_test: bool,
}

/// Root of the workspace.
pub fn root() -> PathBuf {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR"));
    tests.parent().unwrap().to_owned()
}

/// All Rust sources of the workspace.
pub fn tree() -> Vec<Source> {
    let root = root();
    let mut files = Vec::new();
    for top in ["crates", "tests"] {
        collect(&root.join(top), &mut files);
    }
    assert!(!files.is_empty(), "no sources below {}", root.display());
    files.sort();
    let sources = files.iter().map(|file| {
        let path = file.strip_prefix(&root).unwrap().to_str().unwrap();
        (path.replace('\\', "/"), fs::read_to_string(file).unwrap())
    });
    read(sources)
}

fn collect(dir: &Path, out: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            if path.file_name().is_some_and(|name| name != "target") {
                collect(&path, out);
            }
        } else if path.extension().is_some_and(|ext| ext == "rs") {
            out.push(path);
        }
    }
}

/// Reads sources that belong together: one may declare another to be a test.
pub fn read(files: impl IntoIterator<Item = (String, String)>) -> Vec<Source> {
    let mut sources = Vec::new();
    let mut test_files = Vec::new();
    for (path, text) in files {
        let Stripped { code, mut literals } = strip(&text);
        let (shipped, declared) = without_tests(&code);
        let dir = module_dir(&path);
        test_files.extend(declared.iter().map(|name| format!("{dir}/{name}.rs")));
        let shipped_line = |line: usize| shipped.lines().nth(line - 1).unwrap_or("").contains('"');
        literals.retain(|(line, _)| shipped_line(*line));
        sources.push(Source {
            is_test: path.starts_with("tests/") || path.contains("/tests/"),
            lines: text.lines().count(),
            path,
            code,
            shipped,
            literals,
        });
    }
    for source in &mut sources {
        source.is_test |= test_files.contains(&source.path);
    }
    sources
}

/// The directory of a file's child modules.
fn module_dir(path: &str) -> String {
    let (dir, name) = path.rsplit_once('/').unwrap_or(("", path));
    match name {
        "mod.rs" | "lib.rs" | "main.rs" => dir.to_owned(),
        _ => path.trim_end_matches(".rs").to_owned(),
    }
}

/// Code without comments and literals, and the string literals.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Stripped {
    /// The code.
    pub code: String,
    /// The literals, with the lines they start in.
    pub literals: Vec<(usize, String)>,
}

/// Takes comments and literals out of a source; each line break stays.
pub fn strip(text: &str) -> Stripped {
    let text: Vec<char> = text.chars().collect();
    let mut out = Stripped::default();
    let mut line = 1;
    let mut at = 0;
    while at < text.len() {
        let rest = &text[at..];
        let after_word = at > 0 && is_word(text[at - 1]);
        let end = match rest {
            ['/', '/', ..] => rest.iter().position(|c| *c == '\n').unwrap_or(rest.len()),
            ['/', '*', ..] => block_comment(rest),
            ['"', ..] => literal(rest, 0, &mut out, line),
            ['b' | 'c', '"', ..] if !after_word => literal(rest, 1, &mut out, line),
            ['r', '"' | '#', ..] if !after_word => raw(rest, 1, &mut out, line),
            ['b' | 'c', 'r', '"' | '#', ..] if !after_word => raw(rest, 2, &mut out, line),
            ['\'', '\\', _, more @ ..] => {
                let close = more.iter().position(|c| *c == '\'');
                3 + close.map_or(0, |close| close + 1)
            }
            ['\'', _, '\'', ..] => 3,
            _ => {
                out.code.push(rest[0]);
                line += usize::from(rest[0] == '\n');
                at += 1;
                continue;
            }
        };
        let breaks = rest[..end].iter().filter(|c| **c == '\n').count();
        out.code.extend(std::iter::repeat_n('\n', breaks));
        line += breaks;
        at += end;
    }
    out
}

fn block_comment(text: &[char]) -> usize {
    let (mut depth, mut at) = (0, 0);
    while at < text.len() {
        match text[at..] {
            ['/', '*', ..] => (depth, at) = (depth + 1, at + 2),
            ['*', '/', ..] if depth == 1 => return at + 2,
            ['*', '/', ..] => (depth, at) = (depth - 1, at + 2),
            _ => at += 1,
        }
    }
    at
}

fn literal(text: &[char], prefix: usize, out: &mut Stripped, line: usize) -> usize {
    let mut end = prefix + 1;
    while end < text.len() && text[end] != '"' {
        end += if text[end] == '\\' { 2 } else { 1 };
    }
    let end = end.min(text.len());
    out.code.push_str("\"\"");
    let content = text[(prefix + 1).min(end)..end].iter().collect();
    out.literals.push((line, content));
    (end + 1).min(text.len())
}

fn raw(text: &[char], prefix: usize, out: &mut Stripped, line: usize) -> usize {
    let hashes = text[prefix..].iter().take_while(|c| **c == '#').count();
    let start = prefix + hashes + 1;
    if text.get(start - 1) != Some(&'"') {
        // A raw identifier such as `r#type`.
        out.code.extend(&text[..start - 1]);
        return start - 1;
    }
    let close: Vec<char> = format!("\"{}", "#".repeat(hashes)).chars().collect();
    let len = text[start..].windows(close.len()).position(|w| w == close);
    let end = start + len.unwrap_or(text.len() - start);
    out.code.push_str("\"\"");
    out.literals.push((line, text[start..end].iter().collect()));
    (end + close.len()).min(text.len())
}

/// Code without its modules under `#[cfg(test)]` (blank lines stand in for them), and the names of
/// such modules that are files of their own.
pub fn without_tests(code: &str) -> (String, Vec<String>) {
    const MARK: &str = "#[cfg(test)]";
    let mut out = code.to_owned();
    let mut declared = Vec::new();
    for (start, _) in code.match_indices(MARK) {
        let item = &code[start + MARK.len()..];
        let head = item.split(['{', ';']).next().unwrap_or("");
        let mut words = head.split_whitespace().skip_while(|word| *word != "mod");
        let (Some("mod"), Some(name)) = (words.next(), words.next()) else {
            continue;
        };
        if item[head.len()..].starts_with(';') {
            declared.push(name.to_owned());
            continue;
        }
        let end = start + MARK.len() + head.len() + block(&item[head.len()..]);
        let blank: String = code[start..end]
            .chars()
            .map(|c| {
                if c == '\n' {
                    "\n".into()
                } else {
                    " ".repeat(c.len_utf8())
                }
            })
            .collect();
        out.replace_range(start..end, &blank);
    }
    (out, declared)
}

/// Length of the block that starts here, with its braces.
fn block(code: &str) -> usize {
    let mut depth = 0;
    for (at, c) in code.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth == 1 => return at + 1,
            '}' => depth -= 1,
            _ => {}
        }
    }
    code.len()
}

/// A character of an identifier.
pub fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// Where a whole word stands in some code.
pub fn words<'a>(code: &'a str, word: &'a str) -> impl Iterator<Item = usize> + 'a {
    let found = code.match_indices(word).map(|(at, _)| at);
    found.filter(move |at| {
        !code[..*at].ends_with(is_word) && !code[at + word.len()..].starts_with(is_word)
    })
}

/// Where an external crate is named: as the head of a path, or in a `use` of its own.
pub fn crate_names<'a>(code: &'a str, name: &'a str) -> impl Iterator<Item = usize> + 'a {
    words(code, name).filter(move |at| {
        let (before, after) = (&code[..*at], &code[at + name.len()..]);
        let inside = before
            .strip_suffix("::")
            .is_some_and(|path| path.ends_with(is_word));
        let used = before.ends_with("use ") || before.ends_with("extern crate ");
        !inside && (after.starts_with("::") || used)
    })
}

/// Number of the line of a position.
pub fn line_of(code: &str, at: usize) -> usize {
    1 + code[..at].matches('\n').count()
}

//! What `docs/ARCHITECTURE.md` says, to be compared with what is.

use std::fs;

use crate::graph::Graph;
use crate::scan::{Source, root, words};

/// The document.
pub const FILE: &str = "docs/ARCHITECTURE.md";

/// How a line starts that states an invariant.
const INVARIANT: &str = "Architecture Invariant:";

/// Its text.
pub fn text() -> String {
    let read = fs::read_to_string(root().join(FILE));
    read.unwrap_or_else(|error| panic!("{FILE}: {error}"))
}

/// The request graph: the first fenced block of nothing but lines `a -> b`.
pub fn graph(text: &str) -> Graph {
    let blocks = text.split("```").skip(1).step_by(2);
    let mut graphs = blocks.filter_map(|block| {
        let edges = block.lines().skip(1).filter(|line| !line.trim().is_empty());
        let edges = edges.map(|line| {
            let (from, to) = line.split_once(" -> ")?;
            let is_name = |name: &str| name.trim().chars().all(crate::scan::is_word);
            (is_name(from) && is_name(to)).then(|| (from.trim(), to.trim()))
        });
        edges.collect::<Option<Vec<_>>>().filter(|e| !e.is_empty())
    });
    let mut graph = Graph::new();
    for (from, to) in graphs.next().unwrap_or_default() {
        graph.entry(from.into()).or_default().insert(to.into());
    }
    graph
}

/// Each invariant names, in backticks, a test that there is.
pub fn invariants(text: &str, tree: &[Source]) -> Vec<String> {
    let mut out = Vec::new();
    let mut count = 0;
    for (at, _) in text.match_indices(INVARIANT) {
        count += 1;
        let end = text[at..].find("\n\n").map_or(text.len(), |len| at + len);
        let paragraph = &text[at..end];
        let names = paragraph.split('`').skip(1).step_by(2);
        if !names.clone().any(|name| is_test(name, tree)) {
            let line = crate::scan::line_of(text, at);
            out.push(format!("{FILE}:{line}: names no test that there is"));
        }
    }
    if count == 0 {
        out.push(format!(
            "{FILE}: has no line that starts with {INVARIANT:?}"
        ));
    }
    out
}

fn is_test(name: &str, tree: &[Source]) -> bool {
    let head = format!("fn {name}(");
    tree.iter().any(|source| {
        words(&source.code, name).any(|at| source.code[..at + name.len() + 1].ends_with(&head))
    })
}

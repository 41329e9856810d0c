//! Who asks whom: the graph of requests between actors, derived from the sources.
//!
//! A service asks those whose ports it is given (`DiscoveryDeps` in the contract), and an actor crate
//! those whose ports it holds, that is, whose port type it names outside of a `use` and for more than
//! its name (`Port::SERVICE`). Its own port it makes and hands out. Inside the app, the actor of the node and the HTTP server ask through the fields of
//! `Ports`, the struct of the composition root.

use std::collections::{BTreeMap, BTreeSet};

use crate::SERVICES;
use crate::scan::{Source, is_word, line_of, words};
use crate::words::shipped;

/// Who asks whom.
pub type Graph = BTreeMap<String, BTreeSet<String>>;

const COMPOSE: &str = "crates/app/src/compose.rs";
const COMPOSITION: &str = "crates/contract/src/composition.rs";
const NODE: &str = "crates/app/src/node/";
const HTTP: &str = "crates/app/src/node/http.rs";

/// The graph, and ways around the ports.
pub fn derive(tree: &[Source]) -> (Graph, Vec<String>) {
    let mut graph = Graph::new();
    let mut problems = Vec::new();
    let fields = port_fields(tree);
    if fields.len() != SERVICES.len() {
        problems.push(format!("{COMPOSE}: `Ports` has not one port per service"));
    }
    let composition = tree.iter().find(|source| source.path == COMPOSITION);
    let given = composition.map_or("", |source| &source.shipped);
    for service in SERVICES {
        let asked: BTreeSet<_> = held(deps_of(given, service), service).collect();
        if !asked.is_empty() {
            graph.insert(service.to_owned(), asked);
        }
    }
    for source in shipped(tree) {
        let Some(asker) = asker(&source.path) else {
            continue;
        };
        let code = without_uses(&source.shipped);
        let mut asked: BTreeSet<_> = held(&code, &asker).collect();
        if source.path.starts_with(NODE) {
            asked.extend(asked_by_field(&code, &fields));
        } else {
            problems.extend(other_ways(source, &code));
        }
        if asker == "http" {
            let node = words(&code, "NodeActor").map(|_| "node".to_owned());
            asked.extend(node);
        }
        if !asked.is_empty() {
            graph.entry(asker).or_default().extend(asked);
        }
    }
    (graph, problems)
}

/// The actor that a file belongs to.
fn asker(path: &str) -> Option<String> {
    if path == HTTP {
        return Some("http".to_owned());
    }
    if path.starts_with(NODE) {
        return Some("node".to_owned());
    }
    let folder = path.strip_prefix("crates/")?.split('/').next()?;
    SERVICES.contains(&folder).then(|| folder.to_owned())
}

/// `discovery` -> `DiscoveryPort`.
fn port_type(service: &str) -> String {
    type_of(service, "Port")
}

fn type_of(service: &str, what: &str) -> String {
    let (first, rest) = service.split_at(1);
    format!("{}{rest}{what}", first.to_uppercase())
}

/// What a service is given, as the contract has it.
fn deps_of<'a>(composition: &'a str, service: &str) -> &'a str {
    let head = format!("pub struct {} {{", type_of(service, "Deps"));
    let body = composition.split(&head).nth(1).unwrap_or("");
    body.split('}').next().unwrap_or("")
}

/// Services whose port a file holds.
fn held<'a>(code: &'a str, asker: &'a str) -> impl Iterator<Item = String> + 'a {
    SERVICES.into_iter().filter_map(move |service| {
        let port = port_type(service);
        let holds = words(code, &port).any(|at| {
            let (before, after) = (&code[..at], &code[at + port.len()..]);
            let own = service == asker;
            let hands_out = own && (after.starts_with("::new") || before.ends_with("pub port: "));
            !after.starts_with("::SERVICE") && !hands_out
        });
        holds.then(|| service.to_owned())
    })
}

/// Fields of `Ports`, with the service behind each.
fn port_fields(tree: &[Source]) -> BTreeMap<String, String> {
    let compose = tree.iter().find(|source| source.path == COMPOSE);
    let code = compose.map_or("", |source| &source.shipped);
    let body = code.split("pub struct Ports {").nth(1).unwrap_or("");
    let body = body.split('}').next().unwrap_or("");
    let field = |line: &str| {
        let (name, ty) = line.trim().strip_prefix("pub ")?.split_once(": ")?;
        let service = SERVICES
            .iter()
            .find(|s| port_type(s) == ty.trim_end_matches(','))?;
        Some((name.to_owned(), (*service).to_owned()))
    };
    body.lines().filter_map(field).collect()
}

/// Services that a file asks through `ports.<field>`.
fn asked_by_field(code: &str, fields: &BTreeMap<String, String>) -> Vec<String> {
    let after = words(code, "ports").filter_map(|at| {
        let rest = code[at + "ports".len()..].trim_start();
        let field = rest.strip_prefix('.')?.trim_start();
        fields.get(field.split(|c| !is_word(c)).next()?)
    });
    after.cloned().collect()
}

/// An actor crate tells events to recipients and asks through ports: a recipient of a request
/// would be a way around the port's bounds, and an address one around the contract.
fn other_ways(source: &Source, code: &str) -> Vec<String> {
    let mut out = Vec::new();
    for at in words(code, "Recipient") {
        let Some(message) = code[at..].strip_prefix("Recipient<") else {
            continue;
        };
        let message = message.split('>').next().unwrap_or("");
        if !message.ends_with("Event") {
            let line = line_of(code, at);
            let path = &source.path;
            out.push(format!(
                "{path}:{line}: `Recipient<{message}>` goes around a port"
            ));
        }
    }
    out
}

/// Code with its `use` items blank.
fn without_uses(code: &str) -> String {
    let mut out = String::with_capacity(code.len());
    let mut inside = false;
    for line in code.split_inclusive('\n') {
        let head = line.trim_start();
        inside |= head.starts_with("use ") || head.starts_with("pub use ");
        match inside {
            true => out.push('\n'),
            false => out.push_str(line),
        }
        inside &= !line.contains(';');
    }
    out
}

/// A circle of actors that ask each other, if there is one.
pub fn cycle(graph: &Graph) -> Option<Vec<String>> {
    graph.keys().find_map(|start| {
        let mut path = vec![start.clone()];
        back_to(graph, start, &mut path).then_some(path)
    })
}

fn back_to(graph: &Graph, start: &str, path: &mut Vec<String>) -> bool {
    let here = path.last().cloned().unwrap_or_default();
    for next in graph.get(&here).into_iter().flatten() {
        if next == start {
            path.push(next.clone());
            return true;
        }
        if !path.contains(next) {
            path.push(next.clone());
            if back_to(graph, start, path) {
                return true;
            }
            path.pop();
        }
    }
    false
}

/// The graph as lines `a -> b`.
pub fn text(graph: &Graph) -> String {
    let edges = graph
        .iter()
        .flat_map(|(from, to)| to.iter().map(move |to| format!("{from} -> {to}\n")));
    edges.collect()
}

//! Each rule is able to fail: a violation is planted, and found where it is.

use crate::dependencies::{self, Package};
use crate::scan::{Source, Stripped, read, strip, without_tests};
use crate::{docs, files, graph, words};

fn source(path: &str, text: &str) -> Source {
    let mut sources = read([(path.to_owned(), text.to_owned())]);
    sources.pop().unwrap()
}

fn package(name: &str, normal: &[&str], dev: &[&str]) -> Package {
    let owned = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
    Package {
        name: name.to_owned(),
        normal: owned(normal),
        dev: owned(dev),
    }
}

#[test]
fn comments_and_literals_are_stripped_and_lines_stay() {
    let text = "a // tokio\n/* x /* tokio */\n y */ b\nlet c = \"tokio\\\"\n\"; 'd': '\\'' '\"' 'e\n\
                r#\"tokio\"\n\"# f b\"g\" br\"h\" r#type";
    let Stripped { code, literals } = strip(text);
    assert!(!code.contains("tokio"), "{code}");
    assert_eq!(code.lines().count(), text.lines().count());
    assert!(code.contains("\n b\n") && code.contains("r#type"), "{code}");
    assert!(code.contains("'e"), "a lifetime stays: {code}");
    let lines: Vec<_> = literals.iter().map(|(line, _)| *line).collect();
    assert_eq!(lines, [4, 6, 7, 7]);
    assert_eq!(literals[1].1, "tokio\"\n");
}

#[test]
fn test_modules_are_told_apart() {
    let code = "a\n#[cfg(test)]\nmod tests {\n { x }\n}\nc\n#[cfg(test)]\npub mod testing;\n\
                #[cfg(test)]\nfn d() {}\n";
    let (shipped, declared) = without_tests(code);
    assert_eq!(shipped.len(), code.len());
    assert!(!shipped.contains('x') && shipped.contains("\nc\n"));
    assert_eq!(declared, ["testing"]);
    let files = [
        ("crates/x/src/core/mod.rs", "#[cfg(test)]\nmod testing;"),
        ("crates/x/src/core/testing.rs", ""),
    ];
    let sources = read(files.map(|(path, text)| (path.to_owned(), text.to_owned())));
    assert!(!sources[0].is_test && sources[1].is_test);
}

#[test]
fn a_dependency_upwards_or_sideways_is_found() {
    let packages = [
        package("kukuri-contract", &["iroh"], &["kukuri-store"]),
        package("kukuri-gossip", &["kukuri-store"], &["kukuri-conformance"]),
        package("kukuri-conformance", &["kukuri-contract", "kukuri"], &[]),
        package("kukuri", &["kukuri-store", "kukuri-conformance"], &[]),
        package("kukuri-new", &[], &[]),
    ];
    assert_eq!(dependencies::downwards(&packages).len(), 5);
    assert_eq!(dependencies::contract_allowed(&packages).len(), 1);
}

#[test]
fn a_clock_in_a_core_is_found() {
    let text = "// Instant\nuse std::{fs,\n    time::Instant};\nuse metrics::Key;\n\
                #[cfg(test)]\nmod tests { fn t() { tokio::spawn } }\n";
    let found = words::pure_cores(&[source("crates/x/src/core/a.rs", text)]);
    assert_eq!(found.len(), 4, "{found:?}");
    assert!(found[0].starts_with("crates/x/src/core/a.rs:3: `Instant`"));
    assert!(words::pure_cores(&[source("crates/x/src/actor.rs", text)]).is_empty());
    let clean = "use std::net::SocketAddr; let envelope = instant + self.metrics.len();";
    assert!(words::pure_cores(&[source("crates/x/src/core/a.rs", clean)]).is_empty());
}

#[test]
fn a_socket_in_the_contract_is_found() {
    let text = "use tokio::net::UdpSocket;";
    let found = words::no_sockets_in_the_contract(&[source("crates/contract/src/a.rs", text)]);
    assert_eq!(found.len(), 2, "{found:?}");
}

#[test]
fn a_library_in_the_wrong_file_is_found() {
    let packages = [
        package("kukuri-discovery", &["mainline"], &[]),
        package("kukuri-store", &[], &[]),
    ];
    let tree = [
        source("crates/discovery/src/dht.rs", "use mainline::Dht;"),
        source(
            "crates/discovery/src/socket.rs",
            "\nlet id = ::mainline::Id;",
        ),
        source(
            "crates/discovery/src/config.rs",
            "crate::mainline::x(mainline)",
        ),
        source("crates/store/src/sqlite.rs", "mod mainline; mainline::x()"),
    ];
    let found = words::libraries(&tree, &packages);
    let real: Vec<_> = found.iter().filter(|v| !v.contains("any more")).collect();
    assert_eq!(real.len(), 1, "{real:?}");
    assert!(real[0].starts_with("crates/discovery/src/socket.rs:2: `mainline`"));
    let stale = "crates/store/src/sqlite.rs: does not name `rusqlite` any more";
    assert!(found.iter().any(|v| v.starts_with(stale)), "{found:?}");
}

#[test]
fn a_series_outside_of_metrics_is_found() {
    let tree = [
        source(
            "crates/metrics/src/core/series.rs",
            "\"kukuri_node_topics\"",
        ),
        source("crates/app/src/a.rs", "\n\"kukuri_node_topics 1\""),
        source("crates/app/src/b.rs", "\"kukuri_new_things_total\""),
        source(
            "crates/app/src/c.rs",
            "kukuri_contract::X; \"kukuri_contract\"",
        ),
        source("crates/app/tests/d.rs", "\"kukuri_node_topics\""),
    ];
    let expected = [
        "crates/app/src/a.rs:2: series `kukuri_node_topics`",
        "crates/app/src/b.rs:1: series `kukuri_new_things_total`",
    ];
    assert_eq!(words::series(&tree), expected);
}

#[test]
fn a_missing_room_and_code_in_a_lib_file_are_found() {
    let lib = "#![forbid(x)]\n#[cfg(test)]\nmod a;\npub use a::{\n    b, c};\nfn d() {}\n";
    let tree = [source("crates/store/src/lib.rs", lib)];
    let rooms = files::rooms(&tree);
    assert!(!rooms.contains(&"crates/store/src/lib.rs: missing".to_owned()));
    assert!(rooms.contains(&"crates/store/src/actor.rs: missing".to_owned()));
    assert_eq!(
        files::lib_files(&tree),
        ["crates/store/src/lib.rs:6: `fn d() {}`"]
    );
    let inline = source("crates/store/src/lib.rs", "mod a {\n use b;\n}\n");
    assert!(!files::lib_files(&[inline]).is_empty());
}

#[test]
fn a_long_file_and_an_unfinished_one_are_found() {
    let long = "\n".repeat(401);
    let tree = [
        source("crates/store/src/a.rs", &long),
        source("crates/store/src/core/tests.rs", &long),
        source(
            "tests/tests/b.rs",
            "\n#[ignore]\nfn c() { todo!() } // dbg!",
        ),
    ];
    assert_eq!(files::sizes(&tree).len(), 1, "{:?}", files::sizes(&tree));
    assert_eq!(files::unfinished(&tree).len(), 2);
}

const PORTS: &str = "pub struct Ports {\n    pub identity: IdentityPort,\n    \
                     pub discovery: DiscoveryPort,\n    pub gossip: GossipPort,\n    \
                     pub store: StorePort,\n    pub metrics: MetricsPort,\n}";

#[test]
fn a_circle_of_requests_is_found() {
    let tree = [
        source("crates/app/src/compose.rs", PORTS),
        source(
            "crates/app/src/node/posts.rs",
            "ports\n    .store\n    .posts(x)",
        ),
        source(
            "crates/app/src/node/http.rs",
            "self.ports.gossip.counters(NodeActor)",
        ),
        source(
            "crates/store/src/actor.rs",
            "use x::{\n    GossipPort,\n};\npub port: StorePort; StorePort::new(a); \
             GossipPort::SERVICE;",
        ),
        source(
            "crates/gossip/src/actor.rs",
            "identity: IdentityPort, Recipient<Sign>",
        ),
        source(
            "crates/identity/src/actor.rs",
            "gossip: GossipPort, Recipient<AEvent>",
        ),
    ];
    let (graph, problems) = graph::derive(&tree);
    let expected = "gossip -> identity\nhttp -> gossip\nhttp -> node\nidentity -> gossip\n\
                    node -> store\n";
    assert_eq!(graph::text(&graph), expected);
    let around = "crates/gossip/src/actor.rs:1: `Recipient<Sign>` goes around a port";
    assert_eq!(problems, [around]);
    let circle = graph::cycle(&graph).unwrap();
    assert_eq!(circle, ["gossip", "identity", "gossip"]);
    let given = source(
        "crates/contract/src/composition.rs",
        "pub struct StoreDeps {\n    a: DiscoveryPort,\n}\npub struct B {\n    c: GossipPort,\n}",
    );
    let graph = graph::derive(&[given]).0;
    assert_eq!(graph::text(&graph), "store -> discovery\n");
    let own = source("crates/store/src/actor.rs", "me: StorePort");
    assert!(graph::cycle(&graph::derive(&[own]).0).is_some());
    let (tree, none) = graph::derive(&tree[..4]);
    assert!(graph::cycle(&tree).is_none() && none.is_empty());
}

#[test]
fn the_document_is_read() {
    let text = "```text\nnot -> a graph, really\n```\n\n```text\na -> b\na -> c\n```\n\n\
                Architecture Invariant: one (`held`).\n\nArchitecture Invariant: two (`gone`).\n";
    assert_eq!(graph::text(&docs::graph(text)), "a -> b\na -> c\n");
    let tree = [source("tests/tests/a.rs", "fn held() {} // fn gone()")];
    let found = docs::invariants(text, &tree);
    assert_eq!(
        found,
        ["docs/ARCHITECTURE.md:12: names no test that there is"]
    );
    assert_eq!(docs::invariants("", &tree).len(), 1);
}

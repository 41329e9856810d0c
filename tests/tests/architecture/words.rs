//! Rules on the words that a file may name.

use crate::dependencies::Package;
use crate::scan::{Source, crate_names, line_of, words};

/// Words that no core names, its test modules included: a core that needs none needs none to be
/// tested either.
const NOT_IN_A_CORE: [(&str, &str); 24] = [
    ("Instant", "a clock: the time is passed in"),
    ("SystemTime", "a clock: the time is passed in"),
    ("WallClock", "a clock: the time is passed in"),
    ("rand", "randomness is passed in"),
    ("getrandom", "randomness is passed in"),
    ("tokio", "a runtime: effects are passed out"),
    ("actix", "a runtime: effects are passed out"),
    ("async", "a core never waits"),
    ("await", "a core never waits"),
    ("thread", "a core has no threads"),
    ("sleep", "a core never waits"),
    ("UdpSocket", "I/O: effects are passed out"),
    ("TcpStream", "I/O: effects are passed out"),
    ("TcpListener", "I/O: effects are passed out"),
    ("fs", "I/O: effects are passed out"),
    ("env", "I/O: settings are passed in"),
    ("mainline", "a library of the shell"),
    ("mdns_sd", "a library of the shell"),
    ("portmapper", "a library of the shell"),
    ("iroh", "a library of the shell"),
    ("iroh_gossip", "a library of the shell"),
    ("rusqlite", "a library of the shell"),
    ("keyring_core", "a library of the shell"),
    ("procfs", "I/O: effects are passed out"),
];

/// External crates that no core names, though the word may mean something else.
const NO_CRATE_IN_A_CORE: [&str; 5] = [
    "metrics",
    "metrics_exporter_prometheus",
    "iroh_metrics",
    "opentelemetry_proto",
    "reqwest",
];

/// Says that `source` has `word` at `at`.
fn found(source: &Source, code: &str, at: usize, word: &str, why: &str) -> String {
    let line = line_of(code, at);
    format!("{}:{line}: `{word}` ({why})", source.path)
}

fn in_crates(tree: &[Source]) -> impl Iterator<Item = &Source> {
    tree.iter()
        .filter(|source| source.path.starts_with("crates/") && source.path.contains("/src/"))
}

/// Files that are built into a crate, not into its tests.
pub fn shipped(tree: &[Source]) -> impl Iterator<Item = &Source> {
    in_crates(tree).filter(|source| !source.is_test)
}

/// A core names no clock, no randomness, no runtime, no I/O.
pub fn pure_cores(tree: &[Source]) -> Vec<String> {
    let mut out = Vec::new();
    for source in in_crates(tree).filter(|source| source.path.contains("/src/core/")) {
        let code = &source.code;
        for (word, why) in NOT_IN_A_CORE {
            out.extend(words(code, word).map(|at| found(source, code, at, word, why)));
        }
        for name in NO_CRATE_IN_A_CORE {
            let why = "a library of the shell";
            out.extend(crate_names(code, name).map(|at| found(source, code, at, name, why)));
        }
    }
    out
}

/// The contract has timers and semaphores of tokio, and no socket.
pub fn no_sockets_in_the_contract(tree: &[Source]) -> Vec<String> {
    let mut out = Vec::new();
    for source in shipped(tree).filter(|source| source.path.starts_with("crates/contract/")) {
        let code = &source.shipped;
        for word in ["UdpSocket", "TcpStream", "TcpListener", "tokio::net"] {
            out.extend(words(code, word).map(|at| found(source, code, at, word, "a socket")));
        }
    }
    out
}

/// A library, and who may name it.
struct Library {
    /// As it is written in code.
    name: &'static str,
    /// Files, and folders with a `/` at the end; each with its reason.
    files: &'static [(&'static str, &'static str)],
}

/// What is true today; an entry that is not needed any more is a violation too.
const LIBRARIES: &[Library] = &[
    Library {
        name: "mainline",
        files: &[("crates/discovery/src/dht.rs", "wraps it")],
    },
    Library {
        name: "mdns_sd",
        files: &[("crates/discovery/src/lan.rs", "wraps it")],
    },
    Library {
        name: "portmapper",
        files: &[("crates/discovery/src/portmap.rs", "wraps it")],
    },
    Library {
        name: "iroh_gossip",
        files: &[("crates/gossip/src/swarm.rs", "wraps it")],
    },
    Library {
        name: "iroh",
        files: &[
            ("crates/gossip/src/endpoint.rs", "configures the endpoint"),
            ("crates/gossip/src/door.rs", "lets connections in"),
            ("crates/gossip/src/member.rs", "proves over connections"),
            (
                "crates/gossip/src/dialer.rs",
                "dials, and hears who wants to",
            ),
            (
                "crates/gossip/src/swarm.rs",
                "gives a swarm its connections",
            ),
            ("crates/gossip/src/swarms.rs", "holds the endpoint"),
            ("crates/gossip/src/ask.rs", "asks and answers over it"),
            ("crates/gossip/src/ask/", "its streams"),
        ],
    },
    Library {
        name: "iroh_metrics",
        files: &[
            ("crates/gossip/src/swarm.rs", "adds up counters"),
            ("crates/gossip/src/swarms.rs", "renders iroh's counters"),
        ],
    },
    Library {
        name: "keyring_core",
        files: &[("crates/identity/src/keyring.rs", "wraps it")],
    },
    Library {
        name: "zbus_secret_service_keyring_store",
        files: &[("crates/identity/src/keyring.rs", "its store on Linux")],
    },
    Library {
        name: "apple_native_keyring_store",
        files: &[("crates/identity/src/keyring.rs", "its store on macOS")],
    },
    Library {
        name: "windows_native_keyring_store",
        files: &[("crates/identity/src/keyring.rs", "its store on Windows")],
    },
    Library {
        name: "argon2",
        files: &[(
            "crates/identity/src/core/sealed.rs",
            "from a passphrase to a key",
        )],
    },
    Library {
        name: "rpassword",
        files: &[("crates/app/src/cli/keys.rs", "asks for secrets")],
    },
    Library {
        name: "shlex",
        files: &[("crates/app/src/cli/topic.rs", "quotes what is to be run")],
    },
    Library {
        name: "rusqlite",
        files: &[
            ("crates/store/src/sqlite.rs", "wraps it"),
            ("crates/store/src/sqlite/", "its statements, by subject"),
        ],
    },
    Library {
        name: "metrics",
        files: &[("crates/metrics/src/prometheus.rs", "wraps it")],
    },
    Library {
        name: "metrics_exporter_prometheus",
        files: &[("crates/metrics/src/prometheus.rs", "wraps it")],
    },
    Library {
        name: "opentelemetry_proto",
        files: &[("crates/metrics/src/otlp.rs", "wraps it")],
    },
    Library {
        name: "prost",
        files: &[("crates/metrics/src/otlp.rs", "its messages in bytes")],
    },
    Library {
        name: "reqwest",
        files: &[("crates/metrics/src/push.rs", "wraps it")],
    },
    Library {
        name: "rustls",
        files: &[("crates/metrics/src/push.rs", "its TLS")],
    },
    Library {
        name: "rustls_platform_verifier",
        files: &[("crates/metrics/src/push.rs", "the certificates of its TLS")],
    },
    Library {
        name: "procfs",
        files: &[("crates/metrics/src/process.rs", "wraps it")],
    },
    Library {
        name: "actix_web",
        files: &[("crates/app/src/node/http.rs", "serves /metrics")],
    },
    Library {
        name: "actix",
        files: &[
            ("crates/contract/src/", "messages, ports and outlets"),
            ("crates/conformance/src/", "reference actors and listeners"),
            ("crates/identity/src/actor.rs", "the actor"),
            ("crates/discovery/src/actor.rs", "the actor"),
            ("crates/discovery/src/actor/", "its tasks"),
            ("crates/gossip/src/actor/", "the actors"),
            ("crates/store/src/actor/", "the actors"),
            ("crates/metrics/src/actor/", "the actors"),
            (
                "crates/app/src/compose.rs",
                "the node's address as listener",
            ),
            ("crates/app/src/node/actor.rs", "the node's actor"),
            ("crates/app/src/node/posts.rs", "its handlers for posts"),
            ("crates/app/src/node/bans.rs", "a part of the node's actor"),
            ("crates/app/src/node/topics.rs", "its handlers for topics"),
            (
                "crates/app/src/node/reconcile.rs",
                "is a part of the node's actor",
            ),
            (
                "crates/app/src/node/rotation.rs",
                "is a part of the node's actor",
            ),
            (
                "crates/app/src/node/restarts.rs",
                "its handlers for restarts",
            ),
            (
                "crates/app/src/node/links.rs",
                "is a part of the node's actor",
            ),
            (
                "crates/app/src/node/neighbors.rs",
                "is a part of the node's actor",
            ),
            (
                "crates/app/src/node/swarm.rs",
                "is a part of the node's actor",
            ),
            ("crates/app/src/arbiter.rs", "a thread for each actor"),
            ("crates/app/src/node/identity.rs", "an identity alone"),
            (
                "crates/app/src/node/repair.rs",
                "a part of the node's actor",
            ),
            ("crates/app/src/node/run.rs", "runs the `System`"),
            ("crates/app/src/node/http.rs", "spawns the server"),
            (
                "crates/app/src/history.rs",
                "a `System` for the store alone",
            ),
        ],
    },
    Library {
        name: "getrandom",
        files: &[
            ("crates/identity/src/random.rs", "keys and secrets"),
            ("crates/identity/src/error.rs", "keeps its error as source"),
            ("crates/discovery/src/actor.rs", "the core's `Entropy`"),
            ("crates/gossip/src/actor/iroh/dials.rs", "order of dials"),
            (
                "crates/gossip/src/actor/iroh/asks.rs",
                "numbers of questions",
            ),
            ("crates/metrics/src/actor/otlp.rs", "a name for an instance"),
            ("crates/metrics/src/error.rs", "keeps its error as source"),
            ("crates/app/src/node/draft.rs", "nonces of sealed posts"),
            ("crates/app/src/node/repair.rs", "nonces, and whom to ask"),
            ("crates/app/src/error.rs", "keeps its error as source"),
        ],
    },
    Library {
        name: "kukuri_identity",
        files: &[
            ("crates/app/src/kinds.rs", "the list of implementations"),
            ("crates/app/src/lib.rs", "re-exports the forms of a secret"),
            ("crates/app/src/node/identity.rs", "reads an identity alone"),
            ("crates/app/src/node/linking.rs", "its author links"),
            ("crates/app/src/error.rs", "what it says of links"),
            (
                "crates/app/src/history.rs",
                "the id of a topic, without keys",
            ),
        ],
    },
    Library {
        name: "kukuri_discovery",
        files: &[
            ("crates/app/src/kinds.rs", "the list of implementations"),
            ("crates/app/src/lib.rs", "re-exports the local DHT"),
        ],
    },
    Library {
        name: "kukuri_gossip",
        files: &[("crates/app/src/kinds.rs", "the list of implementations")],
    },
    Library {
        name: "kukuri_store",
        files: &[("crates/app/src/kinds.rs", "the list of implementations")],
    },
    Library {
        name: "kukuri_metrics",
        files: &[("crates/app/src/kinds.rs", "the list of implementations")],
    },
];

/// Does the crate of this file depend on `library`? Where it does not, the word is a module's.
fn depends(source: &Source, library: &str, packages: &[Package]) -> bool {
    let folder = source.path.split('/').nth(1).unwrap_or("");
    let name = match folder {
        "app" => "kukuri".to_owned(),
        _ => format!("kukuri-{folder}"),
    };
    let package = packages.iter().find(|package| package.name == name);
    package.is_some_and(|p| p.normal.iter().any(|dep| dep.replace('-', "_") == library))
}

/// Each library is named in the files of [`LIBRARIES`] only.
pub fn libraries(tree: &[Source], packages: &[Package]) -> Vec<String> {
    let mut out = Vec::new();
    for Library { name, files } in LIBRARIES {
        let mut needed = vec![false; files.len()];
        for source in shipped(tree).filter(|source| depends(source, name, packages)) {
            let code = &source.shipped;
            let Some(first) = crate_names(code, name).next() else {
                continue;
            };
            let fits = |file: &str| match file.ends_with('/') {
                true => source.path.starts_with(file),
                false => source.path == file,
            };
            match files.iter().position(|(file, _)| fits(file)) {
                Some(at) => needed[at] = true,
                None => {
                    let allowed: Vec<_> = files.iter().map(|(file, _)| *file).collect();
                    let why = format!("it belongs to {}", allowed.join(", "));
                    out.push(found(source, code, first, name, &why));
                }
            }
        }
        let stale = files.iter().zip(needed).filter(|(_, needed)| !needed);
        out.extend(stale.map(|((file, why), _)| {
            format!("{file}: does not name `{name}` any more ({why}); remove it from the list")
        }));
    }
    out
}

/// The name of a series is written in the metrics crate only.
pub fn series(tree: &[Source]) -> Vec<String> {
    let is_metrics = |source: &&Source| source.path.starts_with("crates/metrics/");
    let literals = |source: &&Source| source.literals.clone();
    let ours = shipped(tree).filter(is_metrics).collect::<Vec<_>>();
    let known = ours.iter().flat_map(literals);
    let known: Vec<String> = known
        .map(|(_, text)| text)
        .filter(|text| text.starts_with("kukuri_"))
        .collect();
    let mut out = Vec::new();
    for source in shipped(tree).filter(|source| !is_metrics(source)) {
        for (line, text) in &source.literals {
            let mut parts = text.split(|c: char| !crate::scan::is_word(c));
            let named = parts.find(|part| {
                let unit = ["_total", "_seconds", "_bytes", "_info", "_bucket"];
                let looks = part.starts_with("kukuri_") && unit.iter().any(|u| part.ends_with(u));
                looks || known.iter().any(|name| name == part)
            });
            if let Some(name) = named {
                out.push(format!("{}:{line}: series `{name}`", source.path));
            }
        }
    }
    out
}

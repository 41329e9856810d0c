//! Rules on the dependencies between the crates, from `cargo metadata`.

use cargo_metadata::{DependencyKind, MetadataCommand};

use crate::SERVICES;
use crate::scan::root;

/// What the contract may depend on: none of them can reach a network by itself, but for tokio,
/// whose timers and semaphores the ports use.
const CONTRACT: [&str; 7] = [
    "actix",
    "bytes",
    "data-encoding",
    "serde",
    "thiserror",
    "tokio",
    "zeroize",
];

/// A member of the workspace and what it depends on.
#[derive(Debug)]
pub struct Package {
    /// Its name.
    pub name: String,
    /// What it is built with.
    pub normal: Vec<String>,
    /// What its tests are built with besides.
    pub dev: Vec<String>,
}

/// All members of the workspace.
pub fn packages() -> Vec<Package> {
    let metadata = MetadataCommand::new()
        .manifest_path(root().join("Cargo.toml"))
        .no_deps()
        .other_options(["--offline".to_owned()])
        .exec()
        .unwrap();
    let member = |package: &cargo_metadata::Package| {
        let of_kind = |dev: bool| {
            let all = package.dependencies.iter();
            let kind = all.filter(move |d| (d.kind == DependencyKind::Development) == dev);
            kind.map(|d| d.name.clone()).collect()
        };
        Package {
            name: package.name.to_string(),
            normal: of_kind(false),
            dev: of_kind(true),
        }
    };
    metadata.packages.iter().map(member).collect()
}

fn is_ours(name: &str) -> bool {
    name == "kukuri" || name.starts_with("kukuri-")
}

fn actor_crates() -> Vec<String> {
    SERVICES.map(|service| format!("kukuri-{service}")).to_vec()
}

/// Which of our crates a crate may be built with, and which its tests besides; `None` for a crate
/// that has no place yet.
fn allowed(name: &str) -> Option<(Vec<String>, Vec<String>)> {
    let contract = vec!["kukuri-contract".to_owned()];
    let conformance = vec!["kukuri-conformance".to_owned()];
    let below_app = [contract.clone(), actor_crates()].concat();
    match name {
        "kukuri-contract" => Some((vec![], vec![])),
        "kukuri-conformance" => Some((contract, vec![])),
        "kukuri" => Some((below_app, conformance)),
        "kukuri-tests" => {
            let all = [below_app, conformance, vec!["kukuri".to_owned()]].concat();
            Some((all.clone(), all))
        }
        _ if actor_crates().iter().any(|actor| actor == name) => Some((contract, conformance)),
        _ => None,
    }
}

/// Each crate depends on the crates below it only.
pub fn downwards(packages: &[Package]) -> Vec<String> {
    let mut out = Vec::new();
    for Package { name, normal, dev } in packages {
        let Some((normal_ok, dev_ok)) = allowed(name) else {
            out.push(format!("{name} has no place in the dependency rule"));
            continue;
        };
        let ours = |names: &[String]| -> Vec<String> {
            names.iter().filter(|n| is_ours(n)).cloned().collect()
        };
        for dep in ours(normal) {
            if !normal_ok.contains(&dep) {
                out.push(format!("{name}: [dependencies] must not name {dep}"));
            }
        }
        for dep in ours(dev) {
            if !normal_ok.contains(&dep) && !dev_ok.contains(&dep) {
                out.push(format!("{name}: [dev-dependencies] must not name {dep}"));
            }
        }
    }
    out
}

/// The contract depends on nothing but [`CONTRACT`].
pub fn contract_allowed(packages: &[Package]) -> Vec<String> {
    let contract = packages.iter().filter(|p| p.name == "kukuri-contract");
    let deps = contract.flat_map(|package| &package.normal);
    let foreign = deps.filter(|dep| !CONTRACT.contains(&dep.as_str()));
    foreign
        .map(|dep| format!("kukuri-contract: [dependencies] names {dep}"))
        .collect()
}

//! The nodes of `deploy/compose.yaml` in containers, and what each of them says.

mod node;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::thread;
use std::time::{Duration, Instant};

pub use node::Node;

use crate::prometheus::NO_SKIP;

/// Longest wait for a swarm of containers to change. Generous: it costs its time only when a test fails.
pub const DEADLINE: Duration = Duration::from_secs(240);
/// Between two looks at a condition, or at a container that does not run.
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// Seconds that a container may take to end before it is killed.
const STOP: &str = "10";

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn run(command: &mut Command) -> Output {
    let output = command.output();
    output.unwrap_or_else(|error| panic!("{command:?}: {error}"))
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).trim().to_owned()
}

/// Runs `docker` and gives what it prints.
///
/// # Panics
/// When it fails.
pub fn docker(args: &[&str]) -> String {
    let output = run(Command::new("docker").args(args));
    let said = text(&output.stderr);
    assert!(output.status.success(), "docker {args:?}: {said}");
    text(&output.stdout)
}

/// Whether there is a Docker engine with Compose; makes the images, and says so where there is none.
///
/// # Panics
/// When there is none and [`NO_SKIP`] is set, or the images can't be made.
pub fn are_possible() -> bool {
    let mut info = Command::new("docker");
    info.args(["info", "--format", "{{.ServerVersion}}"]);
    let engine = info.output().is_ok_and(|output| output.status.success());
    if !engine || compose_program().is_none() {
        assert!(
            std::env::var_os(NO_SKIP).is_none(),
            "needs Docker and Compose"
        );
        println!("SKIPPED: needs a Docker engine, and the compose plugin or docker-compose");
        return false;
    }
    let images = root().join("tests/compose/images");
    let made = Command::new(images).status();
    assert!(
        made.is_ok_and(|status| status.success()),
        "no images: see above"
    );
    true
}

/// The plugin where it is there, else the older program of its own.
fn compose_program() -> Option<&'static [&'static str]> {
    let programs = [&["docker", "compose"][..], &["docker-compose"]];
    programs.into_iter().find(|program| {
        let mut version = Command::new(program[0]);
        let version = version.args(&program[1..]).arg("version").output();
        version.is_ok_and(|output| output.status.success())
    })
}

/// A run of `deploy/compose.yaml`, with some of its services. All of it is removed when dropped.
pub struct Swarm {
    project: String,
    files: Vec<PathBuf>,
    nodes: BTreeMap<String, Node>,
}

impl Swarm {
    /// Starts nothing yet. `more` are files of `tests/compose` that change what is shipped.
    ///
    /// # Panics
    /// When the files can't be used.
    pub fn new(name: &str, more: &[&str]) -> Self {
        let shipped = root().join("deploy/compose.yaml");
        let more = more
            .iter()
            .map(|file| root().join("tests/compose").join(file));
        let swarm = Self {
            project: format!("kukuri-{name}-{}", std::process::id()),
            files: [shipped].into_iter().chain(more).collect(),
            nodes: BTreeMap::new(),
        };
        swarm.compose(&["config", "--quiet"]);
        swarm
    }

    /// Runs Compose and gives what it prints.
    ///
    /// # Panics
    /// When it fails.
    pub fn compose(&self, args: &[&str]) -> String {
        let output = run(&mut self.compose_command(args));
        let said = text(&output.stderr);
        assert!(output.status.success(), "compose {args:?}: {said}");
        text(&output.stdout)
    }

    fn compose_command(&self, args: &[&str]) -> Command {
        let program = compose_program().expect("it has run before");
        let mut command = Command::new(program[0]);
        command.args(&program[1..]);
        command.args(["--project-name", &self.project]);
        for file in &self.files {
            command.arg("--file").arg(file);
        }
        command
            .args(args)
            // No registry has the image of Grafana here; any free port will do for Prometheus.
            .env("COMPOSE_PROFILES", "")
            .env("TOPIC", "tea")
            .env("TARGETS", "local")
            .env("PROMETHEUS_PORT", "0");
        command
    }

    /// Starts services, and listens to those that are nodes.
    ///
    /// # Panics
    /// When they don't start.
    pub fn up(&mut self, services: &[&str]) {
        self.compose(&[&["up", "--detach", "--no-build"], services].concat());
        for service in services.iter().filter(|name| name.starts_with("node-")) {
            self.listen(service);
        }
        let nodes = services.iter().filter(|name| name.starts_with("node-"));
        for name in nodes {
            self.wait(&format!("{name} has started"), |swarm| {
                swarm.nodes[*name].runs
            });
        }
    }

    /// Gives a node a new container, as an upgrade does, and starts nothing else.
    ///
    /// # Panics
    /// When it does not start.
    pub fn renew(&mut self, service: &str) {
        let alone = ["--no-deps", "--force-recreate", service];
        self.compose(&[&["up", "--detach", "--no-build"], &alone[..]].concat());
        self.listen(service);
        let what = format!("{service} has a new container");
        self.wait(&what, |swarm| swarm.nodes[service].runs);
    }

    /// Listens to the container that a service has now.
    fn listen(&mut self, service: &str) {
        let node = Node::listen(self.container(service));
        self.nodes.insert(service.to_owned(), node);
    }

    /// The id of the container of a service, whether it runs or not.
    ///
    /// # Panics
    /// When it has none.
    pub fn container(&self, service: &str) -> String {
        let id = self.compose(&["ps", "--all", "--quiet", service]);
        assert!(!id.is_empty(), "{service} has no container");
        id
    }

    /// The full name of one of its networks.
    pub fn network(&self, name: &str) -> String {
        format!("{}_{name}", self.project)
    }

    /// A node that is listened to.
    pub fn node(&self, name: &str) -> &Node {
        &self.nodes[name]
    }

    /// The names of all nodes that are listened to.
    pub fn names(&self) -> Vec<String> {
        self.nodes.keys().cloned().collect()
    }

    /// Kills a node, which can tell nobody.
    ///
    /// # Panics
    /// When it does not run.
    pub fn kill(&mut self, name: &str) {
        let node = self.nodes.get_mut(name).expect("a node of this test");
        docker(&["kill", "--signal", "KILL", node.container()]);
        node.is_gone();
    }

    /// Starts the container of a node again, with what it had.
    ///
    /// # Panics
    /// When it does not start.
    pub fn start(&mut self, name: &str) {
        docker(&["start", self.nodes[name].container()]);
        self.wait(&format!("{name} is back"), |swarm| swarm.nodes[name].runs);
    }

    /// Ends a node as `docker stop` does; gives how long that took.
    ///
    /// # Panics
    /// When it does not end well.
    pub fn stop(&mut self, name: &str) -> Duration {
        let container = self.nodes[name].container().to_owned();
        let begin = Instant::now();
        docker(&["stop", "--time", STOP, &container]);
        let took = begin.elapsed();
        let code = docker(&["inspect", "--format", "{{.State.ExitCode}}", &container]);
        assert_eq!(code, "0", "{name} did not end by itself");
        println!("{name} has ended: {:.1} s", took.as_secs_f64());
        self.wait(&format!("{name} said so"), |swarm| !swarm.nodes[name].runs);
        let node = self.nodes.get_mut(name).expect("a node of this test");
        node.is_gone();
        took
    }

    /// A node posts a line; whether it has acknowledged it.
    pub fn say(&mut self, name: &str, line: &str) -> bool {
        let node = self.nodes.get_mut(name).expect("a node of this test");
        node.say(line)
    }

    /// Waits until the condition holds; prints and gives how long it took.
    ///
    /// # Panics
    /// When it does not hold in time, with the state of all nodes.
    pub fn wait(&mut self, what: &str, mut holds: impl FnMut(&Self) -> bool) -> Duration {
        let begin = Instant::now();
        loop {
            self.read();
            let took = begin.elapsed();
            if holds(self) {
                println!("{what}: {:.1} s", took.as_secs_f64());
                return took;
            }
            assert!(took < DEADLINE, "not in time: {what}\n{}", self.state());
            thread::sleep(LOOK_EVERY);
        }
    }

    /// Whether these nodes are one swarm: each reaches each, over others too.
    pub fn is_whole(&self, names: &[String]) -> bool {
        let Some(first) = names.first() else {
            return true;
        };
        let name_of = |id: &String| self.nodes.iter().find(|(_, node)| node.id == *id);
        let mut reached = BTreeSet::from([first.clone()]);
        let mut next = vec![first.clone()];
        while let Some(name) = next.pop() {
            let node = &self.nodes[&name];
            for (other, peer) in node.neighbors.iter().filter_map(name_of) {
                // One side alone may not have noticed yet that it has lost the other.
                let both = peer.neighbors.contains(&node.id);
                if both && names.contains(other) && reached.insert(other.clone()) {
                    next.push(other.clone());
                }
            }
        }
        names.iter().all(|name| reached.contains(name))
    }

    /// Whether all nodes are one swarm.
    pub fn is_one(&self) -> bool {
        self.is_whole(&self.names())
    }

    /// Reads what the nodes have said since.
    pub fn read(&mut self) {
        self.nodes.values_mut().for_each(Node::read);
    }

    fn state(&self) -> String {
        let line = |(name, node): (&String, &Node)| {
            let name_of = |id: &String| {
                let known = self.nodes.iter().find(|(_, node)| node.id == *id);
                known.map_or("?", |(name, _)| name.as_str())
            };
            let neighbors: Vec<_> = node.neighbors.iter().map(name_of).collect();
            let verdict = node.verdict.as_deref().unwrap_or("none");
            format!(
                "{name}: runs {}, neighbors {neighbors:?}, verdict {verdict}, {} posts",
                node.runs,
                node.got.len()
            )
        };
        let lines: Vec<_> = self.nodes.iter().map(line).collect();
        lines.join("\n")
    }
}

impl Drop for Swarm {
    fn drop(&mut self) {
        if thread::panicking() {
            let logs = run(&mut self.compose_command(&["logs", "--tail", "20", "--no-color"]));
            eprintln!("{}", text(&logs.stdout));
        }
        self.nodes.clear();
        let down = ["down", "--volumes", "--remove-orphans", "--timeout", STOP];
        let down = run(&mut self.compose_command(&down));
        if !down.status.success() {
            eprintln!("{} is left behind: {}", self.project, text(&down.stderr));
        }
    }
}

//! Commands and flags. Their docs are what `--help` prints.

use std::fmt;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::path::PathBuf;
use std::str::FromStr;

use clap::{Args, Parser, Subcommand};
use kukuri::{EndpointId, TopicName};
use serde_json::{Map, Value, json};

/// Serverless peer discovery: find the peers of a topic on the BitTorrent Mainline DHT and talk to
/// them. No server, no account.
#[derive(Debug, Parser)]
#[command(
    name = "kukuri",
    version,
    arg_required_else_help = true,
    after_help = "\
See it work on this machine alone:   kukuri demo
Talk on a topic, over the internet:  kukuri join tea
Keep it among friends:               kukuri topic new-secret > tea.secret
                                     kukuri join tea --secret-file tea.secret

Exit codes: 0 all right, 1 failed, 2 wrong usage."
)]
pub struct Cli {
    /// Print one JSON object per line, each with a field `event`, for scripts.
    #[arg(long, global = true)]
    pub json: bool,
    /// Read settings from this file (see `kukuri config show`).
    #[arg(long, global = true, value_name = "FILE", env = "KUKURI_CONFIG")]
    pub config: Option<PathBuf>,
    /// Which log events to print to standard error, such as `info` or `kukuri_discovery=debug`.
    #[arg(long, global = true, value_name = "FILTER", env = "KUKURI_LOG")]
    pub log: Option<String>,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Show it working: a DHT and whole nodes on this machine find each other and exchange posts.
    Demo(DemoArgs),
    /// Run a local DHT until Ctrl-C, for tests without internet.
    Testnet(TestnetArgs),
    /// Join a topic: lines typed are posted, posts of others are printed.
    #[command(after_help = "\
Examples:
  kukuri join tea                                  over the public DHT
  kukuri join tea --secret-file tea.secret         only with those who have the secret
  kukuri join tea --metrics 127.0.0.1:9100         with Prometheus metrics at /metrics
  echo hello | kukuri join tea --exit-after-input  post and go

On one machine, without internet:
  kukuri testnet                                   prints the address of a local DHT
  kukuri join tea --bind 127.0.0.1:0 --dht-bootstrap 127.0.0.1:PORT --data-dir ./a")]
    Join(Box<JoinArgs>),
    /// Print who this node is; makes its identity on first use.
    Id(IdArgs),
    /// Secrets of topics.
    Topic(TopicArgs),
    /// The settings of this node.
    Config(ConfigArgs),
}

/// Flags of `kukuri demo`.
#[derive(Debug, Args)]
pub struct DemoArgs {
    /// Whole nodes to start, all at once.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u16).range(2..=100))]
    pub peers: u16,
    /// Nodes of the local DHT.
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u16).range(1..=500))]
    pub dht_nodes: u16,
    /// Posts that each node sends.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u16).range(0..=10_000))]
    pub posts: u16,
}

/// Flags of `kukuri testnet`.
#[derive(Debug, Args)]
pub struct TestnetArgs {
    /// DHT nodes to run.
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u16).range(1..=2000))]
    pub nodes: u16,
    /// UDP port of the first one on 127.0.0.1; 0 takes a free one.
    #[arg(long, default_value_t = 0)]
    pub port: u16,
}

/// Flags of `kukuri join`.
#[derive(Debug, Args)]
pub struct JoinArgs {
    /// Name of the topic.
    pub topic: TopicName,
    /// File with the topic's secret (made by `kukuri topic new-secret`). Without it the topic is
    /// public: whoever knows its name can take part.
    #[arg(long, value_name = "FILE")]
    pub secret_file: Option<PathBuf>,
    /// DHT node to start from; may be given several times. Default: the public ones.
    #[arg(long, value_name = "HOST:PORT")]
    pub dht_bootstrap: Vec<String>,
    /// Member to dial at once; may be given several times.
    #[arg(long, value_name = "ENDPOINT_ID@HOST:PORT")]
    pub peer: Vec<PeerArg>,
    /// Where the endpoint listens (UDP). On 127.0.0.1 it talks to this machine only.
    #[arg(long, value_name = "ADDR:PORT")]
    pub bind: Option<SocketAddr>,
    /// Where the DHT node listens (UDP). Default: the IP of --bind, a free port.
    #[arg(long, value_name = "ADDR:PORT")]
    pub dht_bind: Option<SocketAddrV4>,
    /// Where the hello service listens (UDP). Default: the IP of --bind, a free port.
    #[arg(long, value_name = "ADDR:PORT")]
    pub hello_bind: Option<SocketAddrV4>,
    /// Where identity and posts are kept. Default: the platform's data directory.
    #[arg(long, value_name = "DIR")]
    pub data_dir: Option<PathBuf>,
    /// Serve /metrics, /healthz and /readyz here (TCP).
    #[arg(long, value_name = "ADDR:PORT")]
    pub metrics: Option<SocketAddr>,
    /// Relay server for peers that can't be reached directly.
    #[arg(long, value_name = "URL")]
    pub relay: Option<String>,
    /// Advertise private addresses too, for members on the same network.
    #[arg(long)]
    pub advertise_private: bool,
    /// Don't use the DHT; find peers by --peer only.
    #[arg(long)]
    pub no_dht: bool,
    /// Leave when the input ends and all of it is sent, instead of going on.
    #[arg(long)]
    pub exit_after_input: bool,
}

/// A member to dial: `ENDPOINT_ID@HOST:PORT`, where the host is a name or an IP address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PeerArg {
    /// Who.
    pub id: EndpointId,
    /// Where, as `HOST:PORT`.
    pub address: String,
}

impl FromStr for PeerArg {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (id, address) = text.split_once('@').ok_or("there is no `@`")?;
        let id = id
            .parse()
            .map_err(|error| format!("the endpoint id before the `@`: {error}"))?;
        let port = address
            .rsplit_once(':')
            .map(|(_, port)| port.parse::<u16>());
        match port {
            Some(Ok(_)) => Ok(Self {
                id,
                address: address.to_owned(),
            }),
            _ => Err(format!(
                "{address:?} after the `@` is not of the form HOST:PORT"
            )),
        }
    }
}

impl fmt::Display for PeerArg {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.id, self.address)
    }
}

impl JoinArgs {
    /// The flags that were given, in the shape of the config.
    pub fn overrides(&self) -> Value {
        let (mut node, mut discovery, mut gossip) = (Map::new(), Map::new(), Map::new());
        if let Some(dir) = &self.data_dir {
            node.insert("data_dir".into(), json!(dir));
        }
        if let Some(address) = self.metrics {
            node.insert("http".into(), json!(address));
        }
        if let Some(bind) = self.bind {
            gossip.insert("bind".into(), json!(bind));
        }
        if let Some(relay) = &self.relay {
            gossip.insert("relay".into(), json!(relay));
        }
        if self.advertise_private {
            gossip.insert("advertise_private".into(), json!(true));
            discovery.insert("allow_private".into(), json!(true));
        }
        if !self.dht_bootstrap.is_empty() {
            discovery.insert("bootstrap".into(), json!(self.dht_bootstrap));
        }
        if let Some(bind) = self.dht_bind.or_else(|| self.bind_ip()) {
            discovery.insert("dht_bind".into(), json!(bind));
        }
        if let Some(bind) = self.hello_bind.or_else(|| self.bind_ip()) {
            discovery.insert("hello_bind".into(), json!(bind));
        }
        if self.no_dht {
            discovery.insert("sources".into(), json!({ "rendezvous": false }));
        }
        json!({ "node": node, "discovery": discovery, "gossip": gossip })
    }

    fn bind_ip(&self) -> Option<SocketAddrV4> {
        match self.bind? {
            SocketAddr::V4(bind) => Some(SocketAddrV4::new(*bind.ip(), 0)),
            // The DHT is IPv4 only; an IPv6 loopback must not open it to the world.
            SocketAddr::V6(bind) if bind.ip().is_loopback() => {
                Some(SocketAddrV4::new(Ipv4Addr::LOCALHOST, 0))
            }
            SocketAddr::V6(_) => None,
        }
    }
}

/// Flags of `kukuri id`.
#[derive(Debug, Args)]
pub struct IdArgs {
    /// Where the identity is kept. Default: the platform's data directory.
    #[arg(long, value_name = "DIR")]
    pub data_dir: Option<PathBuf>,
}

/// Flags of `kukuri topic`.
#[derive(Debug, Args)]
pub struct TopicArgs {
    /// What to do.
    #[command(subcommand)]
    pub command: TopicCommand,
}

/// What to do with topics.
#[derive(Debug, Subcommand)]
pub enum TopicCommand {
    /// Make a new secret and print it. Whoever has it can find, read and write the topic.
    NewSecret,
}

/// Flags of `kukuri config`.
#[derive(Debug, Args)]
pub struct ConfigArgs {
    /// What to do.
    #[command(subcommand)]
    pub command: ConfigCommand,
}

/// What to do with the settings.
#[derive(Debug, Clone, Copy, Subcommand)]
pub enum ConfigCommand {
    /// Print all settings in force as TOML: defaults, file, environment.
    Show,
    /// Check the settings and say what is wrong.
    Check,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    fn join(flags: &[&str]) -> JoinArgs {
        let args = ["kukuri", "join", "tea"].iter().chain(flags);
        match Cli::try_parse_from(args).map(|cli| cli.command) {
            Ok(Command::Join(args)) => *args,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_commands_are_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn a_bad_peer_says_what_is_wrong() {
        let id = "ab".repeat(32);
        for (text, word) in [
            ("x", "`@`"),
            ("x@localhost:1", "endpoint id"),
            (&format!("{id}@localhost"), "HOST:PORT"),
        ] {
            let error = text.parse::<PeerArg>().unwrap_err();
            assert!(error.contains(word), "{error}");
        }
        let peer: PeerArg = format!("{id}@node-1:4433").parse().unwrap();
        assert_eq!(peer.address, "node-1:4433");
    }

    #[test]
    fn everything_follows_the_ip_of_bind() {
        let flags = join(&["--bind", "127.0.0.1:4433", "--hello-bind", "127.0.0.2:7"]).overrides();
        assert_eq!(flags["gossip"]["bind"], "127.0.0.1:4433");
        assert_eq!(flags["discovery"]["dht_bind"], "127.0.0.1:0");
        assert_eq!(flags["discovery"]["hello_bind"], "127.0.0.2:7");
        let flags = join(&["--bind", "[::1]:4433"]).overrides();
        assert_eq!(flags["discovery"]["dht_bind"], "127.0.0.1:0");
        assert_eq!(join(&[]).overrides()["discovery"], json!({}));
    }

    #[test]
    fn flags_are_fields_of_the_config() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("kukuri.toml");
        std::fs::write(
            &file,
            "[discovery]\nallow_private = false\nmax_topics = 3\n",
        )
        .unwrap();
        let args = join(&[
            "--bind",
            "127.0.0.1:0",
            "--data-dir",
            "/nowhere",
            "--metrics",
            "127.0.0.1:9100",
            "--relay",
            "https://relay.example/",
            "--advertise-private",
            "--no-dht",
            "--dht-bootstrap",
            "localhost:6881",
        ]);
        let config = kukuri::Config::load(Some(&file), &args.overrides()).unwrap();
        assert!(config.discovery.allow_private && config.gossip.advertise_private);
        assert!(!config.discovery.sources.rendezvous && config.discovery.sources.statics);
        assert_eq!(config.discovery.bootstrap, ["localhost:6881"]);
        assert_eq!(config.discovery.max_topics, 3);
        assert_eq!(config.node.http, Some("127.0.0.1:9100".parse().unwrap()));
    }
}

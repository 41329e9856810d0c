//! Flags of `kukuri join`.

use std::fmt;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::path::PathBuf;
use std::str::FromStr;

use clap::Args;
use kukuri::{Config, EndpointId, TopicName, UdpSetting, udp_settings};
use serde_json::{Map, Value, json};

use super::keys::KeyArgs;
use super::topic::SecretArgs;

/// Flags of `kukuri join`.
#[derive(Debug, Args)]
pub struct JoinArgs {
    /// Name of the topic.
    pub topic: TopicName,
    /// Which topic of that name.
    #[command(flatten)]
    pub secret: SecretArgs,
    /// Leave when the input ends and all of it is sent, instead of going on.
    #[arg(long, help_heading = "Topic")]
    pub exit_after_input: bool,
    /// DHT node to start from; may be given several times. Default: the public ones.
    #[arg(long, value_name = "HOST:PORT", help_heading = "Network")]
    pub dht_bootstrap: Vec<String>,
    /// Don't use the DHT; find peers by --peer, --lan, and those of earlier runs.
    #[arg(long, help_heading = "Network")]
    pub no_dht: bool,
    /// Find members on the same network too, by mDNS; advertises private addresses.
    #[arg(long, help_heading = "Network")]
    pub lan: bool,
    /// Member to dial at once; may be given several times.
    #[arg(long, value_name = "ENDPOINT_ID@HOST:PORT", help_heading = "Network")]
    pub peer: Vec<PeerArg>,
    /// Where the endpoint listens (UDP). On 127.0.0.1 it talks to this machine only.
    #[arg(long, value_name = "ADDR:PORT", help_heading = "Network")]
    pub bind: Option<SocketAddr>,
    /// Where the DHT node listens (UDP). Default: the IP of --bind, a free port.
    #[arg(long, value_name = "ADDR:PORT", help_heading = "Network")]
    pub dht_bind: Option<SocketAddrV4>,
    /// Where the hello service listens (UDP). Default: the IP of --bind, a free port.
    #[arg(long, value_name = "ADDR:PORT", help_heading = "Network")]
    pub hello_bind: Option<SocketAddrV4>,
    /// Relay server for peers that can't be reached directly.
    #[arg(long, value_name = "URL", help_heading = "Network")]
    pub relay: Option<String>,
    /// Advertise private addresses too, for members on the same network.
    #[arg(long, help_heading = "Network")]
    pub advertise_private: bool,
    /// Where identity and posts are kept. Default: the platform's data directory.
    #[arg(long, value_name = "DIR", help_heading = "Node")]
    pub data_dir: Option<PathBuf>,
    /// Serve /metrics, /healthz and /readyz here (TCP).
    #[arg(long, value_name = "ADDR:PORT", help_heading = "Node")]
    pub metrics: Option<SocketAddr>,
    /// How the node's keys are protected.
    #[command(flatten)]
    pub keys: KeyArgs,
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
        // Whom a member on the same network finds, it must be able to dial there.
        if self.advertise_private || self.lan {
            gossip.insert("advertise_private".into(), json!(true));
            discovery.insert("allow_private".into(), json!(true));
        }
        if !self.dht_bootstrap.is_empty() {
            discovery.insert("bootstrap".into(), json!(self.dht_bootstrap));
        }
        if let Some(bind) = self.dht_bind {
            discovery.insert("dht_bind".into(), json!(bind));
        }
        if let Some(bind) = self.hello_bind {
            discovery.insert("hello_bind".into(), json!(bind));
        }
        let mut sources = Map::new();
        if self.no_dht {
            sources.insert("rendezvous".into(), json!(false));
            sources.insert("board".into(), json!(false));
        }
        if self.lan {
            sources.insert("lan".into(), json!(true));
        }
        if !sources.is_empty() {
            discovery.insert("sources".into(), json!(sources));
        }
        json!({
            "node": node,
            "identity": self.keys.overrides(),
            "discovery": discovery,
            "gossip": gossip,
        })
    }

    /// The other sockets are on the IP address of `--bind`, but for those that have flags of their own. Not
    /// among the overrides: not every kind of discovery has them.
    pub fn bind_others(&self, config: &mut Config) {
        let Some(ip) = self.bind_ip() else {
            return;
        };
        for UdpSetting {
            field, mut bind, ..
        } in udp_settings(config)
        {
            let has_a_flag = match field {
                "dht_bind" => self.dht_bind.is_some(),
                "hello_bind" => self.hello_bind.is_some(),
                _ => true,
            };
            if !has_a_flag {
                bind.set(ip);
            }
        }
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

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::cli::args::{Cli, Command};

    fn join(flags: &[&str]) -> JoinArgs {
        let args = ["kukuri", "join", "tea"].iter().chain(flags);
        match Cli::try_parse_from(args).map(|cli| cli.command) {
            Ok(Command::Join(args)) => *args,
            other => panic!("{other:?}"),
        }
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
        let bound = |flags: &[&str]| {
            let args = join(flags);
            let mut config = Config::load(None, &args.overrides()).unwrap();
            args.bind_others(&mut config);
            let mainline = config.discovery.mainline;
            [mainline.dht_bind, mainline.hello_bind].map(|address| address.to_string())
        };
        let flags = ["--bind", "127.0.0.1:4433", "--hello-bind", "127.0.0.2:7"];
        assert_eq!(bound(&flags), ["127.0.0.1:0", "127.0.0.2:7"]);
        assert_eq!(
            bound(&["--bind", "[::1]:4433"]),
            ["127.0.0.1:0", "127.0.0.1:0"]
        );
        assert_eq!(bound(&[]), ["0.0.0.0:0", "0.0.0.0:0"]);
    }

    /// Not every kind of discovery has a DHT.
    #[test]
    fn bind_is_for_every_kind_of_discovery() {
        for kind in ["static", "lan"] {
            let text = format!("[discovery]\nkind = \"{kind}\"\n");
            let dir = tempfile::tempdir().unwrap();
            let file = dir.path().join("kukuri.toml");
            std::fs::write(&file, text).unwrap();
            let args = join(&["--bind", "127.0.0.1:0"]);
            let mut config = Config::load(Some(&file), &args.overrides()).unwrap();
            args.bind_others(&mut config);
            assert_eq!(config.discovery.kind, kind);
            assert!(config.discovery.lan.hello_bind.ip().is_loopback());
            // Others are not, and say so.
            let args = join(&["--dht-bind", "127.0.0.1:0"]);
            let error = Config::load(Some(&file), &args.overrides()).unwrap_err();
            let said = error.to_string();
            assert!(said.starts_with("a flag sets discovery.dht_bind"), "{said}");
        }
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
        let config = Config::load(Some(&file), &args.overrides()).unwrap();
        assert!(config.discovery.mainline.allow_private && config.gossip.iroh.advertise_private);
        let sources = config.discovery.mainline.sources;
        assert!(!sources.need_dht() && sources.statics);
        assert_eq!(config.discovery.mainline.bootstrap, ["localhost:6881"]);
        assert_eq!(config.discovery.mainline.max_topics, 3);
        assert_eq!(config.node.http, Some("127.0.0.1:9100".parse().unwrap()));
    }
}

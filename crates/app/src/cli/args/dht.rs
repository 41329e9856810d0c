//! Commands that need a DHT on this machine, and their flags.

use clap::{Args, Subcommand};

/// What needs a DHT on this machine.
#[derive(Debug, Subcommand)]
pub enum DhtCommand {
    /// Show it working: a DHT and whole nodes on this machine find each other and exchange posts.
    #[command(after_help = "\
Examples:
  kukuri demo                         3 nodes on a DHT of 20
  kukuri demo --peers 10 --posts 20   more of both
  kukuri demo --json                  what happens as JSON lines; the last one is the summary")]
    Demo(DemoArgs),
    /// Run a local DHT until Ctrl-C, for tests without internet.
    #[command(after_help = "\
Examples:
  kukuri testnet               prints the address of a local DHT
  kukuri testnet --port 6881   the same address each time
  kukuri testnet --host dht    on the address of this name, for other machines or containers

In other terminals, with a different --data-dir each:
  kukuri join tea --bind 127.0.0.1:0 --dht-bootstrap 127.0.0.1:PORT --data-dir ./a")]
    Testnet(TestnetArgs),
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
    /// UDP port of the first one; 0 takes a free one.
    #[arg(long, default_value_t = 0)]
    pub port: u16,
    /// Where they listen: an IPv4 address of this machine, or a name that has one. Others must reach it
    /// there, so not 0.0.0.0.
    #[arg(long, value_name = "HOST", default_value = "127.0.0.1")]
    pub host: String,
}

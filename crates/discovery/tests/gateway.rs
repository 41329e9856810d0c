//! The hello port behind a router: a real one, miniupnpd with the kernel's NAT, in network namespaces.

#![allow(clippy::unwrap_used, reason = "a test panics where it fails")]

mod support;

use std::env;
use std::fs;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4, UdpSocket};
use std::path::Path;
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use kukuri_conformance::{MemoryIdentity, in_namespace};
use kukuri_contract::{
    Announce, DhtHealthQuery, DiscoveryEvent, EndpointAddr, Reachability, SetAddress, Source,
    Verdict,
};
use kukuri_discovery::core::hello::PACKET_BYTES;
use kukuri_discovery::{Config, Serve, Sources};
use support::hello::ByHand;
use support::{Node, Start};

/// This namespace is a home network; a second one is its router, a third one the internet. They end
/// with the test. The router lets nothing in but replies and what its daemon was asked to.
const HOME: &str = "set -e
ip link set lo up
apart() {
    setpriv --pdeathsig KILL unshare -n sleep 600 &
    pid=$!
    until [ \"$(cat /proc/$pid/comm)\" = sleep ]; do sleep 0.01; done
}
apart; export ROUTER=$pid
apart; export OUTSIDE=$pid
ip link add home type veth peer name lan netns $ROUTER
ip address add 192.168.77.2/24 dev home
ip link set home up
at() { nsenter -n -t \"$@\"; }
at $ROUTER ip link add wan type veth peer name far netns $OUTSIDE
at $ROUTER ip address add 192.168.77.1/24 dev lan
at $ROUTER ip address add 11.0.0.1/24 dev wan
at $ROUTER ip link set lan up
at $ROUTER ip link set wan up
at $ROUTER sh -c 'echo 1 >/proc/sys/net/ipv4/ip_forward'
at $OUTSIDE ip link set lo up
at $OUTSIDE ip address add 11.0.0.2/24 dev far
at $OUTSIDE ip link set far up
ip route add default via 192.168.77.1
at $ROUTER nft -f - <<END
table inet filter {
    chain miniupnpd { }
    chain prerouting_miniupnpd { }
    chain postrouting_miniupnpd { }
    chain forward {
        type filter hook forward priority 0; policy drop;
        ct state established,related accept
        iifname lan accept
        jump miniupnpd
    }
    chain prerouting { type nat hook prerouting priority -100; jump prerouting_miniupnpd; }
    chain postrouting {
        type nat hook postrouting priority 100;
        oifname wan masquerade
        jump postrouting_miniupnpd
    }
}
END
";

/// The router's daemon, with the protocols that `$DAEMON` turns on.
const DAEMON: &str = "
dir=$(mktemp -d)
printf 'ext_ifname=wan\\nlistening_ip=lan\\nsecure_mode=yes\\n' >$dir/conf
printf \"$SPEAKS\" >>$dir/conf
printf 'allow 1024-65535 192.168.77.0/24 1024-65535\\n' >>$dir/conf
setpriv --pdeathsig KILL nsenter -n -t $ROUTER \\
    miniupnpd -d -f $dir/conf -P $dir/pid >$dir/log 2>&1 &
daemon=$!
until grep -q \"$LISTENS\" $dir/log; do
    kill -0 $daemon
    sleep 0.05
done
rm -r $dir
";

/// What tells this test that it is in the third namespace: a file with a packet to send, and where to.
const SAY: (&str, &str) = ("KUKURI_TEST_PACKET", "KUKURI_TEST_TO");

/// Sends a packet, and waits for one from there.
fn say(packet: &str) {
    let socket = UdpSocket::bind("11.0.0.2:0").unwrap();
    socket.connect(env::var(SAY.1).unwrap()).unwrap();
    socket.send(&fs::read(packet).unwrap()).unwrap();
    let limit = Some(Duration::from_secs(60));
    socket.set_read_timeout(limit).unwrap();
    let mut buffer = [0; 2048];
    assert_eq!(socket.recv(&mut buffer).unwrap(), PACKET_BYTES);
}

/// A command in another of the namespaces.
fn at(namespace: &str) -> Command {
    let mut command = Command::new("nsenter");
    command.args(["-n", "-t", &env::var(namespace).unwrap()]);
    command
}

fn forwarded() -> String {
    let mut list = at("ROUTER");
    list.args([
        "nft",
        "list",
        "chain",
        "inet",
        "filter",
        "prerouting_miniupnpd",
    ]);
    String::from_utf8(list.output().unwrap().stdout).unwrap()
}

async fn at_home() -> Node {
    let sources = Sources {
        rendezvous: false,
        ..Sources::default()
    };
    let config = Config {
        hello_bind: SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, 0),
        sources,
        first_contact_ms: 1_000,
        ..Config::default()
    };
    let node = Start::new(config).node(1).await;
    node.discover().await;
    node
}

async fn a_member_outside_gets_through(test: &str, speaks: &str, listens: &str) {
    if let Ok(packet) = env::var(SAY.0) {
        return say(&packet);
    }
    let setup = format!("{HOME}SPEAKS='{speaks}'\nLISTENS='{listens}'{DAEMON}");
    if !in_namespace(test, &setup) {
        return;
    }
    let mut node = at_home().await;
    let mapped = |event| match event {
        DiscoveryEvent::PortMapped(address) => address,
        _ => None,
    };
    let mapped: SocketAddr = node.log.wait_for("a mapping", mapped).await;
    println!("{mapped} is forwarded to {}", node.hello);
    assert_eq!(mapped.ip(), Ipv4Addr::new(11, 0, 0, 1));
    assert!(forwarded().contains("dnat"), "{}", forwarded());
    let health = node.port.health(DhtHealthQuery).await.unwrap();
    assert_eq!(health.mapped_address, Some(mapped));

    // A member that this node has never heard of says hello through the router.
    let member = ByHand::new(2, None).await;
    let SocketAddr::V4(to) = mapped else {
        panic!("an IPv4 address");
    };
    let where_it_is = ([11, 0, 0, 2], 5000).into();
    let packet = member.request([7; 16], to, where_it_is, None).await;
    let file = env::temp_dir().join(format!("kukuri-hello-{}", std::process::id()));
    fs::write(&file, packet).unwrap();
    let mut outside = at("OUTSIDE");
    outside.arg(env::current_exe().unwrap());
    outside.args(["--exact", test, "--nocapture"]);
    outside.env(SAY.0, &file).env(SAY.1, mapped.to_string());
    let mut outside = outside.spawn().unwrap();
    let (address, source) = node.finds(member.id).await;
    assert_eq!((address.direct[0], source), (where_it_is, Source::Inbound));
    node.reachability(Reachability::Proven).await;
    assert!(outside.wait().unwrap().success(), "no reply came through");
    fs::remove_file(file).unwrap();

    // The mapping is given back, and nobody waits for that.
    node.port.stop().await.unwrap();
    let deadline = Instant::now() + Duration::from_secs(60);
    while forwarded().contains("dnat") {
        assert!(Instant::now() < deadline, "{}", forwarded());
        // The actor's runtime must go on to give it back.
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[actix::test]
async fn a_port_is_mapped_by_pcp() {
    let speaks = "enable_natpmp=yes\\nenable_upnp=no\\n";
    a_member_outside_gets_through("a_port_is_mapped_by_pcp", speaks, "for NAT-PMP/PCP").await;
}

#[actix::test]
async fn a_port_is_mapped_by_upnp() {
    let speaks = "enable_natpmp=no\\nenable_upnp=yes\\n";
    a_member_outside_gets_through("a_port_is_mapped_by_upnp", speaks, "HTTP listening").await;
}

/// A router that forwards nothing, and no router at all: it is said, and all goes on.
async fn it_goes_on(test: &str, network: &str) {
    if !in_namespace(test, network) {
        return;
    }
    let mut node = at_home().await;
    let failed = |event| match event {
        DiscoveryEvent::PortMappingFailed => Some(()),
        DiscoveryEvent::PortMapped(_) => panic!("there is nobody to do it"),
        _ => None,
    };
    node.log.wait_for("a failure", failed).await;
    node.port.health(DhtHealthQuery).await.unwrap();
    node.port.stop().await.unwrap();
    node.port.gone().await;
}

#[actix::test]
async fn without_a_router_it_goes_on() {
    it_goes_on("without_a_router_it_goes_on", "ip link set lo up").await;
}

#[actix::test]
async fn with_a_router_that_forwards_nothing_it_goes_on() {
    it_goes_on("with_a_router_that_forwards_nothing_it_goes_on", HOME).await;
}

/// What tells this test that it is in the third namespace: where to write which DHT node to start
/// from.
const OUTSIDE: &str = "KUKURI_TEST_OUTSIDE";

/// The internet: a DHT of one node, and two members that are announced there. Until it is killed.
async fn internet(file: &str) {
    let ip = Ipv4Addr::new(11, 0, 0, 2);
    let mut builder = mainline::Dht::builder();
    let dht = builder.server_mode().no_bootstrap().bind_address(ip);
    let dht = dht.build().unwrap().as_async();
    let bootstrap = dht.info().await.local_addr();
    let any = SocketAddrV4::new(ip, 0);
    let mut members = Vec::new();
    for n in 2..=3 {
        let config = Config {
            hello_bind: any,
            dht_bind: any,
            serve: Serve::Always,
            ..support::config(&[bootstrap])
        };
        let member = Start::new(config).node(n).await;
        let address = EndpointAddr {
            direct: vec![([11, 0, 0, 2], 5000 + n as u16).into()],
            ..support::address_of(n, member.id)
        };
        let set = SetAddress {
            address,
            port: None,
        };
        member.port.set_address(set).await.unwrap();
        member.discover().await;
        let topic = member.topic;
        member.port.announce(Announce { topic }).await.unwrap();
        members.push(member);
    }
    hand_over(file, &bootstrap.to_string());
    let (at_home, _) = MemoryIdentity::spawn(1);
    let (address, _) = members[0].finds(at_home).await;
    hand_over(&format!("{file}.seen"), &address.direct[0].to_string());
    std::future::pending().await
}

/// Writes a file that is there as a whole or not at all.
fn hand_over(file: &str, text: &str) {
    let part = format!("{file}.part");
    fs::write(&part, text).unwrap();
    fs::rename(part, file).unwrap();
}

/// Waits for a file of the other process, and takes it.
async fn take_over(file: &Path) -> String {
    let deadline = Instant::now() + Duration::from_secs(120);
    while !file.exists() {
        assert!(Instant::now() < deadline, "no {file:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let text = fs::read_to_string(file).unwrap();
    fs::remove_file(file).unwrap();
    text
}

/// A process that ends with the test.
struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        // It may have ended by itself.
        _ = self.0.kill();
        _ = self.0.wait();
    }
}

/// Two members dial back, and the router drops it. But members and DHT nodes have told the node its
/// public IP address, so that its record has an address.
#[actix::test]
async fn behind_a_router_that_forwards_nothing_the_port_is_known_to_be_closed() {
    let test = "behind_a_router_that_forwards_nothing_the_port_is_known_to_be_closed";
    if let Ok(file) = env::var(OUTSIDE) {
        return internet(&file).await;
    }
    if !in_namespace(test, HOME) {
        return;
    }
    let file = env::temp_dir().join(format!("kukuri-internet-{}", std::process::id()));
    let mut outside = at("OUTSIDE");
    outside.arg(env::current_exe().unwrap());
    outside.args(["--exact", test, "--nocapture"]);
    let outside = outside.env(OUTSIDE, &file).spawn();
    let _outside = Killed(outside.unwrap());
    let bootstrap = take_over(&file).await.parse().unwrap();
    let any = SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, 0);
    let config = Config {
        hello_bind: any,
        dht_bind: any,
        first_contact_ms: 1_000,
        ..support::config(&[bootstrap])
    };
    let mut node = Start::new(config).node(1).await;
    let address = EndpointAddr {
        direct: Vec::new(),
        ..support::address_of(1, node.id)
    };
    let set = SetAddress {
        address,
        port: Some(4433),
    };
    node.port.set_address(set).await.unwrap();
    node.discover().await;
    // That comes first: a dial-back is waited for.
    node.comes_to(Verdict::FoundButUnreachable).await;
    node.reachability(Reachability::Unproven).await;
    let health = node.port.health(DhtHealthQuery).await.unwrap();
    assert_eq!(health.reachability, Reachability::Unproven);
    assert_eq!(health.mapped_address, None);
    let seen = take_over(&file.with_extension("seen")).await;
    assert_eq!(seen, "11.0.0.1:4433");
}

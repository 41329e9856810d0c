//! An actor that dies gives everything back, and a fresh one takes its place.

#![allow(clippy::unwrap_used, reason = "a test panics where it fails")]

mod nodes;

use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use kukuri_contract::{CallError, Drill};
use kukuri_gossip::Config;
use nodes::{Node, TOPIC, join, local, meet, node, node_with};

async fn free(port: SocketAddr) {
    let free = async {
        while UdpSocket::bind(port).is_err() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), free)
        .await
        .unwrap();
}

/// The node again, on the same port with the same key, as the supervisor does it.
async fn again(n: u8, old: Node) -> Node {
    let died = old.port.drill(Drill::Panic).await.unwrap_err();
    assert!(matches!(died, CallError::Unavailable { .. }), "{died}");
    let bind = old.address.direct[0];
    let dead = Instant::now();
    free(bind).await;
    println!("the port was free after {:?}", dead.elapsed());
    let fresh = node_with(n, Config { bind, ..local() }).await;
    assert_eq!(fresh.address, old.address);
    fresh
}

#[actix::test]
async fn a_fresh_actor_takes_the_port_of_a_dead_one_and_meets_its_neighbors() {
    let chosen = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let bind = chosen.local_addr().unwrap();
    drop(chosen);
    let mut a = node_with(1, Config { bind, ..local() }).await;
    a.port.join(join(TOPIC)).await.unwrap();
    let mut b = node(2).await;
    meet(&mut a, &mut b).await;
    for _ in 0..2 {
        let mut fresh = again(1, a).await;
        // The endpoint was closed, not just lost: the neighbor knows at once.
        assert_eq!(b.down(fresh.address.id).await, 0);
        let joined = fresh.port.join(join(TOPIC)).await.unwrap();
        assert!(joined.neighbors.is_empty());
        meet(&mut fresh, &mut b).await;
        a = fresh;
    }
}

//! A node that can't keep up with its swarm loses events, and knows its neighbors all the same.

#![allow(clippy::unwrap_used, reason = "a test panics where it fails")]

mod nodes;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use actix::System;
use kukuri_contract::{Answer, Ask, Broadcast, Drill, EndpointAddr, EndpointId, GossipEvent};
use nodes::{Node, TOPIC, join, node};
use tokio::sync::oneshot;

/// Nodes 2 and 3: the one floods the topic until it is told to stop, the other leaves meanwhile.
async fn flood(
    victim: oneshot::Receiver<EndpointId>,
    theirs: oneshot::Sender<[EndpointAddr; 2]>,
    enough: Arc<AtomicBool>,
    settled: oneshot::Receiver<()>,
) {
    let (mut b, mut c) = (node(2).await, node(3).await);
    theirs
        .send([&b, &c].map(|node| node.address.clone()))
        .unwrap();
    let victim = victim.await.unwrap();
    b.up(victim).await;
    c.up(victim).await;
    for n in 0u64.. {
        if enough.load(Ordering::Relaxed) {
            break;
        }
        // By then the victim loses events.
        if n == 4_000 {
            c.port.stop().await.unwrap();
        }
        let payload = n.to_be_bytes().to_vec().into();
        let topic = TOPIC;
        b.port
            .broadcast(Broadcast { topic, payload })
            .await
            .unwrap();
    }
    c.port.stop().await.unwrap_or_default();
    // It is a neighbor in good standing: its questions are answered.
    let ask = Ask {
        topic: TOPIC,
        peer: victim,
        payload: "still there?".into(),
    };
    tokio::time::timeout(Duration::from_secs(60), b.up_for(victim))
        .await
        .unwrap();
    assert_eq!(b.port.ask(ask).await.unwrap(), "yes");
    settled.await.unwrap();
}

impl Node {
    async fn up_for(&mut self, peer: EndpointId) {
        let again = || self.port.join(join(TOPIC));
        while !again().await.unwrap().neighbors.contains(&peer) {
            tokio::task::yield_now().await;
        }
    }
}

/// Node 1 has its actor on a thread of its own, which it blocks, while iroh goes on on others.
#[test]
fn neighbors_are_right_again_after_lost_events() {
    let (victim, told) = oneshot::channel();
    let (theirs, addresses) = oneshot::channel();
    let enough = Arc::new(AtomicBool::new(false));
    let (done, settled) = oneshot::channel();
    let until = enough.clone();
    let flooder =
        std::thread::spawn(move || System::new().block_on(flood(told, theirs, until, settled)));
    let runtime = || {
        let mut runtime = tokio::runtime::Builder::new_multi_thread();
        runtime.worker_threads(2).enable_all().build().unwrap()
    };
    System::with_tokio_rt(runtime).block_on(async move {
        let mut a = node(1).await;
        let peers = addresses.await.unwrap();
        let [b, c] = peers.clone().map(|peer| peer.id);
        let topic = TOPIC;
        let dial = kukuri_contract::Dial {
            topic,
            peers: peers.to_vec(),
            reason: kukuri_contract::DialReason::Found,
        };
        a.port.dial(dial).await.unwrap();
        a.up(b).await;
        a.port.join(join(topic)).await.unwrap();
        victim.send(a.address.id).unwrap();
        let lagged = |event| matches!(event, GossipEvent::TopicLagged { .. }).then_some(());
        let mut rounds = 0;
        loop {
            rounds += 1;
            let slow = Drill::Slow(Duration::from_secs(2));
            a.port.drill(slow).await.unwrap();
            // A slow machine may need more floods than one to lose events.
            let lost = a.log.wait_for("lost events", lagged);
            if tokio::time::timeout(Duration::from_secs(2), lost)
                .await
                .is_ok()
            {
                break;
            }
        }
        println!("lagged after {rounds} rounds");
        enough.store(true, Ordering::Relaxed);
        // One answer comes from the neighbor itself, which the new subscription has to know.
        let asked = |event| match event {
            GossipEvent::Asked { from, id, .. } => Some((from, id)),
            _ => None,
        };
        let (from, id) = a.log.wait_for("a question", asked).await;
        assert_eq!(from, b);
        let payload = Some("yes".into());
        a.port.answer(Answer { id, payload }).await.unwrap();
        let started = Instant::now();
        let settled = async {
            while a.port.join(join(topic)).await.unwrap().neighbors != [b] {
                tokio::task::yield_now().await;
            }
        };
        let settled = tokio::time::timeout(Duration::from_secs(60), settled).await;
        settled.unwrap_or_else(|_| panic!("{c:?} is still a neighbor, or {b:?} is none"));
        println!("right again {:?} after the answer", started.elapsed());
        done.send(()).unwrap();
        // The answer is on its way; with this runtime it would end.
        tokio::task::spawn_blocking(|| flooder.join().unwrap())
            .await
            .unwrap();
        a.port.stop().await.unwrap();
    });
}

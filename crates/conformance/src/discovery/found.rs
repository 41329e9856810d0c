//! Clauses of finding others, and of being found.

use std::collections::BTreeSet;

use kukuri_contract::{
    Announce, AnnounceError, CallError, DhtHealthQuery, Discover, DiscoveryEvent, EndpointAddr,
    Lookup, SetAddress, SetNeighbors, Source, TopicId, Verdict,
};

use super::{Discovery, Node, at, node, peer};
use crate::every::end;
use crate::kit::{Held, Stage, ensure, ensure_eq, until};

/// A peer that is told in a topic.
fn found(event: DiscoveryEvent) -> Option<(TopicId, EndpointAddr, Source)> {
    match event {
        DiscoveryEvent::PeerFound {
            topic,
            peer,
            source,
            ..
        } => Some((topic, peer, source)),
        _ => None,
    }
}

impl Node {
    /// Waits until all of these are told, in whatever order.
    async fn finds(
        &mut self,
        on: &Stage<'_, Discovery>,
        wanted: impl IntoIterator<Item = (TopicId, EndpointAddr, Source)>,
    ) -> Held {
        let mut missing: Vec<_> = wanted.into_iter().collect();
        let all = |event| {
            if let Some(found) = found(event) {
                missing.retain(|wanted| *wanted != found);
            }
            missing.is_empty().then_some(())
        };
        self.log.find(on.patience(), "peers to be found", all).await
    }

    /// Looks until another one is found at this address.
    async fn looks_up(
        &mut self,
        on: &Stage<'_, Discovery>,
        topic: TopicId,
        who: &EndpointAddr,
    ) -> Held {
        let (port, log) = (&self.port, &mut self.log);
        let looked = async || {
            port.lookup(Lookup { topic }).await?;
            let mut told = log.drain().into_iter().filter_map(found);
            let is_there = told.any(|(of, peer, _)| of == topic && peer == *who);
            Ok(is_there.then_some(()))
        };
        until(on.patience(), "another one to be found", looked).await
    }

    /// Announces itself, again where it is too early or fails.
    async fn announces(&self, on: &Stage<'_, Discovery>, topic: TopicId) -> Held {
        let announced = async || match self.port.announce(Announce { topic }).await {
            Ok(_) => Ok(Some(())),
            Err(CallError::Refused(AnnounceError::Skipped(_) | AnnounceError::NotStored(_))) => {
                Ok(None)
            }
            Err(error) => Err(error.into()),
        };
        until(on.patience(), "an announcement", announced).await
    }
}

pub async fn peers_that_are_given_are_found(on: &Stage<'_, Discovery>) -> Held {
    let mut node = node(on, 1).await;
    let topic = node.topic("tea").await?;
    let discover = Discover {
        topic,
        peers: vec![peer(1), peer(2)],
        cached: vec![peer(3)],
    };
    node.port.discover(discover).await?;
    let wanted = [
        (topic, peer(1), Source::Static),
        (topic, peer(2), Source::Static),
        (topic, peer(3), Source::Cache),
    ];
    node.finds(on, wanted).await?;
    end(on, &node.port).await
}

pub async fn a_repeated_discover_adds_its_peers(on: &Stage<'_, Discovery>) -> Held {
    let mut node = node(on, 1).await;
    let topic = node.topic("tea").await?;
    node.discover(topic, &[]).await?;
    node.discover(topic, &[peer(1)]).await?;
    node.finds(on, [(topic, peer(1), Source::Static)]).await?;
    end(on, &node.port).await
}

pub async fn the_events_of_a_topic_keep_their_order(on: &Stage<'_, Discovery>) -> Held {
    const PEERS: u8 = 8;
    let mut node = node(on, 1).await;
    let topic = node.topic("tea").await?;
    let given: Vec<_> = (1..=PEERS).map(peer).collect();
    for peer in &given {
        node.discover(topic, std::slice::from_ref(peer)).await?;
    }
    let (mut told, mut last, mut in_order) = (Vec::new(), None, true);
    let all = |event| {
        if let DiscoveryEvent::PeerFound { peer, after, .. } = event {
            in_order &= last <= Some(after);
            last = Some(after);
            // It may be told again; the first time counts.
            if !told.contains(&peer) {
                told.push(peer);
            }
        }
        (told.len() == given.len()).then_some(())
    };
    node.log
        .find(on.patience(), "each peer that was given", all)
        .await?;
    ensure_eq!(told, given, "peers");
    ensure!(in_order, "a later event has an earlier time");
    end(on, &node.port).await
}

pub async fn it_does_not_find_itself(on: &Stage<'_, Discovery>) -> Held {
    let mut node = node(on, 1).await;
    let topic = node.topic("tea").await?;
    let me = node.is_at(20_001).await?;
    let discover = Discover {
        topic,
        peers: vec![me.clone(), peer(1)],
        cached: vec![me],
    };
    node.port.discover(discover).await?;
    let mut told = BTreeSet::new();
    let other = |event| {
        told.extend(found(event).map(|(_, peer, _)| peer.id));
        told.contains(&peer(1).id).then_some(())
    };
    node.log.find(on.patience(), "the other", other).await?;
    // What is told beside was told before this is answered.
    node.port.health(DhtHealthQuery).await?;
    let rest = node.log.drain().into_iter().filter_map(found);
    told.extend(rest.map(|(_, peer, _)| peer.id));
    ensure!(!told.contains(&node.endpoint), "it finds itself");
    end(on, &node.port).await
}

pub async fn topics_are_kept_apart(on: &Stage<'_, Discovery>) -> Held {
    let mut node = node(on, 1).await;
    let (tea, soup) = (node.topic("tea").await?, node.topic("soup").await?);
    node.discover(tea, &[peer(1)]).await?;
    node.discover(soup, &[peer(2)]).await?;
    let mut told = BTreeSet::new();
    let both = |event| {
        told.extend(found(event).map(|(topic, peer, _)| (topic, peer.id)));
        let all = [(tea, peer(1).id), (soup, peer(2).id)];
        all.iter().all(|one| told.contains(one)).then_some(())
    };
    node.log
        .find(on.patience(), "a peer in each topic", both)
        .await?;
    // What is told beside was told before this is answered.
    node.port.health(DhtHealthQuery).await?;
    let rest = node.log.drain().into_iter().filter_map(found);
    told.extend(rest.map(|(topic, peer, _)| (topic, peer.id)));
    ensure_eq!(told.len(), 2, "peers told");
    end(on, &node.port).await
}

pub async fn a_verdict_tells_that_nobody_is_there(on: &Stage<'_, Discovery>) -> Held {
    let mut node = node(on, 1).await;
    let topic = node.topic("tea").await?;
    node.is_at(20_001).await?;
    node.discover(topic, &[]).await?;
    let verdict = |event| match event {
        DiscoveryEvent::VerdictChanged { topic: of, verdict } if of == topic => Some(verdict),
        _ => None,
    };
    let told = node.log.find(on.patience(), "a verdict", verdict).await?;
    ensure!(
        !matches!(told, Verdict::Joined { .. } | Verdict::FoundButUnreachable),
        "the verdict of a topic with nobody in it is {told}"
    );
    end(on, &node.port).await
}

pub async fn others_are_found(on: &Stage<'_, Discovery>) -> Held {
    let (one, mut two) = (node(on, 1).await, node(on, 2).await);
    let topic = one.topic("tea").await?;
    two.topic("tea").await?;
    for node in [&one, &two] {
        node.discover(topic, &[]).await?;
    }
    for (node, port) in [(&one, 20_001), (&two, 20_002)] {
        let mut address = at(node.endpoint, port);
        // Not every address means something on every network.
        address.direct.push(([10, 77, 0, 1], port).into());
        let port = None;
        node.port.set_address(SetAddress { address, port }).await?;
    }
    let it = |event| found(event).filter(|(of, peer, _)| (*of, peer.id) == (topic, one.endpoint));
    two.log.find(on.patience(), "another member", it).await?;
    end(on, &one.port).await?;
    end(on, &two.port).await
}

pub async fn announce_then_lookup_finds_it(on: &Stage<'_, Discovery>) -> Held {
    let (one, mut two) = (node(on, 1).await, node(on, 2).await);
    let topic = one.topic("tea").await?;
    two.topic("tea").await?;
    let address = one.is_at(20_001).await?;
    two.is_at(20_002).await?;
    one.discover(topic, &[]).await?;
    one.announces(on, topic).await?;
    two.discover(topic, &[]).await?;
    two.looks_up(on, topic, &address).await?;
    end(on, &one.port).await?;
    end(on, &two.port).await
}

pub async fn an_older_address_never_wins(on: &Stage<'_, Discovery>) -> Held {
    let (one, mut two) = (node(on, 1).await, node(on, 2).await);
    let topic = one.topic("tea").await?;
    two.topic("tea").await?;
    one.is_at(20_001).await?;
    two.is_at(20_002).await?;
    one.discover(topic, &[]).await?;
    one.announces(on, topic).await?;
    let moved = one.is_at(20_003).await?;
    two.discover(topic, &[]).await?;
    two.looks_up(on, topic, &moved).await?;
    end(on, &one.port).await?;
    end(on, &two.port).await
}

/// The end of a look-up in the topic.
fn ended(topic: TopicId) -> impl FnMut(DiscoveryEvent) -> Option<kukuri_contract::LookupStats> {
    move |event| match event {
        DiscoveryEvent::LookupEnded { topic: of, stats } if of == topic => Some(stats),
        _ => None,
    }
}

pub async fn the_search_goes_on_without_neighbors(on: &Stage<'_, Discovery>) -> Held {
    let mut node = node(on, 1).await;
    let topic = node.topic("tea").await?;
    node.is_at(20_001).await?;
    node.discover(topic, &[]).await?;
    node.log
        .find(on.patience(), "a look-up", ended(topic))
        .await?;
    for neighbors in [vec![peer(1).id], vec![]] {
        node.log.drain();
        let set = SetNeighbors { topic, neighbors };
        node.port.set_neighbors(set).await?;
    }
    node.log
        .find(on.patience(), "another look-up", ended(topic))
        .await?;
    end(on, &node.port).await
}

pub async fn a_lookup_that_is_answered_is_told(on: &Stage<'_, Discovery>) -> Held {
    let mut node = node(on, 1).await;
    let topic = node.topic("tea").await?;
    node.is_at(20_001).await?;
    node.discover(topic, &[]).await?;
    let answered = node.port.lookup(Lookup { topic }).await?;
    let mut ended = ended(topic);
    let same = |event| ended(event).filter(|stats| *stats == answered);
    node.log
        .find(on.patience(), "the event of a look-up", same)
        .await?;
    end(on, &node.port).await
}

//! Clauses of peers, DHT contacts and bans.

use std::collections::BTreeSet;
use std::fmt::Debug;
use std::net::SocketAddr;

use kukuri_contract::{
    Ban, Bans, Contacts, EndpointAddr, EndpointId, KnownPeer, MAX_DIRECT_ADDRESSES, MAX_LISTED,
    Offense, RememberContacts, SaveBan, Source, StorePort, UnixMillis,
};

use super::*;
use crate::every::end;
use crate::kit::{Broken, Held, Stage, ensure, ensure_eq};

pub async fn an_older_sight_never_wins(on: &Stage<'_, Store>) -> Held {
    let port = on.begin(1).await.port;
    let (old, new) = (sight(1, 1, ago(9000)), sight(1, 2, ago(1000)));
    remember(&port, TOPIC, &[new.clone(), old]).await?;
    ensure_eq!(port.known_peers(known(TOPIC, 9)).await?, [new], "peers");
    let newest = sight(1, 3, ago(0));
    let newest_at = newest.seen_at;
    remember(&port, TOPIC, std::slice::from_ref(&newest)).await?;
    ensure_eq!(
        port.known_peers(known(TOPIC, 9)).await?,
        [newest],
        "peers seen anew"
    );
    let at_one_time = sight(1, 4, ago(0));
    let at_one_time = KnownPeer {
        seen_at: newest_at,
        ..at_one_time
    };
    remember(&port, TOPIC, std::slice::from_ref(&at_one_time)).await?;
    ensure_eq!(
        port.known_peers(known(TOPIC, 9)).await?,
        [at_one_time],
        "peers seen twice at one time"
    );
    end(on, &port).await
}

pub async fn the_peers_seen_last_come_first(on: &Stage<'_, Store>) -> Held {
    let port = on.begin(1).await.port;
    let [one, two, three] = [(1, 300), (2, 100), (3, 200)].map(|(n, ms)| sight(n, 1, ago(ms)));
    remember(&port, TOPIC, &[one.clone(), two.clone(), three.clone()]).await?;
    let peers = port.known_peers(known(TOPIC, 9)).await?;
    ensure_eq!(peers, [two.clone(), three.clone(), one], "peers");
    ensure_eq!(
        port.known_peers(known(TOPIC, 2)).await?,
        [two, three],
        "two peers"
    );
    ensure_eq!(port.known_peers(known(TOPIC, 0)).await?, [], "no peers");
    let any = port.known_peers(known(TOPIC, usize::MAX)).await?;
    ensure_eq!(any, peers, "any number of peers");
    end(on, &port).await
}

pub async fn contacts_seen_last_come_first(on: &Stage<'_, Store>) -> Held {
    let port = on.begin(1).await.port;
    let contact = |n: u8| ([192, 0, 2, n], 6881).into();
    for (seen, contacts) in [(300, vec![1, 2]), (100, vec![3]), (200, vec![4, 3])] {
        let request = RememberContacts {
            contacts: contacts.into_iter().map(contact).collect(),
            seen_at: ago(seen),
        };
        port.remember_contacts(request).await?;
    }
    let contacts = port.contacts(Contacts { limit: 9 }).await?;
    ensure_eq!(
        contacts[..2.min(contacts.len())],
        [contact(3), contact(4)],
        "contacts"
    );
    let kept = [1, 2, 3, 4]
        .map(contact)
        .iter()
        .all(|c| contacts.contains(c));
    ensure!(kept && contacts.len() == 4, "contacts are {contacts:?}");
    let two = port.contacts(Contacts { limit: 2 }).await?;
    ensure_eq!(two, contacts[..2], "two contacts");
    let limit = usize::MAX;
    let any = port.contacts(Contacts { limit }).await?;
    ensure_eq!(any, contacts, "any number of contacts");
    ensure_eq!(port.contacts(Contacts { limit: 0 }).await?, [], "none");
    end(on, &port).await
}

fn ban(n: u8, until: u64, times: u32) -> Ban {
    Ban {
        peer: EndpointId::from_bytes([n; 32]),
        until: UnixMillis(until),
        times,
        reason: Offense::Flood,
    }
}

pub async fn a_ban_replaces_the_one_before(on: &Stage<'_, Store>) -> Held {
    let port = on.begin(1).await.port;
    // The one that ends sooner, too: the one saved last counts.
    for ban in [
        ban(1, 900, 1),
        ban(2, 500, 1),
        ban(1, 300, 2),
        ban(3, 400, 1),
    ] {
        port.save_ban(SaveBan(ban)).await?;
    }
    let bans = port.bans(Bans { limit: 9 }).await?;
    ensure_eq!(
        bans,
        [ban(2, 500, 1), ban(3, 400, 1), ban(1, 300, 2)],
        "bans"
    );
    let one = port.bans(Bans { limit: 1 }).await?;
    ensure_eq!(one, [ban(2, 500, 1)], "one ban");
    let limit = usize::MAX;
    ensure_eq!(port.bans(Bans { limit }).await?, bans, "any number of bans");
    ensure_eq!(port.bans(Bans { limit: 0 }).await?, [], "no bans");
    end(on, &port).await
}

/// A peer of each source, some with many addresses, some with none; last seen first.
pub fn odd_peers() -> Vec<KnownPeer> {
    let many: [SocketAddr; MAX_DIRECT_ADDRESSES] = [
        ([192, 0, 2, 7], 1).into(),
        ([0x2001, 0xdb8, 0, 0, 0, 0, 0, 7], 65_535).into(),
        ([0, 0, 0, 0, 0, 0xffff, 0xc000, 0x207], 2).into(),
        ([198, 51, 100, 1], 443).into(),
    ];
    let peers = (1..).zip(Source::ALL).map(|(n, source)| KnownPeer {
        peer: EndpointAddr {
            id: EndpointId::from_bytes([255 - n; 32]),
            direct: many[..usize::from(n) % 5].to_vec(),
            relay: (n % 2 == 0).then(|| "https://relay.example:8443/".into()),
        },
        source,
        seen_at: ago(u64::from(n)),
    });
    peers.collect()
}

/// Keeps contacts of two kinds, and tells what is expected.
pub async fn odd_contacts(port: &StorePort) -> Result<Vec<SocketAddr>, Broken> {
    let contacts: [SocketAddr; 3] = [
        ([0x2001, 0xdb8, 0, 0, 0, 0, 0, 9], 6881).into(),
        ([192, 0, 2, 9], 6881).into(),
        ([192, 0, 2, 9], 65_535).into(),
    ];
    // Not in the order of their times.
    for at in [1, 0, 2] {
        let request = RememberContacts {
            contacts: vec![contacts[at]],
            seen_at: contact_seen(at as u64),
        };
        port.remember_contacts(request).await?;
    }
    Ok(contacts.to_vec())
}

/// When contact number `at` of the odd ones was seen, at odd numbers: between two of them.
pub fn contact_seen(at: u64) -> UnixMillis {
    UnixMillis((1 << 40) + 1_000_000 - 1000 * at)
}

/// Keeps a ban for each offense, and tells what is expected.
pub async fn odd_bans(port: &StorePort) -> Result<Vec<Ban>, Broken> {
    let ban = |n: u8, reason| Ban {
        peer: EndpointId::from_bytes([n; 32]),
        until: UnixMillis(i64::MAX as u64 - u64::from(n)),
        times: u32::MAX - u32::from(n),
        reason,
    };
    let bans: Vec<_> = (1..).zip(Offense::ALL).map(|(n, o)| ban(n, o)).collect();
    for ban in &bans {
        port.save_ban(SaveBan(*ban)).await?;
    }
    Ok(bans)
}

/// More than any store keeps of peers, contacts and bans.
const TOO_MANY: u16 = MAX_LISTED as u16 + 76;

/// An id that no other number has.
fn numbered(n: u16) -> EndpointId {
    let mut id = [9; 32];
    // Neither ascending nor descending.
    id[..2].copy_from_slice(&n.wrapping_mul(40_503).to_be_bytes());
    EndpointId::from_bytes(id)
}

pub async fn lists_are_bounded(on: &Stage<'_, Store>) -> Held {
    let port = on.begin(1).await.port;
    let now = ago(0).0;
    let when = |n: u16| UnixMillis(now - u64::from(TOO_MANY) + u64::from(n));
    let contact = |n: u16| SocketAddr::from(([192, 0, 2, 1], n));
    for n in 1..=TOO_MANY {
        let ban = Ban {
            peer: numbered(n),
            ..ban(0, when(n).0, 1)
        };
        let mut sight = sight(1, n, when(n));
        sight.peer.id = numbered(n);
        let contacts = RememberContacts {
            contacts: vec![contact(n)],
            seen_at: when(n),
        };
        let (banned, seen, kept) = tokio::join!(
            port.save_ban(SaveBan(ban)),
            remember(&port, TOPIC, std::slice::from_ref(&sight)),
            port.remember_contacts(contacts),
        );
        banned?;
        seen?;
        kept?;
    }
    let limit = usize::MAX;
    let bans = port.bans(Bans { limit }).await?;
    let bans: Vec<_> = bans.iter().map(|ban| ban.peer).collect();
    newest("bans", &bans, numbered)?;
    let peers = port.known_peers(known(TOPIC, limit)).await?;
    let peers: Vec<_> = peers.iter().map(|known| known.peer.id).collect();
    newest("peers", &peers, numbered)?;
    let contacts = port.contacts(Contacts { limit }).await?;
    newest("contacts", &contacts, contact)?;
    end(on, &port).await
}

/// Fewer than there were, and those are the last ones: their order is for other clauses.
fn newest<T: Ord + Clone + Debug>(what: &str, told: &[T], nth: impl Fn(u16) -> T) -> Held {
    ensure!(
        (1..=MAX_LISTED).contains(&told.len()),
        "there are {} {what}",
        told.len()
    );
    let last = (1..=TOO_MANY).rev().take(told.len());
    let last: BTreeSet<T> = last.map(nth).collect();
    let told: BTreeSet<T> = told.iter().cloned().collect();
    ensure!(told == last, "{what} are not the last ones: {told:?}");
    Ok(())
}

//! Bans outlive a restart, and are bounded.

use kukuri_contract::{Ban, Bans, EndpointId, Offense, SaveBan, UnixMillis};

use crate::support::open;

fn ban(n: u16, until: u64, reason: Offense) -> Ban {
    let mut peer = [7; 32];
    peer[..2].copy_from_slice(&n.to_be_bytes());
    Ban {
        peer: EndpointId::from_bytes(peer),
        until: UnixMillis(until),
        times: u32::from(n),
        reason,
    }
}

#[actix::test]
async fn bans_survive_a_restart_and_the_last_one_of_a_peer_counts() {
    let dir = tempfile::tempdir().unwrap();
    let (port, _log) = open(dir.path()).await;
    let each = (1..).zip(Offense::ALL);
    let mut bans: Vec<_> = each
        .map(|(n, reason)| ban(n, 100 + u64::from(n), reason))
        .collect();
    for ban in &bans {
        port.save_ban(SaveBan(*ban)).await.unwrap();
    }
    bans[0].until = UnixMillis(500);
    bans[0].times = 7;
    bans[0].reason = Offense::Replay;
    port.save_ban(SaveBan(bans[0])).await.unwrap();
    port.stop().await.unwrap();
    let (port, _log) = open(dir.path()).await;
    bans.sort_by_key(|ban| std::cmp::Reverse(ban.until));
    assert_eq!(port.bans(Bans { limit: 100 }).await.unwrap(), bans);
    assert_eq!(port.bans(Bans { limit: 2 }).await.unwrap(), bans[..2]);
}

#[actix::test]
async fn bans_are_bounded_and_those_that_end_first_go() {
    let dir = tempfile::tempdir().unwrap();
    let (port, _log) = open(dir.path()).await;
    let save = |n| port.save_ban(SaveBan(ban(n, u64::from(n), Offense::Flood)));
    for n in 0..11 {
        let some = (0..128).map(|m| save(n * 128 + m));
        for saved in futures_util::future::join_all(some).await {
            saved.unwrap();
        }
    }
    let bans = port.bans(Bans { limit: 5000 }).await.unwrap();
    let until: Vec<_> = bans.iter().map(|ban| ban.until.0).collect();
    let expected: Vec<_> = (384..1408).rev().collect();
    assert_eq!(until, expected);
}

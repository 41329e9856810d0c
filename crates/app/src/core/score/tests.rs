use super::*;

const S: Duration = Duration::from_secs(1);
const WALL: UnixMillis = UnixMillis(1_780_000_000_000);

fn peer(n: u16) -> EndpointId {
    let mut id = [0; 32];
    id[..2].copy_from_slice(&n.to_be_bytes());
    EndpointId::from_bytes(id)
}

/// Offends every `pause` until it is banned, or a day is over.
fn until_banned(scores: &mut Scores, offense: Offense, pause: Duration) -> Option<(Duration, Ban)> {
    let times = (1..).map(|n| pause * n);
    for now in times.take_while(|now| *now < 86_400 * S) {
        if let Outcome::Banned(ban) = scores.offends(peer(1), offense, now, WALL) {
            return Some((now, ban));
        }
    }
    None
}

#[test]
fn whoever_goes_on_is_banned_and_whoever_errs_now_and_then_is_not() {
    let after = |offense, pause| {
        let banned = until_banned(&mut Scores::default(), offense, pause);
        banned.map(|(after, _)| after.as_secs())
    };
    assert_eq!(after(Offense::Garbage, S), Some(11));
    assert_eq!(after(Offense::Garbage, 10 * S), None);
    assert_eq!(after(Offense::Flood, S), Some(11));
    assert_eq!(after(Offense::BadAnswer, S), Some(6));
    assert_eq!(after(Offense::BadAnswer, 20 * S), None);
    assert_eq!(after(Offense::BadStream, S), Some(11));
    assert_eq!(after(Offense::BadStream, 10 * S), None, "a bad network");
    assert_eq!(after(Offense::Replay, S), Some(23));
    assert_eq!(after(Offense::Questions, S), None, "they are refused");
}

#[test]
fn a_burst_counts_once_and_kinds_add_up() {
    let mut scores = Scores::default();
    let mut offend = |offense| scores.offends(peer(1), offense, 5 * S, WALL);
    assert_eq!(offend(Offense::Garbage), Outcome::Counted);
    for _ in 0..1000 {
        assert_eq!(offend(Offense::Garbage), Outcome::Known);
    }
    assert_eq!(offend(Offense::BadAnswer), Outcome::Counted);
    assert_eq!(offend(Offense::BadQuestion), Outcome::Counted);
    assert!(!scores.is_banned(peer(1), WALL));
}

#[test]
fn bans_get_longer_end_and_are_forgotten() {
    let mut scores = Scores::default();
    let mut wall = WALL;
    let mut lasted = Vec::new();
    let mut start = Duration::ZERO;
    let mut ban = |scores: &mut Scores, wall: UnixMillis| {
        loop {
            start += S;
            if let Outcome::Banned(ban) = scores.offends(peer(1), Offense::BadStream, start, wall) {
                return ban;
            }
        }
    };
    for times in 1..=10 {
        let made = ban(&mut scores, wall);
        assert_eq!(made.times, times);
        lasted.push((made.until.0 - wall.0) / 60_000);
        assert!(scores.is_banned(peer(1), UnixMillis(made.until.0 - 1)));
        assert_eq!(scores.banned(wall).collect::<Vec<_>>(), [peer(1)]);
        let known = scores.offends(peer(1), Offense::BadAnswer, S, wall);
        assert_eq!(known, Outcome::Known, "banned already");
        wall = made.until;
        assert!(!scores.is_banned(peer(1), wall));
        assert_eq!(scores.banned(wall).count(), 0);
    }
    let day = 24 * 60;
    assert_eq!(lasted, [10, 20, 40, 80, 160, 320, 640, 1280, day, day]);
    let later = UnixMillis(wall.0 + FORGIVEN_MS);
    assert_eq!(ban(&mut scores, later).times, 1);
}

#[test]
fn bans_for_broadcasts_are_short_and_make_no_other_longer() {
    let mut scores = Scores::default();
    let mut wall = WALL;
    for offense in [Offense::Garbage, Offense::Flood, Offense::Replay] {
        let start = Duration::from_millis(wall.0 - WALL.0);
        let banned =
            (1..100).find_map(
                |n| match scores.offends(peer(1), offense, start + n * S, wall) {
                    Outcome::Banned(ban) => Some(ban),
                    _ => None,
                },
            );
        let ban = banned.unwrap();
        assert_eq!((ban.until.0 - wall.0, ban.times), (60_000, 0));
        wall = UnixMillis(ban.until.0 + 600_000);
    }
    let start = Duration::from_millis(wall.0 - WALL.0);
    let banned = (1..100).find_map(|n| {
        match scores.offends(peer(1), Offense::BadAnswer, start + n * S, wall) {
            Outcome::Banned(ban) => Some(ban),
            _ => None,
        }
    });
    assert_eq!(banned.unwrap().times, 1, "a first one");
}

#[test]
fn bans_of_an_earlier_run_count() {
    let mut scores = Scores::default();
    let ban = |n, until| Ban {
        peer: peer(n),
        until: UnixMillis(until),
        times: 3,
        reason: Offense::Flood,
    };
    let over = WALL.0 - 1;
    scores.load(
        vec![ban(1, over), ban(2, WALL.0 + 5), ban(3, u64::MAX)],
        WALL,
    );
    assert_eq!(scores.banned(WALL).collect::<Vec<_>>(), [peer(2), peer(3)]);
    let tomorrow = UnixMillis(WALL.0 + LONGEST_BAN_MS);
    assert_eq!(scores.banned(tomorrow).count(), 0, "no ban is longer");
    let (_, again) = until_banned(&mut scores, Offense::BadClaim, S).unwrap();
    assert_eq!(again.times, 4);
}

#[test]
fn a_small_share_of_bad_broadcasts_is_no_garbage() {
    let mut scores = Scores::default();
    for _ in 0..100 {
        assert!(scores.sends(peer(1), S));
    }
    let garbage = (0..20).map(|_| scores.sent_garbage(peer(1), S));
    assert_eq!(
        garbage.filter(|garbage| *garbage).count(),
        11,
        "10 to 20 of 100"
    );
    assert!(scores.sends(peer(1), 2 * S));
    assert!(
        scores.sent_garbage(peer(1), 2 * S),
        "all of the next second"
    );
}

#[test]
fn floods_are_cut_off() {
    let mut scores = Scores::default();
    let sent = (0..10_000).filter(|_| scores.sends(peer(1), S)).count();
    assert_eq!(sent, FIRST_HAND.burst as usize);
    let asked = (0..10_000).filter(|_| scores.asks(peer(1), S)).count();
    assert_eq!(asked, QUESTIONS.burst as usize);
    assert!(scores.sends(peer(2), S) && scores.asks(peer(2), S));
}

#[test]
fn memory_is_bounded_and_the_worst_are_remembered() {
    let mut scores = Scores::default();
    scores.offends(peer(0), Offense::Garbage, S, WALL);
    for n in 1..3 * MAX_PEERS as u16 {
        scores.sends(peer(n), S);
        assert!(scores.peers.len() <= MAX_PEERS);
    }
    assert!(scores.peers.contains_key(&peer(0)));
    for n in 0..3 * MAX_PEERS as u16 {
        for second in 1..=20 {
            scores.offends(peer(n), Offense::BadAnswer, second * S, WALL);
        }
    }
    assert_eq!(scores.bans.len(), MAX_PEERS);
}

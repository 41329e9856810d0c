use super::*;
use crate::core::testing::{NOW, Seeded};

const MS: Duration = Duration::from_millis(1);
const STORED: AnnounceResult = AnnounceResult::Stored;
const FAILED: AnnounceResult = AnnounceResult::Failed;

#[test]
fn three_retries_then_over() {
    let (config, mut rng) = (Config::default(), Seeded(1));
    let mut announcer = Announcer::default();
    let query = QueryId(1);
    announcer.start(query, 0, MS, &mut rng, &config).unwrap();
    let mut now = MS;
    for _ in 0..config.announce_retries {
        let end = announcer.try_ended(query, FAILED, now, &mut rng, &config);
        assert_eq!(end, Some(TryEnd::Retry));
        let at = announcer.next_wake().unwrap();
        assert!(at - now <= 500 * MS);
        now = at;
        assert_eq!(announcer.retry_due(now), Some(query));
        assert_eq!(announcer.retry_due(now), None);
    }
    let end = announcer.try_ended(query, FAILED, now, &mut rng, &config);
    let took = now - MS;
    let result = FAILED;
    assert_eq!(end, Some(TryEnd::Over { result, took }));
    assert!(!announcer.busy());
}

#[test]
fn a_failed_one_comes_again_soon_then_ever_later() {
    let config = Config {
        announce_retries: 0,
        ..Config::default()
    };
    let (me, mut rng) = (EndpointId::from_bytes([1; 32]), Seeded(1));
    let mut announcer = Announcer::default();
    let mut now = Now {
        mono: Duration::ZERO,
        unix: NOW,
    };
    let mut round = |result| {
        let query = QueryId(1);
        announcer
            .start(query, 0, now.mono, &mut rng, &config)
            .unwrap();
        announcer.try_ended(query, result, now.mono, &mut rng, &config);
        announcer.plan_next(me, 1, now, &config);
        let wait = announcer.next_wake().unwrap() - now.mono;
        now.mono += wait;
        wait.as_secs()
    };
    assert_eq!([FAILED; 3].map(&mut round), [30, 60, 120]);
    assert!((150..450).contains(&round(FAILED)), "the usual interval");
    assert!((150..450).contains(&round(STORED)));
    assert_eq!(round(FAILED), 30);
}

#[test]
fn at_most_ten_a_minute() {
    let (config, mut rng) = (Config::default(), Seeded(1));
    let mut announcer = Announcer::default();
    let mut write = |now| {
        announcer.start(QueryId(1), 0, now, &mut rng, &config)?;
        announcer.try_ended(QueryId(1), STORED, now, &mut rng, &config);
        Ok(())
    };
    for n in 0..10 {
        assert_eq!(write(n * MS), Ok(()));
    }
    assert_eq!(write(11 * MS), Err(SkipReason::Budget));
    assert_eq!(write(MINUTE), Ok(()));
    assert_eq!(write(MINUTE), Err(SkipReason::Budget));
}

#[test]
fn newcomers_of_a_crowd_stay_away_mostly() {
    let (config, mut rng) = (Config::default(), Seeded(1));
    let announced = (0..1000)
        .filter(|_| {
            let mut newcomer = Announcer::default();
            newcomer
                .start(QueryId(1), 100, MS, &mut rng, &config)
                .is_ok()
        })
        .count();
    // One in ten; the seed is fixed, so the count is too.
    assert!((50..200).contains(&announced), "{announced}");
}

#[test]
fn a_crowd_is_doubted_once_and_not_hurried() {
    let mut newcomer = Announcer::default();
    newcomer.doubt(MS);
    newcomer.hurry_first(2 * MS);
    assert!(!newcomer.is_due(CROWD_PROOF));
    assert!(newcomer.is_due(CROWD_PROOF + MS));
    assert!(newcomer.end_doubt() && !newcomer.end_doubt());
}

#[test]
fn members_spread_over_the_interval() {
    let interval = 300_000;
    let waits: Vec<_> = (0..100)
        .map(|n| wait_for_place(EndpointId::from_bytes([n; 32]), interval, interval / 2, NOW))
        .collect();
    assert!(
        waits
            .iter()
            .all(|w| (interval / 2..interval * 3 / 2).contains(w))
    );
    let early = waits.iter().filter(|w| **w < interval).count();
    assert!((25..75).contains(&early), "{early}");
}

#[test]
fn a_place_in_a_much_shorter_interval_is_given_up() {
    let (config, mut rng) = (Config::default(), Seeded(1));
    let mut announcer = Announcer::default();
    let now = Now {
        mono: Duration::ZERO,
        unix: NOW,
    };
    assert!(
        !announcer.is_outgrown(10_000, &config),
        "the first one is a newcomer's"
    );
    announcer
        .start(QueryId(1), 0, MS, &mut rng, &config)
        .unwrap();
    announcer.try_ended(QueryId(1), STORED, MS, &mut rng, &config);
    announcer.plan_next(EndpointId::from_bytes([1; 32]), 50, now, &config);
    assert!(!announcer.is_outgrown(100, &config));
    assert!(announcer.is_outgrown(101, &config));
    announcer.plan_anew(EndpointId::from_bytes([1; 32]), 1000, now, &config);
    assert!(!announcer.is_outgrown(1000, &config));
    assert!(announcer.next_wake() < Some(Duration::from_secs(6000)));
}

#[test]
fn many_members_write_rarely() {
    let config = Config::default();
    let mut announcer = Announcer::default();
    let now = Now {
        mono: Duration::ZERO,
        unix: NOW,
    };
    announcer.plan_next(EndpointId::from_bytes([1; 32]), 1000, now, &config);
    let wait = announcer.next_wake().unwrap();
    assert!(wait >= Duration::from_secs(3000) && wait < Duration::from_secs(9000));
}

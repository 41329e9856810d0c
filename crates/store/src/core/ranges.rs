//! Ranges of sequence numbers: what is settled, and the gaps between.

use kukuri_contract::MAX_RANGES;

/// From, to; both included.
pub type Range = (u64, u64);

/// The highest number that a row can have.
const LAST: u64 = i64::MAX as u64;

/// Adds a range that begins where the last one does, or later.
pub fn add(ranges: &mut Vec<Range>, (first, last): Range) {
    match ranges.last_mut() {
        Some(before) if first <= before.1.saturating_add(1) => before.1 = before.1.max(last),
        _ => ranges.push((first, last)),
    }
}

/// The same numbers in ascending ranges with gaps between. Others may send anything.
pub fn normal(mut ranges: Vec<Range>) -> Vec<Range> {
    ranges.retain(|(first, last)| first <= last);
    ranges.sort_unstable();
    let mut normal = Vec::with_capacity(ranges.len());
    for range in ranges {
        add(&mut normal, range);
    }
    normal
}

/// The numbers that are in none of these [`normal`] ranges.
pub fn gaps(ranges: &[Range]) -> Vec<Range> {
    let mut gaps = Vec::with_capacity(ranges.len() + 1);
    let mut next = 0;
    for &(first, last) in ranges {
        if first > next {
            gaps.push((next, (first - 1).min(LAST)));
        }
        if last >= LAST {
            return gaps;
        }
        next = last + 1;
    }
    gaps.push((next, LAST));
    gaps
}

/// At most [`MAX_RANGES`] ranges that cover all of these.
///
/// What is not told would be sent again, every time. So rather more is told than is here: some gaps
/// are closed, and what is missing there is not asked for this time. Which gaps stay open goes
/// round with `turn`, so that a gap that nobody can fill does not keep another from being filled.
/// What comes after the last range is never covered: newer posts are asked for every time.
pub fn bound(ranges: Vec<Range>, turn: u64) -> Vec<Range> {
    let many = ranges.len();
    if many <= MAX_RANGES {
        return ranges;
    }
    let start = (turn % many as u64) as usize;
    let mut bounded: Vec<Range> = Vec::with_capacity(MAX_RANGES);
    for (at, (first, last)) in ranges.into_iter().enumerate() {
        // One fewer than ranges: the first range is there whether the gap before it is open or not.
        let open = (at + many - start) % many < MAX_RANGES - 1;
        match bounded.last_mut() {
            _ if open => bounded.push((first, last)),
            Some(before) => before.1 = last,
            None => bounded.push((first.min(1), last)),
        }
    }
    bounded
}

/// At most `most` of these ascending ranges, the longest ones, in their order: a few numbers of a
/// thief's can't take the place of all that was written before.
pub fn longest(mut ranges: Vec<Range>, most: usize) -> Vec<Range> {
    ranges.sort_by_key(|(first, last)| std::cmp::Reverse(last - first));
    ranges.truncate(most);
    ranges.sort_unstable();
    ranges
}

/// The turn after a turn. The golden ratio, as a fraction of 2^64, leaves no gap out for long,
/// whichever of the turns an author gets.
pub fn next_turn(turn: u64) -> u64 {
    turn.wrapping_add(0x9e37_79b9_7f4a_7c15)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    fn of(numbers: &BTreeSet<u64>) -> Vec<Range> {
        let mut ranges = Vec::new();
        for number in numbers {
            add(&mut ranges, (*number, *number));
        }
        ranges
    }

    fn has(ranges: &[Range], number: u64) -> bool {
        ranges.iter().any(|(a, b)| (*a..=*b).contains(&number))
    }

    #[test]
    fn gaps_end_where_rows_end() {
        assert_eq!(gaps(&[]), [(0, LAST)]);
        assert_eq!(gaps(&[(0, LAST)]), []);
        assert_eq!(gaps(&[(1, u64::MAX)]), [(0, 0)]);
        assert_eq!(gaps(&[(u64::MAX, u64::MAX)]), [(0, LAST)]);
        assert_eq!(gaps(&[(2, 3), (5, 5)]), [(0, 1), (4, 4), (6, LAST)]);
    }

    #[test]
    fn every_gap_is_open_now_and_then() {
        let ranges: Vec<Range> = (1..=1000).map(|n| (n * 10, n * 10 + 1)).collect();
        let mut closed: BTreeSet<_> = ranges.iter().map(|(first, _)| first - 1).collect();
        let mut turn = 0;
        let mut turns = 0;
        while !closed.is_empty() {
            let bounded = bound(ranges.clone(), turn);
            closed.retain(|number| has(&bounded, *number));
            // Another author's turns come between.
            turn = next_turn(next_turn(turn));
            turns += 1;
            assert!(turns < 100, "{} gaps of 1000 never opened", closed.len());
        }
    }

    #[test]
    fn the_longest_ranges_stay() {
        let ranges = vec![(1, 1), (3, 3), (5, 500), (600, 601), (u64::MAX, u64::MAX)];
        assert_eq!(longest(ranges.clone(), 2), [(5, 500), (600, 601)]);
        assert_eq!(longest(ranges.clone(), 9), ranges);
    }

    proptest! {
        #[test]
        fn normal_ranges_keep_their_numbers(
            raw in prop::collection::vec((0u64..50, 0u64..50), 0..20),
        ) {
            let normal = normal(raw.clone());
            for number in 0..60 {
                prop_assert_eq!(has(&normal, number), has(&raw, number));
            }
            for pair in normal.windows(2) {
                prop_assert!(pair[0].1 + 1 < pair[1].0);
            }
            let gaps = gaps(&normal);
            for number in 0..60 {
                prop_assert_ne!(has(&normal, number), has(&gaps, number));
            }
        }

        #[test]
        fn a_bound_covers_all_and_leaves_the_end_open(
            numbers in prop::collection::btree_set(1u64..400, 0..300),
            turn: u64,
        ) {
            let bounded = bound(of(&numbers), turn);
            prop_assert!(bounded.len() <= MAX_RANGES);
            prop_assert_eq!(&normal(bounded.clone()), &bounded);
            for number in &numbers {
                prop_assert!(has(&bounded, *number));
            }
            let last = numbers.last().copied();
            prop_assert_eq!(bounded.last().map(|(_, last)| *last), last);
        }
    }
}

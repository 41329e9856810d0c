//! Whose posts go where a topic has too many: those of the authors with the most.

use std::collections::{BTreeMap, BinaryHeap};

/// An author's id, as a row has it.
pub type Author = [u8; 32];

/// How many posts each author gives up, so that `over` of them go: one after the other, always of an
/// author that has the most by then. So who writes little loses nothing to who writes much.
pub fn to_drop(
    counts: impl IntoIterator<Item = (Author, u64)>,
    over: u64,
) -> BTreeMap<Author, u64> {
    let counts = counts.into_iter();
    let mut most: BinaryHeap<_> = counts.map(|(author, posts)| (posts, author)).collect();
    let mut dropped = BTreeMap::new();
    for _ in 0..over {
        let Some((posts @ 1.., author)) = most.pop() else {
            break;
        };
        *dropped.entry(author).or_default() += 1;
        most.push((posts - 1, author));
    }
    dropped
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(counts: &[u64], over: u64) -> Vec<u64> {
        let authors = (0..).map(|n| [n; 32]);
        let dropped = to_drop(authors.clone().zip(counts.iter().copied()), over);
        let dropped = |author| dropped.get(&author).copied().unwrap_or(0);
        authors.take(counts.len()).map(dropped).collect()
    }

    #[test]
    fn those_with_the_most_give_until_all_have_as_many() {
        assert_eq!(of(&[100, 5, 1], 0), [0, 0, 0]);
        assert_eq!(of(&[100, 5, 1], 90), [90, 0, 0]);
        assert_eq!(of(&[100, 5, 1], 99), [97, 2, 0]);
        assert_eq!(of(&[100, 5, 1], 103), [99, 4, 0]);
        let tie = of(&[1, 1, 1], 2);
        assert_eq!(tie.iter().sum::<u64>(), 2, "equals: whoever");
    }

    #[test]
    fn nobody_gives_more_than_there_is() {
        assert_eq!(of(&[2, 0], 9), [2, 0]);
        assert_eq!(of(&[], 9), []);
    }
}

//! Whether nodes are one swarm.

use std::collections::{BTreeSet, HashMap};

/// Whose word is enough for two to be neighbors.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Word {
    /// Either's.
    Either,
    /// Only that of both: for one of them the connection may have ended.
    Both,
}

/// Whether every node reaches every other over neighbors. Each node by its id, `None` as long as it
/// is not known, and its neighbors.
pub fn is_whole<'a>(
    word: Word,
    nodes: impl IntoIterator<Item = (Option<&'a String>, &'a BTreeSet<String>)>,
) -> bool {
    let (ids, neighbors): (Vec<_>, Vec<_>) = nodes.into_iter().unzip();
    let Some(ids) = ids.into_iter().collect::<Option<Vec<_>>>() else {
        return false;
    };
    let index: HashMap<_, _> = ids.iter().enumerate().map(|(at, id)| (*id, at)).collect();
    let mut edges = vec![Vec::new(); ids.len()];
    for (a, named) in neighbors.iter().enumerate() {
        for b in named.iter().filter_map(|id| index.get(id)) {
            if word == Word::Either || neighbors[*b].contains(ids[a]) {
                edges[a].push(*b);
                edges[*b].push(a);
            }
        }
    }
    let (mut reached, mut next) = (BTreeSet::from([0]), vec![0]);
    while let Some(at) = next.pop() {
        next.extend(edges[at].iter().copied().filter(|to| reached.insert(*to)));
    }
    reached.len() == ids.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn whole(word: Word, nodes: &[(&str, &[&str])]) -> bool {
        let own = |id: &&str| (*id).to_owned();
        let nodes: Vec<(String, BTreeSet<String>)> = nodes
            .iter()
            .map(|(id, neighbors)| (own(id), neighbors.iter().map(own).collect()))
            .collect();
        is_whole(
            word,
            nodes.iter().map(|(id, neighbors)| (Some(id), neighbors)),
        )
    }

    #[test]
    fn one_side_is_enough_or_not_and_a_gap_is_seen() {
        let one_sided: &[(&str, &[&str])] = &[("a", &["b"]), ("b", &[]), ("c", &["b"])];
        assert!(whole(Word::Either, one_sided) && !whole(Word::Both, one_sided));
        let both: &[(&str, &[&str])] = &[("a", &["b"]), ("b", &["a", "c"]), ("c", &["b"])];
        assert!(whole(Word::Both, both));
        let gap: &[(&str, &[&str])] = &[("a", &["b"]), ("b", &["a"]), ("c", &["x"])];
        assert!(!whole(Word::Either, gap));
        assert!(!is_whole(Word::Either, [(None, &BTreeSet::new())]));
    }
}

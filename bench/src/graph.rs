//! Whether nodes are one swarm.

use std::collections::{BTreeSet, HashMap};

/// Whether every node reaches every other over neighbors, whichever of two tells of the other. Each
/// node by its id, `None` as long as it is not known, and its neighbors.
pub fn is_whole<'a>(
    nodes: impl IntoIterator<Item = (Option<&'a String>, &'a BTreeSet<String>)>,
) -> bool {
    let (ids, neighbors): (Vec<_>, Vec<_>) = nodes.into_iter().unzip();
    let Some(ids) = ids.into_iter().collect::<Option<Vec<_>>>() else {
        return false;
    };
    let index: HashMap<_, _> = ids.iter().enumerate().map(|(at, id)| (*id, at)).collect();
    let mut edges = vec![Vec::new(); ids.len()];
    for (a, neighbors) in neighbors.into_iter().enumerate() {
        for b in neighbors.iter().filter_map(|id| index.get(id)) {
            edges[a].push(*b);
            edges[*b].push(a);
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

    fn whole(nodes: &[(&str, &[&str])]) -> bool {
        let own = |id: &&str| (*id).to_owned();
        let nodes: Vec<(String, BTreeSet<String>)> = nodes
            .iter()
            .map(|(id, neighbors)| (own(id), neighbors.iter().map(own).collect()))
            .collect();
        is_whole(nodes.iter().map(|(id, neighbors)| (Some(id), neighbors)))
    }

    #[test]
    fn one_side_is_enough_and_a_gap_is_seen() {
        assert!(whole(&[("a", &["b"]), ("b", &[]), ("c", &["b"])]));
        assert!(!whole(&[("a", &["b"]), ("b", &["a"]), ("c", &["x"])]));
        assert!(!is_whole([(None, &BTreeSet::new())]));
    }
}

//! Gap repair: which posts are here, and which of them somebody else lacks.

use kukuri_contract::{Beyond, Holding, Holdings, PostsBeyond};

use super::Memory;
use crate::core::parcel::{Have, Parcel};
use crate::core::ranges;

impl Memory {
    /// What is settled of each writer, in the order of their ids.
    pub fn holdings(&mut self, request: &Holdings) -> Vec<Holding> {
        let Some(topic) = self.topics.get(&request.topic) else {
            return Vec::new();
        };
        let logs = topic.logs.range(request.from..);
        let settled = logs.map(|(author, log)| (*author, log.ranges()));
        let settled = settled.filter(|(_, ranges)| !ranges.is_empty());
        let turn = &mut self.turn;
        let bounded = settled.take(request.limit).map(|(author, settled)| {
            let ranges = ranges::bound(settled, *turn);
            *turn = ranges::next_turn(*turn);
            Holding { author, ranges }
        });
        bounded.collect()
    }

    /// The posts that somebody with `have` lacks, in the order of writer and number.
    pub fn posts_beyond(&self, request: &PostsBeyond) -> Beyond {
        let mut parcel = Parcel::new(request, &self.limits);
        let mut have = Have::new(&request.have);
        let topic = self.topics.get(&request.topic);
        let Some(topic) = topic.filter(|_| request.from <= request.to) else {
            return parcel.sealed(false);
        };
        for (writer, log) in topic.logs.range(request.from..=request.to) {
            for (first, last) in have.gaps(*writer) {
                let gap = log.posts.range(first..=last).map(|(_, kept)| kept);
                for kept in gap.filter(|kept| !kept.dropped) {
                    if !parcel.put(kept.post.clone()) {
                        return parcel.sealed(true);
                    }
                }
            }
        }
        parcel.sealed(false)
    }
}

//! How packets get from one side of a link to the other, and how links end.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use kukuri_contract::{AskDrop, AskError, DialResult, EndpointId, GossipEvent, TopicId};

use super::link::{Cut, End, Item, Number, Packet};
use super::{Network, News, Pass};

/// Silence after which a packet counts as lost and is sent again: about what QUIC waits on a path of
/// some milliseconds.
const RESEND: Duration = Duration::from_millis(50);
/// Losses of one packet in a row after which its link ends. 16: by chance once in 10^16 where a tenth
/// is lost, and once in 65,536 where half is.
const MAX_LOSSES: u32 = 16;
/// Packets that wait for the end of a cut on one link; beyond, the link ends at once.
const MAX_HELD: usize = 1024;

impl Network {
    /// Splits the network: who is in no part is in one with all others that are in none.
    pub fn split(&mut self, parts: &[BTreeSet<EndpointId>], now: Duration) {
        let numbered = parts.iter().enumerate();
        let parts: BTreeMap<_, _> = numbered
            .flat_map(|(part, ids)| ids.iter().map(move |id| (*id, part)))
            .collect();
        self.parts = Some(parts);
        self.cut_links(now);
    }

    /// Ends the split: what links have held back arrives.
    pub fn heal(&mut self, now: Duration) {
        self.parts = None;
        self.cut_links(now);
    }

    fn cut_links(&mut self, now: Duration) {
        self.at(now);
        for number in self.links.keys().copied().collect::<Vec<_>>() {
            self.cut_link(number);
        }
    }

    /// Has a link that was accepted hold back what goes over it while it is cut, and let it go then.
    pub(super) fn cut_link(&mut self, number: Number) {
        let Some(link) = self.links.get(&number) else {
            return;
        };
        let (dialer, acceptor) = (link.dialer, link.acceptor);
        let is_cut = self.is_cut(dialer.id, acceptor.id);
        let now = self.now;
        let Some(link) = self.links.get_mut(&number) else {
            return;
        };
        match (is_cut, link.cut.is_some()) {
            (true, false) if link.accepted => {
                let held = Vec::new();
                link.cut = Some(Cut { since: now, held });
                let ends = now + self.conditions.silence;
                self.plan(dialer, ends, Item::Silent(number, now), None);
            }
            (false, true) => {
                let held = link.cut.take().map(|cut| cut.held);
                for (to, packet) in held.into_iter().flatten() {
                    self.send(number, to, packet);
                }
            }
            _ => {}
        }
    }

    fn is_cut(&self, one: EndpointId, other: EndpointId) -> bool {
        let parts = self.parts.as_ref();
        parts.is_some_and(|parts| parts.get(&one) != parts.get(&other))
    }

    /// Sends a packet to one side of a link. In a handshake it may get lost for good.
    pub(super) fn send(&mut self, number: Number, to: EndpointId, packet: Packet) {
        let Some(link) = self.links.get_mut(&number) else {
            return;
        };
        if let Some(cut) = &mut link.cut {
            match cut.held.len() < MAX_HELD {
                true => cut.held.push((to, packet)),
                false => self.end(number, End::Lost, None),
            }
            return;
        }
        let (to, from) = link.sides(to);
        let (topic, accepted, broken) = (link.topic, link.accepted, link.broken);
        if broken || self.is_cut(from.id, to.id) {
            return;
        }
        let carried = self.carry(from);
        let now = self.now;
        let Some(link) = self.links.get_mut(&number) else {
            return;
        };
        match carried {
            Ok(takes) => {
                let last = &mut link.last[usize::from(to == link.acceptor)];
                *last = (*last).max(now + takes);
                let due = *last;
                self.plan(to, due, Item::Packet(number, packet), Some(topic));
            }
            Err(given_up) if accepted => {
                link.broken = true;
                self.plan(from, now + given_up, Item::Broken(number), None);
            }
            // The dial times out.
            Err(_) => {}
        }
    }

    /// How long a packet of this endpoint takes; or when it gives up sending it again.
    fn carry(&mut self, from: Pass) -> Result<Duration, Duration> {
        let (least, most) = self.conditions.latency;
        let mut lost = 0;
        while lost < MAX_LOSSES && self.chance.below(100) < u64::from(self.conditions.loss_percent)
        {
            lost += 1;
        }
        let span = u64::try_from((most.saturating_sub(least)).as_micros()).unwrap_or(u64::MAX - 1);
        let latency = least + Duration::from_micros(self.chance.below(span + 1));
        let arrives = lost < MAX_LOSSES;
        if let Some(own) = self.own(from) {
            let counts = &mut own.counts;
            counts.sent += u64::from(lost) + u64::from(arrives);
            counts.lost += u64::from(lost);
            counts.again += u64::from(lost) - u64::from(!arrives);
        }
        let waited = RESEND * lost;
        if arrives {
            Ok(waited + latency)
        } else {
            Err(waited)
        }
    }

    /// A link ends: at once by one of its sides (`by`), and the other one hears of it, or both hear
    /// now that they have lost each other.
    pub(super) fn end(&mut self, number: Number, end: End, by: Option<EndpointId>) {
        let Some(link) = self.links.remove(&number) else {
            return;
        };
        let pair = link.pair();
        if self.pairs.get(&pair) == Some(&number) {
            self.pairs.remove(&pair);
        }
        for (side, other) in [(link.dialer, link.acceptor), (link.acceptor, link.dialer)] {
            let mine = by.is_none_or(|by| by == side.id);
            let due = match &link.cut {
                _ if mine => self.now,
                Some(cut) => cut.since + self.conditions.silence,
                None => {
                    let (Ok(takes) | Err(takes)) = self.carry(other);
                    self.now + takes
                }
            };
            let news = Item::Ended {
                link: number,
                topic: link.topic,
                peer: other.id,
                end,
                mine,
            };
            self.plan(side, due, news, None);
        }
    }

    /// The news that a link has ended come to one of its sides.
    pub(super) fn hear_end(
        &mut self,
        pass: Pass,
        number: Number,
        (topic, peer): (TopicId, EndpointId),
        end: End,
        mine: bool,
    ) {
        let result = match end {
            End::Lost => DialResult::Failed,
            End::Banned if mine => DialResult::Banned,
            End::Banned => DialResult::Failed,
            End::Refused | End::NotMember => DialResult::NotMember,
            End::Merged => DialResult::Connected,
            End::Late => DialResult::TimedOut,
        };
        self.refused(pass, number, peer, end);
        self.dial_ended(pass, number, result);
        let Some(own) = self.own(pass) else {
            return;
        };
        let asked = own.asked.iter().filter(|(_, asked)| asked.link == number);
        let asked: Vec<_> = asked.map(|(question, _)| *question).collect();
        let waiting = own.waiting.iter().filter(|(_, asks)| asks.link == number);
        let waiting: Vec<_> = waiting.map(|(id, _)| *id).collect();
        for question in asked {
            let lost = AskError::Failed("the connection was lost".to_owned());
            self.answered(pass, question, Err(lost));
        }
        for id in waiting {
            if let Some(asks) = self.waits_no_more(pass, id) {
                let reason = AskDrop::TimedOut;
                let peer = asks.peer;
                self.tell(pass, News::Event(GossipEvent::AskDropped { peer, reason }));
            }
        }
        let member = self.own(pass).and_then(|own| own.topics.get_mut(&topic));
        if let Some(member) = member
            && member.neighbors.get(&peer) == Some(&number)
        {
            member.neighbors.remove(&peer);
            self.tell(pass, News::Down { topic, peer });
        }
    }
}

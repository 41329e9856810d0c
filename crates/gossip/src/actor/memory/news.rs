//! What the network tells the actor.

use actix::{Context, StreamHandler};
use kukuri_contract::{DialResult, EndpointId, GossipEvent, TopicId};

use super::MemoryActor;
use crate::core::network::News;

impl StreamHandler<Vec<News>> for MemoryActor {
    fn handle(&mut self, batch: Vec<News>, ctx: &mut Self::Context) {
        for news in batch {
            self.hear(news, ctx);
        }
    }

    /// The stream ends with the stay in the network; the actor ends when it is told to. What it is asked
    /// until then is refused.
    fn finished(&mut self, _: &mut Self::Context) {
        self.asks.end();
    }
}

impl MemoryActor {
    fn hear(&mut self, news: News, ctx: &mut Context<Self>) {
        match news {
            News::Up { topic, peer } => self.neighbor_up(topic, peer),
            News::Down { topic, peer } => {
                self.neighbor_down(topic, peer);
                self.pump(ctx);
            }
            News::DialEnded {
                topic,
                peer,
                result,
                took,
            } => {
                tracing::debug!(step = "dial_ended", ?peer, result = result.as_str());
                self.dialing -= 1;
                let now = self.now();
                if let Some(joined) = self.topics.get_mut(&topic) {
                    joined.dial_ended(peer, result == DialResult::Connected, now);
                }
                self.emit(GossipEvent::DialEnded {
                    topic,
                    peer,
                    result,
                    took,
                });
                self.pump(ctx);
            }
            News::Answered { question, answer } => self.asks.answered(question, answer),
            News::Event(event) => self.emit(event),
        }
    }

    fn neighbor_up(&mut self, topic: TopicId, peer: EndpointId) {
        let Some(joined) = self.topics.get_mut(&topic) else {
            return;
        };
        joined.neighbor_up(peer);
        let neighbors = joined.neighbors().len();
        tracing::debug!(step = "neighbor_up", ?peer);
        self.emit(GossipEvent::NeighborUp {
            topic,
            peer,
            neighbors,
        });
    }

    fn neighbor_down(&mut self, topic: TopicId, peer: EndpointId) {
        let now = self.now();
        let Some(joined) = self.topics.get_mut(&topic) else {
            return;
        };
        joined.neighbor_down(peer, now);
        let neighbors = joined.neighbors().len();
        self.emit(GossipEvent::NeighborDown {
            topic,
            peer,
            neighbors,
        });
    }
}

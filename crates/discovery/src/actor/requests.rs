//! What others ask of discovery: each request as an input of the core, or an answer at once.

use actix::{ActorContext, Handler, ResponseFuture};
use kukuri_contract::{
    Announce, AnnounceError, Announced, DhtHealth, DhtHealthQuery, Discover, DiscoverError,
    EndpointAddr, Forget, HearBeacon, Lookup, LookupError, LookupStats, Never, Probe, SetAddress,
    SetAddressError, SetNeighbors, Stop,
};
use tokio::sync::oneshot;

use super::DiscoveryActor;
use crate::core::Input;
use crate::core::record::MAX_RELAY_BYTES;

impl Handler<Discover> for DiscoveryActor {
    type Result = Result<(), DiscoverError>;

    fn handle(&mut self, request: Discover, ctx: &mut Self::Context) -> Self::Result {
        let Discover {
            topic,
            mut peers,
            cached,
        } = request;
        peers.extend(self.named.iter().cloned());
        self.core.check_room(topic)?;
        let discover = Input::Discover {
            topic,
            peers,
            cached,
        };
        self.drive(discover, ctx);
        Ok(())
    }
}

impl Handler<Forget> for DiscoveryActor {
    type Result = Result<(), Never>;

    fn handle(&mut self, request: Forget, ctx: &mut Self::Context) -> Self::Result {
        self.drive(Input::Forget(request.topic), ctx);
        Ok(())
    }
}

impl Handler<SetNeighbors> for DiscoveryActor {
    type Result = Result<(), Never>;

    fn handle(&mut self, request: SetNeighbors, ctx: &mut Self::Context) -> Self::Result {
        let SetNeighbors { topic, neighbors } = request;
        self.drive(Input::Neighbors(topic, neighbors), ctx);
        Ok(())
    }
}

impl Handler<HearBeacon> for DiscoveryActor {
    type Result = Result<(), Never>;

    fn handle(&mut self, request: HearBeacon, ctx: &mut Self::Context) -> Self::Result {
        let HearBeacon { topic, payload } = request;
        self.drive(Input::Beacon(topic, payload.into()), ctx);
        Ok(())
    }
}

impl Handler<SetAddress> for DiscoveryActor {
    type Result = Result<(), SetAddressError>;

    fn handle(&mut self, request: SetAddress, ctx: &mut Self::Context) -> Self::Result {
        check_address(&request.address)?;
        self.drive(Input::EndpointPort(request.port), ctx);
        self.drive(Input::Address(request.address), ctx);
        Ok(())
    }
}

/// Whether an address fits a record.
pub(super) fn check_address(address: &EndpointAddr) -> Result<(), SetAddressError> {
    let got = address.relay.as_ref().map_or(0, String::len);
    let limit = MAX_RELAY_BYTES;
    match got > limit {
        true => Err(SetAddressError::RelayTooLong { got, limit }),
        false => Ok(()),
    }
}

impl Handler<Announce> for DiscoveryActor {
    type Result = ResponseFuture<Result<Announced, AnnounceError>>;

    fn handle(&mut self, request: Announce, ctx: &mut Self::Context) -> Self::Result {
        let topic = request.topic;
        let (tx, rx) = oneshot::channel();
        let ticket = self.ticket();
        self.announces.insert(ticket, tx);
        self.drive(Input::AnnounceNow(topic, ticket), ctx);
        Box::pin(async move {
            let gone = |_| Err(AnnounceError::NotStored("discovery is stopping".into()));
            rx.await.unwrap_or_else(gone)
        })
    }
}

impl Handler<Lookup> for DiscoveryActor {
    type Result = ResponseFuture<Result<LookupStats, LookupError>>;

    fn handle(&mut self, request: Lookup, ctx: &mut Self::Context) -> Self::Result {
        let topic = request.topic;
        let (tx, rx) = oneshot::channel();
        if self.core.knows(topic) {
            let ticket = self.ticket();
            self.lookups.insert(ticket, tx);
            self.drive(Input::LookupNow(topic, ticket), ctx);
        }
        Box::pin(async move { rx.await.map_err(|_| LookupError::UnknownTopic(topic)) })
    }
}

impl Handler<DhtHealthQuery> for DiscoveryActor {
    type Result = Result<DhtHealth, Never>;

    fn handle(&mut self, _: DhtHealthQuery, _: &mut Self::Context) -> Self::Result {
        Ok(self.health)
    }
}

impl Handler<Probe> for DiscoveryActor {
    type Result = Result<(), Never>;

    fn handle(&mut self, _: Probe, _: &mut Self::Context) -> Self::Result {
        Ok(())
    }
}

kukuri_contract::supervised!(DiscoveryActor);

impl Handler<Stop> for DiscoveryActor {
    type Result = Result<(), Never>;

    fn handle(&mut self, _: Stop, ctx: &mut Self::Context) -> Self::Result {
        self.tasks.abort_all();
        self.sources.clear();
        self.dht = None;
        ctx.stop();
        Ok(())
    }
}

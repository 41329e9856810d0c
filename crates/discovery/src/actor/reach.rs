//! Whether others reach the hello port, as the operator is told; and the port that the router forwards
//! to it.

use actix::{Context, StreamHandler};
use kukuri_contract::{DiscoveryEvent, Reachability};

use super::DiscoveryActor;
use crate::core::Input;
use crate::portmap::Mapped;

impl DiscoveryActor {
    /// Keeps what an event says for whoever asks later, and logs what the operator can mend.
    pub(super) fn note(&mut self, event: &DiscoveryEvent) {
        match event {
            DiscoveryEvent::ReachabilityChanged(reachability) => {
                self.health.reachability = *reachability;
                match reachability {
                    Reachability::Unknown => tracing::debug!("hello port: nothing known"),
                    Reachability::Proven => tracing::info!("others reach the hello port"),
                    Reachability::Unproven => tracing::warn!(
                        port = self.core.announced_port(),
                        "members tried to reach this node's hello port and could not; turn on port \
                         mapping (UPnP, NAT-PMP or PCP) at the router, or forward a UDP port and set \
                         --hello-bind to it, and another one for --bind, or use --relay"
                    ),
                }
            }
            DiscoveryEvent::PortMapped(address) => {
                self.health.mapped_address = *address;
                match address {
                    Some(address) => tracing::info!(%address, "the router forwards a port"),
                    None => tracing::info!("the router forwards no port any more"),
                }
            }
            _ => {}
        }
    }
}

impl StreamHandler<Mapped> for DiscoveryActor {
    fn handle(&mut self, mapped: Mapped, ctx: &mut Context<Self>) {
        match mapped {
            Mapped::At(address) => {
                self.mapping_failed = false;
                self.drive(Input::Mapped(Some(address)), ctx);
            }
            Mapped::Gone => self.drive(Input::Mapped(None), ctx),
            Mapped::Failed => {
                if !std::mem::replace(&mut self.mapping_failed, true) {
                    tracing::info!("no router forwards a port to the hello socket");
                }
                self.deps.events.emit(DiscoveryEvent::PortMappingFailed);
            }
        }
    }

    // Without its keeper there is no mapping; discovery goes on.
    fn finished(&mut self, _: &mut Context<Self>) {}
}

//! A port of the router for the hello socket: the only file that names `portmapper`.
//!
//! The crate speaks PCP (RFC 6887), NAT-PMP (RFC 6886) and UPnP IGD, and renews what it got. All of it
//! runs in a task of its own, which nobody waits for, neither at the start nor at the end.

use std::net::SocketAddrV4;
use std::num::NonZeroU16;
use std::time::Duration;

use portmapper::Client;
use tokio::sync::{mpsc, watch};
use tokio::time::{sleep, timeout};

/// What waits for the actor. More than a router can say between two looks.
const QUEUE: usize = 16;
/// Longest wait for the probe: the crate's own limits are 1 s (UPnP) and 0.5 s (the others).
const PROBE: Duration = Duration::from_secs(5);
/// Longest wait for a mapping: UPnP takes a search of 1 s and a few HTTP requests to the router.
const MAPPING: Duration = Duration::from_secs(10);
/// First and longest pause before a router is looked for again; it doubles each time. A laptop may
/// come to a network that has one.
const AGAIN: (Duration, Duration) = (Duration::from_secs(60), Duration::from_secs(15 * 60));
/// How long the crate may take to give a mapping back at the end. It runs out by itself otherwise.
const RELEASE: Duration = Duration::from_millis(500);

/// What has become of the mapping.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mapped {
    /// The router forwards this address.
    At(SocketAddrV4),
    /// It does no more.
    Gone,
    /// No router was found that does; it is tried again.
    Failed,
}

/// Keeps a mapping for as long as somebody listens.
#[derive(Debug)]
pub struct PortMap {
    client: Client,
    port: NonZeroU16,
    to: mpsc::Sender<Mapped>,
}

impl PortMap {
    /// Starts to keep one for this local UDP port. It ends, and gives the mapping back, when what is
    /// returned is dropped.
    pub fn keep(port: u16) -> mpsc::Receiver<Mapped> {
        let (to, mapped) = mpsc::channel(QUEUE);
        if let Some(port) = NonZeroU16::new(port) {
            let client = Client::default();
            tokio::spawn(Self { client, port, to }.run());
        }
        mapped
    }

    async fn run(self) {
        tokio::select! {
            () = self.to.closed() => {}
            () = self.hold() => {}
        }
        self.client.deactivate();
        sleep(RELEASE).await;
    }

    async fn hold(&self) {
        let mut external = self.client.watch_external_address();
        let mut pause = AGAIN.0;
        let mut first = true;
        loop {
            // Without a probe the crate tries UPnP only.
            let probe = timeout(PROBE, self.client.probe()).await;
            tracing::debug!(?probe, "asked routers for port mapping");
            match std::mem::take(&mut first) {
                true => self.client.update_local_port(self.port),
                false => self.client.procure_mapping(),
            }
            let limit = match probe {
                // There is no router to wait for.
                Ok(Ok(Err(_))) => Duration::ZERO,
                _ => MAPPING,
            };
            let found = timeout(limit, external.wait_for(Option::is_some)).await;
            match found.map(|found| found.map(|address| *address)) {
                Ok(Ok(Some(address))) => {
                    pause = AGAIN.0;
                    if self.tell(Mapped::At(address)).await && self.follow(&mut external).await {
                        continue;
                    }
                    return;
                }
                Ok(Err(_)) => return,
                Ok(Ok(None)) | Err(_) => {
                    if !self.tell(Mapped::Failed).await {
                        return;
                    }
                }
            }
            // It may come late.
            let _late = timeout(pause, external.wait_for(Option::is_some)).await;
            pause = (pause * 2).min(AGAIN.1);
        }
    }

    /// Tells of every change until the mapping is gone; false if nobody listens any more.
    async fn follow(&self, external: &mut watch::Receiver<Option<SocketAddrV4>>) -> bool {
        while external.changed().await.is_ok() {
            let now = *external.borrow_and_update();
            let Some(address) = now else {
                return self.tell(Mapped::Gone).await;
            };
            if !self.tell(Mapped::At(address)).await {
                return false;
            }
        }
        false
    }

    async fn tell(&self, mapped: Mapped) -> bool {
        self.to.send(mapped).await.is_ok()
    }
}

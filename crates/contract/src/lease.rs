//! Ending a service from outside, when its actor hangs.

use std::fmt;

use tokio::sync::watch;

/// Held by whoever started a service. When it is dropped, the service's [`Lease`] ends.
#[derive(Debug)]
pub struct LeaseHolder {
    _ends: watch::Sender<()>,
}

/// What a service may hold outside of its actor (sockets, connections), it may hold only as long as
/// this lasts. An actor that hangs can not let go of anything: a task of the service, which waits
/// for [`ended`](Self::ended), must do it.
#[derive(Clone)]
pub struct Lease(Option<watch::Receiver<()>>);

impl Lease {
    /// A lease, and what ends it when dropped.
    pub fn new() -> (LeaseHolder, Self) {
        let (ends, lease) = watch::channel(());
        (LeaseHolder { _ends: ends }, Self(Some(lease)))
    }

    /// A lease that never ends, where nobody ends services from outside.
    pub const fn endless() -> Self {
        Self(None)
    }

    /// Returns when the lease has ended.
    pub async fn ended(self) {
        let Some(mut lease) = self.0 else {
            return std::future::pending().await;
        };
        // Nothing is ever sent: the only change is the end.
        while lease.changed().await.is_ok() {}
    }
}

impl fmt::Debug for Lease {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Lease(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn it_ends_with_its_holder() {
        let (holder, lease) = Lease::new();
        let mut ended = Box::pin(lease.ended());
        let waited = tokio::time::timeout(std::time::Duration::ZERO, &mut ended).await;
        assert!(waited.is_err(), "it lasts");
        drop(holder);
        ended.await;
    }
}

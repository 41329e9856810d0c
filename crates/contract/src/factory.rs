//! How the composition root makes an implementation of a service.

use std::fmt;
use std::future::Future;

/// Makes one implementation of a service.
pub trait Factory {
    /// The service that it implements: the name of its port.
    const SERVICE: &'static str;
    /// The name of this implementation, in logs and one day in the config that chooses it.
    const NAME: &'static str;
    /// Its section of the config.
    type Config: fmt::Debug;
    /// What it needs from the rest of the node.
    type Deps;
    /// The port to the running service, with what only construction hands over.
    type Running;
    /// Why it can't run with this config, or here.
    type Error: std::error::Error + Send + Sync + 'static;

    /// Checks a config without side effects.
    ///
    /// # Errors
    /// Names the field that is wrong and what would be right.
    fn check(config: &Self::Config) -> Result<(), Self::Error>;

    /// Starts the service in the current actix `System`.
    ///
    /// # Errors
    /// When the config is wrong or something outside (a port, a file, a keyring) can't be had.
    fn spawn(
        config: Self::Config,
        deps: Self::Deps,
    ) -> impl Future<Output = Result<Self::Running, Self::Error>>;
}

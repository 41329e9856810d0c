//! The implementations: one actor, whose keys are in different places.

use kukuri_contract::{Factory, IdentityDeps, IdentityPort, IdentityRunning};

use super::{Setup, check, spawn};
use crate::config::{Config, FileConfig, MemoryConfig};
use crate::error::IdentityError;

/// Defines an implementation by its name and its settings, which are some of [`Config`]'s.
macro_rules! implementation {
    ($(#[$doc:meta])* $factory:ident, $name:literal, $config:ty) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy)]
        pub struct $factory;

        impl Factory for $factory {
            const SERVICE: &'static str = IdentityPort::SERVICE;
            const NAME: &'static str = $name;
            const CONTRACT: u32 = 1;
            type Config = Setup<$config>;
            type Deps = IdentityDeps;
            type Running = IdentityRunning;
            type Error = IdentityError;

            fn check(setup: &Self::Config) -> Result<(), IdentityError> {
                check(&setup.config.clone().into())
            }

            async fn spawn(
                setup: Self::Config,
                deps: IdentityDeps,
            ) -> Result<IdentityRunning, IdentityError> {
                spawn(setup.general(), deps).await
            }
        }
    };
}

implementation! {
    /// The implementation `keyring` of identity: keys in the operating system's keyring, and where there
    /// is none, in an encrypted file.
    KeyringIdentity, "keyring", Config
}

implementation! {
    /// The implementation `file` of identity: keys in an encrypted file of the data directory.
    FileIdentity, "file", FileConfig
}

implementation! {
    /// The implementation `memory` of identity: keys for one run only.
    MemoryIdentity, "memory", MemoryConfig
}

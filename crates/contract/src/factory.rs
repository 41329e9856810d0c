//! How the composition root makes an implementation of a service.

use std::error::Error;
use std::fmt;
use std::marker::PhantomData;
use std::pin::Pin;
use std::sync::Arc;

/// The version of this contract: of what its messages mean.
///
/// It goes up when an implementation that kept to the contract may not any more: when a message means
/// something else, or more is promised of it. What may be ignored (a new event, a field of a reply that
/// is not looked at) does not raise it.
///
/// A changed *form* needs no number: an implementation is compiled with the contract that the node is
/// compiled with (two of them in one program have different types, which do not fit), so the compiler
/// finds it. It can't find a changed *meaning*. So each implementation states the version that its
/// author has read ([`Factory::CONTRACT`]), and a node refuses one that was written for another.
pub const CONTRACT_VERSION: u32 = 1;

/// Makes one implementation of a service.
pub trait Factory {
    /// The service that it implements: the name of its port.
    const SERVICE: &'static str;
    /// The name of this implementation: `<service>.kind` in the config, and in logs.
    const NAME: &'static str;
    /// The [`CONTRACT_VERSION`] that it was written for, as a number: whoever writes the constant's
    /// name here has checked nothing, now and after each change.
    const CONTRACT: u32;
    /// Its section of the config, with whatever else it alone needs. A service that is started again
    /// is made from a clone of the same.
    type Config: fmt::Debug;
    /// What it needs from the rest of the node: `DiscoveryDeps` for a discovery, and so on.
    type Deps;
    /// The port to the running service, with what only construction hands over: `DiscoveryRunning`
    /// for a discovery, and so on.
    type Running;
    /// Why it can't run with this config, or here.
    type Error: Error + Send + Sync + 'static;

    /// Checks a config without side effects.
    ///
    /// # Errors
    /// Names the field that is wrong and what would be right.
    fn check(config: &Self::Config) -> Result<(), Self::Error>;

    /// Starts the service in the current actix `System`, on the current thread, which is its own. It
    /// checks the config first.
    ///
    /// # Errors
    /// When the config is wrong or something outside (a port, a file, a keyring) can't be had. Nothing
    /// that it has started is left then.
    fn spawn(
        config: Self::Config,
        deps: Self::Deps,
    ) -> impl Future<Output = Result<Self::Running, Self::Error>>;
}

/// Why an implementation can't be made; which type it is, only the implementation knows.
pub type MakeError = Box<dyn Error + Send + Sync>;

/// An implementation was written for another version of the contract.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "the implementation {name:?} of {service} was written for version {written_for} of the contract, \
     and this is version {CONTRACT_VERSION}; take a release of it that fits"
)]
pub struct OtherContract {
    /// The service.
    pub service: &'static str,
    /// The implementation.
    pub name: &'static str,
    /// Its version of the contract.
    pub written_for: u32,
}

/// A [`Factory`] with its config, whichever it is: makes a service, and makes it again after it has
/// ended. Clones make the same.
///
/// It goes to the thread of the service, so the config has to be `Send` and `Sync`. What the fresh
/// service is to have of the old one (keys that were opened) is shared by clones of the config.
pub struct Maker<Deps, Running> {
    service: &'static str,
    name: &'static str,
    contract: u32,
    make: Arc<dyn Make<Deps, Running>>,
}

impl<Deps: 'static, Running: 'static> Maker<Deps, Running> {
    /// Makes services by a factory, with this config.
    pub fn of<F>(config: F::Config) -> Self
    where
        F: Factory<Deps = Deps, Running = Running> + 'static,
        F::Config: Clone + Send + Sync + 'static,
    {
        let factory = PhantomData::<fn() -> F>;
        Self {
            service: F::SERVICE,
            name: F::NAME,
            contract: F::CONTRACT,
            make: Arc::new(With { config, factory }),
        }
    }

    /// The service that it makes.
    pub fn service(&self) -> &'static str {
        self.service
    }

    /// The name of the implementation.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// Checks that the implementation was written for this version of the contract.
    ///
    /// # Errors
    /// It was written for another.
    pub fn check_contract(&self) -> Result<(), OtherContract> {
        match self.contract {
            CONTRACT_VERSION => Ok(()),
            written_for => Err(OtherContract {
                service: self.service,
                name: self.name,
                written_for,
            }),
        }
    }

    /// Checks the config without side effects.
    ///
    /// # Errors
    /// See [`Factory::check`].
    pub fn check(&self) -> Result<(), MakeError> {
        self.make.check()
    }

    /// Starts the service in the current actix `System`, on the current thread.
    ///
    /// # Errors
    /// See [`Factory::spawn`].
    pub async fn spawn(&self, deps: Deps) -> Result<Running, MakeError> {
        self.make.spawn(deps).await
    }
}

impl<Deps, Running> Clone for Maker<Deps, Running> {
    fn clone(&self) -> Self {
        Self {
            make: self.make.clone(),
            ..*self
        }
    }
}

/// Without the config: it may be long.
impl<Deps, Running> fmt::Debug for Maker<Deps, Running> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Maker({} {})", self.service, self.name)
    }
}

type Made<Running> = Pin<Box<dyn Future<Output = Result<Running, MakeError>>>>;

/// A factory that is known by what it makes only.
trait Make<Deps, Running>: Send + Sync {
    fn check(&self) -> Result<(), MakeError>;
    fn spawn(&self, deps: Deps) -> Made<Running>;
}

struct With<F: Factory> {
    config: F::Config,
    factory: PhantomData<fn() -> F>,
}

impl<F> Make<F::Deps, F::Running> for With<F>
where
    F: Factory + 'static,
    F::Config: Clone + Send + Sync + 'static,
    F::Deps: 'static,
{
    fn check(&self) -> Result<(), MakeError> {
        Ok(F::check(&self.config)?)
    }

    fn spawn(&self, deps: F::Deps) -> Made<F::Running> {
        let config = self.config.clone();
        Box::pin(async move { Ok(F::spawn(config, deps).await?) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Counts up from its config; `CONTRACT` is this one's or not.
    struct Counter<const CONTRACT: u32>;

    #[derive(Debug, thiserror::Error)]
    #[error("count must be at least 1")]
    struct Zero;

    impl<const CONTRACT: u32> Factory for Counter<CONTRACT> {
        const SERVICE: &'static str = "count";
        const NAME: &'static str = "up";
        const CONTRACT: u32 = CONTRACT;
        type Config = u32;
        type Deps = u32;
        type Running = u32;
        type Error = Zero;

        fn check(config: &u32) -> Result<(), Zero> {
            (*config > 0).then_some(()).ok_or(Zero)
        }

        async fn spawn(config: u32, deps: u32) -> Result<u32, Zero> {
            Self::check(&config)?;
            Ok(config + deps)
        }
    }

    #[tokio::test]
    async fn it_makes_as_often_as_asked_and_goes_to_another_thread() {
        let maker: Maker<u32, u32> = Maker::of::<Counter<CONTRACT_VERSION>>(40);
        let clone = maker.clone();
        std::thread::spawn(move || clone.check().is_ok())
            .join()
            .unwrap();
        assert_eq!(maker.spawn(2).await.unwrap(), 42);
        assert_eq!(maker.spawn(3).await.unwrap(), 43);
        assert_eq!((maker.service(), maker.name()), ("count", "up"));
        maker.check_contract().unwrap();
        assert_eq!(format!("{maker:?}"), "Maker(count up)");
    }

    #[tokio::test]
    async fn a_wrong_config_is_its_own_error_and_another_contract_is_named() {
        let maker: Maker<u32, u32> = Maker::of::<Counter<{ CONTRACT_VERSION + 1 }>>(0);
        assert!(maker.check().unwrap_err().is::<Zero>());
        assert!(maker.spawn(1).await.unwrap_err().is::<Zero>());
        let other = maker.check_contract().unwrap_err();
        assert_eq!(other.written_for, CONTRACT_VERSION + 1);
        let said = other.to_string();
        assert!(said.contains("\"up\" of count was written for"), "{said}");
    }
}

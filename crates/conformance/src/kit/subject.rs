//! What the clauses are tried on.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::time::Duration;

use kukuri_contract::Maker;

use super::{Capability, Local, PATIENCE, Service};

/// An implementation, as the kit starts it.
pub trait Subject<S: Service> {
    /// The name of the implementation.
    fn name(&self) -> String;

    /// What it is without.
    fn lacks(&self) -> &[Capability] {
        &[]
    }

    /// How long to wait for what should come.
    fn patience(&self) -> Duration {
        PATIENCE
    }

    /// Most posts of a topic that a store is set to keep, where that is some hundreds: only then a clause can
    /// reach it.
    fn keeps(&self) -> Option<usize> {
        None
    }

    /// Starts instance number `n` in the current actix `System`. All instances share a network, where
    /// there is one. The same number is the same node, with the same directory; the kit starts it
    /// again only when the one before has ended, but for a store, whose clauses also start it beside one that
    /// has not. Each clause has numbers of its own.
    fn start(&self, n: u64, deps: S::Deps) -> Local<'_, S::Running>;
}

/// What makes a service.
type MakerOf<S> = Maker<<S as Service>::Deps, <S as Service>::Running>;

/// An implementation with its config, or one for each instance.
pub struct Made<S: Service> {
    make: Box<dyn Fn(u64) -> MakerOf<S>>,
    /// An instance that is started again is made by a clone of the same maker, as in a node.
    makers: RefCell<BTreeMap<u64, MakerOf<S>>>,
    lacks: Vec<Capability>,
    keeps: Option<usize>,
}

impl<S: Service> Made<S> {
    /// All instances are made by one maker.
    pub fn by(maker: MakerOf<S>) -> Self {
        Self::each(move |_| maker.clone())
    }

    /// Each instance is made by a maker of its own, where what a config opens is one node's.
    pub fn each(make: impl Fn(u64) -> MakerOf<S> + 'static) -> Self {
        Self {
            make: Box::new(make),
            makers: RefCell::default(),
            lacks: Vec::new(),
            keeps: None,
        }
    }

    /// Says that it is without something.
    pub fn without(mut self, capability: Capability) -> Self {
        self.lacks.push(capability);
        self
    }

    /// Says that it is a store that is set to keep so many posts of a topic: some hundreds.
    pub fn keeping(mut self, posts: usize) -> Self {
        self.keeps = Some(posts);
        self
    }

    fn maker(&self, n: u64) -> MakerOf<S> {
        let mut makers = self.makers.borrow_mut();
        makers.entry(n).or_insert_with(|| (self.make)(n)).clone()
    }
}

impl<S: Service> Subject<S> for Made<S> {
    fn name(&self) -> String {
        (self.make)(0).name().to_owned()
    }

    fn lacks(&self) -> &[Capability] {
        &self.lacks
    }

    fn keeps(&self) -> Option<usize> {
        self.keeps
    }

    fn start(&self, n: u64, deps: S::Deps) -> Local<'_, S::Running> {
        let maker = self.maker(n);
        Box::pin(async move {
            let made = maker.spawn(deps).await;
            made.unwrap_or_else(|error| panic!("{maker:?}: {error}"))
        })
    }
}

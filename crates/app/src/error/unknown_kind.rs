//! A kind that a build does not have.

use std::fmt;

use crate::kinds::Kind;

/// A section of the config names an implementation that this build does not have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnknownKind {
    section: &'static str,
    kind: String,
    /// Where the config has it from.
    origin: Option<String>,
    /// The cargo feature that would bring it.
    feature: Option<&'static str>,
    /// What this build has.
    built: Vec<&'static str>,
}

impl UnknownKind {
    pub(crate) fn new(
        section: &'static str,
        kind: String,
        origin: Option<String>,
        kinds: &[Kind],
    ) -> Self {
        let left_out = kinds
            .iter()
            .find(|known| known.name == kind && !known.built);
        let built = kinds.iter().filter(|known| known.built);
        Self {
            section,
            origin,
            feature: left_out.map(|known| known.feature),
            built: built.map(|known| known.name).collect(),
            kind,
        }
    }
}

impl fmt::Display for UnknownKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { section, kind, .. } = self;
        if kind.is_empty() {
            return write!(
                f,
                "this build has no implementation of {section}; build kukuri with the feature of one \
                 (`kukuri config kinds` lists them), or have the program give one"
            );
        }
        write!(f, "{section}.kind is {kind:?}")?;
        if let Some(origin) = &self.origin {
            write!(f, " ({origin})")?;
        }
        match self.feature {
            Some(feature) => write!(
                f,
                ", which this build leaves out; build kukuri with the feature {feature:?}, or choose \
                 what"
            )?,
            None => write!(f, ", which kukuri does not know; choose what")?,
        }
        let built: Vec<_> = self.built.iter().map(|name| format!("{name:?}")).collect();
        match built.is_empty() {
            true => write!(f, " a build has: this one has none"),
            false => write!(f, " this build has: {}", built.join(", ")),
        }
    }
}

impl std::error::Error for UnknownKind {}

//! A section of the config whose first field, `kind`, decides which implementation is used, and so
//! which fields the rest of the section has.

use std::fmt;
use std::marker::PhantomData;

use figment::Figment;
use serde::de::value::MapAccessDeserializer;
use serde::de::{DeserializeSeed, Deserializer, IntoDeserializer, MapAccess, Visitor};
use serde::{Deserialize, Serialize};

use crate::error::{ConfigError, UnknownKind};

/// Name of the field that chooses.
const KIND: &str = "kind";

/// An implementation that kukuri has, in some builds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Kind {
    /// Its name: the value of `<section>.kind`.
    pub name: &'static str,
    /// The cargo feature of the crate `kukuri` that brings it.
    pub feature: &'static str,
    /// Whether this build has it.
    pub built: bool,
}

/// The kind where none is named: the first that this build has, or none.
pub fn default_kind(kinds: &[Kind]) -> &'static str {
    let built = kinds.iter().find(|kind| kind.built);
    built.map_or("", |kind| kind.name)
}

/// The kind that a config names for a section.
///
/// # Errors
/// This build does not have it, or there are settings and nothing that they are for.
pub fn kind(
    figment: &Figment,
    section: &'static str,
    kinds: &[Kind],
) -> Result<String, ConfigError> {
    let path = format!("{section}.{KIND}");
    let named = match figment.extract_inner::<String>(&path) {
        Ok(named) => named,
        Err(error) if error.missing() => {
            let default = default_kind(kinds).to_owned();
            return match default.is_empty() && has_fields(figment, section) {
                true => Err(ConfigError::NobodysSettings(section)),
                false => Ok(default),
            };
        }
        Err(error) => return Err(error.into()),
    };
    if kinds.iter().any(|kind| kind.built && kind.name == named) {
        return Ok(named);
    }
    let origin = figment.find_metadata(&path).map(|from| match &from.source {
        Some(source) => format!("{} {source}", from.name),
        None => from.name.to_string(),
    });
    Err(UnknownKind::new(section, named, origin, kinds).into())
}

fn has_fields(figment: &Figment, section: &str) -> bool {
    let value = figment.find_value(section).ok();
    value.is_some_and(|value| value.as_dict().is_some_and(|fields| !fields.is_empty()))
}

/// The settings of a section but for its kind.
///
/// # Errors
/// Names the field, where its value came from, and what is wrong.
pub fn settings<'de, T>(figment: &Figment, section: &str) -> Result<T, ConfigError>
where
    T: Deserialize<'de> + Default,
{
    match figment.extract_inner::<But<T>>(section) {
        Ok(But(settings)) => Ok(settings),
        Err(error) if error.missing() && !figment.contains(section) => Ok(T::default()),
        Err(mut error) => {
            // Figment tells the section behind the field.
            let told = error.path.len().min(1);
            error.path.rotate_right(told);
            Err(error.into())
        }
    }
}

/// A kind with its settings, as they are written.
#[derive(Serialize)]
pub struct Written<'a, T> {
    kind: &'a str,
    #[serde(flatten)]
    settings: &'a T,
}

impl<'a, T> Written<'a, T> {
    /// Both.
    pub fn new(kind: &'a str, settings: &'a T) -> Self {
        Self { kind, settings }
    }
}

/// A type that is read from a map, but for the map's `kind`.
struct But<T>(T);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for But<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(ButKind(PhantomData))
    }
}

struct ButKind<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for ButKind<T> {
    type Value = But<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a section")
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<But<T>, A::Error> {
        T::deserialize(MapAccessDeserializer::new(Rest(map))).map(But)
    }
}

/// A map without its `kind`.
struct Rest<A>(A);

impl<'de, A: MapAccess<'de>> MapAccess<'de> for Rest<A> {
    type Error = A::Error;

    fn next_key_seed<K>(&mut self, mut seed: K) -> Result<Option<K::Value>, A::Error>
    where
        K: DeserializeSeed<'de>,
    {
        loop {
            // Read by the map itself: it adds to an error where the key is from.
            match self.0.next_key_seed(Key(seed))? {
                None => return Ok(None),
                Some(Ok(key)) => return Ok(Some(key)),
                Some(Err(unused)) => seed = unused,
            }
            self.0.next_value::<String>()?;
        }
    }

    fn next_value_seed<V>(&mut self, seed: V) -> Result<V::Value, A::Error>
    where
        V: DeserializeSeed<'de>,
    {
        self.0.next_value_seed(seed)
    }
}

/// A key, or the seed again where the key is `kind`.
struct Key<K>(K);

impl<'de, K: DeserializeSeed<'de>> DeserializeSeed<'de> for Key<K> {
    type Value = Result<K::Value, K>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        let key = String::deserialize(deserializer)?;
        match key == KIND {
            true => Ok(Err(self.0)),
            false => self.0.deserialize(key.into_deserializer()).map(Ok),
        }
    }
}

/// Defines the section of a service: the implementations that there are, a line each.
macro_rules! section {
    ($(#[$doc:meta])* $config:ident, $maker:ty, $section:literal {
        $($kind:literal in $feature:literal => $field:ident: $settings:ty, $make:expr;)+
    }) => {
        $(#[$doc])*
        ///
        /// In a file, the fields of the kind in use stand beside `kind`.
        #[derive(Debug, Clone, PartialEq, Eq)]
        pub struct $config {
            /// Which implementation. Empty: the first that this build has.
            pub kind: String,
            $(
                #[cfg(feature = $feature)]
                #[doc = concat!("Settings of the kind `", $kind, "`.")]
                pub $field: $settings,
            )+
        }

        impl $config {
            /// Name of the section.
            pub const SECTION: &'static str = $section;
            /// The implementations that there are.
            pub const KINDS: &'static [Kind] = &[$(Kind {
                name: $kind,
                feature: $feature,
                built: cfg!(feature = $feature),
            }),+];

            /// What makes the implementation of choice.
            ///
            /// # Errors
            /// This build does not have it.
            pub fn maker(&self, prompt: Option<Prompt>) -> Result<$maker, UnknownKind> {
                match self.kind.as_str() {
                    $(
                        #[cfg(feature = $feature)]
                        $kind => Ok(make(self.$field.clone(), prompt, $make)),
                    )+
                    kind => {
                        drop(prompt);
                        Err(UnknownKind::new($section, kind.to_owned(), None, Self::KINDS))
                    }
                }
            }

            /// Reads the section.
            pub(crate) fn read(figment: &Figment) -> Result<Self, ConfigError> {
                let mut config = Self::default();
                config.kind = section::kind(figment, $section, Self::KINDS)?;
                match config.kind.as_str() {
                    $(
                        #[cfg(feature = $feature)]
                        $kind => config.$field = section::settings(figment, $section)?,
                    )+
                    _ => {}
                }
                Ok(config)
            }
        }

        impl Default for $config {
            fn default() -> Self {
                Self {
                    kind: section::default_kind(Self::KINDS).to_owned(),
                    $(
                        #[cfg(feature = $feature)]
                        $field: Default::default(),
                    )+
                }
            }
        }

        impl Serialize for $config {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                match self.kind.as_str() {
                    $(
                        #[cfg(feature = $feature)]
                        $kind => Written::new($kind, &self.$field).serialize(serializer),
                    )+
                    kind => Written::new(kind, &()).serialize(serializer),
                }
            }
        }
    };
}
pub(crate) use section;

#[cfg(test)]
mod tests {
    use figment::providers::{Format, Toml};

    use super::*;

    const KINDS: &[Kind] = &[
        Kind {
            name: "left",
            feature: "way-left",
            built: false,
        },
        Kind {
            name: "right",
            feature: "way-right",
            built: true,
        },
    ];

    #[derive(Debug, PartialEq, Default, Serialize, Deserialize)]
    #[serde(default, deny_unknown_fields)]
    struct Right {
        steps: u8,
        shoes: Option<String>,
    }

    fn read(text: &str) -> Result<(String, Right), ConfigError> {
        let figment = Figment::from(Toml::string(text));
        Ok((kind(&figment, "way", KINDS)?, settings(&figment, "way")?))
    }

    #[test]
    fn the_kind_may_stand_anywhere_or_nowhere() {
        for text in [
            "[way]\nkind = 'right'\nsteps = 3\nshoes = 'red'",
            "[way]\nsteps = 3\nshoes = 'red'\nkind = 'right'",
            "[way]\nsteps = 3\nshoes = 'red'",
        ] {
            let (kind, settings) = read(text).unwrap();
            let shoes = Some("red".to_owned());
            assert_eq!(
                (kind.as_str(), settings),
                ("right", Right { steps: 3, shoes })
            );
        }
        assert_eq!(read("").unwrap(), ("right".to_owned(), Right::default()));
        assert_eq!(default_kind(&KINDS[..1]), "", "nothing is built");
    }

    #[test]
    fn settings_that_nothing_reads_are_an_error() {
        let unbuilt = |text| kind(&Figment::from(Toml::string(text)), "way", &KINDS[..1]);
        for text in ["", "[way]", "[else]\nsteps = 3"] {
            assert_eq!(unbuilt(text).unwrap(), "", "{text}");
        }
        let error = unbuilt("[way]\nsteps = 3").unwrap_err().to_string();
        assert!(error.contains("[way] has settings"), "{error}");
    }

    #[test]
    fn what_is_wrong_is_named_with_where_it_is_from() {
        for (text, said) in [
            (
                "[way]\nkind = 'up'",
                r#"way.kind is "up" (TOML source string)"#,
            ),
            ("[way]\nkind = 'up'", r#"this build has: "right""#),
            ("[way]\nkind = 'left'", r#"the feature "way-left""#),
            ("[way]\nkind = 7", "way.kind"),
            ("[way]\nstep = 3", "unknown field: found `step`"),
            ("[way]\nstep = 3", r#"for key "default.way.step""#),
            ("[way]\nsteps = 300", r#"for key "default.way.steps""#),
            ("way = 3", "way"),
        ] {
            let error = read(text).unwrap_err().to_string();
            assert!(error.contains(said), "{text}: {error}");
        }
    }

    #[test]
    fn what_is_written_is_read_again() {
        let shoes = Some("red".to_owned());
        for settings in [Right { steps: 3, shoes }, Right::default()] {
            let written = toml::to_string(&Written::new("right", &settings)).unwrap();
            let (kind, read) = read(&format!("[way]\n{written}")).unwrap();
            assert_eq!((kind.as_str(), read), ("right", settings));
        }
    }
}

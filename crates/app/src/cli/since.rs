//! `--since`: a moment as people write it.

use std::str::FromStr;

use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;
use jiff::{SpanRelativeTo, Timestamp, Unit};
use kukuri::contract::UnixMillis;

/// A moment, or a distance back from now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Since {
    /// This moment.
    At(UnixMillis),
    /// So many milliseconds before now.
    Ago(u64),
}

impl Since {
    /// The moment that is meant.
    pub fn at(self, now: UnixMillis) -> UnixMillis {
        match self {
            Self::At(at) => at,
            Self::Ago(span) => UnixMillis(now.0.saturating_sub(span)),
        }
    }
}

/// Why a text is no moment.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SinceError {
    /// It has no known form.
    #[error(
        "it is neither a span such as 90s, 15m, 2h or 3d, nor a time such as 2026-11-24T08:00:00Z, \
         nor a date such as 2026-11-24"
    )]
    Form,
    /// A time that could be anywhere on earth.
    #[error("it has no time zone; add Z for UTC, or an offset such as +02:00")]
    NoZone,
    /// A negative span, or a time before 1970.
    #[error("it must be a span back from now without a sign, or a time after 1970")]
    Range,
}

impl FromStr for Since {
    type Err = SinceError;

    fn from_str(text: &str) -> Result<Self, SinceError> {
        let text = text.trim();
        if let Ok(at) = text.parse::<Timestamp>() {
            return Ok(Self::At(millis(at)?));
        }
        // A date alone also parses as a date with time, so it comes first.
        let is_date = text.len() == "2026-11-24".len();
        if let (true, Ok(date)) = (is_date, text.parse::<Date>()) {
            let midnight = TimeZone::UTC.to_timestamp(date.at(0, 0, 0, 0));
            return Ok(Self::At(millis(midnight.map_err(|_| SinceError::Range)?)?));
        }
        if text.parse::<DateTime>().is_ok() {
            return Err(SinceError::NoZone);
        }
        let span: jiff::Span = text.parse().map_err(|_| SinceError::Form)?;
        let days = SpanRelativeTo::days_are_24_hours();
        // Months and years have no fixed length.
        let total = span.total((Unit::Millisecond, days));
        let total = total.map_err(|_| SinceError::Form)?;
        match total >= 0.0 && !text.starts_with(['-', '+']) {
            true => Ok(Self::Ago(total as u64)),
            false => Err(SinceError::Range),
        }
    }
}

/// A span of time in milliseconds, at most [`MAX_SPAN_MS`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span(pub u64);

/// Longest overlap of two secrets in milliseconds, 30 days: as long as posts are kept.
pub const MAX_SPAN_MS: u64 = 30 * 24 * 3600 * 1000;

/// Why a text is no span.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SpanError {
    /// It has no known form.
    #[error("it is no span such as 0s, 90m, 36h or 7d")]
    Form,
    /// It is too long.
    #[error("it is longer than 30 days")]
    TooLong,
}

impl FromStr for Span {
    type Err = SpanError;

    fn from_str(text: &str) -> Result<Self, SpanError> {
        match text.parse() {
            Ok(Since::Ago(span)) if span <= MAX_SPAN_MS => Ok(Self(span)),
            Ok(Since::Ago(_)) => Err(SpanError::TooLong),
            _ => Err(SpanError::Form),
        }
    }
}

fn millis(at: Timestamp) -> Result<UnixMillis, SinceError> {
    let millis = u64::try_from(at.as_millisecond());
    millis.map(UnixMillis).map_err(|_| SinceError::Range)
}

/// A moment in the form that `--since` reads, to the second.
pub fn format(at: UnixMillis) -> String {
    let seconds = i64::try_from(at.0 / 1000).ok();
    let at = seconds.and_then(|seconds| Timestamp::from_second(seconds).ok());
    // Only a post whose author's clock is thousands of years ahead has no date.
    at.map_or_else(|| "????-??-??T??:??:??Z".to_owned(), |at| at.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_has_a_unit_and_an_end() {
        for (text, span) in [
            ("0s", Ok(Span(0))),
            ("90m", Ok(Span(5_400_000))),
            ("30d", Ok(Span(MAX_SPAN_MS))),
            ("31d", Err(SpanError::TooLong)),
            ("2026-11-24", Err(SpanError::Form)),
            ("-1h", Err(SpanError::Form)),
            ("7", Err(SpanError::Form)),
        ] {
            assert_eq!(text.parse::<Span>(), span, "{text}");
        }
    }

    #[test]
    fn each_form_means_a_moment() {
        let now = UnixMillis(1_800_000_000_000);
        let at = |text: &str| text.parse::<Since>().map(|since| since.at(now).0);
        for (text, ago) in [
            ("90s", 90),
            ("15m", 15 * 60),
            ("2h", 2 * 3600),
            ("3d", 3 * 86_400),
            ("1d12h", 36 * 3600),
            ("2 weeks", 14 * 86_400),
        ] {
            assert_eq!(at(text), Ok(now.0 - ago * 1000), "{text}");
        }
        assert_eq!(at("2026-11-24T08:00:00Z"), Ok(1_795_507_200_000));
        assert_eq!(at("2026-11-24T10:00:00+02:00"), Ok(1_795_507_200_000));
        assert_eq!(at("2026-11-24"), Ok(1_795_478_400_000));
        assert_eq!(at("99999d"), Ok(0), "before 1970 is from the start");
    }

    #[test]
    fn each_mistake_has_its_error() {
        let error = |text: &str| text.parse::<Since>().unwrap_err();
        for text in ["yesterday", "", "7", "3mo", "2026-13-01"] {
            assert_eq!(error(text), SinceError::Form, "{text:?}");
        }
        assert_eq!(error("2026-11-24T08:00"), SinceError::NoZone);
        for text in ["-2h", "1969-12-31", "2h ago"] {
            assert_eq!(error(text), SinceError::Range, "{text:?}");
        }
    }

    #[test]
    fn a_printed_moment_can_be_given_back() {
        let at = UnixMillis(1_795_507_200_000);
        assert_eq!(format(at), "2026-11-24T08:00:00Z");
        assert_eq!(format(at).parse(), Ok(Since::At(at)));
        assert!(format(UnixMillis(u64::MAX)).starts_with('?'));
    }
}

//! Values, times and legends as text.

use serde_json::Value;

/// A value in a unit of Grafana's.
pub fn value(value: f64, unit: &str) -> String {
    let scaled = |value: f64, step: f64, units: &[&str]| {
        let mut left = value;
        let mut at = 0;
        while left.abs() >= step && at + 1 < units.len() {
            left /= step;
            at += 1;
        }
        format!("{} {}", short(left), units[at])
            .trim_end()
            .to_owned()
    };
    match unit {
        "percentunit" => format!("{} %", short(value * 100.0)),
        "s" => seconds(value),
        "cps" => scaled(value, 1000.0, &["c/s", "kc/s", "Mc/s"]),
        "Bps" => scaled(value, 1000.0, &["B/s", "kB/s", "MB/s", "GB/s"]),
        "bytes" => scaled(value, 1024.0, &["B", "KiB", "MiB", "GiB"]),
        "dateTimeAsIso" => day_time(value / 1000.0),
        _ => scaled(value, 1000.0, &["", "K", "Mil"]),
    }
}

fn seconds(value: f64) -> String {
    match value.abs() {
        0.0 => "0 s".to_owned(),
        v if v < 1e-3 => format!("{} µs", short(value * 1e6)),
        v if v < 1.0 => format!("{} ms", short(value * 1e3)),
        v if v < 120.0 => format!("{} s", short(value)),
        v if v < 7200.0 => format!("{} min", short(value / 60.0)),
        _ => format!("{} h", short(value / 3600.0)),
    }
}

/// Three digits, without zeros at the end.
fn short(value: f64) -> String {
    let digits = match value.abs() {
        v if v >= 100.0 => 0,
        v if v >= 10.0 => 1,
        v if v >= 0.1 || v == 0.0 => 2,
        _ => 4,
    };
    let text = format!("{value:.digits$}");
    match text.contains('.') {
        true => text.trim_end_matches('0').trim_end_matches('.').to_owned(),
        false => text,
    }
}

/// The time of the day, in UTC.
pub fn day_time(unix: f64) -> String {
    let second = unix as u64 % 86_400;
    let (hour, minute) = (second / 3600, second / 60 % 60);
    format!("{hour:02}:{minute:02}:{:02}", second % 60)
}

/// The name of a line: `{{label}}` is the value of a label.
pub fn legend(format: &str, labels: &Value) -> String {
    let mut out = String::new();
    let mut rest = format;
    while let Some((before, after)) = rest.split_once("{{") {
        let (label, more) = after.split_once("}}").unwrap_or((after, ""));
        out.push_str(before);
        out.push_str(labels[label].as_str().unwrap_or(""));
        rest = more;
    }
    out + rest
}

/// Text as it may stand in SVG.
pub fn escaped(text: &str) -> String {
    let text = text.replace('&', "&amp;").replace('<', "&lt;");
    text.replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_have_their_units() {
        assert_eq!(value(0.95, "percentunit"), "95 %");
        assert_eq!(value(0.0235, "s"), "23.5 ms");
        assert_eq!(value(90.0, "s"), "90 s");
        assert_eq!(value(1_234_567.0, "Bps"), "1.23 MB/s");
        assert_eq!(value(44_040_192.0, "bytes"), "42 MiB");
        assert_eq!(value(1020.0, "none"), "1.02 K");
        assert_eq!(value(0.0, "cps"), "0 c/s");
        assert_eq!(value(3_723_000.0, "dateTimeAsIso"), "01:02:03");
    }

    #[test]
    fn a_legend_takes_labels() {
        let labels = serde_json::json!({"service": "store", "reason": "panic"});
        assert_eq!(legend("{{service}}: {{reason}}!", &labels), "store: panic!");
        assert_eq!(legend("95 %", &labels), "95 %");
    }
}

//! What a query of ours names: the series, their matchers, and the functions around them. Prometheus
//! itself says elsewhere whether it is a query at all.

/// A series in a query.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Selector {
    /// Its name.
    pub name: String,
    /// What is between its braces.
    pub matchers: String,
    /// What is between its brackets: the range, empty where there is none.
    pub range: String,
    /// The functions around it, outermost first.
    pub within: Vec<String>,
}

impl Selector {
    /// The series without the functions around it.
    pub fn alone(&self) -> String {
        format!("{}{{{}}}", self.name, self.matchers)
    }
}

/// Words that are followed by a list of labels.
const LISTS: [&str; 6] = [
    "by",
    "without",
    "on",
    "ignoring",
    "group_left",
    "group_right",
];
/// Words that are operators or numbers.
const WORDS: [&str; 7] = ["and", "or", "unless", "bool", "offset", "inf", "nan"];

/// All series of a query.
pub fn selectors(query: &str) -> Vec<Selector> {
    let mut found = Vec::new();
    let (mut rest, mut within, mut function) = (query, Vec::new(), String::new());
    while let Some(first) = rest.chars().next() {
        if first == '"' {
            rest = after(&rest[1..], '"');
        } else if first.is_ascii_digit() {
            rest = rest.trim_start_matches(|c: char| c.is_ascii_alphanumeric() || c == '.');
        } else if first.is_ascii_alphabetic() || first == '_' || first == ':' {
            let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == ':';
            let end = rest.find(|c| !is_name(c)).unwrap_or(rest.len());
            let word = &rest[..end];
            rest = rest[end..].trim_start();
            let next = rest.split(|c: char| !is_name(c)).next().unwrap_or("");
            if LISTS.contains(&word) {
                rest = rest.strip_prefix('(').map_or(rest, |list| after(list, ')'));
            } else if rest.starts_with('(') || ["by", "without"].contains(&next) {
                word.clone_into(&mut function);
            } else if !WORDS.contains(&word) {
                let (matchers, more) = enclosed(rest, '{', '}');
                let (range, more) = enclosed(more, '[', ']');
                rest = more;
                found.push(Selector {
                    name: word.to_owned(),
                    matchers,
                    range,
                    within: within.clone(),
                });
            }
        } else {
            match first {
                '(' => within.push(std::mem::take(&mut function)),
                ')' => _ = within.pop(),
                _ => {}
            }
            rest = &rest[first.len_utf8()..];
        }
    }
    found
}

fn after(text: &str, end: char) -> &str {
    text.split_once(end).map_or("", |(_, rest)| rest)
}

/// What is between these marks where the text begins with the first, and what follows.
fn enclosed(text: &str, open: char, close: char) -> (String, &str) {
    let inside = text
        .strip_prefix(open)
        .and_then(|text| text.split_once(close));
    inside.map_or((String::new(), text), |(inside, rest)| {
        (inside.to_owned(), rest)
    })
}

#[test]
fn series_and_what_is_around_them_are_found() {
    let query = "sum by (job, le) (rate(a_total{job=~\"$job\",x=\")\"}[$__rate_interval])) / 2e3
        and on (job) group_left (x) count_values(\"root\", b > bool 0) or vector(0) unless
        increase(c:d[1h] offset 5m) * (a_total - 1)";
    let found = selectors(query);
    let names: Vec<_> = found.iter().map(|found| &found.name[..]).collect();
    assert_eq!(names, ["a_total", "b", "c:d", "a_total"]);
    assert_eq!(found[0].matchers, "job=~\"$job\",x=\")\"");
    assert_eq!(found[0].range, "$__rate_interval");
    assert_eq!(found[0].within, ["sum", "rate"]);
    assert_eq!(found[1].within, ["count_values"]);
    assert_eq!(found[2].range, "1h");
    assert_eq!(found[3].within, [""]);
}

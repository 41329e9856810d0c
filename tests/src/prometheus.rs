//! A real Prometheus on loopback, with the rules of `grafana/`.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{DEADLINE, dashboards};

/// With this variable, what a test needs must be there: it fails where it would be skipped.
pub const NO_SKIP: &str = "TESTS_MUST_NOT_SKIP";
/// How often the nodes are scraped and the rules evaluated.
pub const SCRAPE: Duration = Duration::from_secs(1);
/// Longest wait for alerts: the longest range of the rules is an hour, a twentieth of it in tests.
const ALERTS: Duration = Duration::from_secs(400);
/// Between two looks at a condition.
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// Whether a program of Debian's package `prometheus` is there; says so where it is not.
///
/// # Panics
/// When it is not there, and [`NO_SKIP`] is set.
pub fn has(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    if std::env::split_paths(&path).any(|dir| dir.join(program).is_file()) {
        return true;
    }
    let must = std::env::var_os(NO_SKIP).is_some();
    assert!(
        !must,
        "{program} is missing: install the package prometheus"
    );
    println!("SKIPPED: needs {program} of the package prometheus");
    false
}

/// A series over time.
#[derive(Debug, Clone)]
pub struct Line {
    /// Its labels.
    pub labels: Value,
    /// Times in seconds since 1970, and values; those that are no number are left out.
    pub points: Vec<(f64, f64)>,
}

/// A running Prometheus. Killed when dropped.
pub struct Prometheus {
    child: Child,
    address: String,
    targets: Mutex<Vec<Value>>,
    dir: TempDir,
}

impl Prometheus {
    /// Starts one that knows no node yet.
    ///
    /// # Panics
    /// When it does not start.
    pub fn start() -> Self {
        Self::start_faster(1)
    }

    /// The same with rules whose times are so many times shorter ([`faster`]).
    ///
    /// # Panics
    /// When it does not start.
    pub fn start_faster(factor: u64) -> Self {
        let dir = TempDir::with_prefix("kukuri-test-").expect("a temporary directory");
        fs::write(dir.path().join("targets.json"), "[]").expect("a file of this test");
        let rules = ["recording.yaml", "alerts.yaml"].map(|file| {
            let shipped = dashboards::folder().join("rules").join(file);
            let shipped = fs::read_to_string(shipped).expect("the rules are there");
            let used = dir.path().join(file);
            fs::write(&used, faster(&shipped, factor)).expect("a file of this test");
            used
        });
        let config = json!({
            "global": {"scrape_interval": "1s", "scrape_timeout": "1s", "evaluation_interval": "1s"},
            "rule_files": rules,
            "scrape_configs": [{
                "job_name": "kukuri",
                "file_sd_configs": [{"files": ["targets.json"], "refresh_interval": "1s"}],
            }],
        });
        // JSON is YAML.
        let file = dir.path().join("prometheus.yaml");
        fs::write(&file, config.to_string()).expect("a file of this test");
        let free = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr());
        let address = free.expect("a free port").to_string();
        let log = File::create(dir.path().join("log")).expect("a file of this test");
        let child = Command::new("prometheus")
            .arg(format!("--config.file={}", file.display()))
            .arg(format!(
                "--storage.tsdb.path={}",
                dir.path().join("data").display()
            ))
            .arg(format!("--web.listen-address={address}"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .expect("prometheus starts");
        let mut started = Self {
            child,
            address,
            targets: Mutex::default(),
            dir,
        };
        let deadline = Instant::now() + DEADLINE;
        while !started.is_ready() {
            let ended = started.child.try_wait().expect("a child can be asked");
            let waits = ended.is_none() && Instant::now() < deadline;
            assert!(waits, "prometheus does not start: {}", started.log());
            thread::sleep(LOOK_EVERY);
        }
        started
    }

    fn is_ready(&self) -> bool {
        let answer = self.request("GET", "/-/ready", "");
        answer.is_ok_and(|(status, _)| status == 200)
    }

    /// Scrapes one more node, which serves its metrics there.
    ///
    /// # Panics
    /// When Prometheus can't be told.
    pub fn add(&self, target: &str) {
        self.add_to("kukuri", target);
    }

    /// The same for a node of a swarm of its own: the rules look at each job alone.
    ///
    /// # Panics
    /// When Prometheus can't be told.
    pub fn add_to(&self, job: &str, target: &str) {
        let mut targets = self.targets.lock().unwrap_or_else(PoisonError::into_inner);
        targets.push(json!({"targets": [target], "labels": {"job": job}}));
        let list = json!(*targets).to_string();
        // At once, so that no half of it is read.
        let (new, file) = (self.dir.path().join("new"), "targets.json");
        fs::write(&new, list).expect("a file of this test");
        fs::rename(new, self.dir.path().join(file)).expect("a file of this test");
    }

    /// What a query says of this moment: one entry for each series, with its labels and value. Values
    /// that are no number are left out: a panel shows nothing for them.
    ///
    /// # Panics
    /// When the query is wrong.
    pub fn query(&self, query: &str) -> Vec<(Value, f64)> {
        let answer = self.api(
            "POST",
            "/api/v1/query",
            &format!("query={}", encoded(query)),
        );
        let data = &answer["data"];
        let entries = match data["resultType"].as_str() {
            Some("vector") => data["result"].as_array().cloned().unwrap_or_default(),
            _ => panic!("{query}: {answer}"),
        };
        let number = |entry: &Value| {
            let value = entry["value"][1].as_str()?.parse().ok();
            Some((entry["metric"].clone(), value?)).filter(|(_, value): &(_, f64)| !value.is_nan())
        };
        entries.iter().filter_map(number).collect()
    }

    /// What a query says of a time, between two moments in seconds since 1970.
    ///
    /// # Panics
    /// When the query is wrong.
    pub fn range(&self, query: &str, from: f64, to: f64, step: Duration) -> Vec<Line> {
        let (query, step) = (encoded(query), step.as_secs_f64());
        let form = format!("query={query}&start={from}&end={to}&step={step}");
        let answer = self.api("POST", "/api/v1/query_range", &form);
        let entries = answer["data"]["result"].as_array().into_iter().flatten();
        let point = |point: &Value| {
            let value: f64 = point[1].as_str()?.parse().ok()?;
            value.is_finite().then_some((point[0].as_f64()?, value))
        };
        let line = |entry: &Value| Line {
            labels: entry["metric"].clone(),
            points: entry["values"]
                .as_array()
                .into_iter()
                .flatten()
                .filter_map(point)
                .collect(),
        };
        entries.map(line).collect()
    }

    /// Waits until a query has an answer, and prints how long it took.
    ///
    /// # Panics
    /// When it has none in time.
    pub fn wait_for(&self, query: &str) -> Vec<(Value, f64)> {
        let begin = Instant::now();
        loop {
            let answer = self.query(query);
            let took = begin.elapsed();
            if !answer.is_empty() {
                println!("after {:.1} s: {query}", took.as_secs_f64());
                return answer;
            }
            assert!(took < DEADLINE, "no answer in time: {query}");
            thread::sleep(LOOK_EVERY);
        }
    }

    /// Waits until these alerts of a job fire and no others, and prints how long it took. Meanwhile it does
    /// something again and again.
    ///
    /// # Panics
    /// When it takes longer than the longest range of the rules, or an alert fires that is neither wanted
    /// nor in `may`.
    pub fn wait_for_alerts(
        &self,
        job: &str,
        wanted: &[&str],
        may: &[&str],
        mut meanwhile: impl FnMut(),
    ) {
        let begin = Instant::now();
        loop {
            let firing = self.firing(job);
            let took = begin.elapsed();
            let is = |names: &[&str]| firing.iter().all(|name| names.contains(&name.as_str()));
            assert!(
                is(wanted) || is(may),
                "{job}: {firing:?} instead of {wanted:?}"
            );
            if is(wanted) && firing.len() == wanted.len() {
                let took = took.as_secs_f64();
                match wanted {
                    [] => println!("{job}: {may:?} resolved after {took:.1} s"),
                    _ => println!("{job}: {wanted:?} fired after {took:.1} s"),
                }
                return;
            }
            assert!(took < ALERTS, "{job}: {firing:?}, not {wanted:?}");
            meanwhile();
            thread::sleep(LOOK_EVERY);
        }
    }

    /// The names of the alerts of a job that fire.
    ///
    /// # Panics
    /// When it does not say.
    pub fn firing(&self, job: &str) -> BTreeSet<String> {
        let query = format!("ALERTS{{alertstate=\"firing\",job=\"{job}\"}}");
        let alerts = self.query(&query).into_iter();
        let name = |labels: Value| labels["alertname"].as_str().map(str::to_owned);
        alerts.filter_map(|(labels, _)| name(labels)).collect()
    }

    /// All rules, as Prometheus has read them.
    ///
    /// # Panics
    /// When it does not say.
    pub fn rules(&self) -> Vec<Value> {
        let answer = self.api("GET", "/api/v1/rules", "");
        let groups = answer["data"]["groups"].as_array().expect("groups").clone();
        let rules = groups.iter().filter_map(|group| group["rules"].as_array());
        rules.flatten().cloned().collect()
    }

    fn api(&self, method: &str, path: &str, form: &str) -> Value {
        let answer = self.request(method, path, form);
        let (_, body) = answer.unwrap_or_else(|error| panic!("{error}: {}", self.log()));
        let answer: Value = serde_json::from_str(&body).expect("Prometheus answers in JSON");
        assert_eq!(answer["status"], "success", "{form}: {answer}");
        answer
    }

    fn request(&self, method: &str, path: &str, form: &str) -> std::io::Result<(u16, String)> {
        let mut stream = TcpStream::connect(&self.address)?;
        let length = form.len();
        // HTTP/1.0: the body ends with the connection, in one piece.
        write!(
            stream,
            "{method} {path} HTTP/1.0\r\nContent-Type: application/x-www-form-urlencoded\r\n\
             Content-Length: {length}\r\n\r\n{form}"
        )?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        let status = answer.split(' ').nth(1).and_then(|text| text.parse().ok());
        let body = answer.split_once("\r\n\r\n").map_or("", |(_, body)| body);
        Ok((status.unwrap_or(0), body.to_owned()))
    }

    fn log(&self) -> String {
        fs::read_to_string(self.dir.path().join("log")).unwrap_or_default()
    }
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        // It may have ended already.
        let _ended = self.child.kill();
        let _ended = self.child.wait();
    }
}

/// Rules whose times are so many times shorter: each range (`[5m]`), each `offset` and each `for`. What
/// they say stays the same where all that they look at happens that much more often.
pub fn faster(rules: &str, factor: u64) -> String {
    let is_time = |text: &str| {
        ["[", "offset ", "for: "]
            .iter()
            .any(|word| text.ends_with(word))
    };
    let mut out = String::new();
    let mut rest = rules;
    while let Some(at) = rest.find(|c: char| c.is_ascii_digit()) {
        let (head, tail) = rest.split_at(at);
        out.push_str(head);
        let end = tail
            .find(|c: char| !c.is_ascii_digit())
            .unwrap_or(tail.len());
        let (digits, after) = tail.split_at(end);
        let unit = match after.chars().next() {
            Some('s') => Some(1_000),
            Some('m') => Some(60_000),
            Some('h') => Some(3_600_000),
            _ => None,
        };
        match (is_time(&out), unit, digits.parse::<u64>()) {
            (true, Some(unit), Ok(count)) => {
                out.push_str(&format!("{}ms", count * unit / factor));
                rest = &after[1..];
            }
            _ => {
                out.push_str(digits);
                rest = after;
            }
        }
    }
    out + rest
}

/// Text as the value of a form.
fn encoded(text: &str) -> String {
    let byte = |byte: u8| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' => char::from(byte).to_string(),
        _ => format!("%{byte:02X}"),
    };
    text.bytes().map(byte).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faster_rules_differ_in_their_times_only() {
        let rules = "for: 5m\nexpr: increase(a_total[1h] offset 90s) > 1.5 and ratio1h:x2 < 10";
        let expected = "for: 15000ms\nexpr: increase(a_total[180000ms] offset 4500ms) > 1.5 and ratio1h:x2 < 10";
        assert_eq!(faster(rules, 20), expected);
        assert_eq!(faster("no times at 10", 20), "no times at 10");
    }
}

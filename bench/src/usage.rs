//! What a process costs, as Linux tells it in /proc (proc(5)).

use std::collections::BTreeMap;
use std::fs;
use std::time::Duration;

use anyhow::Context;

/// Clock ticks per second in /proc/PID/stat: `USER_HZ`, 100 on every Linux platform that Rust has.
const TICKS: f64 = 100.0;

/// Processor time of a process so far, user and system.
///
/// # Errors
/// The process has ended.
pub fn cpu(process: u32) -> anyhow::Result<Duration> {
    let stat = read(process, "stat")?;
    // The name of the program, in parentheses, may hold anything.
    let (_, fields) = stat.rsplit_once(')').context("an odd /proc/PID/stat")?;
    let ticks = fields.split_whitespace().skip(11).take(2);
    let ticks: f64 = ticks.filter_map(|field| field.parse::<f64>().ok()).sum();
    Ok(Duration::from_secs_f64(ticks / TICKS))
}

/// Resident memory of a process in MiB.
///
/// # Errors
/// The process has ended.
pub fn memory(process: u32) -> anyhow::Result<f64> {
    let status = read(process, "status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|line| line.split_whitespace().next()?.parse::<f64>().ok());
    Ok(kib.context("no VmRSS in /proc/PID/status")? / 1024.0)
}

/// Threads of a process by their names, digits at the end left out.
pub type Threads = BTreeMap<String, Usage>;

/// What the threads of one name have used so far. Of threads that have ended nothing is known.
#[derive(Debug, Default, Clone, Copy)]
pub struct Usage {
    /// How many there are now.
    pub threads: usize,
    /// Processor time, user and system.
    pub cpu: Duration,
    /// Times that they began to wait, and so had to be woken.
    pub waits: u64,
}

/// The threads of a process.
///
/// # Errors
/// The process has ended.
pub fn threads(process: u32) -> anyhow::Result<Threads> {
    let mut threads = Threads::new();
    let tasks = fs::read_dir(format!("/proc/{process}/task"));
    for task in tasks.with_context(|| ended(process))? {
        let file = |name: &str| fs::read_to_string(task.as_ref().ok()?.path().join(name)).ok();
        // One that has ended meanwhile is left out.
        let (Some(name), Some(times), Some(status)) =
            (file("comm"), file("schedstat"), file("status"))
        else {
            continue;
        };
        let digit = |c: char| c.is_ascii_digit();
        let name = name.trim().trim_end_matches(digit).trim_end_matches('-');
        let usage = threads.entry(name.to_owned()).or_default();
        usage.threads += 1;
        let nanos = times.split_whitespace().next();
        usage.cpu += Duration::from_nanos(nanos.and_then(|n| n.parse().ok()).unwrap_or(0));
        let mut lines = status.lines();
        let waits = lines.find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"));
        usage.waits += waits.and_then(|n| n.trim().parse().ok()).unwrap_or(0);
    }
    Ok(threads)
}

fn ended(process: u32) -> String {
    format!("process {process} of the measurement has ended")
}

fn read(process: u32, file: &str) -> anyhow::Result<String> {
    fs::read_to_string(format!("/proc/{process}/{file}")).with_context(|| ended(process))
}

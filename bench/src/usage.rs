//! What a process costs, as Linux tells it in /proc (proc(5)).

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

fn read(process: u32, file: &str) -> anyhow::Result<String> {
    fs::read_to_string(format!("/proc/{process}/{file}"))
        .with_context(|| format!("process {process} of the measurement has ended"))
}

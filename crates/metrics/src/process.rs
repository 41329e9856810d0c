//! The process as its operating system sees it: the only file that names `procfs`.

use crate::core::series::Series;

/// The series about this process with their values of this moment; what the operating system does not
/// tell is missing.
#[cfg(target_os = "linux")]
pub fn now() -> Vec<(Series, f64)> {
    use procfs::WithCurrentSystemInfo;
    use procfs::process::{LimitValue, Process};

    use crate::core::series::{CPU, MAX_FDS, MEMORY, OPEN_FDS, START_TIME, THREADS};

    let Ok(process) = Process::myself() else {
        return Vec::new();
    };
    let stat = process.stat().ok();
    let seconds = |ticks: u64| ticks as f64 / procfs::ticks_per_second() as f64;
    let started = stat.as_ref().map(|stat| seconds(stat.starttime));
    let booted = procfs::boot_time_secs().ok();
    let open = process.fd_count().ok();
    let limits = process.limits().ok();
    let most = limits.map(|limits| match limits.max_open_files.soft_limit {
        LimitValue::Value(most) => most as f64,
        LimitValue::Unlimited => 0.0,
    });
    let stat = stat.as_ref();
    let all = [
        (CPU, stat.map(|stat| seconds(stat.utime + stat.stime))),
        (MEMORY, stat.map(|stat| stat.rss_bytes().get() as f64)),
        (OPEN_FDS, open.map(|open| open as f64)),
        (MAX_FDS, most),
        (THREADS, stat.map(|stat| stat.num_threads as f64)),
        (START_TIME, booted.zip(started).map(|(b, s)| b as f64 + s)),
    ];
    let known = all.into_iter();
    known.filter_map(|(of, value)| Some((of, value?))).collect()
}

/// Nothing is known of the process here.
#[cfg(not(target_os = "linux"))]
pub fn now() -> Vec<(Series, f64)> {
    Vec::new()
}

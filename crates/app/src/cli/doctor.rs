//! `kukuri doctor`: whether a node can work here, and what to do if not.

#[cfg_attr(not(feature = "discovery-mainline"), path = "doctor/absent.rs")]
mod dht;
mod local;

use std::path::Path;
use std::process::ExitCode;

use kukuri::Config;
use serde_json::json;

use super::args::DoctorArgs;
use super::output::Output;
use super::{Failure, unless_interrupted};

/// How a check went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Grade {
    /// All right.
    Ok,
    /// It works, and could be better.
    Warn,
    /// It does not work.
    Fail,
}

impl Grade {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warn => "warn",
            Self::Fail => "fail",
        }
    }
}

/// What was looked at, and what came of it.
#[derive(Debug)]
pub struct Check {
    name: &'static str,
    grade: Grade,
    message: String,
    hint: Option<String>,
}

impl Check {
    /// All right.
    pub fn ok(name: &'static str, message: impl Into<String>) -> Self {
        Self {
            name,
            grade: Grade::Ok,
            message: message.into(),
            hint: None,
        }
    }

    /// It works, but.
    pub fn warn(name: &'static str, message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self {
            grade: Grade::Warn,
            hint: Some(hint.into()),
            ..Self::ok(name, message)
        }
    }

    /// It does not work.
    pub fn fail(name: &'static str, message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self {
            grade: Grade::Fail,
            ..Self::warn(name, message, hint)
        }
    }
}

/// Runs the command. It ends with 1 if something does not work.
pub async fn run(
    args: DoctorArgs,
    file: Option<&Path>,
    output: &Output,
) -> Result<ExitCode, Failure> {
    let mut report = Report {
        output,
        worst: Grade::Ok,
    };
    match Config::load(file, &args.overrides()).and_then(|config| config.check().map(|()| config)) {
        Ok(config) => {
            report.tell(Check::ok("config", "it can be used"));
            unless_interrupted(examine(&mut report, &config, &args)).await??;
        }
        Err(error) => {
            let hint = "see `kukuri config show`, and the settings in the environment (KUKURI_...)";
            report.tell(Check::fail("config", error.to_string(), hint));
        }
    }
    Ok(report.end())
}

async fn examine(
    report: &mut Report<'_>,
    config: &Config,
    args: &DoctorArgs,
) -> Result<(), Failure> {
    for check in local::disk(config) {
        report.tell(check);
    }
    report.tell(local::secrets(config).await);
    report.tell(local::clock());
    for check in local::ports(config) {
        report.tell(check);
    }
    let looking = report
        .output
        .spinner("two nodes on this machine look for each other");
    let own = dht::self_test().await;
    drop(looking);
    report.tell(own);
    if args.offline {
        return Ok(());
    }
    let looking = report.output.spinner("asking the DHT");
    let checks = dht::examine(config).await;
    drop(looking);
    for check in checks {
        report.tell(check);
    }
    Ok(())
}

/// Tells each check as it ends, and remembers the worst.
struct Report<'a> {
    output: &'a Output,
    worst: Grade,
}

impl Report<'_> {
    fn tell(&mut self, check: Check) {
        let Check {
            name,
            grade,
            message,
            hint,
        } = check;
        let event = json!({
            "event": "check",
            "name": name,
            "result": grade.as_str(),
            "message": message,
            "hint": hint,
        });
        let mut text = format!("{:<5} {name:<11} {message}", grade.as_str());
        if let Some(hint) = hint {
            text.push_str(&format!("\n      {:<11} -> {hint}", ""));
        }
        self.output.event(&event, text);
        self.worst = match (self.worst, grade) {
            (Grade::Fail, _) | (_, Grade::Fail) => Grade::Fail,
            (Grade::Warn, _) | (_, Grade::Warn) => Grade::Warn,
            _ => Grade::Ok,
        };
    }

    fn end(self) -> ExitCode {
        let text = match self.worst {
            Grade::Ok => "A node can work here.",
            Grade::Warn => "A node can work here; see what could be better.",
            Grade::Fail => "Something does not work; see above what to do.",
        };
        let event = json!({ "event": "diagnosis", "result": self.worst.as_str(), "message": text });
        self.output.event(&event, text);
        match self.worst {
            Grade::Fail => ExitCode::FAILURE,
            _ => ExitCode::SUCCESS,
        }
    }
}

//! The command line: what can be asked, and how it is answered.

mod args;
mod config;
#[cfg(feature = "discovery-mainline")]
mod dht;
mod docs;
mod doctor;
mod follow;
mod health;
mod identity;
mod input;
mod join;
mod keys;
mod log;
mod output;
mod post;
mod posts;
mod progress;
mod saved;
mod secret;
mod since;
mod topic;

use std::process::ExitCode;
use std::sync::OnceLock;
use std::time::Duration;

use clap::Parser;
use tokio::sync::watch;

use args::{Cli, Command};
use output::Output;

/// What a command fails with: anything that says what was wrong.
type Failure = Box<dyn std::error::Error + Send + Sync>;

/// Exit code of a node that gave up and should be started again by whoever runs it: unlike 1 and 2,
/// which come back until somebody changes something.
pub const EXIT_GAVE_UP: u8 = 3;

/// Longest wait for a question that was interrupted.
const GIVE_BACK: Duration = Duration::from_millis(500);

/// Runs the command line and says how it went: 0 all right, 1 failed, 2 wrong usage,
/// [`EXIT_GAVE_UP`].
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    let typing = matches!(cli.command, Command::Join(_));
    let output = Output::new(cli.json, typing);
    log::start(cli.log.as_deref(), &output);
    match run(cli, &output) {
        Ok(code) => code,
        Err(failure) => {
            output.failure(&failure);
            ExitCode::FAILURE
        }
    }
}

fn run(cli: Cli, output: &Output) -> Result<ExitCode, Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?;
    let config_file = cli.config.as_deref();
    let code = runtime.block_on(async {
        match cli.command {
            #[cfg(feature = "discovery-mainline")]
            Command::Dht(command) => dht::run(command, output).await,
            Command::Join(args) => join::run(*args, config_file, output).await,
            Command::Posts(args) => posts::run(args, config_file, output).await,
            Command::Identity(args) => identity::run(*args, config_file, output).await,
            Command::Topic(args) => topic::run(*args, config_file, output).await,
            Command::Doctor(args) => doctor::run(args, config_file, output).await,
            Command::Health(args) => health::run(args, config_file, output),
            Command::Config(args) => config::run(args, config_file, output),
            Command::Completions(args) => docs::completions(args, output),
            Command::Man(args) => docs::man(args, output),
        }
    });
    // Standard input may still be read by a thread that nothing can interrupt.
    runtime.shutdown_background();
    code
}

/// Waits for what may ask for a passphrase, or until somebody wants to end it.
///
/// # Errors
/// It was interrupted.
async fn unless_interrupted<T>(work: impl Future<Output = T>) -> Result<T, Failure> {
    tokio::pin!(work);
    tokio::select! {
        // Listens before it asks: a Ctrl-C in between would end the process, and leave the terminal
        // without echo.
        biased;
        () = interrupted() => {
            // A question that is open gives the terminal back first, as it was before.
            let _ended = tokio::time::timeout(GIVE_BACK, &mut work).await;
            Err("interrupted".into())
        }
        done = &mut work => Ok(done),
    }
}

/// Waits for Ctrl-C or SIGTERM. One that came while nobody waited counts too, from the first call on.
async fn interrupted() {
    static HEARD: OnceLock<watch::Receiver<bool>> = OnceLock::new();
    let heard = HEARD.get_or_init(|| {
        let (tell, heard) = watch::channel(false);
        let signalled = listen();
        tokio::spawn(async move {
            signalled.await;
            tell.send_replace(true);
            // Whoever waits later must find it.
            tell.closed().await;
        });
        heard
    });
    let mut heard = heard.clone();
    if heard.wait_for(|heard| *heard).await.is_err() {
        std::future::pending::<()>().await;
    }
}

/// Listens from now on, not only once it is waited for.
#[cfg(unix)]
fn listen() -> impl Future<Output = ()> + Send + 'static {
    use tokio::signal::unix::{Signal, SignalKind, signal};
    let listen = |kind| signal(kind).ok();
    let mut signals = [SignalKind::interrupt(), SignalKind::terminate()].map(listen);
    async fn next(signal: &mut Option<Signal>) {
        match signal {
            Some(signal) => _ = signal.recv().await,
            None => std::future::pending().await,
        }
    }
    async move {
        let [interrupt, terminate] = &mut signals;
        tokio::select! {
            () = next(interrupt) => {}
            () = next(terminate) => {}
        }
    }
}

#[cfg(not(unix))]
async fn listen() {
    if tokio::signal::ctrl_c().await.is_err() {
        std::future::pending::<()>().await;
    }
}

//! Clauses of events.

use kukuri_contract::{CallError, Outlet, SavePost, StoreDeps, StoreEvent};

use super::*;
use crate::events::{EventLog, FastAndSlow};
use crate::every::end;
use crate::kit::{Held, Stage, ensure_eq, until};

pub async fn writes_are_told_and_slow_listeners_what_they_missed(on: &Stage<'_, Store>) -> Held {
    const WRITES: u64 = 64;
    let (mut both, listeners) = FastAndSlow::new();
    let deps = StoreDeps {
        events: Outlet::new(listeners),
        ..Store::deps(1, on.dir(1))
    };
    let port = on.start(1, deps).await.port;
    for seq in 1..=WRITES / 2 {
        save(&port, &[post(1, seq, seq)]).await?;
        // It changes nothing, and is a write all the same.
        try_save(&port, post(1, seq, seq)).await?;
    }
    let (mut told, mut events) = (0, 0);
    let all_told = async || {
        for event in both.drain() {
            events += 1;
            if let StoreEvent::Committed { requests, .. } = event {
                told += requests;
            }
        }
        Ok((told as u64 >= WRITES).then_some(()))
    };
    until(
        on.patience(),
        "each write to be told as committed",
        all_told,
    )
    .await?;
    let missed = |event: &StoreEvent| match event {
        StoreEvent::Lagged(missed) => Some(*missed),
        _ => None,
    };
    let mut seq = WRITES;
    let one_more = async || {
        seq += 1;
        save(&port, &[post(1, seq, seq)]).await
    };
    both.account(on.patience(), events, missed, one_more)
        .await?;
    end(on, &port).await
}

pub async fn a_failed_write_is_told(on: &Stage<'_, Store>) -> Held {
    let (mut log, to) = EventLog::new();
    let deps = StoreDeps {
        events: Outlet::new([to]),
        ..Store::deps(1, on.dir(1))
    };
    let port = on.start(1, deps).await.port;
    let Err(CallError::Refused(why)) = port.save_post(SavePost(post(1, 0, 1))).await else {
        // Judged elsewhere.
        return end(on, &port).await;
    };
    let failed = |event| match event {
        StoreEvent::Failed { requests, error } => Some((requests, error)),
        _ => None,
    };
    let told = log.find(on.patience(), "a failure to be told", failed);
    ensure_eq!(told.await?, (1, why), "what failed");
    end(on, &port).await
}

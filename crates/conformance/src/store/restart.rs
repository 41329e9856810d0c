//! Clauses of what is there after an end, and beside one that has not ended.

use kukuri_contract::{
    CallError, Contacts, Drill, RememberContacts, SavePost, StoreError, UnixMillis,
};

use super::*;
use crate::every::{end, poll_once};
use crate::kit::{Capability, Held, Local, Stage, ensure, ensure_eq, within};

pub async fn what_was_acknowledged_survives_a_restart(on: &Stage<'_, Store>) -> Held {
    let port = on.begin(1).await.port;
    save_odd_things(&port).await?;
    // Its author has revoked it: the number alone is settled.
    let _judged_elsewhere = try_save(&port, linked(1, 2, 9)).await?;
    let before = see(&port).await?;
    end(on, &port).await?;

    let port = on.begin(1).await.port;
    ensure_eq!(see(&port).await?, before, "what is there after a restart");
    ensure!(
        !try_save(&port, linked(1, 2, 10)).await?.new,
        "a post is new whose writer was revoked before the restart"
    );
    // One that was seen between two others takes its place, since their times are known.
    let UnixMillis(seen_at) = contact_seen(0);
    let request = RememberContacts {
        contacts: vec![([192, 0, 2, 77], 7).into()],
        seen_at: UnixMillis(seen_at - 500),
    };
    let between = request.contacts[0];
    port.remember_contacts(request).await?;
    let contacts = port.contacts(Contacts { limit: 9 }).await?;
    let place = contacts.iter().position(|contact| *contact == between);
    ensure_eq!(place, Some(1), "the place of a new contact");
    save(&port, &[post(4, 1, 1), post(4, 2, 2)]).await?;
    let before = see(&port).await?;
    let _panics = port.drill(Drill::Panic).await;
    end(on, &port).await?;

    let port = on.begin(1).await.port;
    ensure_eq!(see(&port).await?, before, "what is there after a panic");
    end(on, &port).await
}

pub async fn what_was_asked_before_stop_is_done(on: &Stage<'_, Store>) -> Held {
    let port = on.begin(1).await.port;
    let posts = (1..=AT_ONCE as u64).map(|seq| post(1, seq, seq));
    let mut under_way: Vec<Local<'_, SavedOrNot>> = Vec::new();
    let mut done = 0;
    for post in posts {
        let mut save: Local<'_, SavedOrNot> = Box::pin(port.save_post(SavePost(post)));
        match poll_once(&mut save).await {
            None => under_way.push(save),
            Some(saved) => done += usize::from(saved?.new),
        }
    }
    let _judged_elsewhere = port.stop().await;
    for save in under_way {
        let saved = within(on.patience(), "the reply of a write before Stop", save).await?;
        done += usize::from(saved?.new);
    }
    ensure_eq!(done, AT_ONCE, "posts that were saved before Stop");
    end(on, &port).await?;
    if on.has(Capability::Durable) {
        let port = on.begin(1).await.port;
        ensure_eq!(texts(&port).await?.len(), AT_ONCE, "posts");
        end(on, &port).await?;
    }
    Ok(())
}

pub async fn a_fresh_store_works_beside_the_one_before(on: &Stage<'_, Store>) -> Held {
    let old = on.begin(1).await.port;
    save(&old, &[post(1, 1, 1)]).await?;
    // As when it hangs: nobody has ended it.
    let fresh = on.begin(1).await.port;
    save(&fresh, &[post(1, 2, 2)]).await?;
    let mut expected = vec![post(1, 1, 1), post(1, 2, 2)];
    // It comes to itself again. What it says it has done it must have done.
    let late = post(2, 1, 3);
    match old.save_post(SavePost(late.clone())).await {
        Ok(_) => expected.push(late),
        Err(CallError::Refused(StoreError::Stopping) | CallError::Unavailable { .. }) => {}
        Err(other) => {
            ensure!(
                matches!(other, CallError::Refused(_)),
                "the store before brought {other:?}"
            );
        }
    }
    save(&fresh, &[post(3, 1, 4)]).await?;
    expected.push(post(3, 1, 4));
    ensure_eq!(texts(&fresh).await?, expected, "posts");
    end(on, &old).await?;
    ensure_eq!(texts(&fresh).await?, expected, "posts after its end");
    end(on, &fresh).await?;
    let port = on.begin(1).await.port;
    ensure_eq!(texts(&port).await?, expected, "posts after a restart");
    end(on, &port).await
}

//! Clauses of what is signed, and what is not.

use ed25519_dalek::{Signature, Verifier, VerifyingKey};
use kukuri_contract::{
    AuthorId, CallError, Epoch, Sign, SignError, SignRequest, TopicId, UnixMillis,
};

use super::Identity;
use crate::every::end;
use crate::kit::{Held, Stage, ensure, ensure_eq};

pub async fn a_statement_is_signed_by_the_key_that_it_is_of(on: &Stage<'_, Identity>) -> Held {
    let running = on.begin(1).await;
    let (endpoint, author) = (running.info.endpoint, running.info.author);
    let topic = TopicId::from_bytes([7; 32]);
    let record = SignRequest::Record {
        topic,
        epoch: Epoch(1),
        body: vec![1, 2, 3],
    };
    let heartbeat = SignRequest::Heartbeat {
        topic,
        beat: UnixMillis(1),
    };
    let post = SignRequest::Post {
        topic,
        envelope: vec![1, 2, 3],
    };
    let link = SignRequest::Link {
        author,
        writer: AuthorId::from_bytes([9; 32]),
        issued_at: UnixMillis(1),
    };
    for (statement, key) in [
        (record, endpoint.as_bytes()),
        (heartbeat, endpoint.as_bytes()),
        (post, author.as_bytes()),
        (link, author.as_bytes()),
    ] {
        let signature = running.port.sign(Sign(statement.clone())).await?;
        let signature = Signature::from_bytes(signature.as_bytes());
        let key = VerifyingKey::from_bytes(key)?;
        let good = key.verify(&statement.preimage(), &signature).is_ok();
        ensure!(good, "the signature of {statement:?} is not by its key");
    }
    end(on, &running.port).await
}

pub async fn no_link_in_anothers_name(on: &Stage<'_, Identity>) -> Held {
    let running = on.begin(1).await;
    let link = SignRequest::Link {
        author: AuthorId::from_bytes([9; 32]),
        writer: running.info.author,
        issued_at: UnixMillis(1),
    };
    let refused = running.port.sign(Sign(link)).await;
    let error = CallError::Refused(SignError::NotOurs);
    ensure_eq!(refused, Err(error), "a link in another's name");
    end(on, &running.port).await
}

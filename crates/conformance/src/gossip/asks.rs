//! Clauses of questions and answers.

use kukuri_contract::{
    Answer, AnswerError, Ask, AskError, AskId, CallError, EndpointId, GossipEvent,
    MAX_ANSWER_BYTES, MAX_ASK_BYTES, TopicId,
};

use super::{Gossip, Node, OTHER, TOPIC, end_both, neighbors};
use crate::kit::{Held, Stage, ensure, ensure_eq};

fn ask(topic: TopicId, peer: EndpointId, length: usize) -> Ask {
    Ask {
        topic,
        peer,
        payload: vec![7; length].into(),
    }
}

fn answer(id: AskId, payload: Option<&[u8]>) -> Answer {
    Answer {
        id,
        payload: payload.map(|payload| payload.to_vec().into()),
    }
}

/// Answers one question of another, and checks that it is the one that was asked.
async fn answers(
    on: &Stage<'_, Gossip>,
    node: &mut Node,
    from: EndpointId,
    payload: Option<&[u8]>,
) -> Held {
    let asked = |event| match event {
        GossipEvent::Asked {
            topic,
            from,
            id,
            payload,
        } => Some((topic, from, id, payload)),
        _ => None,
    };
    let what = "a question";
    let (topic, asker, id, question) = node.log.find(on.patience(), what, asked).await?;
    ensure_eq!((topic, asker), (TOPIC, from), "where and who asks");
    ensure_eq!(question[..], [7; 3], "the question");
    Ok(node.port.answer(answer(id, payload)).await?)
}

pub async fn a_question_gets_its_answer(on: &Stage<'_, Gossip>) -> Held {
    let (one, mut two) = neighbors(on).await?;
    for reply in [Some(&b"yes"[..]), None] {
        let (answered, told) = tokio::join!(
            one.port.ask(ask(TOPIC, two.address.id, 3)),
            answers(on, &mut two, one.id, reply),
        );
        told?;
        match reply {
            Some(reply) => ensure_eq!(answered?[..], *reply, "the answer"),
            None => ensure!(
                matches!(answered, Err(CallError::Refused(AskError::Refused(_)))),
                "a refused question brought {answered:?}"
            ),
        }
    }
    end_both(on, &one, &two).await
}

pub async fn a_question_that_can_not_be_asked_is_refused(on: &Stage<'_, Gossip>) -> Held {
    let (one, two) = neighbors(on).await?;
    let nobody = EndpointId::from_bytes([9; 32]);
    let large = MAX_ASK_BYTES + 1;
    for (question, error) in [
        (ask(TOPIC, two.id, large), AskError::TooLarge(large)),
        (ask(TOPIC, nobody, 3), AskError::NoNeighbor(nobody)),
        (ask(OTHER, two.id, 3), AskError::UnknownTopic(OTHER)),
    ] {
        let refused = one.port.ask(question).await;
        ensure_eq!(refused, Err(CallError::Refused(error)), "a question");
    }
    end_both(on, &one, &two).await
}

pub async fn an_answer_that_nobody_waits_for_is_gone(on: &Stage<'_, Gossip>) -> Held {
    let (one, two) = neighbors(on).await?;
    let gone = one.port.answer(answer(AskId(1), Some(b"yes"))).await;
    ensure_eq!(
        gone,
        Err(CallError::Refused(AnswerError::Gone)),
        "an answer to nobody"
    );
    let large = vec![7; MAX_ANSWER_BYTES + 1];
    let error = AnswerError::TooLarge(large.len());
    let refused = one.port.answer(answer(AskId(1), Some(&large))).await;
    ensure_eq!(
        refused,
        Err(CallError::Refused(error)),
        "an answer that is too large"
    );
    end_both(on, &one, &two).await
}

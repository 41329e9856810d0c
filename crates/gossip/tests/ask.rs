//! Questions between real iroh endpoints on loopback.

#![allow(clippy::unwrap_used, reason = "a test panics where it fails")]

mod nodes;

use std::time::Instant;

use bytes::Bytes;
use iroh::endpoint::Connection;
use kukuri_contract::{
    Answer, AnswerError, Ask, AskDrop, AskError, AskId, CallError, Drill, EndpointId, GossipEvent,
    Leave, MAX_ANSWER_BYTES, MAX_ASK_BYTES, TopicId,
};
use kukuri_gossip::{ASK_ALPN, Config};
use nodes::{Node, OTHER, TOPIC, join, local, meet, node, node_with, reach, stranger};

impl Node {
    async fn ask(
        &self,
        peer: EndpointId,
        payload: impl Into<Bytes>,
    ) -> Result<Bytes, CallError<AskError>> {
        self.ask_in(TOPIC, peer, payload).await
    }

    async fn ask_in(
        &self,
        topic: TopicId,
        peer: EndpointId,
        payload: impl Into<Bytes>,
    ) -> Result<Bytes, CallError<AskError>> {
        let payload = payload.into();
        let ask = Ask {
            topic,
            peer,
            payload,
        };
        self.port.ask(ask).await
    }

    async fn asked(&mut self) -> (EndpointId, AskId, Bytes) {
        let asked = |event| match event {
            GossipEvent::Asked {
                topic,
                from,
                id,
                payload,
            } => {
                assert_eq!(topic, TOPIC);
                Some((from, id, payload))
            }
            _ => None,
        };
        self.log.wait_for("a question", asked).await
    }

    async fn answer(
        &self,
        id: AskId,
        payload: Option<Bytes>,
    ) -> Result<(), CallError<AnswerError>> {
        self.port.answer(Answer { id, payload }).await
    }

    async fn dropped(&mut self) -> AskDrop {
        let dropped = |event| match event {
            GossipEvent::AskDropped { reason, .. } => Some(reason),
            _ => None,
        };
        self.log.wait_for("a dropped question", dropped).await
    }

    /// Answers one question with itself, unless it is dropped.
    async fn echo_or_drop(&mut self) {
        let ended = |event| match event {
            GossipEvent::Asked { id, payload, .. } => Some(Some((id, payload))),
            GossipEvent::AskDropped { .. } => Some(None),
            _ => None,
        };
        if let Some((id, payload)) = self.log.wait_for("a question's end", ended).await {
            self.answer(id, Some(payload)).await.unwrap();
        }
    }

    /// Answers one question with itself.
    async fn echo(&mut self) {
        let (_, id, payload) = self.asked().await;
        self.answer(id, Some(payload)).await.unwrap();
    }
}

fn failed<T: std::fmt::Debug>(result: Result<T, CallError<AskError>>) -> String {
    match result.unwrap_err() {
        CallError::Refused(AskError::Failed(why)) => why,
        other => panic!("not failed, but {other:?}"),
    }
}

fn refused<T: std::fmt::Debug>(result: Result<T, CallError<AskError>>) -> String {
    match result.unwrap_err() {
        CallError::Refused(AskError::Refused(why)) => why,
        other => panic!("not refused, but {other:?}"),
    }
}

/// Node 2 was dialed by node 1, and has no address of it but from the live connection.
#[actix::test]
async fn each_side_asks_and_is_answered_whoever_dialed() {
    let (mut a, mut b) = (node(1).await, node(2).await);
    meet(&mut a, &mut b).await;
    let started = Instant::now();
    let (asked, ()) = tokio::join!(a.ask(b.address.id, "from a"), b.echo());
    println!("the first question took {:?}", started.elapsed());
    assert_eq!(asked.unwrap(), "from a");
    let (asked, ()) = tokio::join!(b.ask(a.address.id, "from b"), a.echo());
    assert_eq!(asked.unwrap(), "from b");
    let (answer, from) = tokio::join!(a.ask(b.address.id, ""), async {
        let (from, id, payload) = b.asked().await;
        assert!(payload.is_empty());
        b.answer(id, Some(Bytes::new())).await.unwrap();
        assert_eq!(
            b.answer(id, None).await,
            Err(CallError::Refused(AnswerError::Gone)),
            "once is enough"
        );
        from
    });
    assert_eq!((answer.unwrap(), from), (Bytes::new(), a.address.id));
    let started = Instant::now();
    let times = 200;
    for _ in 0..times {
        let (asked, ()) = tokio::join!(a.ask(b.address.id, "again"), b.echo());
        asked.unwrap();
    }
    println!("one question took {:?}", started.elapsed() / times);
}

#[actix::test]
async fn the_largest_go_through_and_one_byte_more_is_refused() {
    let (mut a, mut b) = (node(1).await, node(2).await);
    meet(&mut a, &mut b).await;
    let question = vec![7; MAX_ASK_BYTES];
    let answer = Bytes::from(vec![8; MAX_ANSWER_BYTES]);
    let (got, ()) = tokio::join!(a.ask(b.address.id, question.clone()), async {
        let (_, id, payload) = b.asked().await;
        assert_eq!(payload, question);
        let more = Some(vec![8; MAX_ANSWER_BYTES + 1].into());
        let too_large = CallError::Refused(AnswerError::TooLarge(MAX_ANSWER_BYTES + 1));
        assert_eq!(b.answer(id, more).await, Err(too_large));
        b.answer(id, Some(answer.clone())).await.unwrap();
    });
    assert_eq!(got.unwrap(), answer);
    let got = a.ask(b.address.id, vec![7; MAX_ASK_BYTES + 1]).await;
    let too_large = CallError::Refused(AskError::TooLarge(MAX_ASK_BYTES + 1));
    assert_eq!(got, Err(too_large));
}

#[actix::test]
async fn only_neighbors_are_asked_and_answers_may_be_refused() {
    let (mut a, mut b) = (node(1).await, node(2).await);
    meet(&mut a, &mut b).await;
    let unknown = CallError::Refused(AskError::UnknownTopic(OTHER));
    assert_eq!(a.ask_in(OTHER, b.address.id, "?").await, Err(unknown));
    a.port.join(join(OTHER)).await.unwrap();
    let stranger = CallError::Refused(AskError::NoNeighbor(b.address.id));
    assert_eq!(a.ask_in(OTHER, b.address.id, "?").await, Err(stranger));
    let (answer, ()) = tokio::join!(a.ask(b.address.id, "?"), async {
        let (_, id, _) = b.asked().await;
        b.answer(id, None).await.unwrap();
    });
    assert!(refused(answer).contains("refuses"));
    b.port.leave(Leave { topic: TOPIC }).await.unwrap();
    a.down(b.address.id).await;
    let gone = CallError::Refused(AskError::NoNeighbor(b.address.id));
    assert_eq!(a.ask(b.address.id, "?").await, Err(gone));
}

#[actix::test]
async fn what_is_under_way_is_bounded_on_both_sides() {
    let one = Config {
        max_answers: 1,
        ..local()
    };
    let (mut a, mut b) = (node(1).await, node_with(2, one).await);
    b.port.join(join(TOPIC)).await.unwrap();
    meet(&mut a, &mut b).await;
    let mut c = node(3).await;
    meet(&mut c, &mut b).await;
    let (first, ()) = tokio::join!(a.ask(b.address.id, "first"), async {
        let (_, id, payload) = b.asked().await;
        assert_eq!(payload, "first");
        let busy = CallError::Refused(AskError::Busy { limit: 1 });
        assert_eq!(a.ask(b.address.id, "second").await, Err(busy));
        assert!(refused(c.ask(b.address.id, "third").await).contains("busy"));
        assert_eq!(b.dropped().await, AskDrop::Busy);
        b.answer(id, Some(payload)).await.unwrap();
    });
    assert_eq!(first.unwrap(), "first");
    // The place is free once the answer has arrived, which its sender hears a little later.
    loop {
        let (got, ()) = tokio::join!(c.ask(b.address.id, "again"), b.echo_or_drop());
        match got {
            Ok(got) => break assert_eq!(got, "again"),
            Err(error) => assert!(refused::<Bytes>(Err(error)).contains("busy")),
        }
    }
}

#[actix::test]
async fn a_question_without_an_answer_ends_in_time_on_both_sides() {
    let hasty = Config {
        answer_timeout_ms: 200,
        ..local()
    };
    let (mut a, mut b) = (node(1).await, node_with(2, hasty).await);
    b.port.join(join(TOPIC)).await.unwrap();
    meet(&mut a, &mut b).await;
    let answer = a.ask(b.address.id, "?").await;
    assert!(failed(answer).contains("gave up"));
    let (_, id, _) = b.asked().await;
    assert_eq!(b.dropped().await, AskDrop::TimedOut);
    let late = b.answer(id, Some(Bytes::new())).await;
    assert_eq!(late, Err(CallError::Refused(AnswerError::Gone)));
    // The other way round, the asker is the hasty one.
    let hasty = Config {
        question_timeout_ms: 200,
        ..local()
    };
    let mut c = node_with(3, hasty).await;
    c.port.join(join(TOPIC)).await.unwrap();
    meet(&mut c, &mut a).await;
    assert!(failed(c.ask(a.address.id, "?").await).contains("200ms"));
    assert_eq!(a.dropped().await, AskDrop::TimedOut);
    let (again, ()) = tokio::join!(c.ask(a.address.id, "again"), a.echo());
    assert_eq!(again.unwrap(), "again");
}

#[actix::test]
async fn a_neighbor_that_dies_while_it_is_asked_is_no_answer() {
    let (mut a, mut b) = (node(1).await, node(2).await);
    meet(&mut a, &mut b).await;
    let (answer, ()) = tokio::join!(a.ask(b.address.id, "?"), async {
        b.asked().await;
        // The actor dies, and the endpoint with it.
        b.port.drill(Drill::Panic).await.unwrap_err();
    });
    println!("the question failed: {}", failed(answer));
    a.down(b.address.id).await;
}

/// An endpoint that is no node.
/// Sends these bytes as a question; all that comes back.
async fn raw(connection: &Connection, question: &[u8]) -> Vec<u8> {
    let (mut send, mut recv) = connection.open_bi().await.unwrap();
    // It may be refused before it is read.
    let _stopped = send.write_all(question).await;
    let _stopped = send.finish();
    recv.read_to_end(100).await.unwrap()
}

fn question(version: u8, payload: &[u8]) -> Vec<u8> {
    [&[version][..], TOPIC.as_bytes(), payload].concat()
}

#[actix::test]
async fn a_stranger_gets_one_byte_and_is_counted() {
    let mut a = node(1).await;
    let stranger = stranger(9).await;
    let connection = reach(&stranger, &a.address, ASK_ALPN).await;
    for (bytes, status, reason) in [
        (question(1, b"?"), 4, AskDrop::NotMember),
        (question(2, b"?"), 3, AskDrop::Version),
        (question(1, b"")[..20].to_vec(), 3, AskDrop::Malformed),
        (vec![], 3, AskDrop::Malformed),
    ] {
        assert_eq!(raw(&connection, &bytes).await, [status]);
        assert_eq!(a.dropped().await, reason);
    }
    stranger.close().await;
}

#[actix::test]
async fn a_question_may_come_a_little_before_its_asker_is_a_neighbor() {
    let (mut a, mut b) = (node(1).await, node(2).await);
    // The same key, so the same peer to a.
    let twin = stranger(2).await;
    let connection = reach(&twin, &a.address, ASK_ALPN).await;
    let early = question(1, b"early");
    let (got, ()) = tokio::join!(raw(&connection, &early), async {
        // Not the other way round: to iroh, the way to this key leads to the twin now.
        meet(&mut b, &mut a).await;
        a.echo().await;
    });
    assert_eq!(got, b"\0early");
    twin.close().await;
}

#[actix::test]
async fn a_neighbor_with_a_key_of_its_own_is_held_to_the_sizes() {
    let (mut a, mut b) = (node(1).await, node(2).await);
    meet(&mut a, &mut b).await;
    // The same key, so the same peer to b.
    let twin = stranger(1).await;
    let connection = reach(&twin, &b.address, ASK_ALPN).await;
    let too_large = question(1, &vec![7; MAX_ASK_BYTES + 1]);
    assert_eq!(raw(&connection, &too_large).await, [3]);
    assert_eq!(b.dropped().await, AskDrop::Malformed);
    let largest = question(1, &vec![7; MAX_ASK_BYTES]);
    let (got, ()) = tokio::join!(raw(&connection, &largest), async {
        let (from, id, payload) = b.asked().await;
        assert_eq!((from, payload.len()), (a.address.id, MAX_ASK_BYTES));
        b.answer(id, Some("yes".into())).await.unwrap();
    });
    assert_eq!(got, b"\0yes");
    twin.close().await;
}

#[actix::test]
async fn half_open_streams_are_cut_off_and_hold_nobody_up() {
    let hasty = Config {
        answer_timeout_ms: 1_000,
        ..local()
    };
    let (mut a, mut b) = (node_with(1, hasty).await, node(2).await);
    a.port.join(join(TOPIC)).await.unwrap();
    meet(&mut b, &mut a).await;
    let mut streams = Vec::new();
    let mut strangers = Vec::new();
    for n in 10..20 {
        let stranger = stranger(n).await;
        let connection = reach(&stranger, &a.address, ASK_ALPN).await;
        for _ in 0..4 {
            let (mut send, recv) = connection.open_bi().await.unwrap();
            send.write_all(&[1, 2, 3]).await.unwrap();
            streams.push((send, recv));
        }
        strangers.push((stranger, connection));
    }
    assert_eq!(a.dropped().await, AskDrop::Busy);
    let (answer, ()) = tokio::join!(b.ask(a.address.id, "in time"), a.echo());
    assert_eq!(answer.unwrap(), "in time");
    while a.dropped().await != AskDrop::Unfinished {}
    for (_, mut recv) in streams {
        // Busy, or cut short; none of them stays open.
        if let Ok(status) = recv.read_to_end(1).await {
            assert_eq!(status, [2]);
        }
    }
    for (stranger, _) in strangers {
        stranger.close().await;
    }
}

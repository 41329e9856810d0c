//! An endpoint that is no member, and notes all that it is sent.

use std::sync::{Arc, Mutex};

use iroh::Endpoint;
use iroh::endpoint::Connection;
use iroh::protocol::{AcceptError, ProtocolHandler, Router};
use kukuri_contract::{EndpointId, TopicId};
use kukuri_gossip::{ASK_ALPN, GOSSIP_ALPN};

use super::{OTHER, id_of, respond};

/// All bytes that an endpoint is sent on one connection, until that ends.
pub async fn capture(connection: &Connection, into: &Mutex<Vec<u8>>) {
    loop {
        tokio::select! {
            Ok(mut stream) = connection.accept_uni() => {
                if let Ok(bytes) = stream.read_to_end(100_000).await {
                    into.lock().unwrap().extend(bytes);
                }
            }
            Ok(bytes) = connection.read_datagram() => into.lock().unwrap().extend(bytes),
            error = connection.closed() => {
                into.lock().unwrap().extend(format!("{error:?}").bytes());
                return;
            }
        }
    }
}

/// No eight bytes of the topic's id in a row.
pub fn assert_untold(bytes: &[u8], topic: TopicId) {
    let id = topic.as_bytes();
    let told = |part: &[u8]| bytes.windows(8).any(|window| window == part);
    assert!(!id.windows(8).any(told), "{bytes:02x?}");
}

/// What an outsider answers a claim.
#[derive(Debug, Clone, Copy)]
pub enum Answer {
    Nothing,
    Noise,
    Reflection,
    /// What a member of another topic can say.
    OtherTopic,
}

/// Takes whatever comes, and notes it.
#[derive(Debug, Clone)]
pub struct Outsider {
    me: EndpointId,
    answer: Answer,
    pub got: Arc<Mutex<Vec<u8>>>,
    pub claims: Arc<Mutex<Vec<Vec<u8>>>>,
}

impl Outsider {
    pub fn new(endpoint: &Endpoint, answer: Answer) -> Self {
        Self {
            me: id_of(endpoint),
            answer,
            got: Arc::default(),
            claims: Arc::default(),
        }
    }

    pub fn listen(&self, endpoint: &Endpoint) -> Router {
        Router::builder(endpoint.clone())
            .accept(GOSSIP_ALPN, self.clone())
            .accept(ASK_ALPN, self.clone())
            .accept(iroh_gossip::ALPN, self.clone())
            .spawn()
    }

    async fn serve(&self, connection: &Connection) {
        let Ok((mut send, mut recv)) = connection.accept_bi().await else {
            return;
        };
        let claim = recv.read_to_end(100_000).await.unwrap();
        self.got.lock().unwrap().extend(&claim);
        self.claims.lock().unwrap().push(claim.clone());
        let answer = match self.answer {
            Answer::Nothing => return,
            Answer::Noise => vec![7; 32],
            Answer::Reflection => claim[9..].to_vec(),
            Answer::OtherTopic => {
                let peer = EndpointId::from_bytes(*connection.remote_id().as_bytes());
                let (_, proof) = respond(connection, peer, self.me, OTHER);
                proof
            }
        };
        // Errors: it hangs up as soon as it has seen enough.
        let _sent = send.write_all(&answer).await;
        let _sent = send.finish();
    }
}

impl ProtocolHandler for Outsider {
    async fn accept(&self, connection: Connection) -> Result<(), AcceptError> {
        tokio::join!(self.serve(&connection), capture(&connection, &self.got));
        Ok(())
    }
}

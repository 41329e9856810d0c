//! Vectors of author links, of posts under them, and of their revocations.

use data_encoding::BASE32_NOPAD;
use kukuri::core::post;
use kukuri_contract::{AuthorId, AuthorLink, MAX_KEPT, Post, Revocation, SignRequest, UnixMillis};
use kukuri_identity::{format_link, parse_link};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::computed::{NOW, node, topic_id};
use crate::{all_fail, hex, millis, read_post, topic_id as topic_of, unhex, value, vectors};

const ISSUED_AT: UnixMillis = UnixMillis(1_780_000_000_000);
const BODY: &str = "from my phone";

// --- building ------------------------------------------------------------------------------------

fn author(n: u8) -> AuthorId {
    node(n).author_id()
}

/// Node 1 lets a writer write.
fn link(writer: AuthorId, issued_at: UnixMillis) -> AuthorLink {
    let author = author(1);
    let statement = SignRequest::Link {
        author,
        writer,
        issued_at,
    };
    AuthorLink {
        author,
        writer,
        issued_at,
        signature: node(1).sign(&statement).unwrap(),
    }
}

/// A link with any content and the right check, made by the text of the specification.
fn of_content(content: &[u8]) -> String {
    let check = Sha256::digest([b"kukuri/1 link text\0", content].concat());
    let letters = BASE32_NOPAD.encode(&[content, &check[..4]].concat());
    format!("kukuri-link-1:{}", letters.to_lowercase())
}

fn envelope(writer: u8, unsigned: Vec<u8>) -> Vec<u8> {
    let request = SignRequest::Post {
        topic: topic_id(),
        envelope: unsigned.clone(),
    };
    let signature = node(writer).sign(&request).unwrap();
    post::finish(unsigned, &signature).to_vec()
}

fn linked(link: &AuthorLink) -> Vec<u8> {
    envelope(3, post::unsigned_linked(link, 1, NOW, BODY.as_bytes()))
}

fn revocation(writer: AuthorId, kept: &[(u64, u64)]) -> Vec<u8> {
    let kept = kept.to_vec();
    let revocation = Revocation { writer, kept };
    envelope(1, post::unsigned_revocation(author(1), 5, NOW, &revocation))
}

pub fn good() -> Value {
    let link = link(author(3), ISSUED_AT);
    let request = SignRequest::Link {
        author: link.author,
        writer: link.writer,
        issued_at: link.issued_at,
    };
    json!([{
        "input": {
            "author_seed": hex(&[2; 32]),
            "writer_seed": hex(&[4; 32]),
            "issued_at": link.issued_at.0,
        },
        "output": {
            "preimage": hex(&request.preimage()),
            "text": format_link(&link),
            "link": link,
        },
    }])
}

pub fn bad() -> Value {
    let good = format_link(&link(author(3), ISSUED_AT));
    let bad = |why, text: String, error| json!({"why": why, "input": text, "error": error});
    let last = good.len() - 1;
    let stolen = AuthorLink {
        writer: author(5),
        ..link(author(3), ISSUED_AT)
    };
    json!([
        bad("nothing", " \n".into(), "Empty"),
        bad("an invite", "kukuri-invite-1:aaaa".into(), "NoLink"),
        bad("another version", good.replacen("-1:", "-2:", 1), "Version"),
        bad("a letter is missing", good[..last].into(), "Length"),
        bad("a letter too many", format!("{good}a"), "Length"),
        bad(
            "a digit that base32 has not",
            format!("{}1", &good[..last]),
            "Letter"
        ),
        bad("another letter", flip(&good), "Check"),
        bad("for another writer", format_link(&stolen), "BadSignature"),
        bad(
            "a link to itself",
            format_link(&link(author(1), ISSUED_AT)),
            "BadSignature"
        ),
        bad("all zeros", of_content(&[0; 136]), "BadSignature"),
    ])
}

/// The first letter of the content is another one.
fn flip(text: &str) -> String {
    let other = if text.contains(":a") { ":b" } else { ":a" };
    format!("kukuri-link-1{other}{}", &text[15..])
}

pub fn linked_posts() -> Value {
    let link = link(author(3), ISSUED_AT);
    json!([{
        "input": {
            "topic": "secret",
            "writer_seed": hex(&[4; 32]),
            "link": link,
            "seq": 1,
            "time": NOW.0,
            "body": hex(BODY.as_bytes()),
        },
        "output": { "envelope": hex(&linked(&link)) },
    }])
}

pub fn revocations() -> Value {
    let kept: [&[(u64, u64)]; 2] = [&[(1, 4), (6, 6)], &[]];
    let vector = |kept: &[(u64, u64)]| {
        json!({
            "input": {
                "topic": "secret",
                "author_seed": hex(&[2; 32]),
                "author": author(1),
                "seq": 5,
                "time": NOW.0,
                "writer": author(3),
                "kept": kept,
            },
            "output": { "envelope": hex(&revocation(author(3), kept)) },
        })
    };
    json!(kept.map(vector))
}

/// In the clear: a link of another author, one made at another time, one to the writer itself.
pub fn posts_bad() -> [Vec<u8>; 3] {
    let good = link(author(3), ISSUED_AT);
    let of = |author, issued_at| AuthorLink {
        author,
        issued_at,
        ..good.clone()
    };
    let bad = [
        of(author(5), ISSUED_AT),
        of(author(1), NOW),
        of(author(3), ISSUED_AT),
    ];
    bad.map(|link| post::clear(&linked(&link)).to_vec())
}

/// In the clear: of itself, with 17 ranges, with ranges without a gap, with one from 0 on.
pub fn revocations_bad() -> [Vec<u8>; 4] {
    let most: Vec<_> = (1..=MAX_KEPT as u64).map(|n| (3 * n, 3 * n)).collect();
    let mut too_many = revocation(author(3), &most);
    too_many.truncate(too_many.len() - 64);
    too_many[81] += 1;
    too_many.extend([[0, 0, 0, 0, 0, 0, 1, 0]; 2].concat());
    let bad = [
        revocation(author(1), &[]),
        envelope(1, too_many),
        revocation(author(3), &[(1, 2), (3, 4)]),
        revocation(author(3), &[(0, 4)]),
    ];
    bad.map(|envelope| post::clear(&envelope).to_vec())
}

// --- reading -------------------------------------------------------------------------------------

#[test]
fn links() {
    for (input, output) in vectors("links") {
        let link: AuthorLink = value(&output["link"]);
        assert_eq!(link.issued_at, millis(&input["issued_at"]));
        let text = output["text"].as_str().unwrap();
        assert_eq!(parse_link(text), Ok(link.clone()));
        assert_eq!(format_link(&link), text);
        // By the text of the specification alone.
        let preimage = [
            b"kukuri/1 delegate\0".as_slice(),
            link.author.as_bytes(),
            link.writer.as_bytes(),
            &link.issued_at.0.to_be_bytes(),
        ];
        assert_eq!(hex(&preimage.concat()), output["preimage"]);
    }
    all_fail("links_bad", |text| parse_link(text.as_str().unwrap()));
}

#[test]
fn posts_under_a_link_and_revocations() {
    for (input, output) in vectors("linked_posts") {
        let link: AuthorLink = value(&input["link"]);
        let envelope = unhex(&output["envelope"]);
        let expected = Post {
            topic: topic_of(&input["topic"]),
            author: link.author,
            writer: link.writer,
            seq: value(&input["seq"]),
            time: millis(&input["time"]),
            body: unhex(&input["body"]).into(),
            revokes: None,
            envelope: envelope.clone().into(),
        };
        let read = read_post(&input["topic"], &post::clear(&envelope), expected.time);
        assert_eq!(read, Ok(expected));
        assert_eq!(&envelope[49..81], link.author.as_bytes());
    }
    for (input, output) in vectors("revocations") {
        let envelope = unhex(&output["envelope"]);
        let author = value(&input["author"]);
        let expected = Post {
            topic: topic_of(&input["topic"]),
            author,
            writer: author,
            seq: value(&input["seq"]),
            time: millis(&input["time"]),
            body: Default::default(),
            revokes: Some(Revocation {
                writer: value(&input["writer"]),
                kept: value(&input["kept"]),
            }),
            envelope: envelope.clone().into(),
        };
        let read = read_post(&input["topic"], &post::clear(&envelope), expected.time);
        assert_eq!(read, Ok(expected));
    }
}

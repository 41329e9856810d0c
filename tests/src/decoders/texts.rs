//! Decoders of files and of texts that users hand on.

use data_encoding::BASE32_NOPAD;
use kukuri_contract::{KeyBytes, TopicName};
use kukuri_identity::core::book::Book;
use kukuri_identity::core::keys::Keys;
use kukuri_identity::core::sealed::{self, Cost, Unlock};
use kukuri_identity::{
    Links, format_invite, format_link, format_secret, parse_invite, parse_link, parse_secret,
};
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use super::{NONCE, encrypt, same, sealed};

pub fn stored_keys(bytes: &[u8]) {
    if let Ok(read) = Keys::from_stored(bytes) {
        assert_eq!(read.to_stored().as_slice(), bytes);
    }
}

/// The encrypted file of keys. By a key file only: a passphrase costs what the file says.
pub fn sealed_keys(bytes: &[u8]) {
    let unlock = Unlock::Key(Zeroizing::new([3; 32]));
    let file = sealed(bytes, |content| {
        let file = sealed::seal(content, &unlock, Cost::NEW, &[4; 16], &NONCE);
        file.expect("a key file needs no memory")
    });
    let _ = sealed::lock(&file);
    if let Ok(plain) = sealed::open(&file, &unlock) {
        stored_keys(&plain);
    }
}

/// The file of topics.
pub fn topics_file(bytes: &[u8]) {
    let key = KeyBytes::new([3; 32]);
    let file = sealed(bytes, |content| {
        let head = [b"kukuri-topics\x01", NONCE.as_slice()].concat();
        [&head[..], &encrypt(&key, &head, content)].concat()
    });
    if let Ok(read) = Book::open(&file, &key) {
        same(&read, Book::open(&read.seal(&key, &NONCE), &key));
    }
}

pub fn topic_secret(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let _ = text.parse::<TopicName>();
    if let Ok(read) = parse_secret(&text) {
        let again = format_secret(&read);
        assert_eq!(again.as_str(), text.trim().to_lowercase());
    }
}

/// A text, or the content of one with the right check.
pub fn invite(bytes: &[u8]) {
    let text = sealed(bytes, |content| {
        let check = Sha256::digest([b"kukuri/1 invite text\0", content].concat());
        let letters = BASE32_NOPAD.encode(&[content, &check[..4]].concat());
        format!("kukuri-invite-1:{}", letters.to_lowercase()).into_bytes()
    });
    let text = String::from_utf8_lossy(&text);
    if let Ok(read) = parse_invite(&text) {
        let again = format_invite(&read);
        assert_eq!(again.as_str(), text.trim().to_lowercase());
    }
}

/// The config file.
pub fn config(bytes: &[u8]) {
    if let Ok(read) = kukuri::Config::from_toml(&String::from_utf8_lossy(bytes)) {
        let again = toml::to_string(&read).expect("a config can be written");
        same(&read, kukuri::Config::from_toml(&again));
    }
}

/// A text, or the content of one with the right check.
pub fn author_link(bytes: &[u8]) {
    let text = sealed(bytes, |content| {
        let check = Sha256::digest([b"kukuri/1 link text\0", content].concat());
        let letters = BASE32_NOPAD.encode(&[content, &check[..4]].concat());
        format!("kukuri-link-1:{}", letters.to_lowercase()).into_bytes()
    });
    let text = String::from_utf8_lossy(&text);
    if let Ok(read) = parse_link(&text) {
        assert_eq!(format_link(&read), text.trim().to_lowercase());
    }
}

/// The file of a node's author links.
pub fn author_links(bytes: &[u8]) {
    if let Ok(read) = Links::from_text(&String::from_utf8_lossy(bytes)) {
        same(&read, Links::from_text(&read.to_text()));
    }
}

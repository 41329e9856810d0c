//! No secret is ever told: all that nodes say, log, measure and show of themselves is searched for
//! every secret that they used.

#![allow(clippy::unwrap_used, reason = "a test panics where it fails")]

mod search;

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;

use data_encoding::{BASE32_NOPAD, BASE64, BASE64URL, HEXLOWER, HEXUPPER};
use kukuri::contract::{Epoch, EpochKeys, UnixMillis, WallClock};
use kukuri::{Config, JoinOptions, Node, Prompt, TopicSecret, format_secret, generate_secret};
use kukuri_identity::core::derive::TopicKey;
use kukuri_identity::core::keys::Keys;
use kukuri_identity::core::sealed::{self, Unlock};
use kukuri_tests::{Dht, KEY, binary, http_get, secret_file};
use nix::sys::signal::Signal;
use tempfile::TempDir;
use zeroize::Zeroizing;

use search::{Said, Secret, told};

const PASSPHRASE: &str = "Earl Grey, hot, with 2 sugars";
const WRONG: &str = "Lapsang Souchong, cold, without";

#[test]
fn a_planted_secret_is_found_in_every_form() {
    let bytes: Vec<u8> = (0..32).map(|n: u8| n.wrapping_mul(37) ^ 0xa5).collect();
    let secret = [Secret::new("planted", &bytes)];
    let array: [u8; 32] = bytes.clone().try_into().unwrap();
    let text_form = format_secret(&TopicSecret::from_bytes(array));
    let inside = [&b"ab"[..], &bytes, b"c"].concat();
    for text in [
        [b"x", bytes.as_slice(), b"y"].concat(),
        format!("key={}", HEXLOWER.encode(&bytes)).into(),
        format!("key={}", HEXUPPER.encode(&bytes)).into(),
        format!("{bytes:?}").into(),
        format!("{bytes:#?}").into(),
        format!("{bytes:02x?}").into(),
        format!("{:?}", bytes::Bytes::from(bytes.clone())).into(),
        BASE64.encode(&inside).into(),
        BASE64URL.encode(&bytes).into(),
        BASE32_NOPAD.encode(&inside).into(),
        text_form.as_bytes().to_vec(),
        serde_json::to_vec(&bytes).unwrap(),
    ] {
        let shown = String::from_utf8_lossy(&text).into_owned();
        assert_eq!(told(&text, &secret), BTreeSet::from(["planted"]), "{shown}");
    }
    assert!(told(b"nothing of it", &secret).is_empty());
}

/// The secret keys in a data directory.
fn keys_in(dir: &Path, unlock: &Unlock) -> Vec<Secret> {
    let file = fs::read(dir.join("identity.key")).unwrap();
    let stored = sealed::open(&file, unlock).unwrap();
    let keys = Keys::from_stored(&stored).unwrap();
    let endpoint = *keys.endpoint_key().expose();
    // As `core::keys` says: magic, version, endpoint key, author key.
    assert_eq!(&stored[10..42], endpoint);
    let name = |what: &str| format!("the {what} of {}", dir.display());
    vec![
        Secret::new(name("endpoint key"), &endpoint),
        Secret::new(name("author key"), &stored[42..74]),
    ]
}

fn epoch_keys(key: &TopicKey, now: UnixMillis) -> Vec<Secret> {
    let epoch = Epoch::at(now);
    let epochs = [Epoch(epoch.0 - 1), epoch, Epoch(epoch.0 + 1)];
    let secrets = epochs.into_iter().flat_map(|epoch| {
        let EpochKeys {
            hello_tag,
            hello_request,
            hello_reply,
            beacon,
            board_key,
            board_seal,
            board_salt,
            repair,
            post_seal,
            ..
        } = key.epoch_keys(epoch);
        let keys = [
            ("hello tag", hello_tag),
            ("hello request", hello_request),
            ("hello reply", hello_reply),
            ("beacon", beacon),
            ("board key", board_key),
            ("board seal", board_seal),
            ("board salt", board_salt),
            ("repair", repair),
            ("post", post_seal.unwrap()),
        ];
        keys.map(|(name, key)| {
            Secret::new(format!("{name} key of epoch {}", epoch.0), key.expose())
        })
    });
    secrets.collect()
}

#[test]
fn nothing_that_a_node_says_has_a_secret_in_it() {
    let (dht, dir) = (Dht::start(5), TempDir::with_prefix("kukuri-test-").unwrap());
    let path = |name: &str| dir.path().join(name).to_str().unwrap().to_owned();
    let topic_secret = generate_secret().unwrap();
    let text_form = format_secret(&topic_secret);
    let (topic_file, mistyped) = (path("tea.secret"), path("mistyped.secret"));
    secret_file(topic_file.as_ref(), &text_form);
    // One letter is wrong, and one too many.
    secret_file(mistyped.as_ref(), &format!("{}a", text_form.as_str()));
    let (right, wrong) = (path("passphrase"), path("wrong"));
    secret_file(right.as_ref(), &format!("{PASSPHRASE}\n"));
    secret_file(wrong.as_ref(), &format!("{WRONG}\n"));
    let (key, bad_key) = (path("key"), path("bad-key"));
    secret_file(key.as_ref(), KEY);
    secret_file(bad_key.as_ref(), &format!("{KEY}00"));

    let mut said = Said::default();
    let start = WallClock::system().now();
    let (a_dir, b_dir) = (path("a"), path("b"));
    let by_passphrase = [
        ("KUKURI_IDENTITY__KEY_FILE", ""),
        ("KUKURI_PASSPHRASE_FILE", &right),
    ];
    let flags = [
        "--secret-file",
        &topic_file,
        "--log",
        "trace",
        "--metrics",
        "127.0.0.1:0",
    ];
    let mut a = dht.join_with("tea", a_dir.as_ref(), &flags, &by_passphrase);
    let metrics = a.next("started")["metrics"].as_str().unwrap().to_owned();
    let mut b = dht.join(
        "tea",
        b_dir.as_ref(),
        &[&flags[..], &["--key-file", &key]].concat(),
    );
    a.next("joined");
    b.next("joined");
    a.say("one lump or two?");
    b.post("one lump or two?");
    said.add("metrics", http_get(&metrics, "/metrics"));
    said.add("readyz", http_get(&metrics, "/readyz"));
    for (name, node) in [("a", &mut a), ("b", &mut b)] {
        // While it runs: its command line is gone with it.
        said.process(name, node);
        node.signal(Signal::SIGTERM);
        assert!(node.ended().success());
        said.process(name, node);
    }
    let trace = &said
        .0
        .iter()
        .find(|(place, _)| place == "stderr of a")
        .unwrap()
        .1;
    let trace = String::from_utf8_lossy(trace);
    assert!(trace.contains("TRACE"), "the log is as talkative as can be");

    said.command(
        &["id", "--data-dir", &a_dir, "--passphrase-file", &right],
        0,
    );
    said.command(
        &["id", "--data-dir", &a_dir, "--passphrase-file", &wrong],
        1,
    );
    said.command(&["id", "--data-dir", &a_dir, "--key-file", &key], 1);
    said.command(&["id", "--data-dir", &b_dir, "--key-file", &bad_key], 1);
    said.command(
        &[
            "posts",
            "tea",
            "--data-dir",
            &a_dir,
            "--secret-file",
            &topic_file,
        ],
        0,
    );
    let join = [
        "join",
        "tea",
        "--no-dht",
        "--bind",
        "127.0.0.1:0",
        "--data-dir",
        &a_dir,
    ];
    let join = |more: &[&'static str]| [&join[..], more].concat();
    let mistyped = [&join(&[])[..], &["--secret-file", &mistyped]].concat();
    said.command(&mistyped, 1);
    let new_secret = path("new.secret");
    for name in ["1", "2"] {
        let out = format!("{new_secret}{name}");
        let output = Command::new(binary())
            .args(["topic", "new-secret", "--out", &out])
            .output();
        said.add("new-secret", output.unwrap().stdout);
    }

    // Topics that are added, their secrets before and after a rotation, and a backup.
    let (before, after) = (generate_secret().unwrap(), generate_secret().unwrap());
    let (added, invite) = (path("added.secret"), path("den.invite"));
    let home = ["--data-dir", &a_dir, "--passphrase-file", &right];
    let add = ["topic", "add", "den", "--secret-file"];
    let rotate = ["topic", "rotate", "den", "--secret-file", &added];
    secret_file(added.as_ref(), &format_secret(&before));
    said.command(&[&add[..], &[&added], &home].concat(), 0);
    secret_file(added.as_ref(), &format_secret(&after));
    said.once(&[&rotate[..], &home].concat(), 0);
    said.command(&[&rotate[..], &home].concat(), 1);
    let wrong_file = path("mistyped.secret");
    said.command(&[&add[..], &[&wrong_file], &home].concat(), 1);
    said.command(&[&["topic", "list"][..], &home].concat(), 0);
    let make = ["topic", "invite", "den", "--out", &invite];
    said.once(&[&make[..], &home].concat(), 0);
    let (backup, taken) = (path("backup"), path("taken"));
    let lock = ["--backup-passphrase-file", &wrong];
    let export = ["identity", "export", "--out", &backup];
    said.once(&[&export[..], &home, &lock].concat(), 0);
    let import = ["identity", "import", &backup, "--data-dir", &taken];
    let import = [&import[..], &["--key-file", &key]].concat();
    let other_lock = ["--backup-passphrase-file", &right];
    said.command(&[&import[..], &other_lock].concat(), 1);
    said.once(&[&import[..], &lock].concat(), 0);
    let topics = Path::new(&a_dir).join("topics.sealed");
    said.add("the file of topics", fs::read(topics).unwrap());

    let bytes = HEXLOWER.decode(KEY.as_bytes()).unwrap();
    let unlock = Unlock::Passphrase(Zeroizing::new(PASSPHRASE.into()));
    let mut secrets = keys_in(a_dir.as_ref(), &unlock);
    let unlock = Unlock::Key(Zeroizing::new(bytes.clone().try_into().unwrap()));
    secrets.extend(keys_in(b_dir.as_ref(), &unlock));
    secrets.push(Secret::new("the passphrase", PASSPHRASE.as_bytes()));
    secrets.push(Secret::new("the wrong passphrase", WRONG.as_bytes()));
    secrets.push(Secret::new("the key of the key file", &bytes));
    secrets.push(Secret::new("the topic's secret", topic_secret.expose()));
    secrets.push(Secret::new("its text form", text_form.as_bytes()));
    for (name, secret) in [
        ("a former secret", &before),
        ("the secret after it", &after),
    ] {
        secrets.push(Secret::new(name, secret.expose()));
        secrets.push(Secret::new(name, format_secret(secret).as_bytes()));
    }
    for name in ["1", "2"] {
        let text = fs::read_to_string(format!("{new_secret}{name}")).unwrap();
        secrets.push(Secret::new("a new secret", text.trim().as_bytes()));
    }
    let topic = TopicKey::new(&"tea".parse().unwrap(), Some(&topic_secret));
    secrets.extend(epoch_keys(&topic, start));
    secrets.extend(epoch_keys(&topic, WallClock::system().now()));
    said.assert_free_of(&secrets);
}

/// What a keyring is given, and gives back, starts like this.
const STORED: &[u8] = b"kukuri-id\x01";

/// On a real Secret Service; its library and D-Bus's log what goes on, too.
#[test]
fn nothing_that_goes_to_a_keyring_is_told() {
    let dir = TempDir::with_prefix("kukuri-test-").unwrap();
    let script = "printf secret | gnome-keyring-daemon --unlock --components=secrets >/dev/null; \
        tries=0; until dbus-send --session --print-reply=literal --dest=org.freedesktop.DBus / \
        org.freedesktop.DBus.NameHasOwner string:org.freedesktop.secrets | grep -q true; \
        do tries=$((tries + 1)); [ $tries -lt 1000 ] || exit 1; sleep 0.01; done; \
        for flag in --log=trace '--log=trace --json'; do \
        \"$0\" id --data-dir \"$HOME/node\" $flag || exit 1; done";
    let run = Command::new("dbus-run-session")
        .args(["--", "sh", "-c", script])
        .arg(binary())
        .env("HOME", dir.path())
        .env("XDG_DATA_HOME", dir.path().join("data"))
        .env("XDG_RUNTIME_DIR", dir.path())
        .env("KUKURI_IDENTITY__STORE", "os")
        .output();
    let installed = Command::new("gnome-keyring-daemon")
        .arg("--version")
        .output();
    let (Ok(run), Ok(_)) = (run, installed) else {
        println!("SKIPPED: needs the packages dbus and gnome-keyring");
        return;
    };
    let text = [run.stdout, run.stderr].concat();
    let shown = String::from_utf8_lossy(&text).into_owned();
    assert!(run.status.success(), "{shown}");
    assert_eq!(
        shown.matches("the keyring of the operating system").count(),
        4,
        "{shown}"
    );
    let mut said = Said::default();
    said.add("two runs with a keyring", text);
    said.assert_free_of(&[Secret::new("the stored form", STORED)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn debug_of_whatever_is_public_has_no_secret_in_it() {
    let dir = TempDir::with_prefix("kukuri-test-").unwrap();
    let key = kukuri_tests::key_file(dir.path());
    let secret = generate_secret().unwrap();
    let mut config = Config::default();
    config.identity.keyring.store = kukuri::StoreChoice::File;
    config.identity.keyring.key_file = Some(key);
    config.discovery.mainline.sources.rendezvous = false;
    config.discovery.mainline.sources.board = false;
    let prompt = Prompt::new(|_| Ok(Zeroizing::new(PASSPHRASE.to_owned())));
    let builder = Node::builder().config(config.clone()).data_dir(dir.path());
    let builder = builder
        .bind_ip([127, 0, 0, 1].into())
        .passphrase_prompt(prompt);
    let mut said = Said::default();
    said.debug(&builder);
    let node = builder.spawn().await.unwrap();
    let options = JoinOptions {
        secret: Some(secret.clone()),
        ..JoinOptions::default()
    };
    said.debug(&options);
    let topic = node.join("tea".parse().unwrap(), options).await.unwrap();
    let key = HEXLOWER.decode(KEY.as_bytes()).unwrap();
    let unlock = Unlock::Key(Zeroizing::new(key.clone().try_into().unwrap()));
    let file = fs::read(dir.path().join("identity.key")).unwrap();
    let stored = sealed::open(&file, &unlock).unwrap();
    let keys = Keys::from_stored(&stored).unwrap();
    let topic_key = TopicKey::new(&"tea".parse().unwrap(), Some(&secret));
    let now = WallClock::system().now();
    said.debug(&(&node, node.info(), &topic, &config, &secret, &unlock));
    said.debug(&(&keys, keys.endpoint_key(), &topic_key));
    said.debug(&topic_key.epoch_keys(Epoch::at(now)));
    said.debug(&kukuri::contract::AddTopic {
        name: "tea".parse().unwrap(),
        secret: Some(secret.clone()),
    });
    said.add("metrics", node.metrics().await);
    let mut secrets = keys_in(dir.path(), &unlock);
    secrets.push(Secret::new("the topic's secret", secret.expose()));
    secrets.push(Secret::new("the key of the key file", &key));
    secrets.push(Secret::new("the passphrase", PASSPHRASE.as_bytes()));
    secrets.extend(epoch_keys(&topic_key, now));
    said.assert_free_of(&secrets);
    node.shutdown().await;
}

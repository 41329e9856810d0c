//! Searches texts for secrets, in every form that a program may write them down in.

use std::collections::BTreeSet;
use std::fmt::Debug;
use std::fs;
use std::process::Command;

use aho_corasick::AhoCorasick;
use data_encoding::{BASE32_NOPAD, BASE64, BASE64URL, Encoding, HEXLOWER, HEXUPPER};
use kukuri_tests::{Process, binary};

/// Something that nobody may read.
pub struct Secret {
    /// What it is.
    pub name: String,
    /// Every way to write it down.
    forms: Vec<Vec<u8>>,
}

impl Secret {
    /// A secret of these bytes.
    pub fn new(name: impl Into<String>, bytes: &[u8]) -> Self {
        let decimal = |separator: &str| {
            let numbers: Vec<_> = bytes.iter().map(u8::to_string).collect();
            numbers.join(separator)
        };
        // As `Debug` of byte strings.
        let escaped: String = bytes
            .iter()
            .flat_map(|byte| std::ascii::escape_default(*byte))
            .map(char::from)
            .collect();
        let spaced: Vec<_> = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        let mut forms = vec![
            bytes.to_vec(),
            HEXLOWER.encode(bytes).into(),
            HEXUPPER.encode(bytes).into(),
            spaced.join(" ").into(),
            spaced.join(":").into(),
            spaced.join(", ").into(),
            spaced.join(",").into(),
            decimal(", ").into(),
            decimal(",").into(),
            escaped.into(),
        ];
        for encoding in [BASE64, BASE64URL, BASE32_NOPAD] {
            forms.extend(within(&encoding, bytes));
        }
        let lower = BASE32_NOPAD.encode(bytes).to_ascii_lowercase();
        forms.push(lower[..lower.len() - 1].into());
        Self {
            name: name.into(),
            forms,
        }
    }
}

/// Whose secrets are in a text.
pub fn told<'a>(text: &[u8], secrets: &'a [Secret]) -> BTreeSet<&'a str> {
    let forms = |secret: &'a Secret| secret.forms.iter().map(|form| (form, secret.name.as_str()));
    let (forms, names): (Vec<_>, Vec<_>) = secrets.iter().flat_map(forms).unzip();
    let search = AhoCorasick::new(forms).unwrap();
    // `{:#?}` has each number on a line of its own.
    let compact: Vec<u8> = text
        .iter()
        .copied()
        .filter(|b| !b.is_ascii_whitespace())
        .collect();
    let find = |text: &[u8]| {
        let found = search.find_iter(text).map(|found| names[found.pattern()]);
        found.collect::<BTreeSet<_>>()
    };
    &find(text) | &find(&compact)
}

/// The letters of bytes in the middle of others, whatever comes before and after them.
fn within(encoding: &Encoding, bytes: &[u8]) -> Vec<Vec<u8>> {
    let (bits, block) = match encoding.encode(&[0; 15]).len() {
        20 => (6, 3),
        _ => (5, 5),
    };
    let at = |before: usize| {
        let text = encoding.encode(&[&vec![0; before], bytes].concat());
        let first = (before * 8usize).div_ceil(bits);
        let end = (before + bytes.len()) * 8 / bits;
        text.as_bytes()[first..end].to_vec()
    };
    (0..block).map(at).collect()
}

/// All that was said, with the name of where.
#[derive(Default)]
pub struct Said(pub Vec<(String, Vec<u8>)>);

impl Said {
    /// A text, and where it was said.
    pub fn add(&mut self, place: impl Into<String>, text: impl Into<Vec<u8>>) {
        self.0.push((place.into(), text.into()));
    }

    /// What `Debug` shows.
    pub fn debug(&mut self, value: &impl Debug) {
        self.add("Debug", format!("{value:?}\n{value:#?}"));
    }

    /// A process: both of its outputs, its command line and its environment.
    pub fn process(&mut self, name: &str, process: &Process) {
        self.add(format!("stdout of {name}"), process.said());
        self.add(format!("stderr of {name}"), process.errors());
        for file in ["cmdline", "environ"] {
            let text = fs::read(format!("/proc/{}/{file}", process.pid()));
            self.add(format!("{file} of {name}"), text.unwrap_or_default());
        }
    }

    /// A command that ends: as text, and as JSON.
    pub fn command(&mut self, args: &[&str], code: i32) {
        for json in [&[][..], &["--json"]] {
            self.once(&[args, json].concat(), code);
        }
    }

    /// Runs one that can't be run twice.
    pub fn once(&mut self, args: &[&str], code: i32) {
        let mut command = Command::new(binary());
        command.args(args).args(["--log", "trace"]);
        command.env_clear().env("RUST_BACKTRACE", "full");
        command.env("KUKURI_IDENTITY__STORE", "file");
        let output = command.output().unwrap();
        let text = [output.stdout, output.stderr].concat();
        let shown = String::from_utf8_lossy(&text).into_owned();
        assert_eq!(output.status.code(), Some(code), "{args:?}: {shown}");
        self.add(format!("{args:?}"), text);
    }

    /// Panics where a secret is told, with its name and where.
    pub fn assert_free_of(&self, secrets: &[Secret]) {
        let size: usize = self.0.iter().map(|(_, text)| text.len()).sum();
        println!(
            "{} texts of {size} bytes, {} secrets",
            self.0.len(),
            secrets.len()
        );
        let mut all = Vec::new();
        for (place, text) in &self.0 {
            let told = told(text, secrets);
            all.extend(told.into_iter().map(|name| format!("{name} in {place}")));
        }
        assert!(all.is_empty(), "told: {all:#?}");
    }
}

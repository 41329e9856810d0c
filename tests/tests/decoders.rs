//! The corpus of the fuzz targets, on a stable toolchain: bytes that once took a new way through a
//! decoder take it again. `tests/fuzz/README.md` says how the corpus was made.

#![allow(clippy::unwrap_used, reason = "a test panics where it fails")]

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use kukuri_tests::decoders;

#[test]
fn the_corpus_of_each_fuzz_target_is_read_without_a_panic() {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/seeds");
    let folders = fs::read_dir(&corpus).unwrap();
    let folders: BTreeSet<_> = folders
        .map(|f| f.unwrap().file_name().into_string().unwrap())
        .collect();
    let names = decoders::ALL.map(|(name, _)| name.to_owned());
    assert_eq!(
        folders,
        names.iter().cloned().collect(),
        "a folder for each decoder"
    );
    for name in names {
        let mut inputs = 0;
        for file in fs::read_dir(corpus.join(&name)).unwrap() {
            let file = file.unwrap().path();
            println!("{}", file.display());
            decoders::run(&name, &fs::read(&file).unwrap());
            inputs += 1;
        }
        assert!(inputs > 0, "{name} has inputs");
    }
}

#[test]
fn each_decoder_has_a_fuzz_target() {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/Cargo.toml");
    let manifest: toml::Table = fs::read_to_string(manifest).unwrap().parse().unwrap();
    let targets = manifest["bin"].as_array().unwrap();
    let targets: BTreeSet<_> = targets
        .iter()
        .map(|bin| bin["name"].as_str().unwrap())
        .collect();
    assert_eq!(
        targets,
        decoders::ALL.iter().map(|(name, _)| *name).collect()
    );
}

#![no_main]
libfuzzer_sys::fuzz_target!(|bytes: &[u8]| kukuri_tests::decoders::run("author_links", bytes));

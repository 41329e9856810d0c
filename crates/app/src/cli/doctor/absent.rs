//! In the place of `dht.rs` in a build without `discovery-mainline`: nothing of it can be tried.

use kukuri::Config;

use super::Check;

const LEFT_OUT: &str = "not tried: this build has no DHT (its feature is discovery-mainline)";

/// Not tried.
pub async fn self_test() -> Check {
    Check::ok("self-test", LEFT_OUT)
}

/// Not tried.
pub async fn examine(_: &Config) -> Vec<Check> {
    vec![Check::ok("dht", LEFT_OUT)]
}

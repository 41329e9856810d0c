//! What Kubernetes makes of `deploy/kubernetes`: its volumes and its user, without Kubernetes.

use kukuri_tests::containers::{are_possible, docker};
use serde_json::Value;

/// A volume with what a pod finds there. Removed when dropped.
struct Volume(String);

impl Volume {
    fn new(name: &str, script: &str) -> Self {
        let volume = Self(format!("kukuri-pod-{name}-{}", std::process::id()));
        let mount = format!("{}:/volume", volume.0);
        let debian = "kukuri-tests/debian:bookworm";
        docker(&[
            "run", "--rm", "--volume", &mount, debian, "sh", "-ec", script,
        ]);
        volume
    }
}

impl Drop for Volume {
    fn drop(&mut self) {
        // It may not have been made.
        let _removed = std::process::Command::new("docker")
            .args(["volume", "rm", &self.0])
            .output();
    }
}

/// A secret of mode 0440 and a volume that the user can only write as a member of `fsGroup`.
#[test]
#[ignore = "needs Docker"]
fn a_pod_keeps_its_identity_with_a_secret_of_its_group() {
    if !are_possible() {
        return;
    }
    let key =
        "head -c 32 /dev/urandom > /volume/key; chown 0:65532 /volume/key; chmod 0440 /volume/key";
    let key = Volume::new("key", key);
    let data = Volume::new("data", "chown 0:65532 /volume; chmod 2775 /volume");
    let show = || {
        let key = format!("{}:/run/secrets/kukuri:ro", key.0);
        let data = format!("{}:/var/lib/kukuri", data.0);
        let pod = [
            "run",
            "--rm",
            "--read-only",
            "--cap-drop",
            "ALL",
            "--network",
            "none",
        ];
        let setting = "KUKURI_IDENTITY__KEY_FILE=/run/secrets/kukuri/key";
        let volumes = ["--volume", &key, "--volume", &data, "--env", setting];
        let image = ["kukuri:0.1.0", "identity", "show", "--json"];
        let said = docker(&[&pod[..], &volumes[..], &image[..]].concat());
        let identity: Value = serde_json::from_str(&said).unwrap();
        assert_eq!(identity["store"], "file", "{identity}");
        identity["endpoint_id"].as_str().unwrap().to_owned()
    };
    let first = show();
    println!("the pod is {first}");
    assert_eq!(show(), first, "the same node again");
}

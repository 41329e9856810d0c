//! What an endpoint counts, as OpenMetrics text.

use std::fmt::Write;

/// Packets of one endpoint.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Put into the network, those that were sent again included.
    pub sent: u64,
    /// Lost by it.
    pub lost: u64,
    /// Sent again.
    pub again: u64,
    /// Come out of it.
    pub arrived: u64,
    /// Links that were made, by whichever side.
    pub links: u64,
}

impl Counts {
    /// The text, without the final `# EOF`.
    pub fn open_metrics(&self) -> String {
        let mut out = String::new();
        for (name, help, value) in [
            (
                "sent",
                "Packets that this endpoint put into the network in memory.",
                self.sent,
            ),
            (
                "lost",
                "Packets of this endpoint that the network lost.",
                self.lost,
            ),
            (
                "sent_again",
                "Packets that were sent again after a loss.",
                self.again,
            ),
            (
                "arrived",
                "Packets that came to this endpoint.",
                self.arrived,
            ),
            (
                "links",
                "Links that were made with other endpoints.",
                self.links,
            ),
        ] {
            let name = format!("memory_network_{name}");
            // Writing to a string can't fail.
            let _ = writeln!(out, "# HELP {name} {help}");
            let _ = writeln!(out, "# TYPE {name} counter");
            let _ = writeln!(out, "{name}_total {value}");
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_count_has_its_help_and_type() {
        let counts = Counts {
            again: 3,
            ..Counts::default()
        };
        let text = counts.open_metrics();
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(lines.len(), 15);
        assert!(lines.contains(&"# TYPE memory_network_sent_again counter"));
        assert!(lines.contains(&"memory_network_sent_again_total 3"));
        assert!(!text.contains("EOF"));
    }
}

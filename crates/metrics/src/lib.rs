//! kukuri's metrics actor: typed events into Prometheus series.

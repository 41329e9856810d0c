//! The clauses of metrics.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use kukuri_contract::{
    DiscoveryEvent, Event, GossipEvent, MetricsDeps, MetricsPort, MetricsRunning, NodeEvent,
    Outlet, Render, StoreEvent, TopicId,
};

use crate::every::end;
use crate::gossip::is_open_metrics;
use crate::kit::{Broken, Clause, Held, Service, Stage, clauses, ensure, service_port};

/// The metrics service.
#[derive(Debug)]
pub struct Metrics;

service_port!(MetricsPort, render, Render);

impl Service for Metrics {
    type Port = MetricsPort;
    type Deps = MetricsDeps;
    type Running = MetricsRunning;
    const CLAUSES: &'static [Clause<Self>] = &clauses![
        what_is_rendered_is_prometheus_text:
            "Each line is a comment, or a series with its value.",
        events_of_discovery_become_series [Renders]:
            "What is heard of discovery changes a series, before the next text is rendered.",
        events_of_gossip_become_series [Renders]:
            "What is heard of gossip changes a series, before the next text is rendered.",
        events_of_the_store_become_series [Renders]:
            "What is heard of the store changes a series, before the next text is rendered.",
        events_of_the_node_become_series [Renders]:
            "What is heard of the node changes a series, before the next text is rendered.",
        each_event_counts_once [Renders]:
            "A burst of events is counted, each once.",
        missed_events_are_counted [Renders]:
            "That events were missed is a series, too, with how many.",
        any_event_is_taken:
            "Events come to any metrics, with or without series, and do no harm.",
    ];

    fn deps(_: u64, _: PathBuf) -> MetricsDeps {
        MetricsDeps {}
    }

    fn port(running: &MetricsRunning) -> &MetricsPort {
        &running.port
    }
}

const TOPIC: TopicId = TopicId::from_bytes([0x70; 32]);

/// Values by name and labels.
type Series = BTreeMap<String, f64>;

/// The series with their values, but for those of the process, which change by themselves.
async fn series(port: &MetricsPort) -> Result<Series, Broken> {
    let text = port.render(Render).await?;
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    let lines = lines.filter(|line| !line.starts_with("process_"));
    let values = lines.filter_map(|line| {
        let (name, value) = line.rsplit_once(' ')?;
        Some((name.to_owned(), value.parse().ok()?))
    });
    Ok(values.collect())
}

/// By how much the series changed.
fn changes(before: &Series, after: &Series) -> Vec<f64> {
    let changes = after.iter().map(|(name, value)| {
        let old = before.get(name).copied().unwrap_or(0.0);
        value - old
    });
    changes.filter(|change| *change != 0.0).collect()
}

/// One such event changes a series by this.
async fn counts<E: Event>(port: &MetricsPort, to: &Outlet<E>, event: E, by: u32) -> Held {
    let before = series(port).await?;
    let idle = changes(&before, &series(port).await?);
    ensure!(
        idle.is_empty(),
        "without any event series change by {idle:?}"
    );
    to.emit(event.clone());
    let changed = changes(&before, &series(port).await?);
    let by = f64::from(by);
    ensure!(
        changed.contains(&by),
        "{event:?} changes series by {changed:?}, not by {by}"
    );
    Ok(())
}

async fn what_is_rendered_is_prometheus_text(on: &Stage<'_, Metrics>) -> Held {
    let port = on.begin(1).await.port;
    let text = port.render(Render).await?;
    let wrong = text.lines().find(|line| !is_open_metrics(line));
    ensure!(wrong.is_none(), "a line is {wrong:?}");
    end(on, &port).await
}

async fn events_of_discovery_become_series(on: &Stage<'_, Metrics>) -> Held {
    let MetricsRunning {
        port, discovery, ..
    } = on.begin(1).await;
    counts(
        &port,
        &Outlet::new([discovery]),
        DiscoveryEvent::HelloSent,
        1,
    )
    .await?;
    end(on, &port).await
}

async fn events_of_gossip_become_series(on: &Stage<'_, Metrics>) -> Held {
    let MetricsRunning { port, gossip, .. } = on.begin(1).await;
    let event = GossipEvent::TopicLagged { topic: TOPIC };
    counts(&port, &Outlet::new([gossip]), event, 1).await?;
    end(on, &port).await
}

/// So many requests were committed.
fn committed(requests: usize) -> StoreEvent {
    StoreEvent::Committed {
        requests,
        took: Duration::from_millis(1),
    }
}

async fn events_of_the_store_become_series(on: &Stage<'_, Metrics>) -> Held {
    let MetricsRunning { port, store, .. } = on.begin(1).await;
    counts(&port, &Outlet::new([store]), committed(1), 1).await?;
    end(on, &port).await
}

async fn events_of_the_node_become_series(on: &Stage<'_, Metrics>) -> Held {
    let MetricsRunning { port, node, .. } = on.begin(1).await;
    let event = NodeEvent::CallFailed {
        service: MetricsPort::SERVICE,
    };
    counts(&port, &Outlet::new([node]), event, 1).await?;
    end(on, &port).await
}

async fn each_event_counts_once(on: &Stage<'_, Metrics>) -> Held {
    /// Fewer than a mailbox holds at least.
    const BURST: u32 = 8;
    const BURSTS: u32 = 8;
    let MetricsRunning { port, node, .. } = on.begin(1).await;
    let node = Outlet::new([node]);
    let before = series(&port).await?;
    for _ in 0..BURSTS {
        for _ in 0..BURST {
            node.emit(NodeEvent::PostSent);
        }
        port.render(Render).await?;
    }
    let changed = changes(&before, &series(&port).await?);
    let all = f64::from(BURST * BURSTS);
    ensure!(
        changed.contains(&all),
        "{all} events change series by {changed:?}"
    );
    end(on, &port).await
}

async fn missed_events_are_counted(on: &Stage<'_, Metrics>) -> Held {
    let running = on.begin(1).await;
    let port = running.port;
    counts(
        &port,
        &Outlet::new([running.discovery]),
        DiscoveryEvent::Lagged(7),
        7,
    )
    .await?;
    counts(
        &port,
        &Outlet::new([running.gossip]),
        GossipEvent::Lagged(7),
        7,
    )
    .await?;
    counts(
        &port,
        &Outlet::new([running.store]),
        StoreEvent::Lagged(7),
        7,
    )
    .await?;
    counts(&port, &Outlet::new([running.node]), NodeEvent::Lagged(7), 7).await?;
    end(on, &port).await
}

async fn any_event_is_taken(on: &Stage<'_, Metrics>) -> Held {
    let running = on.begin(1).await;
    // Of a topic that was never opened, and more than there is.
    Outlet::new([running.gossip]).emit(GossipEvent::NeighborDown {
        topic: TOPIC,
        peer: kukuri_contract::EndpointId::from_bytes([9; 32]),
        neighbors: usize::MAX,
    });
    Outlet::new([running.node]).emit(NodeEvent::TopicClosed { topic: TOPIC });
    Outlet::new([running.store]).emit(committed(0));
    Outlet::new([running.discovery]).emit(DiscoveryEvent::SwarmChanged {
        topic: TOPIC,
        root: None,
        members: u64::MAX,
    });
    running.port.render(Render).await?;
    end(on, &running.port).await
}

//! Runs the lanes that our benchmarks share with the Rust implementation of
//! Ankurah on its published crates, and prints one line a case:
//!
//!     lane=NAME case=… value=… unit=us runs=… spread=… params=…
//!
//! value is the median run after a warm-up. Every store is sled's temporary one
//! (in memory where the machine has a memory file system, nothing is synced),
//! as in the reference's own benchmarks. What builds a case is not timed.
//!
//!     ankurah-reference [lane,lane] [runs]

use std::{
    error::Error,
    future::Future,
    sync::Arc,
    time::{Duration, Instant},
};

use ankurah::{
    core::node::nocache, policy::DEFAULT_CONTEXT, signals::Subscribe, Context, EntityId, Model,
    Mutable, Node, PermissiveAgent,
};
use ankurah_connector_local_process::LocalProcessConnection;
use ankurah_storage_sled::SledStorageEngine;
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;

type Fallible<T> = Result<T, Box<dyn Error>>;
type Peer = Node<SledStorageEngine, PermissiveAgent>;

#[derive(Model, Debug, Clone, Serialize, Deserialize)]
pub struct City {
    #[active_type(LWW)]
    pub name: String,
    #[active_type(LWW)]
    pub population: i64,
}

fn engine() -> Fallible<Arc<SledStorageEngine>> {
    Ok(Arc::new(SledStorageEngine::new_test()?))
}

async fn server() -> Fallible<(Peer, Context)> {
    let node = Node::new_durable(engine()?, PermissiveAgent::new());
    node.system.create().await?;
    let ctx = node.context(DEFAULT_CONTEXT)?;
    Ok((node, ctx))
}

type Link =
    LocalProcessConnection<SledStorageEngine, PermissiveAgent, SledStorageEngine, PermissiveAgent>;

async fn client(server: &Peer) -> Fallible<(Peer, Context, Link)> {
    let node = Node::new(engine()?, PermissiveAgent::new());
    let link = LocalProcessConnection::new(&node, server).await?;
    node.system.wait_system_ready().await;
    let ctx = node.context(DEFAULT_CONTEXT)?;
    Ok((node, ctx, link))
}

/// Creates n cities of one name in one transaction and returns the first.
async fn create(ctx: &Context, n: usize) -> Fallible<CityView> {
    let tx = ctx.begin();
    let mut first = None;
    for k in 0..n {
        let city = tx
            .create(&City {
                name: "Reykjavik".into(),
                population: k as i64,
            })
            .await?;
        first.get_or_insert_with(|| city.read());
    }
    tx.commit().await?;
    first.ok_or_else(|| "no city".into())
}

/// One commit of one register.
async fn set(ctx: &Context, city: &CityView, population: i64) -> Fallible<()> {
    let tx = ctx.begin();
    city.edit(&tx)?.population().set(&population)?;
    tx.commit().await?;
    Ok(())
}

const QUERY: &str = "name = 'Reykjavik'";

async fn fetch_one(ctx: &Context, population: i64) -> Fallible<EntityId> {
    let rows = ctx.fetch::<CityView>(QUERY).await?;
    match &rows[..] {
        [row] if row.population()? == population => Ok(row.id()),
        _ => Err(format!(
            "{} rows, not the one of population {population}",
            rows.len()
        )
        .into()),
    }
}

async fn stored_events(ctx: &Context, id: EntityId) -> Fallible<usize> {
    Ok(ctx
        .collection(&City::collection())
        .await?
        .dump_entity_events(id)
        .await?
        .len())
}

/// Runs f once to warm up, then as often as asked, and prints the median.
async fn report<F: Future<Output = Fallible<Duration>>>(
    lane: &str,
    case: &str,
    runs: usize,
    per: usize,
    params: &str,
    mut f: impl FnMut() -> F,
) -> Fallible<()> {
    let mut took = Vec::new();
    for _ in 0..runs + 1 {
        took.push(f().await?.as_secs_f64() * 1e6 / per as f64);
    }
    let took = &mut took[1..];
    took.sort_by(f64::total_cmp);
    let median = took[took.len() / 2];
    let spread = (took[took.len() - 1] - took[0]) / median;
    println!("lane={lane} case={case} value={median:.2} unit=us runs={runs} spread={spread:.2} params={params}");
    Ok(())
}

async fn single_writer_commit(runs: usize) -> Fallible<()> {
    const N: usize = 5000;
    let (_node, ctx) = server().await?;
    let city = create(&ctx, 1).await?;
    report(
        "single_writer_commit",
        "no_fsync",
        runs,
        N,
        "engine:sled,n:5000",
        || async {
            let start = Instant::now();
            for k in 0..N {
                set(&ctx, &city, k as i64).await?;
            }
            Ok(start.elapsed())
        },
    )
    .await
}

async fn commit_to_subscriber(runs: usize) -> Fallible<()> {
    const N: i64 = 1000;
    let (node, ctx) = server().await?;
    let city = create(&ctx, 1).await?;
    let (_peer, peer_ctx, _link) = client(&node).await?;
    let query = peer_ctx.query_wait::<CityView>(nocache(QUERY)?).await?;
    let (send, receive) = mpsc::unbounded_channel();
    let _guard = query.subscribe(move |set: ankurah::changes::ChangeSet<CityView>| {
        for change in &set.changes {
            let _ = send.send(change.entity().population().unwrap_or(-1));
        }
    });
    // Every commit sets a value of its own: a late callback of an earlier commit
    // is not taken for this one's.
    let state = tokio::sync::Mutex::new((receive, 1_000_000i64));
    report(
        "commit_to_subscriber",
        "local",
        runs,
        N as usize,
        "engine:sled,transport:local,n:1000",
        || async {
            let (receive, next) = &mut *state.lock().await;
            let start = Instant::now();
            for _ in 0..N {
                *next += 1;
                set(&ctx, &city, *next).await?;
                while receive.recv().await.ok_or("no callback")? != *next {}
            }
            Ok(start.elapsed())
        },
    )
    .await
}

async fn fresh_fetch(runs: usize) -> Fallible<()> {
    for depth in [100, 1000, 5000] {
        let (node, ctx) = server().await?;
        let city = create(&ctx, 1).await?;
        for k in 1..=depth {
            set(&ctx, &city, k).await?;
        }
        report(
            "fresh_fetch",
            &format!("depth_{depth}"),
            runs.max(15),
            1,
            "engine:sled,transport:local",
            || async {
                let (_peer, ctx, _link) = client(&node).await?;
                let start = Instant::now();
                let id = fetch_one(&ctx, depth).await?;
                let took = start.elapsed();
                match stored_events(&ctx, id).await? {
                    0 => Ok(took),
                    n => Err(format!("{n} events came instead of a state").into()),
                }
            },
        )
        .await?;
    }
    Ok(())
}

async fn bridge_catchup(runs: usize) -> Fallible<()> {
    for gap in [100, 1000, 5000] {
        report(
            "bridge_catchup",
            &format!("gap_{gap}"),
            runs,
            1,
            "engine:sled,transport:local",
            || async {
                let (node, ctx) = server().await?;
                let city = create(&ctx, 1).await?;
                let (peer, peer_ctx, link) = client(&node).await?;
                fetch_one(&peer_ctx, 0).await?;
                drop(link);
                for k in 1..=gap {
                    set(&ctx, &city, k).await?;
                }
                let start = Instant::now();
                let _link = LocalProcessConnection::new(&peer, &node).await?;
                let id = fetch_one(&peer_ctx, gap).await?;
                let took = start.elapsed();
                match stored_events(&peer_ctx, id).await? {
                    n if n as i64 >= gap => Ok(took),
                    n => Err(format!("{n} of {gap} events came").into()),
                }
            },
        )
        .await?;
    }
    Ok(())
}

async fn subscription_establishment(runs: usize) -> Fallible<()> {
    for n in [10, 100, 1000] {
        let (node, ctx) = server().await?;
        create(&ctx, n).await?;
        report(
            "subscription_establishment",
            &format!("n_{n}"),
            runs,
            1,
            "engine:sled,transport:local",
            || async {
                let (_peer, ctx, _link) = client(&node).await?;
                let start = Instant::now();
                let query = ctx.query_wait::<CityView>(nocache(QUERY)?).await?;
                let took = start.elapsed();
                match query.ids().len() {
                    got if got == n => Ok(took),
                    got => Err(format!("{got} of {n} rows").into()),
                }
            },
        )
        .await?;
    }
    Ok(())
}

async fn run(lanes: &str, runs: usize) -> Fallible<()> {
    let asked = |name: &str| lanes.is_empty() || lanes.split(',').any(|lane| lane == name);
    if asked("single_writer_commit") {
        single_writer_commit(runs).await?;
    }
    if asked("commit_to_subscriber") {
        commit_to_subscriber(runs).await?;
    }
    if asked("fresh_fetch") {
        fresh_fetch(runs).await?;
    }
    if asked("bridge_catchup") {
        bridge_catchup(runs).await?;
    }
    if asked("subscription_establishment") {
        subscription_establishment(runs).await?;
    }
    Ok(())
}

fn main() -> Fallible<()> {
    let mut args = std::env::args().skip(1);
    let lanes = args.next().unwrap_or_default();
    let runs = args.next().map_or(Ok(5), |n| n.parse())?;
    // As a server would run it: its tasks on a pool, ours on the main thread.
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?
        .block_on(run(&lanes, runs))
}

//! A whole node with the folder as its discovery: prints what others post, and says hello.

use kukuri::contract::Maker;
use kukuri::{JoinOptions, Node, TopicEvent};
use kukuri_folder::{Config, Folder};

// doc: node
#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut args = std::env::args().skip(1);
    let (Some(shared), Some(data_dir)) = (args.next(), args.next()) else {
        return Err("usage: chat SHARED_FOLDER DATA_DIR".into());
    };
    let folder = Config {
        dir: shared.into(),
        ..Config::default()
    };
    let mut config = kukuri::Config::default();
    config.identity.keyring.store = kukuri::StoreChoice::Memory;
    let node = Node::builder()
        .config(config)
        .data_dir(data_dir)
        .discovery(Maker::of::<Folder>(folder))
        .spawn()
        .await?;
    let topic = node.join("tea".parse()?, JoinOptions::default()).await?;
    let mut events = topic.events();
    while let Some(event) = events.next().await {
        match event {
            TopicEvent::Joined { .. } => _ = topic.post("hello").await?,
            TopicEvent::Post(post) => println!("{}: {:?}", post.author.short(), post.body),
            _ => {}
        }
    }
    Ok(())
}
// end

//! Contacts of the DHT.

use std::net::SocketAddr;

use kukuri_contract::{Contacts, RememberContacts, UnixMillis};

use crate::support::open;

fn contact(n: u16) -> SocketAddr {
    SocketAddr::from(([192, 0, 2, 1], n))
}

fn remember(contacts: impl IntoIterator<Item = u16>, seen_at: u64) -> RememberContacts {
    RememberContacts {
        contacts: contacts.into_iter().map(contact).collect(),
        seen_at: UnixMillis(seen_at),
    }
}

#[actix::test]
async fn the_newest_contacts_are_kept_and_come_first() {
    let dir = tempfile::tempdir().unwrap();
    let (port, _log) = open(dir.path()).await;
    assert_eq!(port.contacts(Contacts { limit: 9 }).await.unwrap(), []);
    for request in [
        remember([1, 2], 10),
        remember([3], 30),
        remember([4], 20),
        remember([2], 40),
    ] {
        port.remember_contacts(request).await.unwrap();
    }
    let v6 = RememberContacts {
        contacts: vec!["[2001:db8::7]:6881".parse().unwrap()],
        seen_at: UnixMillis(50),
    };
    port.remember_contacts(v6.clone()).await.unwrap();
    port.stop().await.unwrap();
    let (port, _log) = open(dir.path()).await;
    let newest = port.contacts(Contacts { limit: 4 }).await.unwrap();
    assert_eq!(newest, [v6.contacts[0], contact(2), contact(3), contact(4)]);

    port.remember_contacts(remember(1000..1200, 60))
        .await
        .unwrap();
    let many = port.contacts(Contacts { limit: 1000 }).await.unwrap();
    assert_eq!(many.len(), 128, "the bound");
    assert!(many.iter().all(|contact| contact.port() >= 1000));
    port.remember_contacts(remember([7], 70)).await.unwrap();
    let many = port.contacts(Contacts { limit: 1000 }).await.unwrap();
    assert_eq!((many.len(), many[0]), (128, contact(7)));
}

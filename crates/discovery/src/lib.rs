//! kukuri's discovery actor: rendezvous on the BitTorrent Mainline DHT.

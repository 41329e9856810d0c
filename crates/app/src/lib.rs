//! Serverless peer discovery: find the peers of a topic on the Mainline DHT and gossip with them.

//! The UDP sockets that the implementations of a config have settings for.

use std::net::{SocketAddr, SocketAddrV4};

use crate::config::Config;

/// A setting that says where a UDP socket is bound.
#[derive(Debug)]
pub struct UdpSetting<'a> {
    /// Its name.
    pub field: &'static str,
    /// Whether the config chooses the implementation that has it.
    pub in_use: bool,
    /// Its value.
    pub bind: Bind<'a>,
}

/// An address of a kind that the socket can have.
#[derive(Debug)]
pub enum Bind<'a> {
    /// Any.
    Any(&'a mut SocketAddr),
    /// IPv4 only.
    V4(&'a mut SocketAddrV4),
}

impl Bind<'_> {
    /// The address.
    pub fn address(&self) -> SocketAddr {
        match self {
            Self::Any(address) => **address,
            Self::V4(address) => (**address).into(),
        }
    }

    /// Binds it elsewhere.
    pub fn set(&mut self, to: SocketAddrV4) {
        match self {
            Self::Any(address) => **address = to.into(),
            Self::V4(address) => **address = to,
        }
    }

    /// Binds it to a free port of the same IP address.
    pub fn free(&mut self) {
        match self {
            Self::Any(address) => address.set_port(0),
            Self::V4(address) => address.set_port(0),
        }
    }
}

/// All of them that this build has, also those of implementations that are not in use.
pub fn udp_settings(config: &mut Config) -> Vec<UdpSetting<'_>> {
    let mut all = Vec::new();
    let mut add = |field, in_use, bind| {
        all.push(UdpSetting {
            field,
            in_use,
            bind,
        });
    };
    #[cfg(feature = "gossip-iroh")]
    {
        let in_use = config.gossip.kind == "iroh";
        add(
            "gossip.bind",
            in_use,
            Bind::Any(&mut config.gossip.iroh.bind),
        );
    }
    #[cfg(feature = "discovery-mainline")]
    {
        let in_use = config.discovery.kind == "mainline";
        let mainline = &mut config.discovery.mainline;
        add("hello_bind", in_use, Bind::V4(&mut mainline.hello_bind));
        add("dht_bind", in_use, Bind::V4(&mut mainline.dht_bind));
    }
    #[cfg(feature = "discovery-lan")]
    {
        let in_use = config.discovery.kind == "lan";
        let hello_bind = &mut config.discovery.lan.hello_bind;
        add("hello_bind", in_use, Bind::V4(hello_bind));
    }
    all
}

//! Who delivers a token, as far as the network knows.

use std::net::Ipv6Addr;

use super::{config::App, digest::Digest};

/// The sender of a request, as the platform tells it: no client can.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sender<'a> {
    /// Its address.
    pub address: Option<&'a str>,
    /// The zone of the Worker that sent it. All Workers share one address.
    pub worker: Option<&'a str>,
}

impl Sender<'_> {
    /// What stands for it at an app. An IPv6 network counts as one: whoever has one address of a
    /// /64 has them all.
    #[must_use]
    pub fn key(&self, app: &App) -> Digest {
        let address = self.address.unwrap_or_default();
        let network = address.parse().map(|address: Ipv6Addr| {
            let [a, b, c, d, ..] = address.segments();
            format!("{a:x}:{b:x}:{c:x}:{d:x}")
        });
        let network = network.as_deref().unwrap_or(address);
        let worker = self.worker.unwrap_or_default();
        Digest::of("sender", &[&app.name, network, worker])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::testkit;

    fn key(app: &str, address: &str, worker: Option<&str>) -> Digest {
        let sender = Sender {
            address: Some(address),
            worker,
        };
        sender.key(&testkit::app(&testkit::config(), app))
    }

    #[test]
    fn nobody_is_counted_as_somebody_else() {
        let keys = [
            key("SHOP", "192.0.2.1", None),
            key("WIKI", "192.0.2.1", None),
            key("SHOP", "192.0.2.2", None),
            key("SHOP", "2001:db8:0:1::1", None),
            key("SHOP", "2001:db8:0:2::1", None),
            // What every request of a Worker comes from.
            key("SHOP", "2a06:98c0:3600::103", Some("op.example")),
            key("SHOP", "2a06:98c0:3600::103", Some("stranger.example")),
        ];
        for (at, one) in keys.iter().enumerate() {
            assert!(!keys[..at].contains(one), "{at}");
        }
    }

    #[test]
    fn a_network_is_one_sender() {
        assert_eq!(
            key("SHOP", "2001:db8:0:1::1", None),
            key("SHOP", "2001:0db8::1:ffff:ffff:ffff:ffff", None)
        );
    }
}

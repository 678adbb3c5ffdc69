//! Which addresses and names may be connected to.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::oci::Host;

/// What kind of address it is. Rule: IANA special-purpose address registries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Class {
    LinkLocal,
    Loopback,
    /// Never admitted: cloud metadata and credential services.
    Metadata,
    Private,
    Public,
    /// Never admitted: unspecified, multicast, broadcast, reserved, documentation, benchmarking, protocol assignments.
    Reserved,
    Shared,
}

impl Class {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::LinkLocal => "a link-local address",
            Self::Loopback => "a loopback address",
            Self::Metadata => "a metadata service's address",
            Self::Private => "a private address",
            Self::Public => "a public address",
            Self::Reserved => "a reserved address",
            Self::Shared => "a shared address",
        }
    }

    /// The field of a host that would admit it.
    const fn flag(self) -> Option<&'static str> {
        match self {
            Self::LinkLocal => Some("allowLinkLocal"),
            Self::Loopback => Some("allowLoopback"),
            Self::Private => Some("allowPrivate"),
            Self::Shared => Some("allowShared"),
            Self::Metadata | Self::Public | Self::Reserved => None,
        }
    }
}

/// Which classes, beside public addresses, a host may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[expect(clippy::struct_excessive_bools, reason = "one flag a class is the point: none implies another")]
pub(super) struct Allowed {
    pub(super) link_local: bool,
    pub(super) loopback: bool,
    pub(super) private: bool,
    pub(super) shared: bool,
}

impl Allowed {
    pub(super) const PUBLIC: Self = Self { link_local: false, loopback: false, private: false, shared: false };

    /// `Err` says which rule refuses `address`.
    pub(super) fn check(self, address: IpAddr) -> Result<(), String> {
        let class = classify(address);
        let admitted = match class {
            Class::LinkLocal => self.link_local,
            Class::Loopback => self.loopback,
            Class::Private => self.private,
            Class::Public => true,
            Class::Shared => self.shared,
            Class::Metadata | Class::Reserved => false,
        };
        match (admitted, class.flag()) {
            (true, _) => Ok(()),
            (false, Some(flag)) => Err(format!("{} needs {flag} on an entry of its own in hosts", class.name())),
            (false, None) => Err(format!("{} is never connected to", class.name())),
        }
    }
}

/// The class of an address; an IPv4 address inside an IPv6 one is judged as itself (REF-13).
pub(super) fn classify(address: IpAddr) -> Class {
    match address {
        IpAddr::V4(v4) => classify_v4(v4),
        IpAddr::V6(v6) => classify_v6(v6),
    }
}

/// AWS, GCP, Azure and others · AWS ECS and EKS credentials · Alibaba · Oracle · Azure's wire server.
const METADATA_V4: [Ipv4Addr; 6] = [
    Ipv4Addr::new(169, 254, 169, 254),
    Ipv4Addr::new(169, 254, 170, 2),
    Ipv4Addr::new(169, 254, 170, 23),
    Ipv4Addr::new(100, 100, 100, 200),
    Ipv4Addr::new(192, 0, 0, 192),
    Ipv4Addr::new(168, 63, 129, 16),
];

/// AWS instance metadata, EKS pod identity, Google.
const METADATA_V6: [Ipv6Addr; 3] = [
    Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254),
    Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x23),
    Ipv6Addr::new(0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254),
];

fn classify_v4(address: Ipv4Addr) -> Class {
    if METADATA_V4.contains(&address) {
        return Class::Metadata;
    }
    match address.octets() {
        [127, ..] => Class::Loopback,
        [169, 254, ..] => Class::LinkLocal,
        [10, ..] | [172, 16..=31, ..] | [192, 168, ..] => Class::Private,
        [100, 64..=127, ..] => Class::Shared,
        [0 | 224..=255, ..]
        | [192, 0, 0 | 2, _]
        | [192, 88, 99, _]
        | [198, 18 | 19, ..]
        | [198, 51, 100, _]
        | [203, 0, 113, _] => Class::Reserved,
        _ => Class::Public,
    }
}

fn classify_v6(address: Ipv6Addr) -> Class {
    if METADATA_V6.contains(&address) {
        return Class::Metadata;
    }
    if address.is_loopback() {
        return Class::Loopback;
    }
    match address.segments() {
        // Mapped, compatible (with the unspecified address), NAT64 and 6to4 all stand for an IPv4 address.
        [0, 0, 0, 0, 0, 0xffff | 0, a, b] | [0x64, 0xff9b, 0, 0, 0, 0, a, b] | [0x2002, a, b, ..] => embedded(a, b),
        [0xfe80..=0xfebf, ..] => Class::LinkLocal,
        [0xfc00..=0xfdff, ..] => Class::Private,
        [0x2001, 0xdb8 | 0..=0x1ff, ..] | [0x3fff, 0..=0xfff, ..] => Class::Reserved,
        // Only 2000::/3 is global unicast.
        [0x2000..=0x3fff, ..] => Class::Public,
        _ => Class::Reserved,
    }
}

fn embedded(high: u16, low: u16) -> Class {
    let [a, b] = high.to_be_bytes();
    let [c, d] = low.to_be_bytes();
    classify_v4(Ipv4Addr::new(a, b, c, d))
}

/// Names that never mean a public registry: `Err` says which rule refuses `host`, for hosts without an entry of their own.
///
/// Names inside a cluster (`kubernetes.default.svc`, `service.namespace`) resolve through search domains, so a name must
/// have a dot and a top label that could be a public domain's (REF-17).
pub(super) fn check_public(host: &Host) -> Result<(), String> {
    let name = match host {
        Host::Address(address) => return Allowed::PUBLIC.check(*address),
        Host::Name(name) => name,
    };
    let Some((_, top)) = name.rsplit_once('.') else {
        return Err("a name without a dot is internal and needs an entry of its own in hosts".to_owned());
    };
    let domain = top.starts_with("xn--") || top.bytes().all(|b| b.is_ascii_lowercase());
    // RFC 6761, RFC 6762, RFC 8375, RFC 9476, ICANN's `internal`, and what clusters and companies use.
    let special = matches!(
        top,
        "localhost" | "local" | "internal" | "svc" | "pod" | "cluster" | "invalid" | "onion" | "alt" | "lan" | "corp"
    ) || matches!(top, "home" | "intranet" | "private" | "arpa" | "localdomain");
    if special || !domain {
        return Err(format!("names under {top:?} are internal and need an entry of their own in hosts"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    // REF-09, REF-10, REF-11, REF-12, REF-13, REG-43
    #[test]
    fn each_address_is_of_its_class() {
        for (text, class) in [
            ("8.8.8.8", Class::Public),
            ("127.0.0.1", Class::Loopback),
            ("127.255.255.255", Class::Loopback),
            ("128.0.0.1", Class::Public),
            ("0.0.0.0", Class::Reserved),
            ("0.1.2.3", Class::Reserved),
            ("10.0.0.1", Class::Private),
            ("11.0.0.1", Class::Public),
            ("172.15.255.255", Class::Public),
            ("172.16.0.1", Class::Private),
            ("172.31.255.255", Class::Private),
            ("172.32.0.0", Class::Public),
            ("192.168.0.1", Class::Private),
            ("100.63.255.255", Class::Public),
            ("100.64.0.1", Class::Shared),
            ("100.127.255.255", Class::Shared),
            ("100.128.0.0", Class::Public),
            ("169.254.1.1", Class::LinkLocal),
            ("169.254.169.254", Class::Metadata),
            ("169.254.170.2", Class::Metadata),
            ("100.100.100.200", Class::Metadata),
            ("168.63.129.16", Class::Metadata),
            ("224.0.0.1", Class::Reserved),
            ("255.255.255.255", Class::Reserved),
            ("198.18.0.1", Class::Reserved),
            ("::", Class::Reserved),
            ("::1", Class::Loopback),
            ("::ffff:127.0.0.1", Class::Loopback),
            ("::ffff:8.8.8.8", Class::Public),
            ("::ffff:169.254.169.254", Class::Metadata),
            ("::7f00:1", Class::Loopback),
            ("64:ff9b::a00:1", Class::Private),
            ("2002:a9fe:a9fe::1", Class::Metadata),
            ("fe80::1", Class::LinkLocal),
            ("febf::1", Class::LinkLocal),
            ("fec0::1", Class::Reserved),
            ("fd00::1", Class::Private),
            ("fd00:ec2::254", Class::Metadata),
            ("ff02::1", Class::Reserved),
            ("2001:db8::1", Class::Reserved),
            ("2001:0:1::1", Class::Reserved),
            ("2606:4700::1", Class::Public),
        ] {
            assert_eq!(classify(text.parse().unwrap()), class, "{text}");
        }
    }

    #[test]
    fn each_class_has_its_own_flag_and_some_have_none() {
        let all = Allowed { link_local: true, loopback: true, private: true, shared: true };
        for (text, allowed) in [
            ("127.0.0.1", Allowed { loopback: true, ..Allowed::PUBLIC }),
            ("10.0.0.1", Allowed { private: true, ..Allowed::PUBLIC }),
            ("169.254.1.1", Allowed { link_local: true, ..Allowed::PUBLIC }),
            ("100.64.0.1", Allowed { shared: true, ..Allowed::PUBLIC }),
        ] {
            let address: IpAddr = text.parse().unwrap();
            let others = Allowed {
                link_local: !allowed.link_local,
                loopback: !allowed.loopback,
                private: !allowed.private,
                shared: !allowed.shared,
            };
            assert!(allowed.check(address).is_ok(), "{text}");
            assert!(others.check(address).is_err(), "{text}");
            assert!(Allowed::PUBLIC.check(address).is_err(), "{text}");
        }
        for text in ["169.254.169.254", "0.0.0.0", "224.0.0.1", "fd00:ec2::254"] {
            assert!(all.check(text.parse().unwrap()).is_err(), "{text}");
        }
    }

    // REF-11, REF-13, REF-17
    #[test]
    fn internal_names_and_disguised_addresses_are_not_public() {
        for text in [
            "localhost",
            "a.localhost",
            "kubernetes",
            "kubernetes.default.svc",
            "registry.default.svc.cluster.local",
            "gatekeeper-webhook-service.gatekeeper-system",
            "metadata.google.internal",
            "nas.lan",
            "127.1",
            "2130706433",
            "0x7f.1",
            "0177.0.0.1",
            "[::ffff:127.0.0.1]",
            "10.0.0.1",
        ] {
            assert!(check_public(&Host::parse(text).unwrap()).is_err(), "{text}");
        }
        for text in ["ghcr.io", "registry.example.com", "8.8.8.8", "a.xn--p1ai", "localhost.example.com"] {
            assert!(check_public(&Host::parse(text).unwrap()).is_ok(), "{text}");
        }
    }
}

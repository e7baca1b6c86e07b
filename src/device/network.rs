//! The state of the network, without anything that reveals the device's location.

use std::net::{Ipv4Addr, Ipv6Addr, UdpSocket};

use serde::ser::SerializeStruct;
use serde::{Serialize, Serializer};
use serde_json::Value;

use super::files::{Files, plain_name};
use super::reading::{NoReading, Probed};

/// The network, as far as it is known without sending anything.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Network {
    /// Whether there is a default route. Not whether any server can be reached. `None` if the
    /// device does not report it.
    pub has_route: Option<bool>,
    /// Interfaces that are up, the loopback left out; empty where they may not be listed.
    pub interfaces_up: Vec<String>,
}

impl Serialize for Network {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut out = serializer.serialize_struct("Network", 2)?;
        out.serialize_field("has_route", &self.has_route)?;
        out.serialize_field("interfaces_up", &self.interfaces_up)?;
        out.end()
    }
}

/// The wireless connection, without its name, its addresses or anything else that reveals where
/// the device is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Wifi {
    /// Whether the device is connected to a wireless network.
    pub connected: bool,
    /// Strength of the signal, in dBm: about -50 is strong, -80 weak.
    pub signal_dbm: Option<i64>,
    /// Speed of the link, in megabits per second.
    pub link_speed_mbps: Option<i64>,
    /// Radio frequency, in megahertz.
    pub frequency_mhz: Option<i64>,
}

impl Serialize for Wifi {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut out = serializer.serialize_struct("Wifi", 4)?;
        out.serialize_field("connected", &self.connected)?;
        out.serialize_field("signal_dbm", &self.signal_dbm)?;
        out.serialize_field("link_speed_mbps", &self.link_speed_mbps)?;
        out.serialize_field("frequency_mhz", &self.frequency_mhz)?;
        out.end()
    }
}

const INTERFACES: &str = "sys/class/net";
const ROUTES: &str = "proc/net/route";
const ROUTES_6: &str = "proc/net/ipv6_route";
/// Flags of a route (`RTF_UP`, `RTF_REJECT`) and of an interface (`IFF_UP`) in the kernel.
const ROUTE_UP: u32 = 0x1;
const ROUTE_REJECT: u32 = 0x200;
const INTERFACE_UP: u32 = 0x1;
/// Addresses reserved for documentation: they match only a default route, and no host has them.
const NOWHERE: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);
const NOWHERE_6: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1);
/// Any port will do: nothing is sent.
const ANY_PORT: u16 = 9;

pub(crate) fn network(files: &Files<'_>, live: bool) -> Probed<Network> {
    let interfaces = interfaces_up(files);
    let has_route = route_of_files(files).or_else(|| live.then(route_of_socket));
    match (interfaces, has_route) {
        (Err(why), None) => Err(why),
        (interfaces, has_route) => {
            Ok(Network { has_route, interfaces_up: interfaces.unwrap_or_default() })
        }
    }
}

fn interfaces_up(files: &Files<'_>) -> Probed<Vec<String>> {
    let mut up = Vec::new();
    for folder in files.names(INTERFACES)? {
        let name = folder.file_name().unwrap_or_default().to_string_lossy();
        let is_up = match files.text(folder.join("operstate")) {
            Ok(state) if state.trim() == "up" => true,
            // Tunnels and mobile data have no state there; their flag shows whether they are up.
            Ok(state) if state.trim() == "unknown" => {
                let flags = files.text(folder.join("flags")).unwrap_or_default();
                hex(flags.trim().trim_start_matches("0x")).is_some_and(|f| f & INTERFACE_UP != 0)
            }
            Err(late @ NoReading::TimedOut(_)) => return Err(late),
            _ => false,
        };
        if is_up && name != "lo" {
            up.push(plain_name(&name));
        }
    }
    Ok(up)
}

fn hex(text: &str) -> Option<u32> {
    u32::from_str_radix(text, 16).ok()
}

/// Looks for a default route in the kernel's tables; `None` if they cannot be read.
fn route_of_files(files: &Files<'_>) -> Option<bool> {
    let four = files.text(ROUTES).ok().map(|table| table.lines().skip(1).any(is_default));
    let six = files.text(ROUTES_6).ok().map(|table| table.lines().any(is_default_6));
    match (four, six) {
        (None, None) => None,
        (four, six) => Some(four == Some(true) || six == Some(true)),
    }
}

/// Interface, destination, gateway, flags, three counters, mask.
fn is_default(line: &str) -> bool {
    let columns: Vec<&str> = line.split_whitespace().collect();
    let [_, "00000000", _, flags, _, _, _, "00000000", ..] = columns[..] else { return false };
    hex(flags).is_some_and(leads_out)
}

/// Destination, its prefix length, source, its prefix length, next hop, metric, two
/// counters, flags, interface.
fn is_default_6(line: &str) -> bool {
    let columns: Vec<&str> = line.split_whitespace().collect();
    let [to, "00", _, _, _, _, _, _, flags, interface] = columns[..] else { return false };
    to.bytes().all(|b| b == b'0') && interface != "lo" && hex(flags).is_some_and(leads_out)
}

fn leads_out(flags: u32) -> bool {
    flags & ROUTE_UP != 0 && flags & ROUTE_REJECT == 0
}

/// Queries the kernel for a route, since Android denies its tables. Connecting a datagram socket
/// looks the route up and sends nothing.
fn route_of_socket() -> bool {
    let four = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))
        .and_then(|socket| socket.connect((NOWHERE, ANY_PORT)));
    let six = || {
        UdpSocket::bind((Ipv6Addr::UNSPECIFIED, 0))
            .and_then(|socket| socket.connect((NOWHERE_6, ANY_PORT)))
    };
    four.is_ok() || six().is_ok()
}

/// Parses the output of `termux-wifi-connectioninfo`.
pub(crate) fn wifi_of_termux(printed: &Value) -> Probed<Wifi> {
    let Some(state) = printed.get("supplicant_state").and_then(Value::as_str) else {
        return Err(NoReading::because("termux-wifi-connectioninfo printed no state"));
    };
    let connected = state == "COMPLETED";
    let number = |key: &str| {
        let number = printed.get(key).and_then(Value::as_i64);
        // Without a connection Android returns placeholders.
        number.filter(|_| connected)
    };
    Ok(Wifi {
        connected,
        signal_dbm: number("rssi"),
        link_speed_mbps: number("link_speed_mbps"),
        frequency_mhz: number("frequency_mhz"),
    })
}

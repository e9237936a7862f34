//! Owns whose word about the client's address is believed.

use std::net::IpAddr;

use ipnet::IpNet;
use serde_json::Value as Json;

use super::text::meant;
use super::{Kind, Shown, Variable, each, refuse, scalar, text};
use crate::config::checked::TrustedProxies;
use crate::config::errors::Faults;
use crate::config::shape;
use crate::config::tree::Node;
use crate::domain::client_ip;

/// CIDRs, addresses and presets.
pub(in crate::config) struct Proxies;

/// The same where nobody's word is believed for it.
pub(in crate::config) struct Networks;

impl Kind for Proxies {
    type Value = TrustedProxies;
    const VARIABLE: Variable = Variable::List;

    fn read(&self, node: &Node, faults: &mut Faults) -> Option<TrustedProxies> {
        list(node, faults, warn_of_everybody)
    }

    fn show(&self, value: &TrustedProxies) -> Shown {
        Networks.show(value)
    }

    fn shape(&self) -> Json {
        Networks.shape()
    }
}

impl Kind for Networks {
    type Value = TrustedProxies;
    const VARIABLE: Variable = Variable::List;

    fn read(&self, node: &Node, faults: &mut Faults) -> Option<TrustedProxies> {
        list(node, faults, |_, _, _| ())
    }

    fn show(&self, value: &TrustedProxies) -> Shown {
        Shown::List(value.written.iter().cloned().map(Shown::Text).collect())
    }

    fn shape(&self) -> Json {
        shape::list(0, usize::MAX, entry_shape())
    }
}

/// Reads a list of networks, and has each looked at.
fn list(
    node: &Node,
    faults: &mut Faults,
    look: impl Fn(&Node, &[IpNet], &mut Faults),
) -> Option<TrustedProxies> {
    let accepted = "write a list such as [docker, 203.0.113.0/24]";
    let each = each(node, faults, accepted, |node, faults| {
        let accepted = accepted_entry();
        let written = scalar(node, faults, &accepted)?;
        match nets(written) {
            Ok(nets) => {
                look(node, &nets, faults);
                Some((written.to_owned(), nets))
            }
            Err(wrong) => {
                let hint = meant(written, client_ip::PRESETS.iter().copied());
                refuse(node, faults, wrong, &format!("{accepted}{hint}"))
            }
        }
    })?;
    let (written, nets): (Vec<String>, Vec<Vec<IpNet>>) = each.into_iter().unzip();
    Some(TrustedProxies {
        written,
        nets: nets.concat(),
    })
}

fn accepted_entry() -> String {
    let presets = text::one_of(client_ip::PRESETS.iter().copied());
    format!("write a CIDR such as 10.0.0.0/8, an address, or {presets}")
}

/// The schema of one entry.
pub(super) fn entry_shape() -> Json {
    let presets = client_ip::PRESETS.join("|");
    shape::text(&format!("^({presets}|{NETWORK})$"))
}

/// How an address or a network is written.
pub(super) const NETWORK: &str = "[0-9A-Fa-f:.]+(/[0-9]{1,3})?";

/// The networks that one entry names.
pub(super) fn nets(text: &str) -> Result<Vec<IpNet>, &'static str> {
    if let Some(nets) = client_ip::preset(text) {
        return Ok(nets.to_vec());
    }
    if let Ok(address) = text.parse::<IpAddr>() {
        return Ok(vec![IpNet::from(address)]);
    }
    match text.parse::<IpNet>() {
        // 10.0.0.1/8 is either 10.0.0.1 or 10.0.0.0/8: trust is not guessed.
        Ok(net) if net.trunc() != net => Err("bits set behind the prefix"),
        Ok(net) => Ok(vec![net]),
        Err(_) => Err("not a CIDR, an address or a preset"),
    }
}

fn warn_of_everybody(node: &Node, nets: &[IpNet], faults: &mut Faults) {
    if nets.iter().any(|net| net.prefix_len() == 0) {
        let path = &node.path;
        faults.warnings.push(format!(
            "{path} trusts everybody: any client may claim any address"
        ));
    }
}

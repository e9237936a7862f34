//! Whose word on a client's address nginx believes.

use super::super::held::Side;
use super::super::sheet::Sheet;
use super::super::site::Scope;

/// Whose word on the client's address is believed.
pub(super) fn carry(sheet: &mut Sheet, scope: &Scope<'_>) {
    for from in scope.all("set_real_ip_from") {
        let network = from.argument(0);
        let known =
            network.parse::<ipnet::IpNet>().is_ok() || network.parse::<std::net::IpAddr>().is_ok();
        if known {
            sheet.held.note(Side::ALL, from);
            sheet.trusted.push(network.to_owned());
        } else {
            let why = "a trusted proxy is an address or a network";
            sheet.leaves(&from.place, format!("set_real_ip_from {network}"), why);
        }
    }
    let named = scope.one("real_ip_header");
    if let Some(named) = named {
        sheet.held.note(Side::ALL, named);
    }
    let mut header = named.map(|one| one.argument(0).to_ascii_lowercase());
    if let Some(first) = scope.all("set_real_ip_from").first() {
        // As nginx has it where nobody says otherwise.
        let header = header.get_or_insert_with(|| "x-real-ip".to_owned());
        let all = scope.one("real_ip_recursive");
        let last_only = all.is_none_or(|one| one.argument(0) != "on");
        if last_only && header == "x-forwarded-for" {
            let place = all.map_or(&first.place, |one| &one.place);
            let why = "of several trusted proxies in a row the client behind all is found, not the last of them";
            sheet.leaves(place, "real_ip_recursive off", why);
        }
    }
    // A PROXY header is the listener's, which says so itself.
    sheet.header = header.filter(|header| header != "proxy_protocol");
}

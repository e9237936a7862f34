//! nginx's limits on requests and connections, as quotas and limits of ours.

use crate::domain::units::show_duration;

use super::super::amounts;
use super::super::grammar::Directive;
use super::super::held::Side;
use super::super::sheet::Sheet;
use super::super::site::Scope;

/// `limit_req` and `limit_conn`, where their zone counts addresses or everything.
pub(super) fn carry(sheet: &mut Sheet, scope: &Scope<'_>) {
    for limit in scope.all("limit_req") {
        let named = |word: &str| {
            let found = limit
                .arguments
                .iter()
                .find_map(|one| one.strip_prefix(word));
            found.unwrap_or_default().to_owned()
        };
        let burst = named("burst=").parse().unwrap_or(0);
        let zone = zone_of(scope, "limit_req_zone", &named("zone="));
        let rate = zone.and_then(|zone| {
            zone.arguments
                .iter()
                .find_map(|one| one.strip_prefix("rate="))
        });
        let quota = rate.and_then(|rate| amounts::quota(rate, burst));
        let quota = quota.map(|(most, per)| (most, show_duration(per)));
        match (zone.map(counted), quota) {
            (Some(Counted::Client), Some(quota)) if sheet.by_ip.is_none() => {
                sheet.by_ip = Some(quota);
                hold(sheet, limit, zone);
                name_items(sheet, limit);
            }
            (Some(Counted::All), Some(quota)) if sheet.global.is_none() => {
                sheet.global = Some(quota);
                hold(sheet, limit, zone);
                name_items(sheet, limit);
            }
            _ => {
                let why = "its zone counts what quotas cannot, or a second time: see defaults.quotas (by: ip, key or project)";
                sheet.leaves(
                    &limit.place,
                    format!("limit_req {}", limit.argument(0)),
                    why,
                );
            }
        }
    }
    for limit in scope.all("limit_conn") {
        let zone = zone_of(scope, "limit_conn_zone", limit.argument(0));
        let most = limit.argument(1).parse().ok();
        match (zone.map(counted), most) {
            (Some(Counted::Client), Some(most)) => {
                sheet.per_client = Some(most);
                hold(sheet, limit, zone);
                if !sheet.trusted.is_empty() {
                    sheet.leaves(&limit.place, what(limit), BEHIND_PROXIES);
                }
            }
            _ => {
                let why = "connections are counted by client alone: limits.connections_per_client";
                sheet.leaves(
                    &limit.place,
                    format!("limit_conn {}", limit.argument(0)),
                    why,
                );
            }
        }
    }
}

/// What becomes of a limit on clients that others bring.
const BEHIND_PROXIES: &str = "limits.connections_per_client counts those who connect here, and never a proxy that is trusted (set_real_ip_from): whom one brings it cannot hold back, so limit connections there; limits.block shuts out who overdoes it";

/// nginx counts requests, a quota what is in them.
const ITEMS: &str = "a request counts there, and here each item in it (an envelope of 100 lines of log is 100 of them): so the quota counts errors and transactions alone, and neither pages nor uploads; name more in its categories, each with room for the largest envelope";

fn name_items(sheet: &mut Sheet, limit: &Directive) {
    sheet.leaves(&limit.place, what(limit), ITEMS);
}

fn what(limit: &Directive) -> String {
    format!("{} {}", limit.name, limit.argument(0))
}

fn hold(sheet: &mut Sheet, limit: &Directive, zone: Option<&Directive>) {
    for one in [Some(limit), zone].into_iter().flatten() {
        sheet.held.note(Side::ALL, one);
    }
}

fn zone_of<'d>(scope: &Scope<'d>, kind: &str, name: &str) -> Option<&'d Directive> {
    let is = |zone: &&Directive| {
        let named = zone
            .arguments
            .iter()
            .find_map(|one| one.strip_prefix("zone="));
        named.is_some_and(|named| named.split(':').next() == Some(name))
    };
    scope.all(kind).into_iter().find(is)
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Counted {
    Client,
    All,
    Other,
}

fn counted(zone: &Directive) -> Counted {
    match zone.argument(0) {
        "$binary_remote_addr" | "$remote_addr" => Counted::Client,
        "$server_name" | "$host" | "$http_host" => Counted::All,
        _ => Counted::Other,
    }
}

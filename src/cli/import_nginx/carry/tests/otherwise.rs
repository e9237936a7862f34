//! What is done here in another way is said, and is no reason to fail.

use super::{CARRIED, SHIPPED, carried, keys};

#[test]
fn what_is_done_otherwise_is_listed_and_leaves_nothing_to_do() {
    let shipped = SHIPPED.replacen(
        "gzip off;",
        "gzip off;\nproxy_next_upstream error timeout invalid_header http_502 http_503 non_idempotent;\nproxy_next_upstream_tries 2;\nlog_format main x;",
        1,
    );
    let sheet = carried(&shipped);
    assert_eq!(sheet.left, []);
    assert_eq!(keys(&sheet), CARRIED);
    let told: Vec<&str> = sheet
        .otherwise
        .iter()
        .map(|(_, what, _)| what.as_str())
        .collect();
    let want = [
        "user nginx",
        "error_log /var/log/nginx/error.log",
        "access_log /var/log/nginx/access.log",
        "proxy_next_upstream error",
        "proxy_next_upstream_tries 2",
        "log_format main",
    ];
    assert_eq!(told, want);
    let yaml = sheet.to_yaml("nginx.conf");
    assert!(!yaml.contains("# Not carried over:"), "{yaml}");
    let list = yaml
        .split_once("\n# Done here in another way, with nothing to do:\n")
        .unwrap()
        .1;
    assert_eq!(list.lines().count(), want.len(), "{list}");
}

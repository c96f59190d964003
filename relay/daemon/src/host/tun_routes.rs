//! The relay's routes to the TUN, many at once: a gate that closes must not wait for an answer to each.

use std::{collections::BTreeSet, future::Future};

use futures_util::{StreamExt, stream};
use ipnet::IpNet;

use super::{Host, OddPort, View, Ways, netlink::Error, routes};
use crate::{
    failure::{Failure, host},
    plan::{Announcement, Plan, Route},
    self_test,
};

/// How many routes the kernel is asked for before its first answer.
const AT_ONCE: usize = 64;

impl Host {
    /// What is in the way of new routes.
    pub(crate) async fn obstacles(&self, wanted: &[(IpNet, Route)]) -> Result<Vec<String>, Failure> {
        self.kernel.obstacles(Some(&self.tun), wanted).await
    }

    /// Leads prefixes to the TUN.
    pub(crate) async fn add_routes(&self, routes: &[(IpNet, Route)]) -> Result<(), Failure> {
        self.set_routes(routes, false).await
    }

    /// Gives routes to the TUN another source, or has them announced otherwise: there is a route at any time.
    ///
    /// # Errors
    /// The first, once all has been tried: what can be withdrawn is.
    pub(crate) async fn change_routes(&self, routes: &[(IpNet, Route)], before: &Plan) -> Result<(), Failure> {
        let result = self.set_routes(routes, true).await;
        let others = routes.iter().filter_map(|(prefix, route)| {
            let old = before.routes.get(prefix)?.announcement;
            (old != route.announcement).then_some((*prefix, old))
        });
        self.remove(others).await;
        result
    }

    /// Withdraws routes of `plan` to the TUN; one that is gone already is fine.
    pub(crate) async fn remove_routes(&self, prefixes: impl IntoIterator<Item = IpNet>, plan: &Plan) {
        let routes = prefixes.into_iter().filter_map(|prefix| Some((prefix, plan.routes.get(&prefix)?.announcement)));
        self.remove(routes).await;
    }

    /// Puts back what somebody else removed, as restarting network managers do, takes away what is not in the plan, and
    /// says what it was.
    ///
    /// # Errors
    /// If it cannot be put back: no traffic comes then.
    pub(crate) async fn restore(
        &self,
        plan: &Plan,
        ways: Ways,
        odd_ports: BTreeSet<OddPort>,
    ) -> Result<Vec<String>, Failure> {
        let mut restored = Vec::new();
        if self.install_rules(&View::new(self.look().await?, Vec::new(), odd_ports), ways).await? {
            restored.push("policy rules".to_owned());
        }
        let installed = routes::installed(&self.kernel.strict, &self.tun, self.kernel.table).await;
        let mut installed = installed.map_err(|error| host("routes cannot be listed", error))?;
        let mut missing: Vec<_> = self.test_routes().into_iter().collect();
        missing.extend(plan.routes.iter().map(|(prefix, route)| (*prefix, route.clone())));
        missing.retain(|(prefix, route)| !installed.remove(&(*prefix, route.announcement)));
        if !missing.is_empty() {
            self.add_addresses(&plan.addresses.iter().copied().collect::<Vec<_>>()).await?;
            self.set_routes(&missing, true).await?;
            restored.extend(missing.iter().map(|(prefix, _)| format!("route {prefix}")));
        }
        restored.extend(installed.iter().map(|(prefix, _)| format!("no route {prefix}")));
        self.remove(installed).await;
        Ok(restored)
    }

    /// The routes of the self-test to the TUN; it has them besides any plan.
    pub(super) async fn add_test_routes(&self) -> Result<(), Failure> {
        self.set_routes(&self.test_routes(), true).await
    }

    fn test_routes(&self) -> Vec<(IpNet, Route)> {
        self.test.iter().flat_map(|_| self_test::routes()).collect()
    }

    async fn set_routes(&self, routes: &[(IpNet, Route)], replace: bool) -> Result<(), Failure> {
        let set = routes.iter().map(|(prefix, route)| async move {
            let set = routes::add(&self.kernel.netlink, &self.tun, self.kernel.table, *prefix, route, replace).await;
            set.map_err(|error| host(format_args!("route {prefix} dev {} cannot be set", self.tun.name), error))
        });
        all(set).await
    }

    async fn remove(&self, routes: impl IntoIterator<Item = (IpNet, Announcement)>) {
        let remove = routes.into_iter().map(|(prefix, announcement)| async move {
            let removed: Result<(), Error> =
                routes::remove(&self.kernel.netlink, &self.tun, self.kernel.table, prefix, announcement).await;
            if let Err(error) = removed {
                tracing::warn!(%prefix, %error, "route could not be withdrawn");
            }
            Ok::<(), Failure>(())
        });
        // Each has said what is wrong.
        let _ = all(remove).await;
    }
}

/// Does all of them, and returns the first error.
async fn all<F: Future<Output = Result<(), Failure>>>(requests: impl Iterator<Item = F>) -> Result<(), Failure> {
    let mut results = stream::iter(requests).buffer_unordered(AT_ONCE);
    let mut all = Ok(());
    while let Some(result) = results.next().await {
        all = all.and(result);
    }
    all
}

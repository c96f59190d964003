//! Replicas, an API server in memory, and a network between them that can be cut. Time is tokio's, and paused.

use std::{
    collections::BTreeSet,
    convert::Infallible,
    sync::{Arc, Mutex},
};

use http::{Method, Request, Response, StatusCode};
use http_body_util::BodyExt;
use kube::{Client, client::Body};
use serde_json::{Value, json};
use tower::service_fn;

use super::*;

/// An API server that has one Lease, and knows who cannot reach it.
#[derive(Clone, Default)]
struct Server(Arc<Mutex<Inner>>);

#[derive(Default)]
struct Inner {
    lease: Option<Value>,
    version: u64,
    /// Whose requests are lost.
    cut_off: BTreeSet<String>,
    /// Whose answers are lost: the requests arrive.
    deaf: BTreeSet<String>,
    /// How many of the next requests are lost.
    lost: usize,
    /// What everybody is told.
    refusal: Option<u16>,
    /// To the second, what the clocks of those say who write: all are wrong in the same way.
    clocks: Option<&'static str>,
}

impl Server {
    fn with<T>(&self, change: impl FnOnce(&mut Inner) -> T) -> T {
        change(&mut self.0.lock().unwrap())
    }

    fn holder(&self) -> Option<String> {
        self.with(|inner| inner.lease.as_ref()?["spec"]["holderIdentity"].as_str().map(str::to_owned))
    }

    fn elector(&self, who: &str) -> Elector {
        let (server, name) = (self.clone(), who.to_owned());
        let service = service_fn(move |request: Request<Body>| {
            let (server, name) = (server.clone(), name.clone());
            async move { Ok::<_, Infallible>(server.serve(&name, request).await) }
        });
        let api = Api::namespaced(Client::new(service, "culvert-system"), "culvert-system");
        Elector::new(api, "culvert-operator", who, Timing::default(), || {})
    }

    async fn serve(&self, who: &str, request: Request<Body>) -> Response<Body> {
        let method = request.method().clone();
        let body = request.into_body().collect().await.unwrap().to_bytes();
        let is_lost = self.with(|inner| {
            let lost = inner.lost > 0;
            inner.lost = inner.lost.saturating_sub(1);
            lost || inner.cut_off.contains(who)
        });
        if is_lost {
            std::future::pending::<()>().await;
        }
        let (status, answer) = self.with(|inner| inner.answer(&method, serde_json::from_slice(&body).ok()));
        if self.with(|inner| inner.deaf.contains(who)) {
            std::future::pending::<()>().await;
        }
        Response::builder().status(status).body(Body::from(serde_json::to_vec(&answer).unwrap())).unwrap()
    }
}

impl Inner {
    fn answer(&mut self, method: &Method, body: Option<Value>) -> (StatusCode, Value) {
        if let Some(code) = self.refusal {
            return refuse(code);
        }
        match (method, &self.lease) {
            (&Method::GET, None) => refuse(404),
            (&Method::GET, Some(lease)) => (StatusCode::OK, lease.clone()),
            (&Method::POST, Some(_)) => refuse(409),
            (&Method::PUT, Some(lease)) => {
                let body = body.unwrap();
                let same = body["metadata"]["resourceVersion"] == lease["metadata"]["resourceVersion"];
                if same { (StatusCode::OK, self.store(body)) } else { refuse(409) }
            }
            (&Method::POST, None) => (StatusCode::CREATED, self.store(body.unwrap())),
            other => panic!("{other:?}"),
        }
    }

    fn store(&mut self, mut lease: Value) -> Value {
        self.version += 1;
        if let Some(second) = self.clocks {
            lease["spec"]["renewTime"] = json!(format!("{second}.{:06}Z", self.version));
        }
        lease["metadata"]["resourceVersion"] = json!(self.version.to_string());
        self.lease = Some(lease.clone());
        lease
    }
}

fn refuse(code: u16) -> (StatusCode, Value) {
    let reason = match code {
        404 => "NotFound",
        409 => "Conflict",
        _ => "ServiceUnavailable",
    };
    let status = json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": code, "reason": reason,
        "message": format!("refused with {code}")});
    (StatusCode::from_u16(code).unwrap(), status)
}

/// Who acts, noted by themselves.
#[derive(Clone, Default)]
struct Acting(Arc<Mutex<Noted>>);

#[derive(Default)]
struct Noted {
    now: BTreeSet<String>,
    most_at_once: usize,
    starts: usize,
}

impl Acting {
    fn start(&self, who: &str) {
        let mut acting = self.0.lock().unwrap();
        acting.now.insert(who.to_owned());
        acting.most_at_once = acting.most_at_once.max(acting.now.len());
        acting.starts += 1;
    }

    fn stop(&self, who: &str) {
        self.0.lock().unwrap().now.remove(who);
    }

    fn now(&self) -> Vec<String> {
        self.0.lock().unwrap().now.iter().cloned().collect()
    }

    fn starts(&self) -> usize {
        self.0.lock().unwrap().starts
    }

    fn most_at_once(&self) -> usize {
        self.0.lock().unwrap().most_at_once
    }
}

/// A replica that leads whenever it may.
fn replica(server: &Server, who: &str, acting: &Acting) -> tokio::task::JoinHandle<()> {
    let (mut elector, who, acting) = (server.elector(who), who.to_owned(), acting.clone());
    tokio::spawn(async move {
        loop {
            let since = elector.acquire().await;
            acting.start(&who);
            elector.hold(since).await;
            acting.stop(&who);
        }
    })
}

async fn seconds(count: u64) {
    sleep(Duration::from_secs(count)).await;
}

#[tokio::test(start_paused = true)]
async fn of_two_replicas_one_leads() {
    let (server, acting) = (Server::default(), Acting::default());
    let _replicas = [replica(&server, "a", &acting), replica(&server, "b", &acting)];
    seconds(1).await;
    let first = acting.now();
    assert_eq!(first.len(), 1);
    seconds(3600).await;
    assert_eq!(acting.now(), first);
    assert_eq!(acting.most_at_once(), 1);
    assert_eq!(server.with(|inner| inner.lease.clone().unwrap()["spec"]["leaseTransitions"].clone()), json!(1));
}

#[tokio::test(start_paused = true)]
async fn a_leader_that_is_cut_off_stops_before_another_starts() {
    for lose_answers_only in [false, true] {
        let (server, acting) = (Server::default(), Acting::default());
        let _a = replica(&server, "a", &acting);
        seconds(1).await;
        let _b = replica(&server, "b", &acting);
        seconds(60).await;
        assert_eq!(acting.now(), ["a"]);
        server.with(|inner| {
            let lost = if lose_answers_only { &mut inner.deaf } else { &mut inner.cut_off };
            lost.insert("a".to_owned());
        });
        seconds(13).await;
        assert!(acting.now().is_empty(), "nobody acts between the two");
        seconds(30).await;
        assert_eq!(acting.now(), ["b"]);
        server.with(|inner| {
            inner.cut_off.clear();
            inner.deaf.clear();
        });
        seconds(60).await;
        assert_eq!(acting.now(), ["b"]);
        assert_eq!(acting.most_at_once(), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn the_time_of_day_decides_nothing() {
    for clocks in ["1971-01-01T00:00:00", "2999-01-01T00:00:00"] {
        let (server, acting) = (Server::default(), Acting::default());
        server.with(|inner| inner.clocks = Some(clocks));
        let _a = replica(&server, "a", &acting);
        seconds(1).await;
        let _b = replica(&server, "b", &acting);
        seconds(3600).await;
        assert_eq!((acting.now(), acting.starts()), (vec!["a".to_owned()], 1), "{clocks}");
        server.with(|inner| _ = inner.cut_off.insert("a".to_owned()));
        seconds(43).await;
        assert_eq!((acting.now(), acting.most_at_once()), (vec!["b".to_owned()], 1), "{clocks}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_short_outage_changes_nothing() {
    let (server, acting) = (Server::default(), Acting::default());
    let _a = replica(&server, "a", &acting);
    seconds(1).await;
    let _b = replica(&server, "b", &acting);
    for _ in 0..20 {
        server.with(|inner| inner.refusal = Some(503));
        seconds(7).await;
        server.with(|inner| inner.refusal = None);
        seconds(20).await;
    }
    assert_eq!((acting.now(), acting.starts()), (vec!["a".to_owned()], 1));
}

#[tokio::test(start_paused = true)]
async fn one_request_that_is_never_answered_changes_nothing() {
    let (server, acting) = (Server::default(), Acting::default());
    let _a = replica(&server, "a", &acting);
    seconds(1).await;
    let _b = replica(&server, "b", &acting);
    seconds(5).await;
    for _ in 0..20 {
        // The next one may be that of the one who waits: then the one after it is the leader's.
        server.with(|inner| inner.lost = 2);
        seconds(30).await;
    }
    assert_eq!((acting.now(), acting.starts()), (vec!["a".to_owned()], 1));
}

#[tokio::test(start_paused = true)]
async fn a_long_outage_ends_leadership_and_says_why() {
    let server = Server::default();
    let mut elector = server.elector("a");
    let since = elector.acquire().await;
    server.with(|inner| inner.refusal = Some(503));
    let lost = elector.hold(since).await;
    assert_eq!(lost, Lost::Expired { after: Duration::from_secs(10), why: "refused with 503".to_owned() });
    assert!(since.elapsed() <= Duration::from_secs(10));
}

#[tokio::test(start_paused = true)]
async fn who_finds_another_in_the_lease_leads_no_more() {
    let server = Server::default();
    let mut elector = server.elector("a");
    let since = elector.acquire().await;
    server.with(|inner| {
        let mut lease = inner.lease.clone().unwrap();
        lease["spec"]["holderIdentity"] = json!("b");
        inner.store(lease)
    });
    assert_eq!(elector.hold(since).await, Lost::Taken("b".to_owned()));
}

#[tokio::test(start_paused = true)]
async fn a_lease_that_is_given_back_is_free_at_once() {
    let (server, acting) = (Server::default(), Acting::default());
    let mut elector = server.elector("a");
    elector.acquire().await;
    let _b = replica(&server, "b", &acting);
    seconds(5).await;
    elector.release().await;
    seconds(3).await;
    assert_eq!((server.holder(), acting.now()), (Some("b".to_owned()), vec!["b".to_owned()]));
    // What is another's is not ours to give.
    elector.release().await;
    assert_eq!(server.holder().as_deref(), Some("b"));
}

#[tokio::test(start_paused = true)]
async fn of_two_that_find_it_expired_one_gets_it() {
    for _ in 0..20 {
        let (server, acting) = (Server::default(), Acting::default());
        let mut gone = server.elector("gone");
        gone.acquire().await;
        let _replicas = ["a", "b", "c"].map(|who| replica(&server, who, &acting));
        seconds(120).await;
        assert_eq!((acting.now().len(), acting.most_at_once()), (1, 1));
    }
}

/// The wall clock of a replica may be hours off: a lease whose time of renewal lies in the past is not expired.
#[tokio::test(start_paused = true)]
async fn only_a_lease_that_does_not_change_expires() {
    let (server, acting) = (Server::default(), Acting::default());
    let lease = json!({"metadata": {"name": "culvert-operator", "namespace": "culvert-system"},
        "spec": {"holderIdentity": "old", "leaseDurationSeconds": 15, "renewTime": "2001-01-01T00:00:00.000000Z"}});
    server.with(|inner| inner.store(lease));
    let _a = replica(&server, "a", &acting);
    seconds(14).await;
    assert!(acting.now().is_empty());
    seconds(4).await;
    assert_eq!(acting.now(), ["a"]);
}

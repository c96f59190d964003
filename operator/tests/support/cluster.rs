//! An API server in memory: objects by path, server-side apply as one manager sees it, watches, and a note of every
//! request. What it cannot do it refuses loudly.

use std::{
    collections::{BTreeMap, BTreeSet},
    convert::Infallible,
    sync::{Arc, Mutex},
};

use bytes::Bytes;
use futures_util::{StreamExt, stream};
use http::{Method, Request, Response, StatusCode};
use http_body::Frame;
use http_body_util::{BodyExt, Full, StreamBody, combinators::UnsyncBoxBody};
use kube::{Client, client::Body};
use serde_json::{Value, json};
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};
use tower::service_fn;

/// The API server.
#[derive(Clone, Default)]
pub(crate) struct Cluster(Arc<Mutex<Inner>>);

#[derive(Default)]
struct Inner {
    /// By group and resource, then namespace and name.
    objects: BTreeMap<(String, String), BTreeMap<(String, String), Value>>,
    version: u64,
    watches: Vec<Watch>,
    /// All that happened, with its version: who watches from a version on hears what has happened since.
    history: Vec<(u64, (String, String), Value)>,
    requests: Vec<Asked>,
    forbidden: BTreeSet<(String, String)>,
}

struct Watch {
    kind: (String, String),
    namespace: Option<String>,
    labels: BTreeMap<String, String>,
    events: UnboundedSender<Value>,
}

/// What was asked: as a Role names it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Asked {
    pub(crate) verb: &'static str,
    pub(crate) group: String,
    pub(crate) resource: String,
    pub(crate) name: String,
}

/// A body that ends, or does not.
type Answer = UnsyncBoxBody<Bytes, Infallible>;

/// Where a request goes.
struct Target {
    group: String,
    resource: String,
    namespace: Option<String>,
    name: Option<String>,
    subresource: Option<String>,
    query: BTreeMap<String, String>,
}

impl Cluster {
    pub(crate) fn client(&self) -> Client {
        let cluster = self.clone();
        let service = service_fn(move |request: Request<Body>| {
            let cluster = cluster.clone();
            async move { Ok::<_, Infallible>(cluster.serve(request).await) }
        });
        Client::new(service, "culvert-system")
    }

    /// What everybody but the operator writes: people, the scheduler, kubelets.
    pub(crate) fn put(&self, group: &str, resource: &str, object: Value) {
        self.with(|inner| {
            let key = key(&object);
            let kind = (group.to_owned(), resource.to_owned());
            let before = inner.objects.get(&kind).and_then(|all| all.get(&key)).cloned();
            inner.store(&kind, &key, merged(before, object));
        });
    }

    pub(crate) fn delete(&self, group: &str, resource: &str, namespace: &str, name: &str) {
        let kind = (group.to_owned(), resource.to_owned());
        self.with(|inner| inner.remove(&kind, &(namespace.to_owned(), name.to_owned())));
    }

    pub(crate) fn get(&self, group: &str, resource: &str, namespace: &str, name: &str) -> Option<Value> {
        let kind = (group.to_owned(), resource.to_owned());
        self.with(|inner| inner.objects.get(&kind)?.get(&(namespace.to_owned(), name.to_owned())).cloned())
    }

    pub(crate) fn all(&self, group: &str, resource: &str) -> Vec<Value> {
        let kind = (group.to_owned(), resource.to_owned());
        self.with(|inner| inner.objects.get(&kind).into_iter().flat_map(BTreeMap::values).cloned().collect())
    }

    /// Says no to every write of this kind from now on, or no longer.
    pub(crate) fn forbid(&self, group: &str, resource: &str, forbidden: bool) {
        let kind = (group.to_owned(), resource.to_owned());
        self.with(|inner| if forbidden { inner.forbidden.insert(kind) } else { inner.forbidden.remove(&kind) });
    }

    pub(crate) fn requests(&self) -> Vec<Asked> {
        self.with(|inner| inner.requests.clone())
    }

    fn with<T>(&self, change: impl FnOnce(&mut Inner) -> T) -> T {
        change(&mut self.0.lock().expect("no test panics in here"))
    }

    async fn serve(&self, request: Request<Body>) -> Response<Answer> {
        let target = Target::of(&request);
        let method = request.method().clone();
        let accept = request.headers().get("accept").and_then(|it| it.to_str().ok()).unwrap_or_default().to_owned();
        let body = request.into_body().collect().await.expect("a body").to_bytes();
        let body: Option<Value> = serde_json::from_slice(&body).ok();
        if method == Method::GET && target.query.get("watch").is_some_and(|it| it == "true" || it == "1") {
            return self.watch(target, accept.contains("PartialObjectMetadata"));
        }
        let (status, answer) = self.with(|inner| inner.answer(&method, &target, body));
        let text = Full::new(Bytes::from(answer.to_string())).boxed_unsync();
        Response::builder().status(status).body(text).expect("a response")
    }

    fn watch(&self, target: Target, metadata_only: bool) -> Response<Answer> {
        let (events, mut receiver) = unbounded_channel();
        self.with(|inner| {
            inner.note("watch", &target);
            let since = target.query.get("resourceVersion").and_then(|it| it.parse().ok()).unwrap_or_default();
            let labels = target.labels();
            let watch = Watch { kind: (target.group, target.resource), namespace: target.namespace, labels, events };
            let missed = inner.history.iter().filter(|(version, ..)| *version > since);
            missed.for_each(|(_, kind, event)| _ = watch.tell(kind, event));
            inner.watches.push(watch);
        });
        let lines = stream::poll_fn(move |context| receiver.poll_recv(context)).map(move |mut event: Value| {
            if metadata_only {
                event["object"] = partial(&event["object"]);
            }
            Ok::<_, Infallible>(Frame::data(Bytes::from(event.to_string() + "\n")))
        });
        Response::new(StreamBody::new(lines).boxed_unsync())
    }
}

impl Target {
    fn of(request: &Request<Body>) -> Self {
        let mut parts = request.uri().path().split('/').skip(1).map(str::to_owned);
        let group = match parts.next().as_deref() {
            Some("api") => String::new(),
            Some("apis") => parts.next().expect("a group"),
            other => panic!("{other:?}"),
        };
        parts.next().expect("a version");
        let mut rest: Vec<String> = parts.collect();
        let namespace = (rest.len() > 2 && rest[0] == "namespaces").then(|| {
            let namespace = rest.remove(1);
            rest.remove(0);
            namespace
        });
        let mut rest = rest.into_iter();
        let pairs = request.uri().query().unwrap_or_default().split('&').filter_map(|pair| pair.split_once('='));
        Self {
            group,
            resource: rest.next().expect("a resource"),
            namespace,
            name: rest.next(),
            subresource: rest.next(),
            query: pairs.map(|(key, value)| (key.to_owned(), decoded(value))).collect(),
        }
    }

    fn labels(&self) -> BTreeMap<String, String> {
        let selector = self.query.get("labelSelector").cloned().unwrap_or_default();
        let pairs = selector.split(',').filter_map(|pair| pair.split_once('='));
        pairs.map(|(key, value)| (key.to_owned(), value.to_owned())).collect()
    }
}

impl Inner {
    fn note(&mut self, verb: &'static str, target: &Target) {
        let sub = target.subresource.as_ref().map(|sub| format!("/{sub}")).unwrap_or_default();
        self.requests.push(Asked {
            verb,
            group: target.group.clone(),
            resource: target.resource.clone() + &sub,
            name: target.name.clone().unwrap_or_default(),
        });
    }

    fn answer(&mut self, method: &Method, target: &Target, body: Option<Value>) -> (StatusCode, Value) {
        let kind = (target.group.clone(), target.resource.clone());
        let key = (target.namespace.clone().unwrap_or_default(), target.name.clone().unwrap_or_default());
        let there = self.objects.get(&kind).and_then(|all| all.get(&key)).cloned();
        let verb = match (method, &target.name, &there) {
            (&Method::GET, None, _) => "list",
            (&Method::GET, Some(_), _) => "get",
            (&Method::POST, ..) => "create",
            (&Method::PUT, ..) => "update",
            (&Method::PATCH, _, Some(_)) => "patch",
            (&Method::PATCH, _, None) => "create",
            (&Method::DELETE, ..) => "delete",
            other => panic!("{other:?}"),
        };
        if method == Method::PATCH && verb == "create" {
            // Server-side apply of what is not there needs both.
            self.note("patch", target);
        }
        self.note(verb, target);
        if !["get", "list"].contains(&verb) && self.forbidden.contains(&kind) {
            let message = format!(
                "{} \"{}\" is forbidden: User \"operator\" cannot {verb} resource \"{}\" in API group \"{}\" in the \
                 namespace \"{}\"",
                kind.1, key.1, kind.1, kind.0, key.0
            );
            return refused(403, "Forbidden", &message);
        }
        match (verb, there) {
            ("list", _) => (StatusCode::OK, self.list(&kind, target)),
            ("get", Some(object)) => (StatusCode::OK, object),
            ("get" | "delete", None) => refused(404, "NotFound", &format!("{} \"{}\" not found", kind.1, key.1)),
            ("delete", Some(_)) => {
                self.remove(&kind, &key);
                (StatusCode::OK, json!({"kind": "Status", "apiVersion": "v1", "status": "Success"}))
            }
            ("create" | "update", _) => {
                let mut object = body.expect("an object");
                let name = object["metadata"]["name"].as_str().expect("a name").to_owned();
                object["metadata"]["namespace"] = json!(key.0);
                (StatusCode::CREATED, self.store(&kind, &(key.0, name), object))
            }
            ("patch", Some(before)) if target.subresource.as_deref() == Some("status") => {
                let mut object = before;
                object["status"] = body.expect("a patch")["status"].clone();
                (StatusCode::OK, self.store(&kind, &key, object))
            }
            ("patch", Some(before)) => {
                (StatusCode::OK, self.store(&kind, &key, merged(Some(before), body.expect("a patch"))))
            }
            (verb, there) => panic!("{verb} {kind:?} {there:?}"),
        }
    }

    fn list(&self, kind: &(String, String), target: &Target) -> Value {
        let labels = target.labels();
        let fits = |object: &&Value| selected(object, target.namespace.as_deref(), &labels);
        let items: Vec<&Value> = self.objects.get(kind).into_iter().flat_map(BTreeMap::values).filter(fits).collect();
        json!({"kind": "List", "apiVersion": "v1", "metadata": {"resourceVersion": self.version.to_string()}, "items": items})
    }

    /// Takes an object, and tells who watches it. Nothing changes if nothing changes, as in a real one.
    fn store(&mut self, kind: &(String, String), key: &(String, String), mut object: Value) -> Value {
        let before = self.objects.get(kind).and_then(|all| all.get(key)).cloned();
        if before.as_ref() == Some(&object) {
            return object;
        }
        self.version += 1;
        let metadata = &mut object["metadata"];
        metadata["resourceVersion"] = json!(self.version.to_string());
        let old =
            |field: &str| before.as_ref().map(|before| before["metadata"][field].clone()).filter(|it| !it.is_null());
        metadata["uid"] = old("uid").unwrap_or_else(|| json!(format!("uid-{}", self.version)));
        let created = metadata.get("creationTimestamp").cloned().unwrap_or_else(|| json!("2026-01-01T00:00:00Z"));
        metadata["creationTimestamp"] = old("creationTimestamp").unwrap_or(created);
        let generation = old("generation").and_then(|it| it.as_i64()).unwrap_or_default();
        let same_spec = before.as_ref().is_some_and(|before| before["spec"] == object["spec"]);
        if !object["spec"].is_null() {
            object["metadata"]["generation"] = json!(if same_spec { generation } else { generation + 1 });
        }
        self.tell(kind, if before.is_some() { "MODIFIED" } else { "ADDED" }, &object);
        self.objects.entry(kind.clone()).or_default().insert(key.clone(), object.clone());
        object
    }

    fn remove(&mut self, kind: &(String, String), key: &(String, String)) {
        if let Some(object) = self.objects.get_mut(kind).and_then(|all| all.remove(key)) {
            self.version += 1;
            self.tell(kind, "DELETED", &object);
        }
    }

    fn tell(&mut self, kind: &(String, String), what: &str, object: &Value) {
        let event = json!({"type": what, "object": object});
        self.watches.retain(|watch| watch.tell(kind, &event));
        self.history.push((self.version, kind.clone(), event));
    }
}

impl Watch {
    /// Whether somebody still listens.
    fn tell(&self, kind: &(String, String), event: &Value) -> bool {
        let concerned = self.kind == *kind && selected(&event["object"], self.namespace.as_deref(), &self.labels);
        !concerned || self.events.send(event.clone()).is_ok()
    }
}

fn selected(object: &Value, namespace: Option<&str>, labels: &BTreeMap<String, String>) -> bool {
    let metadata = &object["metadata"];
    namespace.is_none_or(|it| metadata["namespace"] == it)
        && labels.iter().all(|(key, value)| metadata["labels"][key] == **value)
}

/// All that is written replaces what was there; what somebody else wrote at the top stays.
fn merged(before: Option<Value>, new: Value) -> Value {
    let Some(mut object) = before else { return new };
    let Value::Object(fields) = new else { return new };
    for (field, value) in fields {
        match (field.as_str(), value) {
            ("metadata", Value::Object(metadata)) => {
                metadata.into_iter().for_each(|(field, value)| object["metadata"][field] = value);
            }
            (_, value) => object[field] = value,
        }
    }
    object
}

fn partial(object: &Value) -> Value {
    json!({"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": object["metadata"]})
}

fn key(object: &Value) -> (String, String) {
    let text = |field: &str| object["metadata"][field].as_str().unwrap_or_default().to_owned();
    (text("namespace"), text("name"))
}

fn refused(code: u16, reason: &str, message: &str) -> (StatusCode, Value) {
    let status = json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": code, "reason": reason,
        "message": message});
    (StatusCode::from_u16(code).expect("a status"), status)
}

fn decoded(text: &str) -> String {
    text.replace("%2F", "/").replace("%3D", "=").replace("%2C", ",").replace("%21", "!").replace('+', " ")
}

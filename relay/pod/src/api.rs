//! The revision as the API server has it, watched object by object: a Role can allow single names only. The index says
//! which other objects belong to it.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use crds::revision::{Files, INDEX, Index, Object, object_name};
use futures_util::{FutureExt, StreamExt, future::BoxFuture, stream::BoxStream};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::{
    Api, Client, Config,
    runtime::watcher::{self, Event, watcher},
};
use tokio::{
    sync::mpsc::{Receiver, Sender, channel},
    task::JoinHandle,
    time::sleep,
};

use crate::{FleetName, Offer, Source};

/// How long the API server is given for one watch, in seconds: when it is away without a word, this is when we notice.
const WATCH: u32 = 60;

/// Between two attempts, at first and at most.
const BACKOFF: (Duration, Duration) = (Duration::from_millis(200), Duration::from_secs(10));

/// Whether the API server answers.
#[derive(Debug, Clone, Default)]
pub struct Contact(Arc<Mutex<Inner>>);

#[derive(Debug, Clone, Default)]
struct Inner {
    /// It has told something about the revision.
    has_spoken: bool,
    away: Option<Away>,
}

/// The API server does not answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Away {
    /// Since when.
    pub since: Timestamp,
    /// What went wrong last.
    pub why: String,
}

impl Contact {
    /// Since when it does not answer, if so.
    #[must_use]
    pub fn away(&self) -> Option<Away> {
        self.inner().away.clone()
    }

    /// Whether it has ever answered.
    #[must_use]
    pub fn has_spoken(&self) -> bool {
        self.inner().has_spoken
    }

    fn answered(&self) {
        let mut inner = self.inner();
        inner.has_spoken = true;
        if let Some(away) = inner.away.take() {
            tracing::info!(since = %away.since, "the API server answers again");
        }
    }

    fn lost(&self, why: &str) {
        let mut inner = self.inner();
        match &mut inner.away {
            Some(away) => why.clone_into(&mut away.why),
            None => {
                tracing::warn!("the API server does not answer, what is in use stays in use: {why}");
                inner.away = Some(Away { since: Timestamp::now(), why: why.to_owned() });
            }
        }
    }

    fn inner(&self) -> std::sync::MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What an object has in it now; `None`: there is none.
type Update = (String, Option<Files>);

/// Watches the fleet's revision forever, and offers it whenever anything about it changes.
pub async fn watch(fleet: FleetName, offers: Sender<Offer>, contact: Contact) {
    let configure = || async { Config::infer().await.map_err(|error| error.to_string()) }.boxed();
    watch_by(Arc::new(configure), fleet, offers, contact).await;
}

async fn watch_by(configure: Configure, fleet: FleetName, offers: Sender<Offer>, contact: Contact) {
    let access = Access { configure, namespace: fleet.namespace.clone(), contact };
    let api = access.api().await;
    let (updates, mut received) = channel(16);
    let index = object_name(&fleet.name, 0);
    let mut objects = Objects { api, access, updates, watched: BTreeMap::new() };
    objects.watch_only(std::slice::from_ref(&index));
    let mut found: BTreeMap<String, Files> = BTreeMap::new();
    while let Some((name, files)) = next(&mut received).await {
        // An object that was deleted says nothing: what it said holds until another says something else.
        let Some(files) = files else {
            if found.is_empty() && name == index && offers.send(offer(Files::new())).await.is_err() {
                return;
            }
            continue;
        };
        found.insert(name, files);
        let parts = parts(&index, found.get(&index));
        objects.watch_only(&parts);
        found.retain(|name, _| parts.contains(name));
        if offers.send(offer(found.values().flat_map(Clone::clone).collect())).await.is_err() {
            return;
        }
    }
}

async fn next(received: &mut Receiver<Update>) -> Option<Update> {
    received.recv().await
}

fn offer(files: Files) -> Offer {
    Offer { source: Source::Api, files }
}

/// The names of the objects that an index speaks of, itself among them.
fn parts(index: &str, files: Option<&Files>) -> Vec<String> {
    let parsed = files.and_then(|files| files.get(INDEX)).and_then(|bytes| Index::parse(bytes).ok());
    let chunks = parsed.into_iter().flat_map(|index| index.chunks).map(|chunk| chunk.object);
    [index.to_owned()].into_iter().chain(chunks.filter(|object| object != index)).collect()
}

/// Finds out where the API server is, and who we are.
type Configure = Arc<dyn Fn() -> BoxFuture<'static, Result<Config, String>> + Send + Sync>;

/// How the fleet's objects are reached.
#[derive(Clone)]
struct Access {
    configure: Configure,
    namespace: String,
    contact: Contact,
}

impl Access {
    /// A client, as soon as there can be one, that knows nothing of those before.
    async fn api(&self) -> Api<ConfigMap> {
        let mut pause = BACKOFF.0;
        loop {
            let client = (self.configure)().await;
            match client.and_then(|config| Client::try_from(config).map_err(|error| error.to_string())) {
                Ok(client) => return Api::namespaced(client, &self.namespace),
                Err(error) => self.contact.lost(&error),
            }
            sleep(pause).await;
            pause = (pause * 2).min(BACKOFF.1);
        }
    }
}

/// The objects that are watched.
struct Objects {
    api: Api<ConfigMap>,
    access: Access,
    updates: Sender<Update>,
    watched: BTreeMap<String, Task>,
}

/// Ends with its owner.
struct Task(JoinHandle<()>);

impl Drop for Task {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Objects {
    fn watch_only(&mut self, names: &[String]) {
        self.watched.retain(|name, _| names.contains(name));
        for name in names {
            if !self.watched.contains_key(name) {
                let task = watch_one(self.api.clone(), self.access.clone(), name.clone(), self.updates.clone());
                self.watched.insert(name.clone(), Task(tokio::spawn(task)));
            }
        }
    }
}

/// Watches one object forever.
async fn watch_one(mut api: Api<ConfigMap>, access: Access, name: String, updates: Sender<Update>) {
    let config = watcher::Config::default().fields(&format!("metadata.name={name}")).timeout(WATCH);
    let mut pause = BACKOFF.0;
    let mut seen = false;
    loop {
        let mut events: BoxStream<'_, _> = watcher(api, config.clone()).boxed();
        while let Some(event) = events.next().await {
            match event {
                Ok(event) => {
                    access.contact.answered();
                    pause = BACKOFF.0;
                    if let Some(files) = read(event, &mut seen)
                        && updates.send((name.clone(), files)).await.is_err()
                    {
                        return;
                    }
                }
                Err(error) => {
                    access.contact.lost(&told(&error));
                    sleep(pause).await;
                    pause = (pause * 2).min(BACKOFF.1);
                    if is_unauthorized(&error) {
                        break;
                    }
                }
            }
        }
        // kube reads the token's file again when a minute has passed by the time of day, which may have been set back by
        // hours: a new client reads it at once.
        api = access.api().await;
    }
}

/// The token is not valid, or no longer.
fn is_unauthorized(error: &watcher::Error) -> bool {
    use watcher::Error::{InitialListFailed, WatchError, WatchFailed, WatchStartFailed};
    match error {
        InitialListFailed(kube::Error::Api(status))
        | WatchStartFailed(kube::Error::Api(status))
        | WatchFailed(kube::Error::Api(status)) => status.code == 401,
        WatchError(status) => status.code == 401,
        _ => false,
    }
}

/// What an event says about the object, if anything. `seen`: it was in the list that is being read.
fn read(event: Event<ConfigMap>, seen: &mut bool) -> Option<Option<Files>> {
    match event {
        Event::Init => {
            *seen = false;
            None
        }
        Event::InitApply(object) | Event::Apply(object) => {
            *seen = true;
            Some(Some(Object::files_of(&object)))
        }
        Event::InitDone => (!*seen).then_some(None),
        Event::Delete(_) => Some(None),
    }
}

/// An error with its causes: what kube says alone is only where it happened.
fn told(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |error| error.source());
    causes.fold(error.to_string(), |told, cause| {
        let cause = cause.to_string();
        if told.contains(&cause) { told } else { format!("{told}: {cause}") }
    })
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        net::TcpListener,
    };

    use super::*;

    #[test]
    fn a_contact_that_is_lost_is_lost_since_the_first_time() {
        let contact = Contact::default();
        assert!(!contact.has_spoken() && contact.away().is_none());
        contact.lost("refused");
        let since = contact.away().unwrap().since;
        contact.lost("timed out");
        assert_eq!(contact.away(), Some(Away { since, why: "timed out".to_owned() }));
        contact.answered();
        assert!(contact.has_spoken() && contact.away().is_none());
    }

    /// As in a cluster: rustls has to know whose cryptography to use before it meets the first server.
    #[tokio::test]
    async fn a_client_speaks_tls() {
        let config = Config::new("https://127.0.0.1:1".parse().unwrap());
        let client = Client::try_from(config).unwrap();
        let error = Api::<ConfigMap>::namespaced(client, "isps").get("default-revision").await.unwrap_err();
        assert!(told(&error).contains("refused"), "{}", told(&error));
    }

    /// An API server that takes the token `second` only. Whoever comes with another finds that one in the file from then on, as
    /// if the kubelet had renewed it. Notes all tokens.
    async fn serve(listener: TcpListener, token_file: PathBuf, tokens: Arc<Mutex<Vec<String>>>) {
        loop {
            let (mut connection, _) = listener.accept().await.unwrap();
            let mut request = vec![0; 4096];
            let length = connection.read(&mut request).await.unwrap();
            let request = String::from_utf8_lossy(&request[..length]).into_owned();
            let token = request.split("Bearer ").nth(1).unwrap().lines().next().unwrap().to_owned();
            tokens.lock().unwrap().push(token.clone());
            let (status, body) = if token == "second" {
                (
                    "200 OK",
                    r#"{"kind": "ConfigMapList", "apiVersion": "v1", "metadata": {"resourceVersion": "1"}, "items": []}"#,
                )
            } else {
                std::fs::write(&token_file, "second").unwrap();
                (
                    "401 Unauthorized",
                    r#"{"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": 401, "reason":
                    "Unauthorized", "message": "Unauthorized"}"#,
                )
            };
            let length = body.len();
            let answer = format!(
                "HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}"
            );
            connection.write_all(answer.as_bytes()).await.unwrap();
        }
    }

    /// Whatever the time of day says of its age.
    #[tokio::test]
    async fn a_token_that_is_refused_is_read_again_at_once() {
        let folder = tempfile::tempdir().unwrap();
        let token_file = folder.path().join("token");
        std::fs::write(&token_file, "first").unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let server = format!("http://{}", listener.local_addr().unwrap());
        let (path, tokens) = (token_file.to_str().unwrap().to_owned(), Arc::default());
        let configure: Configure = Arc::new(move || {
            let mut config = Config::new(server.parse().unwrap());
            config.auth_info.token_file = Some(path.clone());
            async { Ok(config) }.boxed()
        });
        let (offers, mut received) = channel(1);
        let _server = Task(tokio::spawn(serve(listener, token_file, Arc::clone(&tokens))));
        let watched = watch_by(configure, "isps/default".parse().unwrap(), offers, Contact::default());
        let _watch = Task(tokio::spawn(watched));
        assert_eq!(received.recv().await.unwrap().files, Files::new(), "there is no ConfigMap");
        assert_eq!(tokens.lock().unwrap()[..2], ["first", "second"]);
    }

    #[test]
    fn an_index_names_its_objects() {
        assert_eq!(parts("f-revision", None), ["f-revision"]);
        let chunk =
            |object: &str, file: &str| serde_json::json!({"object": object, "file": file, "sha256": "", "bytes": 1});
        let index = serde_json::json!({
            "formatVersion": 1, "fleet": "f", "sequence": 1, "hash": "", "domains": 0, "rules": 0, "bytes": 1,
            "chunks": [chunk("f-revision-1", "domains-0.gz"), chunk("f-revision-2", "domains-1.gz")]});
        let files = Files::from([(INDEX.to_owned(), index.to_string().into_bytes())]);
        assert_eq!(parts("f-revision", Some(&files)), ["f-revision", "f-revision-1", "f-revision-2"]);
    }
}

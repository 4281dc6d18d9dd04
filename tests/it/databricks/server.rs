//! The workspace over real HTTP on this machine, for any client.

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Instant;

use homekeep::vault::databricks::Environment;
use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::header::{AUTHORIZATION, DATE, LOCATION};
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use serde_json::{Map, Value, json};
use tokio::sync::oneshot;
use tokio_rustls::TlsAcceptor;

use super::script::Fault;
use super::workspace::{ADMIN_TOKEN, Answer, CLIENT_ID, CLIENT_SECRET, Rules, Seen, Workspace};

/// A running workspace; it ends when this is dropped.
pub struct Server {
    address: SocketAddr,
    workspace: Arc<Mutex<Workspace>>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    /// A workspace by the documented rules.
    pub fn start() -> Self {
        Self::with(Rules::default())
    }

    /// A workspace by other rules.
    pub fn with(rules: Rules) -> Self {
        Self::run(rules, None)
    }

    /// A workspace with TLS.
    pub fn with_tls(rules: Rules, acceptor: TlsAcceptor) -> Self {
        Self::run(rules, Some(acceptor))
    }

    fn run(rules: Rules, acceptor: Option<TlsAcceptor>) -> Self {
        let workspace = Arc::new(Mutex::new(Workspace::new(rules)));
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel();
        let served = Arc::clone(&workspace);
        let thread = std::thread::spawn(move || serve(listener, address, served, acceptor, stopped));
        Self { address, workspace, stop: Some(stop), thread: Some(thread) }
    }

    /// Where it is.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Where it is, as a socket.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// To look at, and to change by other ways than the API's.
    pub fn workspace(&self) -> MutexGuard<'_, Workspace> {
        self.workspace.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The variables with which a client is its administrator.
    pub fn variables(&self) -> Vec<(&'static str, String)> {
        vec![("DATABRICKS_HOST", self.url()), ("DATABRICKS_TOKEN", ADMIN_TOKEN.into())]
    }

    /// The variables with which a client is an application with a secret.
    pub fn client_variables(&self) -> Vec<(&'static str, String)> {
        vec![
            ("DATABRICKS_HOST", self.url()),
            ("DATABRICKS_CLIENT_ID", CLIENT_ID.into()),
            ("DATABRICKS_CLIENT_SECRET", CLIENT_SECRET.into()),
        ]
    }

    /// The administrator's environment.
    pub fn environment(&self) -> Environment {
        self.variables().into_iter().collect()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn serve(
    listener: std::net::TcpListener,
    address: SocketAddr,
    workspace: Arc<Mutex<Workspace>>,
    acceptor: Option<TlsAcceptor>,
    stopped: oneshot::Receiver<()>,
) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async move {
        tokio::spawn(accept(
            tokio::net::TcpListener::from_std(listener).unwrap(),
            address,
            workspace,
            acceptor,
        ));
        // What runs ends with the runtime.
        let _dropped = stopped.await;
    });
}

async fn accept(
    listener: tokio::net::TcpListener,
    address: SocketAddr,
    workspace: Arc<Mutex<Workspace>>,
    acceptor: Option<TlsAcceptor>,
) {
    loop {
        let Ok((stream, _)) = listener.accept().await else { continue };
        let (workspace, acceptor) = (Arc::clone(&workspace), acceptor.clone());
        tokio::spawn(async move {
            let service = service_fn(move |request| answer(request, address, Arc::clone(&workspace)));
            let connection = hyper::server::conn::http1::Builder::new();
            // A service that fails ends its connection, as ordered; so does a client that trusts nobody here.
            let _ended = match acceptor {
                None => connection.serve_connection(TokioIo::new(stream), service).await,
                Some(acceptor) => match acceptor.accept(stream).await {
                    Ok(stream) => connection.serve_connection(TokioIo::new(stream), service).await,
                    Err(_) => return,
                },
            };
        });
    }
}

/// What came, in parts.
struct Asked {
    method: String,
    path: String,
    query: String,
    authorization: Option<String>,
    body: Bytes,
}

async fn answer(
    request: Request<Incoming>,
    address: SocketAddr,
    workspace: Arc<Mutex<Workspace>>,
) -> io::Result<Response<Full<Bytes>>> {
    let (parts, body) = request.into_parts();
    let body = body.collect().await.map_err(io::Error::other)?.to_bytes();
    let asked = Asked {
        method: parts.method.as_str().to_owned(),
        path: parts.uri.path().to_owned(),
        query: parts.uri.query().unwrap_or_default().to_owned(),
        authorization: parts
            .headers
            .get(AUTHORIZATION)
            .and_then(|value| value.to_str().ok())
            .map(str::to_owned),
        body,
    };
    let mut workspace = workspace.lock().unwrap_or_else(PoisonError::into_inner);
    decide(&mut workspace, &asked, address)
}

/// The answer, or an error that ends the connection.
fn decide(
    workspace: &mut Workspace,
    asked: &Asked,
    address: SocketAddr,
) -> io::Result<Response<Full<Bytes>>> {
    let now = Instant::now();
    let is_too_fast = workspace.is_too_fast(now);
    let fault = if is_too_fast { Some(Fault::throttled()) } else { workspace.script.take(&asked.path) };
    let see = |workspace: &mut Workspace, status| {
        workspace.seen.push(Seen { path: asked.path.clone(), at: now, status });
    };
    let dropped = || io::Error::other("ordered");
    match fault {
        Some(Fault::Instead(status, headers, body)) => {
            see(workspace, status);
            let mut response = respond(workspace, status, body);
            for (name, value) in headers {
                response.headers_mut().insert(*name, value.parse().unwrap());
            }
            return Ok(response);
        }
        Some(Fault::Drop) => {
            see(workspace, 0);
            return Err(dropped());
        }
        _ => {}
    }
    let is_stale = matches!(fault, Some(Fault::Stale));
    let (status, value) = route(workspace, asked, address, is_stale);
    match fault {
        Some(Fault::DropAfter) => {
            see(workspace, 0);
            Err(dropped())
        }
        Some(Fault::After(status, body)) => {
            see(workspace, status);
            Ok(respond(workspace, status, body))
        }
        _ => {
            see(workspace, status);
            Ok(respond(workspace, status, value.to_string()))
        }
    }
}

fn respond(workspace: &Workspace, status: u16, body: String) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(body)));
    *response.status_mut() = status.try_into().unwrap();
    if (300..400).contains(&status) {
        response
            .headers_mut()
            .insert(LOCATION, "https://login.example.com/login.html?secret=1".parse().unwrap());
    }
    if workspace.rules.skew_ms != 0 {
        let now = jiff::Timestamp::now() + jiff::SignedDuration::from_millis(workspace.rules.skew_ms);
        let date = now.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string();
        response.headers_mut().insert(DATE, date.parse().unwrap());
    }
    response
}

fn route(workspace: &mut Workspace, asked: &Asked, address: SocketAddr, is_stale: bool) -> Answer {
    let scheme = |name: &str| asked.authorization.as_deref().and_then(|value| value.strip_prefix(name));
    match (asked.method.as_str(), asked.path.as_str()) {
        ("GET", "/oidc/.well-known/oauth-authorization-server") => {
            let endpoint = |end: &str| format!("http://{address}/oidc/v1/{end}");
            (
                200,
                json!({"authorization_endpoint": endpoint("authorize"), "token_endpoint": endpoint("token")}),
            )
        }
        // What newer clients ask first, before they know who they are.
        ("GET", "/.well-known/databricks-config") => {
            (200, json!({"oidc_endpoint": format!("http://{address}/oidc"), "workspace_id": "5"}))
        }
        ("POST", "/oidc/v1/token") => {
            let form = pairs(&String::from_utf8_lossy(&asked.body));
            workspace.sell_token(scheme("Basic "), &form)
        }
        (method, path) => {
            let input = match method {
                "GET" => pairs(&asked.query)
                    .into_iter()
                    .map(|(name, value)| (name, Value::String(value)))
                    .collect(),
                _ => match serde_json::from_slice::<Map<String, Value>>(&asked.body) {
                    Ok(input) => input,
                    Err(_) => {
                        return (
                            400,
                            json!({"error_code": "MALFORMED_REQUEST", "message": "Could not parse the request"}),
                        );
                    }
                },
            };
            workspace.call(scheme("Bearer "), method, path, &input, is_stale)
        }
    }
}

/// What a query or a form says.
fn pairs(text: &str) -> Vec<(String, String)> {
    let pairs = text.split('&').filter(|pair| !pair.is_empty());
    pairs
        .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
        .map(|(name, value)| (decoded(name), decoded(value)))
        .collect()
}

fn decoded(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        let digits = tail.get(..2).and_then(|digits| std::str::from_utf8(digits).ok());
        match (first, digits.and_then(|digits| u8::from_str_radix(digits, 16).ok())) {
            (b'%', Some(byte)) => {
                bytes.push(byte);
                rest = &tail[2..];
            }
            (b'+', _) => {
                bytes.push(b' ');
                rest = tail;
            }
            (other, _) => {
                bytes.push(*other);
                rest = tail;
            }
        }
    }
    String::from_utf8(bytes).unwrap()
}

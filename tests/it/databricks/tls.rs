//! Over TLS and through a proxy, as the environment says.

use std::fs;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use homekeep::vault::{Provider, ProviderError};
use http_body_util::Empty;
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper::{Method, Request, Response};
use hyper_util::rt::TokioIo;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use tempfile::NamedTempFile;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;

use super::server::Server;
use super::workspace::{ADMIN_TOKEN, Rules};
use super::{provider_as, put, users, words};

/// A name that no resolver knows.
const NAME: &str = "workspace.homekeep.invalid";

/// A workspace with TLS, and the file with the authority's certificate.
fn server() -> (Server, NamedTempFile) {
    let mut authority = CertificateParams::new(Vec::new()).unwrap();
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority_key = KeyPair::generate().unwrap();
    let authority_certificate = authority.self_signed(&authority_key).unwrap();
    let issuer = Issuer::new(authority, authority_key);
    let key = KeyPair::generate().unwrap();
    let names = vec![NAME.to_owned(), "localhost".to_owned()];
    let certificate = CertificateParams::new(names).unwrap().signed_by(&key, &issuer).unwrap();
    let file = NamedTempFile::new().unwrap();
    fs::write(file.path(), authority_certificate.pem()).unwrap();

    let provider = Arc::new(tokio_rustls::rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], PrivateKeyDer::Pkcs8(key.serialize_der().into()))
        .unwrap();
    (Server::with_tls(Rules::default(), TlsAcceptor::from(Arc::new(config))), file)
}

#[test]
fn a_certificate_is_trusted_by_whom_the_environment_names_and_by_nobody_else() {
    let (server, authority) = server();
    let host = ("DATABRICKS_HOST", format!("https://localhost:{}", server.address().port()));
    let token = ("DATABRICKS_TOKEN", ADMIN_TOKEN.to_owned());
    let error = provider_as(&[host.clone(), token.clone()].into_iter().collect()).list().unwrap_err();
    assert!(matches!(error, ProviderError::Unavailable { .. }), "{error:?}");
    assert!(words(&error).contains("SSL_CERT_FILE"), "{error}");
    assert!(server.workspace().seen.is_empty());
    for variable in ["SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"] {
        let file = (variable, authority.path().to_str().unwrap().to_owned());
        let provider = provider_as(&[host.clone(), token.clone(), file].into_iter().collect());
        put(&provider, "ann", variable);
        assert_eq!(users(&provider), ["ann"]);
    }
}

#[test]
fn the_proxy_in_the_environment_leads_to_a_workspace_that_nothing_else_does() {
    let (server, authority) = server();
    let (proxy, asked) = proxy_to(server.address());
    let variables = [
        ("DATABRICKS_HOST", format!("https://{NAME}")),
        ("DATABRICKS_TOKEN", ADMIN_TOKEN.to_owned()),
        ("SSL_CERT_FILE", authority.path().to_str().unwrap().to_owned()),
        ("HTTPS_PROXY", format!("http://canary:canary@{proxy}")),
    ];
    let provider = provider_as(&variables.clone().into_iter().collect());
    put(&provider, "ann", "1");
    assert_eq!(users(&provider), ["ann"]);
    let asked = asked.lock().unwrap().clone();
    assert!(!asked.is_empty() && asked.iter().all(|target| target == &format!("{NAME}:443")), "{asked:?}");
    assert!(!format!("{provider:?}").contains("canary"));
    let without = variables.into_iter().chain([("NO_PROXY", "homekeep.invalid".to_owned())]);
    let error = provider_as(&without.collect()).list().unwrap_err();
    assert!(matches!(error, ProviderError::Unavailable { .. }), "{error:?}");
}

/// A proxy that leads everybody to one place, and remembers where they wanted to go. It ends with the tests.
fn proxy_to(target: SocketAddr) -> (SocketAddr, Arc<Mutex<Vec<String>>>) {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let address = listener.local_addr().unwrap();
    let asked = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&asked);
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async move {
            let listener = tokio::net::TcpListener::from_std(listener).unwrap();
            loop {
                let Ok((stream, _)) = listener.accept().await else { continue };
                let seen = Arc::clone(&seen);
                let service = service_fn(move |request| connect(request, target, Arc::clone(&seen)));
                tokio::spawn(async move {
                    let connection = hyper::server::conn::http1::Builder::new();
                    let _ = connection.serve_connection(TokioIo::new(stream), service).with_upgrades().await;
                });
            }
        });
    });
    (address, asked)
}

async fn connect(
    request: Request<Incoming>,
    target: SocketAddr,
    seen: Arc<Mutex<Vec<String>>>,
) -> io::Result<Response<Empty<Bytes>>> {
    assert_eq!(request.method(), Method::CONNECT);
    seen.lock().unwrap().push(request.uri().to_string());
    tokio::spawn(async move {
        let client = hyper::upgrade::on(request).await.unwrap();
        let mut server = tokio::net::TcpStream::connect(target).await.unwrap();
        let _ = tokio::io::copy_bidirectional(&mut TokioIo::new(client), &mut server).await;
    });
    Ok(Response::new(Empty::new()))
}

//! HTTP and TLS themselves: versions, compression, keep-alive, limits, wrong paths.

use std::io::{Read as _, Write as _};

use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use reqwest::{Certificate, Method};
use salesforce_sim::{Config, Simulator};
use serde_json::json;

use crate::client::{Answer, admin, http, simulator};

#[tokio::test]
async fn versions_need_no_session_and_retired_ones_are_gone() {
    let simulator = simulator(0).await;
    let caller = admin(&simulator).await;
    let versions = Answer::of(http().get(format!("{}/services/data/", simulator.http_url()))).await;
    let last = versions.json.as_array().unwrap().last().unwrap().clone();
    assert_eq!(last, json!({"label": "Winter '27", "url": "/services/data/v68.0", "version": "68.0"}));
    assert!(!versions.headers.contains_key("sforce-limit-info"));
    assert_eq!(caller.get("/services/data/v30.0/limits").await.status, 410);
    assert_eq!(caller.get("/services/data/v99.0/limits").await.status, 404);
}

#[tokio::test]
async fn every_call_tells_the_usage() {
    let simulator = simulator(0).await;
    let caller = admin(&simulator).await;
    caller.get("limits").await;
    let second = caller.get("limits").await;
    assert_eq!(second.headers["sforce-limit-info"], "api-usage=2/100000");
    assert_eq!(second.json["DailyApiRequests"], json!({"Max": 100_000, "Remaining": 99_998}));
}

#[tokio::test]
async fn unknown_paths_methods_and_headers_have_their_answers() {
    let simulator = simulator(0).await;
    let caller = admin(&simulator).await;
    let nothing = caller.get("nothing").await;
    let put = Answer::of(caller.request(Method::PUT, "sobjects/User")).await;
    let url = format!("{}/services/data/v66.0/limits", simulator.http_url());
    let none = Answer::of(http().get(&url)).await;
    let malformed = Answer::of(http().get(&url).header("authorization", "Nonsense")).await;
    assert_eq!(nothing.text, "[{\"message\":\"The requested resource does not exist\",\"errorCode\":\"NOT_FOUND\"}]");
    assert_eq!((put.status.as_u16(), put.code()), (405, "METHOD_NOT_ALLOWED"));
    assert_eq!((none.status.as_u16(), none.code()), (401, "INVALID_SESSION_ID"));
    assert_eq!((malformed.status.as_u16(), malformed.code()), (401, "INVALID_AUTH_HEADER"));
}

#[tokio::test]
async fn bodies_are_compressed_both_ways() {
    let simulator = simulator(1).await;
    let caller = admin(&simulator).await;
    let resource = format!("sobjects/User/{}", caller.id_of("user0001@acme.example").await);
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(b"{\"Title\":\"Zipped\"}").unwrap();
    let zipped = encoder.finish().unwrap();

    let request = caller.request(Method::PATCH, &resource).header("content-encoding", "gzip").body(zipped);
    let changed = Answer::of(request).await;
    // A plain client shows the compressed bytes that the other one hides.
    let plain = reqwest::Client::builder().no_proxy().no_gzip().build().unwrap();
    let url = format!("{}/services/data/v66.0/sobjects/User/describe", simulator.http_url());
    let response = plain.get(url).bearer_auth(&caller.token).header("accept-encoding", "gzip").send().await.unwrap();
    let encoding = response.headers()["content-encoding"].clone();
    let mut text = String::new();
    GzDecoder::new(&response.bytes().await.unwrap()[..]).read_to_string(&mut text).unwrap();

    assert_eq!(changed.status, 204);
    assert_eq!(simulator.user("user0001@acme.example").unwrap().text("Title"), "Zipped");
    assert_eq!(encoding, "gzip");
    assert!(text.starts_with('{') && text.contains("\"TimeZoneSidKey\""));
}

#[tokio::test]
async fn a_bomb_of_a_body_is_refused() {
    let simulator = simulator(0).await;
    let caller = admin(&simulator).await;
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    for _ in 0..64 {
        encoder.write_all(&vec![b' '; 1024 * 1024]).unwrap();
    }
    let bomb = encoder.finish().unwrap();
    let refused = caller.request(Method::POST, "sobjects/User").header("content-encoding", "gzip").body(bomb);
    assert_eq!(Answer::of(refused).await.status, 413);
}

#[tokio::test]
async fn https_is_served_with_a_certificate_of_its_own_authority() {
    let simulator = Simulator::start(Config::default()).await.unwrap();
    let _ = rustls::crypto::ring::default_provider().install_default();
    let authority = Certificate::from_pem(simulator.ca_pem().as_bytes()).unwrap();
    let trusting = reqwest::Client::builder().no_proxy().tls_certs_only([authority]).build().unwrap();
    let url = format!("{}/services/data", simulator.https_url());

    let trusted = trusting.get(&url).send().await.unwrap();
    let strange = http().get(&url).send().await;

    assert_eq!(trusted.status(), 200);
    assert!(strange.is_err());
}

#[tokio::test]
async fn a_stopped_simulator_lets_go_of_its_port() {
    let simulator = simulator(0).await;
    let address = simulator.http_address().unwrap();
    simulator.stop().await;
    assert!(std::net::TcpListener::bind(address).is_ok());
}

//! `Idempotency-Key`: whoever lost an answer asks again, and nothing is made twice.

use data_encoding::HEXLOWER;
use postern_controller_stub::access::Role;
use reqwest::StatusCode;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};

use crate::access::{Caller, token};
use crate::lab::{Lab, files};
use crate::payloads::is_payload;

const KEY: &str = "0195d8a0-0000-7000-8000-000000000001";

/// Asks for something to be made under a key.
async fn ask(lab: &Lab, token: &str, key: &str, path: &str, body: &Value) -> (StatusCode, Value) {
    let request = Caller::of(lab).request("POST", path).bearer_auth(token).header("Idempotency-Key", key);
    let request = match body {
        Value::String(bytes) => request.header("content-type", "application/octet-stream").body(bytes.clone()),
        body => request.json(body),
    };
    let response = request.send().await.unwrap();
    (response.status(), response.json().await.unwrap())
}

fn upload(bytes: &str) -> (String, Value) {
    (format!("/v1/streams?sha256={}", HEXLOWER.encode(&Sha256::digest(bytes))), json!(bytes))
}

/// Everything that is made without an id of its maker's, and how its maker sees that it is there.
fn makings() -> [(String, Value); 4] {
    [
        ("/v1/tokens".to_owned(), json!({ "cluster": "acme" })),
        ("/v1/api-tokens".to_owned(), json!({ "name": "new", "role": "administrator" })),
        ("/v1/systems".to_owned(), json!({ "name": "new", "association": "server" })),
        upload("sealed\0"),
    ]
}

/// Make what is asked for durable without its key, and the restart forgets the key; the other way round, and what is asked
/// for is gone after it.
#[tokio::test]
async fn the_same_request_under_its_key_makes_nothing_more_and_is_answered_the_same_even_after_a_kill() {
    let mut lab = Lab::start().await;
    let _ = lab.token().await;
    let administrator = token(&lab, "x", Role::Administrator).await;
    let mut made = Vec::new();
    for (number, (path, body)) in makings().iter().enumerate() {
        let key = format!("{KEY}-{number}");
        let (status, first) = ask(&lab, &administrator, &key, path, body).await;
        assert_eq!(status, 200, "{path}: {first}");
        made.push((key, path.clone(), body.clone(), first));
    }
    for _ in 0..2 {
        for (key, path, body, first) in &made {
            let (status, again) = ask(&lab, &administrator, key, path, body).await;
            assert_eq!((status, &again), (StatusCode::OK, first), "{path}");
        }
        lab.kill();
        lab.restart().await;
    }
    assert_eq!(made[1].3["last_used"], Value::Null);
    let secret = made[1].3["token"].as_str().unwrap();
    assert_eq!(Caller::of(&lab).call("GET", "/v1/whoami", secret).await.1["name"], "new");
    let told = lab.wait_for("a line for each secret that was told once more", async || {
        let acts: Vec<Value> = lab.client().list("/v1/audit", usize::MAX).await.unwrap();
        let told = acts.iter().filter(|it| it["event"]["on"].as_str().unwrap().ends_with(", again")).count();
        (told >= 8).then_some(told)
    });
    assert_eq!(told.await, 8);
    let payloads = files(&lab.data_dir()).into_iter().filter(|it| is_payload(it));
    assert_eq!(payloads.count(), 1, "what was uploaded once more left nothing");
}

/// Leave the comparison of what is asked out, and the second request is answered with what the first one made.
#[tokio::test]
async fn another_request_under_a_key_is_refused_and_another_caller_has_keys_of_its_own() {
    let lab = Lab::start().await;
    let _ = lab.token().await;
    let (one, other) = (token(&lab, "x", Role::Administrator).await, token(&lab, "y", Role::Administrator).await);
    let [(path, body), ..] = makings();
    let (_, first) = ask(&lab, &one, KEY, &path, &body).await;
    let different = [
        (path.clone(), json!({ "cluster": "other" })),
        ("/v1/systems".to_owned(), body.clone()),
        upload("sealed\0"),
        ("/v1/api-tokens".to_owned(), json!({ "name": "new", "role": "viewer" })),
    ];
    for (path, body) in different {
        let (status, problem) = ask(&lab, &one, KEY, &path, &body).await;
        assert_eq!(status, 422, "{path}: {problem}");
        assert!(path == "/v1/systems" || problem["field"] == "Idempotency-Key", "{path}: {problem}");
    }
    let (status, theirs) = ask(&lab, &other, KEY, &path, &body).await;
    assert_eq!(status, 200);
    assert_ne!((&theirs["id"], &theirs["token"]), (&first["id"], &first["token"]));
    // What was refused made nothing, and its key is free.
    let (status, _) = ask(&lab, &other, &format!("{KEY}-2"), &path, &json!({ "cluster": "nowhere" })).await;
    assert_eq!(status, 404);
    assert_eq!(ask(&lab, &other, &format!("{KEY}-2"), &path, &body).await.0, 200);
}

#[tokio::test]
async fn a_key_that_is_none_or_is_there_twice_is_refused_by_its_name() {
    let lab = Lab::start().await;
    let _ = lab.token().await;
    let administrator = token(&lab, "x", Role::Administrator).await;
    let [(path, body), ..] = makings();
    for key in [
        "",
        "7",
        &"x".repeat(15),
        &"x".repeat(129),
        "with spaces in the middle",
        "\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}",
    ] {
        let (status, problem) = ask(&lab, &administrator, key, &path, &body).await;
        assert_eq!((status.as_u16(), &problem["field"]), (422, &json!("Idempotency-Key")), "{key:?}: {problem}");
    }
    let twice = Caller::of(&lab).request("POST", &path).bearer_auth(&administrator).json(&body);
    let twice = twice.header("Idempotency-Key", KEY).header("Idempotency-Key", KEY);
    let problem: Value = twice.send().await.unwrap().json().await.unwrap();
    assert_eq!(problem["field"], "Idempotency-Key");
}

/// Look for what has the name, and another system is shown as the one that was made.
#[tokio::test]
async fn what_was_made_and_is_gone_is_not_made_again_under_its_key() {
    let lab = Lab::start().await;
    let administrator = token(&lab, "x", Role::Administrator).await;
    let [_, api_token, system, _] = makings();
    for (number, ((path, body), gone)) in
        [(api_token, "/v1/api-tokens/new"), (system, "/v1/systems/new")].into_iter().enumerate()
    {
        let key = format!("{KEY}-{number}");
        assert_eq!(ask(&lab, &administrator, &key, &path, &body).await.0, 200);
        let _: Value = lab.client().delete(gone).await.unwrap();
        let (status, problem) = ask(&lab, &administrator, &key, &path, &body).await;
        assert_eq!((status.as_u16(), &problem["field"]), (409, &json!("Idempotency-Key")), "{problem}");
        assert!(problem["detail"].as_str().unwrap().contains("is gone since"), "{problem}");
        assert_eq!(ask(&lab, &administrator, &format!("{key}-2"), &path, &body).await.0, 200);
        assert_eq!(ask(&lab, &administrator, &key, &path, &body).await.0, 409, "another has its name");
    }
}

/// Send the same without a key, and the token is made twice: once for nobody.
#[tokio::test]
async fn a_command_whose_answer_is_lost_asks_again_and_has_made_one_thing() {
    let lab = Lab::start().await;
    let _ = lab.token().await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let api = lab.addresses().api_url.strip_prefix("http://").unwrap().to_owned();
    let loses_the_first_answer = async {
        for number in 0.. {
            let (mut caller, _) = listener.accept().await.unwrap();
            let mut controller = TcpStream::connect(&api).await.unwrap();
            if number > 0 {
                let _ = copy_bidirectional(&mut caller, &mut controller).await;
                continue;
            }
            let (mut asks, _) = caller.split();
            let (mut answers, mut hears) = controller.split();
            let mut begin = [0];
            tokio::select! {
                _ = tokio::io::copy(&mut asks, &mut hears) => (),
                // The answer has begun, and nobody is told.
                _ = answers.peek(&mut begin) => (),
            }
        }
    };
    let file = lab.data_dir().join("api.token");
    let place = ["--api-url", &url, "--api-token-file", file.to_str().unwrap()].map(str::to_owned);
    let arguments = ["api-token", "create", "--name", "new", "--role", "viewer"].map(str::to_owned);
    let command = tokio::task::spawn_blocking(move || {
        let output = std::process::Command::new(env!("CARGO_BIN_EXE_postern-controller"))
            .args(arguments.iter().chain(&place))
            .output()
            .unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        (output.status.code(), text(output.stdout), text(output.stderr))
    });
    let (code, out, err) = tokio::select! {
        () = loses_the_first_answer => panic!("it goes on for ever"),
        told = command => told.unwrap(),
    };
    assert_eq!(code, Some(0), "{err}");
    assert_eq!(Caller::of(&lab).call("GET", "/v1/whoami", out.trim()).await.1["name"], "new");
    let tokens: Vec<Value> = lab.client().list("/v1/api-tokens", usize::MAX).await.unwrap();
    assert_eq!(tokens.iter().filter(|it| it["name"] == "new").count(), 1);
}

//! The laboratory of refused sign-ins: every answer of the login endpoints, word for word, and what becomes of it.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use postern_protocol::message::v1::SignInState;
use postern_protocol::{Failure, FailureClass};
use salesforce_sim::{ADMIN_PASSWORD, ADMIN_TOKEN, CONSUMER_SECRET, Mishap, OrgSeed};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use FailureClass::{Internal, RateLimited, Transient, Unauthorized};

use crate::lab::{Lab, disable, test_connection, validate};

/// More sign-ins than the guard allows while they may count toward a lock-out.
const TRIES: usize = 4;
/// As many as it allows.
const GUARDED: usize = 2;

const PAGE: &str = "<!DOCTYPE html><html><body><h1>We are down for maintenance.</h1></body></html>";

/// A host that answers every request in the same way, and counts them.
async fn serve(listener: TcpListener, answer: &str, requests: &AtomicUsize) {
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        requests.fetch_add(1, Ordering::SeqCst);
        answer_one(stream, answer).await;
    }
}

/// Reads the request to its end first: closing on unread bytes would reset the connection.
async fn answer_one(mut stream: TcpStream, answer: &str) {
    read_request(&mut stream).await;
    let _ = stream.write_all(answer.as_bytes()).await;
}

async fn read_request(stream: &mut TcpStream) -> String {
    let (mut request, mut piece) = (Vec::new(), [0; 4096]);
    while let Ok(count @ 1..) = stream.read(&mut piece).await {
        request.extend_from_slice(&piece[..count]);
        let text = String::from_utf8_lossy(&request).to_lowercase();
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse().ok()).unwrap_or(0);
        if body.len() >= length {
            break;
        }
    }
    String::from_utf8(request).unwrap()
}

/// The failure of a sign-in that is refused by a host that repeats what it was sent, and what that was.
async fn repeated(lab: &Lab, method: &str) -> (Failure, String) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let connector = lab.connector_with(&lab.settings(method).replace(&lab.sim.http_url(), &url));
    let repeat = async {
        let (mut stream, _) = listener.accept().await.unwrap();
        let request = read_request(&mut stream).await;
        let (head, body) = request.split_once("\r\n\r\n").unwrap();
        let sent = head.lines().filter(|line| line.starts_with("authorization")).chain([body]).collect::<Vec<_>>();
        let sent = sent.join(" ");
        let (kind, body) = if method == "soap" {
            let password = sent.split_once("<urn:password>").unwrap().1.split_once('<').unwrap().0;
            ("text/xml", soap_fault("INVALID_LOGIN", &format!("came too early: {password}")))
        } else {
            let told = format!("came too early: {sent}");
            let body = serde_json::json!({ "error": "invalid_client", "error_description": told });
            ("application/json", body.to_string())
        };
        let head = format!("HTTP/1.1 400 X\r\ncontent-type: {kind}\r\nconnection: close\r\n");
        let answer = format!("{head}content-length: {}\r\n\r\n{body}", body.len());
        stream.write_all(answer.as_bytes()).await.unwrap();
        sent
    };
    let mut task = test_connection();
    let (ended, sent) = tokio::join!(task.attempt(&connector), repeat);
    (ended.unwrap_err(), sent)
}

/// Signs in often, with a new connector each time, and returns the first failure and how often the host was asked.
async fn refused(method: &str, status: u16, kind: &str, body: &str) -> (Failure, usize) {
    let lab = Lab::start().await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let head = format!("HTTP/1.1 {status} X\r\ncontent-type: {kind}\r\nconnection: close\r\n");
    let answer = format!("{head}content-length: {}\r\n\r\n{body}", body.len());
    let requests = AtomicUsize::new(0);
    let settings = lab.settings(method).replace(&lab.sim.http_url(), &url);
    let sign_in = async {
        let mut first = None;
        for _ in 0..TRIES {
            let failure = test_connection().attempt(&lab.connector_with(&settings)).await.unwrap_err();
            first.get_or_insert(failure);
        }
        first.unwrap()
    };
    let failure = tokio::select! {
        failure = sign_in => failure,
        () = serve(listener, &answer, &requests) => unreachable!("it serves for ever"),
    };
    (failure, requests.into_inner())
}

fn check(row: &str, failure: &Failure, name: &str, class: FailureClass, word: &str) {
    assert_eq!((failure.code.as_str(), failure.class.known()), (name, Some(class)), "{row}: {failure}");
    assert!(failure.summary.starts_with("Failed to establish connection"), "{row}: {failure}");
    assert!(failure.summary.contains("it failed at: login"), "{row}: {failure}");
    assert!(failure.next_step.to_lowercase().contains(&word.to_lowercase()), "{row}: {}", failure.next_step.as_str());
}

fn soap_fault(code: &str, message: &str) -> String {
    format!(
        "<soapenv:Envelope xmlns:soapenv=\"http://schemas.xmlsoap.org/soap/envelope/\" \
         xmlns:sf=\"urn:fault.partner.soap.sforce.com\"><soapenv:Body><soapenv:Fault><faultcode>sf:{code}</faultcode>\
         <faultstring>{code}: {message}</faultstring><detail><sf:LoginFault><sf:exceptionCode>{code}</sf:exceptionCode>\
         <sf:exceptionMessage>{message}</sf:exceptionMessage></sf:LoginFault></detail></soapenv:Fault></soapenv:Body>\
         </soapenv:Envelope>"
    )
}

const VAGUE: &str = "Invalid username, password, security token; or user locked out.";

/// Every fault of `login()`: its name here, its class, a word of what to do, and how often it is tried.
/// Feature B19.
#[tokio::test]
async fn every_fault_of_the_soap_login_has_a_name_and_a_procedure() {
    let rows: [(&str, &str, &str, FailureClass, &str, usize); 30] = [
        ("INVALID_LOGIN", VAGUE, "INVALID_LOGIN", Unauthorized, "security token", GUARDED),
        ("INVALID_LOGIN", "Login Rate Exceeded", "login_rate_exceeded", RateLimited, "within an hour", TRIES),
        ("LOGIN_RATE_EXCEEDED", "", "LOGIN_RATE_EXCEEDED", RateLimited, "within an hour", TRIES),
        ("LOGIN_MUST_USE_SECURITY_TOKEN", VAGUE, "LOGIN_MUST_USE_SECURITY_TOKEN", Unauthorized, "obtain", GUARDED),
        ("LOGIN_CHALLENGE_ISSUED", "", "LOGIN_CHALLENGE_ISSUED", Unauthorized, "trusted ip ranges", GUARDED),
        ("LOGIN_CHALLENGE_PENDING", "", "LOGIN_CHALLENGE_PENDING", Unauthorized, "trusted ip ranges", GUARDED),
        ("LOGIN_DURING_RESTRICTED_DOMAIN", "", "LOGIN_DURING_RESTRICTED_DOMAIN", Unauthorized, "login ip", GUARDED),
        ("LOGIN_DURING_RESTRICTED_TIME", "", "LOGIN_DURING_RESTRICTED_TIME", Unauthorized, "login hours", TRIES),
        ("PASSWORD_LOCKOUT", "", "PASSWORD_LOCKOUT", Unauthorized, "unlock the account", GUARDED),
        (
            "INVALID_OPERATION_WITH_EXPIRED_PASSWORD",
            "The users password has expired, you must call SetPassword before attempting any other API operations",
            "INVALID_OPERATION_WITH_EXPIRED_PASSWORD",
            Unauthorized,
            "set a new password",
            TRIES,
        ),
        ("API_DISABLED_FOR_ORG", "", "API_DISABLED_FOR_ORG", Unauthorized, "API Enabled", TRIES),
        ("API_CURRENTLY_DISABLED", "", "API_CURRENTLY_DISABLED", Transient, "by itself", TRIES),
        ("INSUFFICIENT_ACCESS", "", "api_auth_not_allowed", Unauthorized, "Use Any API Auth", TRIES),
        ("ORG_LOCKED", "", "ORG_LOCKED", Unauthorized, "administrator", TRIES),
        ("TRIAL_EXPIRED", "", "TRIAL_EXPIRED", Unauthorized, "administrator", TRIES),
        ("ORG_IN_MAINTENANCE", "", "ORG_IN_MAINTENANCE", Transient, "by itself", TRIES),
        (
            "INSERT_UPDATE_DELETE_NOT_ALLOWED_DURING_MAINTENANCE",
            "",
            "INSERT_UPDATE_DELETE_NOT_ALLOWED_DURING_MAINTENANCE",
            Transient,
            "by itself",
            TRIES,
        ),
        ("ORG_NOT_OWNED_BY_INSTANCE", "", "ORG_NOT_OWNED_BY_INSTANCE", Unauthorized, "my.salesforce.com", TRIES),
        ("SERVER_UNAVAILABLE", "", "SERVER_UNAVAILABLE", Transient, "by itself", TRIES),
        ("SSO_SERVICE_DOWN", "", "SSO_SERVICE_DOWN", Transient, "by itself", TRIES),
        ("REQUEST_RUNNING_TOO_LONG", "", "REQUEST_RUNNING_TOO_LONG", Transient, "by itself", TRIES),
        ("UNKNOWN_EXCEPTION", "", "UNKNOWN_EXCEPTION", Transient, "by itself", TRIES),
        ("REQUEST_LIMIT_EXCEEDED", "", "REQUEST_LIMIT_EXCEEDED", RateLimited, "API calls", TRIES),
        ("UNSUPPORTED_API_VERSION", "", "UNSUPPORTED_API_VERSION", Unauthorized, "oauth-jwt", TRIES),
        ("CLIENT_NOT_ACCESSIBLE_FOR_USER", "", "CLIENT_NOT_ACCESSIBLE_FOR_USER", Unauthorized, "allow", TRIES),
        ("CLIENT_REQUIRE_UPDATE_FOR_USER", "", "CLIENT_REQUIRE_UPDATE_FOR_USER", Unauthorized, "allow", TRIES),
        ("UNSUPPORTED_CLIENT", "", "UNSUPPORTED_CLIENT", Unauthorized, "allow", TRIES),
        ("TXN_SECURITY_NO_ACCESS", "", "TXN_SECURITY_NO_ACCESS", Unauthorized, "administrator", TRIES),
        ("TXN_SECURITY_TWO_FA_REQUIRED", "", "TXN_SECURITY_TWO_FA_REQUIRED", Unauthorized, "administrator", TRIES),
        ("MUTUAL_AUTHENTICATION_FAILED", "", "MUTUAL_AUTHENTICATION_FAILED", Unauthorized, "administrator", TRIES),
    ];
    for (code, message, name, class, word, asked) in rows {
        // Login faults come with 500; some come with 200.
        let status = if asked == GUARDED { 500 } else { 200 };
        let (failure, requests) = refused("soap", status, "text/xml", &soap_fault(code, message)).await;
        check(code, &failure, name, class, word);
        assert_eq!(requests, asked, "{code}");
    }
    for (code, message, name, class, word) in [
        ("Client", "Premature end of file.", "request_mangled", Unauthorized, "proxy"),
        ("Server", "The gateway timed out.", "Server", Transient, "by itself"),
        ("Server.RaiseFault", "The gateway raised a fault.", "Server", Transient, "by itself"),
    ] {
        let bare = format!(
            "<e:Envelope xmlns:e=\"x\"><e:Body><e:Fault><faultcode>e:{code}</faultcode><faultstring>{message}\
             </faultstring></e:Fault></e:Body></e:Envelope>"
        );
        let (failure, requests) = refused("soap", 500, "text/xml", &bare).await;
        check(code, &failure, name, class, word);
        assert_eq!(requests, TRIES, "{code}");
    }
    let (failure, requests) = refused("soap", 500, "text/xml", &soap_fault("NEVER_SEEN_BEFORE", "")).await;
    assert_eq!((failure.code.as_str(), requests), ("NEVER_SEEN_BEFORE", GUARDED), "what is not known may count");
}

/// Every error of the token endpoint.
/// Feature B19.
#[tokio::test]
async fn every_error_of_oauth_has_a_name_and_a_procedure() {
    let rows: [(&str, &str, &str, FailureClass, &str, usize); 25] = [
        ("invalid_grant", "authentication failure", "invalid_grant", Unauthorized, "username-password flow", GUARDED),
        ("invalid_grant", "authentication failure - Invalid Password", "invalid_grant", Unauthorized, "token", GUARDED),
        ("invalid_grant", "expired access/refresh token", "expired_grant", Unauthorized, "clock", TRIES),
        ("invalid_grant", "expired authorization code", "expired_grant", Unauthorized, "clock", TRIES),
        (
            "invalid_grant",
            "user hasn't approved this consumer",
            "app_not_approved_by_user",
            Unauthorized,
            "Pre-authorize",
            TRIES,
        ),
        (
            "invalid_grant",
            "user is not admin approved to access this app",
            "app_not_approved",
            Unauthorized,
            "permission set",
            TRIES,
        ),
        ("invalid_app_access", "", "app_not_approved", Unauthorized, "permission set", TRIES),
        ("invalid_grant", "Audience validation failed", "wrong_audience", Unauthorized, "`audience`", TRIES),
        ("invalid_grant", "no client credentials user enabled", "no_run_as_user", Unauthorized, "Run As", TRIES),
        (
            "invalid_grant",
            "request not supported on this domain",
            "wrong_login_host",
            Unauthorized,
            "<sandbox>.sandbox.my.salesforce.com",
            TRIES,
        ),
        ("invalid_grant", "ip restricted", "address_restricted", Unauthorized, "trusted ranges", TRIES),
        ("invalid_grant", "inactive user", "inactive_user", Unauthorized, "Activate", GUARDED),
        ("inactive_user", "", "inactive_user", Unauthorized, "Activate", GUARDED),
        ("invalid_grant", "inactive organization", "inactive_org", Unauthorized, "administrator", TRIES),
        ("inactive_org", "", "inactive_org", Unauthorized, "administrator", TRIES),
        ("invalid_grant", "invalid assertion", "invalid_assertion", Unauthorized, "certificate", TRIES),
        ("invalid_grant", "", "invalid_grant", Unauthorized, "security token", GUARDED),
        ("invalid_client_id", "client identifier invalid", "invalid_client_id", Unauthorized, "consumer_key", TRIES),
        ("invalid_client", "invalid client credentials", "invalid_client", Unauthorized, "consumer_secret", GUARDED),
        ("invalid_assertion", "invalid assertion", "invalid_assertion", Unauthorized, "certificate", TRIES),
        ("unsupported_grant_type", "grant type not supported", "unsupported_grant_type", Unauthorized, "flow", TRIES),
        ("rate_limit_exceeded", "login rate exceeded", "login_rate_exceeded", RateLimited, "within an hour", TRIES),
        ("unknown_error", "retry your request", "unknown_error", Transient, "by itself", TRIES),
        ("server_error", "", "server_error", Transient, "by itself", TRIES),
        ("temporarily_unavailable", "", "temporarily_unavailable", Transient, "by itself", TRIES),
    ];
    for (error, description, name, class, word, asked) in rows {
        let mut body = serde_json::json!({ "error": error });
        if !description.is_empty() {
            body["error_description"] = description.into();
        }
        let (failure, requests) = refused("oauth-jwt", 400, "application/json", &body.to_string()).await;
        check(&format!("{error} {description}"), &failure, name, class, word);
        assert_eq!(requests, asked, "{error} {description}");
    }
    let limit = r#"[{"errorCode":"REQUEST_LIMIT_EXCEEDED","message":"TotalRequests Limit exceeded."}]"#;
    let (failure, _) = refused("oauth-jwt", 403, "application/json", limit).await;
    check("an org without calls left", &failure, "REQUEST_LIMIT_EXCEEDED", RateLimited, "API calls");
}

/// Answers that are no login host's, by either kind of sign-in: nobody's credentials are blamed.
async fn answers(rows: &[(u16, &str, &str, FailureClass, &str, usize)]) {
    for (status, body, name, class, word, asked) in rows {
        for method in ["soap", "oauth-password", "oauth-jwt"] {
            let (failure, requests) = refused(method, *status, "text/html", body).await;
            check(&format!("{status} {method}"), &failure, name, *class, word);
            assert_eq!(requests, *asked, "{status} {method}");
        }
    }
}

#[tokio::test]
async fn a_wrong_host_is_told_from_one_that_refuses() {
    answers(&[
        (404, PAGE, "not_a_login_host", Unauthorized, "`domain`", TRIES),
        (302, "", "not_a_login_host", Unauthorized, "`domain`", TRIES),
        (405, "{}", "not_a_login_host", Unauthorized, "`domain`", TRIES),
    ])
    .await;
}

#[tokio::test]
async fn a_420_says_that_there_is_no_such_org() {
    answers(&[(420, PAGE, "no_such_org", Unauthorized, "`domain`", TRIES)]).await;
}

#[tokio::test]
async fn f62_an_html_maintenance_page_is_named_with_the_status_page_to_look_at() {
    answers(&[(503, PAGE, "maintenance_page", Transient, "status page", TRIES)]).await;
}

#[tokio::test]
async fn any_other_html_page_is_a_strange_answer_of_something_between() {
    answers(&[
        (500, PAGE, "strange_answer", Transient, "stands between", GUARDED),
        (200, PAGE, "strange_answer", Transient, "stands between", GUARDED),
    ])
    .await;
}

/// Take it for Salesforce's refusal, and one answer ends tasks for good, and two block the account until a person comes.
#[tokio::test]
async fn the_json_of_a_gateway_is_no_refusal_of_the_credentials() {
    for (status, body, name, class, word, asked) in [
        (503, r#"{"status":503,"error":"Service Unavailable"}"#, "maintenance_page", Transient, "status page", TRIES),
        (502, r#"{"error":"Bad Gateway"}"#, "strange_answer", Transient, "stands between", GUARDED),
        (408, r#"{"error":"Timeout"}"#, "strange_answer", Transient, "stands between", GUARDED),
        (429, r#"{"error":"Quota has been exceeded"}"#, "strange_answer", RateLimited, "stands between", TRIES),
        (429, r#"{"message":"API rate limit exceeded"}"#, "strange_answer", RateLimited, "stands between", TRIES),
        (403, r#"{"status":403,"error":"Forbidden"}"#, "not_a_login_host", Unauthorized, "`domain`", TRIES),
        (401, r#"{"error":"Unauthorized"}"#, "not_a_login_host", Unauthorized, "`domain`", TRIES),
        (400, r#"{"error":"The request was blocked."}"#, "not_a_login_host", Unauthorized, "`domain`", TRIES),
    ] {
        let (failure, requests) = refused("oauth-jwt", status, "application/json", body).await;
        check(body, &failure, name, class, word);
        assert_eq!(requests, asked, "{body}");
    }
}

/// A gateway that puts its own page over a refusal, and keeps its status: Salesforce has judged the password. Take that for a wrong
/// host's, and each task sends it once more, until the account is locked.
#[tokio::test]
async fn a_page_over_the_refusal_of_a_password_may_hide_one() {
    let (failure, requests) = refused("oauth-password", 400, "text/html", PAGE).await;
    check("400", &failure, "not_a_login_host", Unauthorized, "what stands between");
    assert_eq!(requests, GUARDED);

    let lab = Lab::start().await;
    let settings = lab.settings("oauth-password");
    validate("user0001@acme.example").attempt(&lab.connector_with(&settings)).await.unwrap();
    lab.fault("POST", "/services/", Mishap::OtherReply { status: 400, body: PAGE.to_owned() }, 100);
    let mut ended = Vec::new();
    for _ in 0..8 {
        let failure = validate("user0001@acme.example").attempt(&lab.connector_with(&settings)).await.unwrap_err();
        ended.push((failure.code.to_string(), failure.class.known()));
    }
    let expected = |code: &str, class| (code.to_owned(), Some(class));
    let (sent, kept) = (expected("not_a_login_host", Transient), expected("sign_in_paused", RateLimited));
    assert_eq!(ended, [vec![sent; 5], vec![kept; 3]].concat());
    assert_eq!(lab.counters().login_attempts, 6);
}

/// No password is refused with these. Count them, and a task that a portal answers waits for a day instead of saying so.
#[tokio::test]
async fn a_page_that_hides_no_refusal_of_a_password_is_a_wrong_hosts() {
    for (method, status) in [
        ("oauth-password", 401),
        ("oauth-password", 403),
        ("oauth-password", 407),
        ("oauth-jwt", 400),
        ("soap", 400),
        ("soap", 403),
    ] {
        let (failure, requests) = refused(method, status, "text/html", PAGE).await;
        check(&format!("{method} {status}"), &failure, "not_a_login_host", Unauthorized, "`domain`");
        assert_eq!(requests, TRIES, "{method} {status}");
    }
}

/// Blame the configuration, and the page of a portal on the way ends every task of a host that works.
#[tokio::test]
async fn a_host_that_has_signed_the_account_in_is_tried_again_whatever_answers_there_now() {
    let lab = Lab::start().await;
    validate("user0001@acme.example").attempt(&lab.connector()).await.unwrap();
    let portal = Mishap::OtherReply { status: 302, body: String::new() };
    lab.fault("POST", "/services/oauth2/token", portal, 1);
    let restarted = lab.connector();
    let failure = validate("user0001@acme.example").attempt(&restarted).await.unwrap_err();
    assert_eq!((failure.code.as_str(), failure.class.known()), ("not_a_login_host", Some(Transient)));
    validate("user0001@acme.example").attempt(&restarted).await.unwrap();
}

/// The code is a text of the other side's, and is kept for the refusals to come.
#[tokio::test]
async fn the_code_of_a_refusal_tells_no_secret() {
    let word = CONSUMER_SECRET;
    assert!(word.bytes().all(|byte| byte.is_ascii_alphanumeric()), "it passes for a code");
    let (failure, requests) =
        refused("oauth-client-credentials", 400, "application/json", &format!(r#"{{"error":"{word}"}}"#)).await;
    assert_eq!(requests, GUARDED);
    assert!(!format!("{failure:?}").contains(word), "{failure:?}");
}

/// Another 401 than that of an ended session: the header itself is wrong, and signing in again once shows it.
#[tokio::test]
async fn a_session_whose_header_is_called_malformed_is_renewed_once() {
    let lab = Lab::start().await;
    let connector = lab.connector();
    let code = Some("INVALID_AUTH_HEADER".to_owned());
    lab.fault("GET", "/query", Mishap::Respond { status: 401, code, message: None }, 100);
    let failure = validate("user0001@acme.example").attempt(&connector).await.unwrap_err();
    assert_eq!((failure.code.as_str(), failure.class.known()), ("INVALID_AUTH_HEADER", Some(Unauthorized)));
    assert_eq!(lab.counters().login_attempts, 2);
}

/// A token for an API at that address.
fn token(instance: &str) -> Mishap {
    let id = "https://login.salesforce.com/id/00D5g000001AbCdEAK/0055g00000XyZ12AAF";
    let body =
        serde_json::json!({ "access_token": "00D5g000001AbCd!x", "instance_url": instance, "id": id }).to_string();
    Mishap::OtherReply { status: 200, body }
}

/// Keep the session until it is called ended, and every task fails until the agent is started again.
#[tokio::test]
async fn an_org_that_has_moved_is_signed_in_to_once_more() {
    let elsewhere = r#"[{"errorCode":"ORG_NOT_OWNED_BY_INSTANCE","message":"x"}]"#;
    for (status, body, code) in [
        (302, "", "redirected"),
        (420, PAGE, "no_such_org"),
        (400, elsewhere, "ORG_NOT_OWNED_BY_INSTANCE"),
        (0, "", "unreachable_dns"),
    ] {
        let listener = TcpListener::bind("127.0.0.2:0").await.unwrap();
        let former = format!("http://{}", listener.local_addr().unwrap());
        let former = if status == 0 { "http://no-such-host.invalid".to_owned() } else { former };
        let answer =
            format!("HTTP/1.1 {status} X\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}", body.len());
        let requests = AtomicUsize::new(0);
        let moved = async {
            let lab = Lab::start().await;
            let connector = lab.connector();
            lab.fault("POST", "/oauth2/token", token(&former), 1);
            assert!(validate("user0001@acme.example").attempt(&connector).await.is_ok(), "{code}");
            assert_eq!(lab.counters().login_attempts, 2, "{code}");

            let connector = lab.connector();
            lab.fault("POST", "/oauth2/token", token(&former), 100);
            let failure = validate("user0001@acme.example").attempt(&connector).await.unwrap_err();
            assert_eq!((failure.code.as_str(), lab.counters().login_attempts), (code, 4));

            // Signed in for each attempt, a name that nobody knows for a while keeps everybody out for an hour.
            for _ in 0..3 {
                let failure = validate("user0001@acme.example").attempt(&connector).await.unwrap_err();
                assert_eq!((failure.code.as_str(), lab.counters().login_attempts), (code, 4));
            }
        };
        tokio::select! {
            () = moved => (),
            () = serve(listener, &answer, &requests) => unreachable!("it serves for ever"),
        }
    }
}

/// The org's own host is where the next sign-in would lead to as well.
#[tokio::test]
async fn an_answer_that_leads_away_from_the_orgs_own_host_costs_no_sign_in() {
    let lab = Lab::start().await;
    let connector = lab.connector();
    lab.fault("GET", "/query", Mishap::OtherReply { status: 302, body: String::new() }, 100);
    let failure = validate("user0001@acme.example").attempt(&connector).await.unwrap_err();
    assert_eq!((failure.code.as_str(), failure.class.known()), ("redirected", Some(Transient)));
    assert_eq!(lab.counters().login_attempts, 1);
}

/// Profile login ranges refuse whatever is sent; both methods say where to look.
#[tokio::test]
async fn an_address_outside_the_login_ranges_of_the_profile_is_named() {
    let mut org = OrgSeed::acme(1);
    org.profiles[0].login_ranges = vec!["198.51.100.0/24".to_owned()];
    let lab = Lab::with_org(org).await;
    for (method, name) in [("soap", "LOGIN_DURING_RESTRICTED_DOMAIN"), ("oauth-jwt", "address_restricted")] {
        let failure = test_connection().attempt(&lab.connector_with(&lab.settings(method))).await.unwrap_err();
        check(method, &failure, name, Unauthorized, "login IP ranges of");
    }
}

/// A test signs in anew while tasks go on with the session in use. Leave `handle_honoured` out and `failing` is told as
/// long as that lives.
#[tokio::test]
async fn a_sign_in_that_failed_is_told_until_a_task_succeeds_unless_it_refused_the_credentials() {
    let lab = Lab::start().await;
    let settings = lab.settings("oauth-client-credentials");
    let connector = lab.connector_with(&settings);
    test_connection().attempt(&connector).await.unwrap();
    let told = || (connector.sign_in().state, connector.sign_in().failure.is_some());

    let disabled = || Mishap::Respond { status: 403, code: Some("API_DISABLED_FOR_ORG".to_owned()), message: None };
    lab.fault("POST", "/token", disabled(), 1);
    test_connection().attempt(&connector).await.unwrap_err();
    assert_eq!(told(), (SignInState::Failing, true));
    lab.fault("GET", "/query", disabled(), 1);
    validate("user0001@acme.example").attempt(&connector).await.unwrap_err();
    assert_eq!(told(), (SignInState::Failing, true), "a call that is refused proves nothing");
    validate("user0001@acme.example").attempt(&connector).await.unwrap();
    assert_eq!(told(), (SignInState::SignedIn, false));

    lab.write("secret", "wrong");
    test_connection().attempt(&connector).await.unwrap_err();
    validate("user0001@acme.example").attempt(&connector).await.unwrap();
    assert_eq!(told(), (SignInState::Failing, true), "the next sign-in will be refused as well");
}

/// Leave any of what is sent out of what is in use, and it stands in a report, in the log and in what is shown of the agent.
#[tokio::test]
async fn a_host_that_repeats_what_signs_in_has_it_told_to_nobody() {
    for method in ["soap", "oauth-jwt", "oauth-client-credentials", "oauth-password"] {
        let lab = Lab::start().await;
        let (failure, sent) = repeated(&lab, method).await;
        let mut secrets = vec![ADMIN_PASSWORD, ADMIN_TOKEN, CONSUMER_SECRET];
        secrets.extend(sent.split_once("&assertion=").map(|(_, it)| &it[it.len() - 64..]));
        secrets.extend(sent.split_once("authorization: Basic ").map(|(_, it)| &it[..24]));
        assert!(secrets.iter().any(|it| sent.contains(it)), "{method}: it sends something");
        let told = format!("{failure:?}");
        assert!(told.contains("came too early") && told.contains("***"), "{method}: {told}");
        assert!(!secrets.iter().any(|it| told.contains(it)), "{method}: {told}");
    }
}

/// The token of a session is as good as a password, for hours.
#[tokio::test]
async fn an_org_that_repeats_the_token_of_a_session_has_it_told_to_nobody() {
    for method in ["soap", "oauth-jwt", "oauth-client-credentials", "oauth-password"] {
        let lab = Lab::start().await;
        let connector = lab.connector_with(&lab.settings(method));
        validate("user0001@acme.example").attempt(&connector).await.unwrap();
        let [session] = lab.sim.sessions().try_into().unwrap();
        let message = Some(format!("came too early: Bearer {}", session.expose()));
        lab.fault(
            "GET",
            "/query",
            Mishap::Respond { status: 400, code: Some("MALFORMED_QUERY".to_owned()), message },
            1,
        );
        let failure = validate("user0001@acme.example").attempt(&connector).await.unwrap_err();
        assert!(failure.summary.contains("came too early: Bearer ***"), "{method}: {failure}");
    }
}

#[tokio::test]
async fn a_key_that_is_none_is_said_before_anything_is_sent() {
    let lab = Lab::start().await;
    lab.write("key", "no key");
    let failure = test_connection().attempt(&lab.connector()).await.unwrap_err();
    assert_ne!(failure.class.known(), Some(Internal));
    assert_eq!((failure.code.as_str(), lab.counters().login_attempts), ("bad_private_key", 0));
}

#[tokio::test]
async fn a_port_that_does_not_speak_tls_is_told_as_such() {
    let lab = Lab::start().await;
    let settings = lab.settings("oauth-jwt").replace("http://", "https://").replace("insecure_plain_http = true\n", "");
    let failure = test_connection().attempt(&lab.connector_with(&settings)).await.unwrap_err();
    assert!(failure.summary.contains("does not speak TLS"), "{failure}");
    assert!(failure.next_step.contains("scheme and port"), "{failure:?}");
}

/// An assertion is good for minutes, and nobody's clock is right before it was set. Sign with this host's alone, and each task
/// of such a host fails for good.
#[tokio::test]
async fn a_host_whose_clock_is_behind_signs_in_by_the_orgs() {
    let lab = Lab::start().await;
    lab.sim.advance(Duration::from_secs(10 * 60));
    for _ in 0..TRIES {
        disable("user0001@acme.example").attempt(&lab.connector_with(&lab.settings("oauth-jwt"))).await.unwrap();
    }
}

/// Whoever says that it is next year gets no assertion that is good until then.
#[tokio::test]
async fn a_clock_that_is_off_by_more_than_a_day_is_not_made_up_for() {
    let lab = Lab::start().await;
    lab.sim.advance(Duration::from_secs(2 * 24 * 60 * 60));
    let before = lab.counters().http_calls;
    let connector = lab.connector_with(&lab.settings("oauth-jwt"));
    let failure = test_connection().attempt(&connector).await.unwrap_err();
    assert_eq!(failure.code.as_str(), "invalid_assertion", "{failure}");
    assert_eq!(lab.counters().http_calls, before + 1);
}

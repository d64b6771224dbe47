//! Many records or calls at once.

use serde_json::{Value as Json, json};

use crate::client::{admin, simulator};

fn typed(mut record: Json) -> Json {
    record["attributes"] = json!({"type": "User"});
    record
}

#[tokio::test]
async fn each_row_has_its_own_fate() {
    let simulator = simulator(2).await;
    let caller = admin(&simulator).await;
    let (one, two) = (caller.id_of("user0001@acme.example").await, caller.id_of("user0002@acme.example").await);
    let body = json!({"allOrNone": false, "records": [
        typed(json!({"Id": one, "IsActive": false})),
        typed(json!({"Id": two, "Alias": "waytoolongalias"})),
        typed(json!({"Title": "no id"})),
    ]});

    let answer = caller.patch("composite/sobjects", &body).await;

    assert_eq!(answer.status, 200);
    assert_eq!(answer.json[0], json!({"id": one, "success": true, "errors": []}));
    let error = json!({
        "statusCode": "STRING_TOO_LONG",
        "message": "Alias: data value too large: waytoolongalias (max length=8)",
        "fields": ["Alias"],
    });
    assert_eq!(answer.json[1], json!({"success": false, "errors": [error]}));
    assert_eq!(answer.json[2]["errors"][0]["statusCode"], "MISSING_ARGUMENT");
    assert!(!simulator.user("user0001@acme.example").unwrap().active);
}

/// Leave out the roll-back of the counters, the licenses or the usernames, and this fails.
#[tokio::test]
async fn all_or_none_leaves_no_trace() {
    let simulator = simulator(2).await;
    let caller = admin(&simulator).await;
    let (one, two) = (caller.id_of("user0001@acme.example").await, caller.id_of("user0002@acme.example").await);
    caller.patch(&format!("sobjects/User/{one}"), &json!({"Title": "Counted"})).await;
    let body = json!({"allOrNone": true, "records": [
        typed(json!({"Id": one, "IsActive": false, "Username": "renamed@acme.example"})),
        typed(json!({"Id": two, "Alias": "waytoolongalias"})),
    ]});

    let answer = caller.patch("composite/sobjects", &body).await;
    let mut records = Vec::new();
    for name in ["new1@acme.example", "new1@acme.example"] {
        records.push(typed(caller.new_user(name).await));
    }
    let made = caller.post("composite/sobjects", &json!({"allOrNone": true, "records": records})).await;

    assert_eq!(answer.json[0]["errors"][0]["statusCode"], "ALL_OR_NONE_OPERATION_ROLLED_BACK");
    assert_eq!(answer.json[1]["errors"][0]["statusCode"], "STRING_TOO_LONG");
    let before = simulator.user("user0001@acme.example").unwrap();
    assert!(before.active && before.effects.updates == 1 && before.effects.flips == 0);
    assert!(simulator.user("renamed@acme.example").is_none());
    assert_eq!(made.json[1]["errors"][0]["statusCode"], "DUPLICATE_USERNAME");
    assert!(simulator.user("new1@acme.example").is_none());
    let used = caller.query("SELECT UsedLicenses FROM UserLicense WHERE Name = 'Salesforce'").await;
    assert_eq!(used.json["records"][0]["UsedLicenses"], 3);
    assert_eq!(caller.query("SELECT COUNT() FROM UserLogin").await.json["totalSize"], 3);
}

#[tokio::test]
async fn a_request_as_a_whole_can_be_wrong() {
    let simulator = simulator(0).await;
    let caller = admin(&simulator).await;
    let many: Vec<Json> = (0..201).map(|_| typed(json!({"Id": "x"}))).collect();
    let mixed = [typed(json!({"Id": "x"})), json!({"attributes": {"type": "Account"}, "Id": "y"})];

    let too_many = caller.patch("composite/sobjects", &json!({"records": many})).await;
    let mixed = caller.patch("composite/sobjects", &json!({"records": mixed})).await;
    let no_json = caller.request(reqwest::Method::PATCH, "composite/sobjects").body("{\"records\":}");
    let no_json = crate::client::Answer::of(no_json).await;

    assert_eq!((too_many.status.as_u16(), too_many.code()), (400, "EXCEEDED_ID_LIMIT"));
    assert_eq!((mixed.status.as_u16(), mixed.code()), (400, "MIXED_DML_OPERATION"));
    assert_eq!((no_json.status.as_u16(), no_json.code()), (400, "JSON_PARSER_ERROR"));
}

#[tokio::test]
async fn composite_calls_see_the_results_of_earlier_ones() {
    let simulator = simulator(1).await;
    let caller = admin(&simulator).await;
    let base = "/services/data/v66.0";
    let find = "SELECT+Id+FROM+User+WHERE+Username='user0001@acme.example'";
    let body = json!({"compositeRequest": [
        {"method": "GET", "referenceId": "found", "url": format!("{base}/query?q={find}")},
        {"method": "PATCH", "referenceId": "off", "url": format!("{base}/sobjects/User/@{{found.records[0].Id}}"),
         "body": {"IsActive": false}},
        {"method": "GET", "referenceId": "none", "url": format!("{base}/sobjects/User/@{{missing.id}}")},
    ]});

    let answer = caller.post("composite", &body).await;

    let codes: Vec<_> =
        answer.json["compositeResponse"].as_array().unwrap().iter().map(|it| it["httpStatusCode"].clone()).collect();
    assert_eq!(codes, [json!(200), json!(204), json!(400)]);
    assert_eq!(answer.json["compositeResponse"][1]["body"], Json::Null);
    assert!(!simulator.user("user0001@acme.example").unwrap().active);
}

/// Judge the rows one by one, or any number of queries, and what an org refuses as a whole passes here.
#[tokio::test]
async fn what_is_refused_as_a_whole_is_not_looked_at_in_part() {
    let simulator = simulator(1).await;
    let caller = admin(&simulator).await;
    let id = caller.id_of("user0001@acme.example").await;
    let record = |name: &str, value: &str| json!({"attributes": {"type": "User"}, "Id": id, name: value});
    for (name, value, code) in [("IsActive", "perhaps", "JSON_PARSER_ERROR"), ("Nonsense", "x", "INVALID_FIELD")] {
        let records = [record("Title", "New"), record(name, value)];
        let answer = caller.patch("composite/sobjects", &json!({"allOrNone": false, "records": records})).await;
        assert_eq!((answer.status.as_u16(), answer.code()), (400, code));
    }
    assert_eq!(simulator.user("user0001@acme.example").unwrap().text("Title"), "");

    for (queries, status) in [(5, 200), (6, 400)] {
        let url = "/services/data/v66.0/query?q=SELECT+Id+FROM+User";
        let calls: Vec<_> =
            (0..queries).map(|it| json!({"method": "GET", "referenceId": format!("q{it}"), "url": url})).collect();
        let answer = caller.post("composite", &json!({"compositeRequest": calls})).await;
        assert_eq!(answer.status, status, "{queries} queries");
    }
    assert_eq!(caller.get(&format!("query?q={}", "x".repeat(16_300))).await.status, 431, "with its headers");
}

#[tokio::test]
async fn a_composite_that_must_work_whole_is_undone() {
    let simulator = simulator(1).await;
    let caller = admin(&simulator).await;
    let id = caller.id_of("user0001@acme.example").await;
    let base = "/services/data/v66.0/sobjects/User";
    let body = json!({"allOrNone": true, "compositeRequest": [
        {"method": "PATCH", "referenceId": "a", "url": format!("{base}/{id}"), "body": {"Title": "New"}},
        {"method": "PATCH", "referenceId": "b", "url": format!("{base}/{id}"), "body": {"Alias": "waytoolongalias"}},
    ]});

    let answer = caller.post("composite", &body).await;

    assert_eq!(answer.json["compositeResponse"][0]["body"][0]["errorCode"], "PROCESSING_HALTED");
    assert_eq!(answer.json["compositeResponse"][1]["body"][0]["errorCode"], "STRING_TOO_LONG");
    assert_eq!(simulator.user("user0001@acme.example").unwrap().text("Title"), "");
}

#[tokio::test]
async fn a_batch_runs_its_calls_one_by_one() {
    let simulator = simulator(0).await;
    let caller = admin(&simulator).await;
    let calls = json!([
        {"method": "GET", "url": "v66.0/limits"},
        {"method": "GET", "url": "v66.0/sobjects/Nothing"},
        {"method": "GET", "url": "v66.0/limits"},
    ]);
    let all = caller.post("composite/batch", &json!({"batchRequests": calls})).await;
    let halted = caller.post("composite/batch", &json!({"batchRequests": calls, "haltOnError": true})).await;
    let codes = |answer: &Json| {
        answer["results"].as_array().unwrap().iter().map(|it| it["statusCode"].as_u64().unwrap()).collect::<Vec<_>>()
    };
    assert_eq!((codes(&all.json), codes(&halted.json)), (vec![200, 404, 200], vec![200, 404, 412]));
    assert_eq!(all.json["hasErrors"], true);
}

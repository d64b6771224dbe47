//! Queries: conditions, order, parents, counts, pages and mistakes.

use salesforce_sim::{OrgSeed, Switches, UserSeed};
use serde_json::{Value as Json, json};

use crate::client::{Answer, Caller, admin, query_path, simulator, with_org};

async fn usernames(caller: &Caller, condition: &str) -> Vec<String> {
    let answer = caller.query(&format!("SELECT Username FROM User WHERE {condition} ORDER BY Username")).await;
    let rows = answer.json["records"].as_array().unwrap_or_else(|| panic!("{}", answer.text)).clone();
    rows.iter().map(|it| it["Username"].as_str().unwrap().split('@').next().unwrap().to_owned()).collect()
}

fn person(name: &str, fields: Json) -> UserSeed {
    let Json::Object(fields) = fields else { unreachable!("the fields are written as an object") };
    UserSeed { username: format!("{name}@q.example"), last_name: name.to_owned(), fields, ..UserSeed::default() }
}

async fn small_org() -> (salesforce_sim::Simulator, Caller) {
    let mut org = OrgSeed::acme(0);
    org.users.push(person("ann", json!({"Title": "50%_off's", "Department": "Sales", "EmployeeNumber": "7"})));
    org.users.push(person("bob", json!({"Title": "50 percent", "FederationIdentifier": "Bob-SSO"})));
    org.users.push(person("cid", json!({"Department": "sales", "IsActive": false})));
    let simulator = with_org(org).await;
    let caller = admin(&simulator).await;
    (simulator, caller)
}

#[tokio::test]
async fn conditions_find_what_they_say() {
    let (_simulator, caller) = small_org().await;
    for (condition, expected) in [
        ("Username LIKE '%@q.example'", &["ann", "bob", "cid"][..]),
        ("Department = 'SALES'", &["ann", "cid"]),
        ("Department != 'Sales' AND Username LIKE '%q.example'", &["bob"]),
        ("NOT (Department = 'Sales') AND Username LIKE '%q.example'", &["bob"]),
        ("Department = 'Sales' AND NOT IsActive = true", &["cid"]),
        ("Title LIKE '%50\\%\\_off\\'s%'", &["ann"]),
        ("Title LIKE '50%'", &["ann", "bob"]),
        ("Title LIKE '50_percent'", &["bob"]),
        ("Title = NULL AND Username LIKE '%q.example'", &["cid"]),
        ("Title != null", &["ann", "bob"]),
        ("LastName IN ('ann', 'CID', 'nobody')", &["ann", "cid"]),
        ("LastName NOT IN ('ann', 'Account')", &["bob", "cid"]),
        ("Username IN ('ANN@q.example', 'cid@q.example')", &["ann", "cid"]),
        ("FederationIdentifier = 'Bob-SSO'", &["bob"]),
        ("FederationIdentifier = 'bob-sso'", &[]),
        ("(LastName = 'ann' OR LastName = 'bob') AND EmployeeNumber = '7'", &["ann"]),
        ("Profile.UserLicense.Name = 'Salesforce' AND LastName > 'b'", &["bob", "cid"]),
        ("UserRole.Name = 'CEO'", &[]),
        ("CreatedDate = TODAY AND LastName < 'ann'", &["svc"]),
        ("CreatedDate < YESTERDAY", &[]),
        ("CreatedDate >= LAST_N_DAYS:2 AND LastName = 'ann'", &["ann"]),
        ("CreatedDate > 2020-01-01T00:00:00Z AND CreatedDate < 2020-01-02T00:00:00+01:00", &[]),
        ("LastLoginDate = null AND IsActive = true", &["ann", "bob"]),
    ] {
        // `Account` is the last name of the administrator, which sorts before `ann`.
        assert_eq!(usernames(&caller, condition).await, expected, "{condition}");
    }
}

#[tokio::test]
async fn order_limit_and_offset_cut_the_list() {
    let (_simulator, caller) = small_org().await;
    let list = |answer: Answer| {
        let rows = answer.json["records"].as_array().unwrap().clone();
        rows.iter().map(|it| it["LastName"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let descending = caller.query("SELECT LastName FROM User ORDER BY LastName DESC LIMIT 2 OFFSET 1").await;
    let nulls_last = caller.query("SELECT LastName FROM User ORDER BY Department NULLS LAST, LastName").await;
    let nulls_first = caller.query("SELECT LastName FROM User ORDER BY Department DESC, LastName DESC").await;
    assert_eq!(list(descending), ["bob", "ann"]);
    assert_eq!(list(nulls_last), ["ann", "cid", "Account", "bob"]);
    assert_eq!(list(nulls_first), ["bob", "Account", "cid", "ann"]);
}

#[tokio::test]
async fn parents_are_objects_and_missing_ones_null() {
    let (_simulator, caller) = small_org().await;
    let soql = "SELECT Profile.Name, Profile.UserLicense.Name, UserRole.Name, Manager.Name FROM User LIMIT 1";
    let row = caller.query(soql).await.json["records"][0].clone();
    assert_eq!(row["Profile"]["UserLicense"]["Name"], "Salesforce");
    assert_eq!(row["Profile"]["attributes"]["type"], "Profile");
    assert_eq!((&row["UserRole"], &row["Manager"]), (&Json::Null, &Json::Null));
}

#[tokio::test]
async fn counts_are_numbers_or_an_aggregate() {
    let (_simulator, caller) = small_org().await;
    let count = caller.query("SELECT COUNT() FROM User").await;
    let named = caller.query("SELECT COUNT(Title) n FROM User").await;
    assert_eq!(count.text, "{\"totalSize\":4,\"done\":true,\"records\":[]}");
    assert_eq!(named.json["records"][0], json!({"attributes": {"type": "AggregateResult"}, "n": 2}));
}

#[tokio::test]
async fn who_may_not_manage_users_sees_only_own_logins() {
    let simulator = simulator(2).await;
    let _other = crate::client::caller(&simulator, "user0001@acme.example", "Welcome-0001").await;
    let caller = crate::client::caller(&simulator, "user0002@acme.example", "Welcome-0002").await;
    let own = caller.id_of("user0002@acme.example").await;

    let history = caller.query("SELECT UserId FROM LoginHistory LIMIT 1").await;
    let logins = caller.query("SELECT Id FROM UserLogin").await;

    assert_eq!((&history.json["totalSize"], &history.json["records"][0]["UserId"]), (&json!(1), &json!(own)));
    assert_eq!(logins.code(), "INVALID_TYPE");
}

#[tokio::test]
async fn long_answers_come_in_pages_that_can_be_lost() {
    let simulator = simulator(450).await;
    let caller = admin(&simulator).await;
    let ask = || {
        let request = caller.request(reqwest::Method::GET, &query_path("SELECT Id FROM User"));
        Answer::of(request.header("sforce-query-options", "batchSize=200"))
    };

    let first = ask().await;
    let second = caller.get(first.json["nextRecordsUrl"].as_str().unwrap()).await;
    let third = caller.get(second.json["nextRecordsUrl"].as_str().unwrap()).await;
    let fresh = ask().await;
    simulator.switch(&Switches { close_cursors: true, ..Switches::default() }).unwrap();
    let lost = caller.get(fresh.json["nextRecordsUrl"].as_str().unwrap()).await;

    let sizes = [&first, &second, &third].map(|it| it.json["records"].as_array().unwrap().len());
    assert_eq!(sizes, [200, 200, 51]);
    assert_eq!((&first.json["done"], &third.json["done"]), (&json!(false), &json!(true)));
    assert_eq!((lost.status.as_u16(), lost.code()), (400, "INVALID_QUERY_LOCATOR"));
}

#[tokio::test]
async fn mistakes_are_answered_in_the_real_shape() {
    let (_simulator, caller) = small_org().await;
    for (soql, code, message) in [
        (
            "select count() from XYZZY",
            "INVALID_TYPE",
            "\nselect count() from XYZZY\n                    ^\nERROR at Row:1:Column:21\nsObject type 'XYZZY' is not supported.",
        ),
        (
            "SELECT Foo FROM User",
            "INVALID_FIELD",
            "\nSELECT Foo FROM User\n       ^\nERROR at Row:1:Column:8\nNo such column 'Foo' on entity 'User'.",
        ),
        ("SELECT Id FROM User WHERE A = 1 AND B = 2 OR C = 3", "MALFORMED_QUERY", "unexpected token: 'OR'"),
        (
            "SELECT Id FROM User WHERE Name = \"x\"",
            "MALFORMED_QUERY",
            "line 1:33 no viable alternative at character '\"'",
        ),
    ] {
        let answer = caller.query(soql).await;
        assert_eq!((answer.status.as_u16(), answer.code()), (400, code), "{soql}");
        assert!(answer.message().starts_with(message), "{soql}: {}", answer.message());
    }
}

/// Plant `' OR Name LIKE '%` in a value and it must stay a value: the parser takes the escaped text as it was meant.
#[tokio::test]
async fn awkward_values_come_back_as_they_went_in() {
    let simulator = simulator(1).await;
    let caller = admin(&simulator).await;
    let resource = format!("sobjects/User/{}", caller.id_of("user0001@acme.example").await);
    for value in ["%", "_", "\\", "\\%", "'", "';--", "a\nb", "\u{1f600}", "x' OR Name LIKE '%", "tab\there \"q\""] {
        caller.patch(&resource, &json!({"Department": value})).await;
        let escaped = value.replace('\\', "\\\\").replace('\'', "\\'").replace('\n', "\\n").replace('\t', "\\t");
        let equal = caller.query(&format!("SELECT Department FROM User WHERE Department = '{escaped}'")).await;
        let like = escaped.replace('%', "\\%").replace('_', "\\_");
        let like = caller.query(&format!("SELECT Department FROM User WHERE Department LIKE '%{like}%'")).await;
        for answer in [equal, like] {
            assert_eq!(answer.json["totalSize"], 1, "{value:?}: {}", answer.text);
            assert_eq!(answer.json["records"][0]["Department"], value);
        }
    }
}

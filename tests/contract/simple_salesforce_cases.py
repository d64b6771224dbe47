"""What simple-salesforce does to the simulator, case by case. Started by `run`."""

import csv
import io
import json
import os
import sys
import tempfile
import traceback
from urllib.parse import urlsplit, urlunsplit

import requests
from requests.adapters import HTTPAdapter
from simple_salesforce import Salesforce, SFType, format_soql
from simple_salesforce.exceptions import (
    SalesforceAuthenticationFailed,
    SalesforceExpiredSession,
    SalesforceMalformedRequest,
    SalesforceOperationError,
    SalesforceResourceNotFound,
)

READY = json.load(open(os.environ["READY"], encoding="utf-8"))
CA = os.environ["CA"]
APP_KEY = open(os.environ["APP_KEY"], encoding="utf-8").read()
USER, PASSWORD, TOKEN = READY["username"], READY["password"], READY["security_token"]
KEY, SECRET = READY["consumer_key"], READY["consumer_secret"]


class ToSimulator(HTTPAdapter):
    """Sends calls for any host to the simulator, keeping the name in the Host header.

    The library builds https://{domain}.salesforce.com itself; this is the door it leaves open.
    """

    def send(self, request, **kwargs):
        parts = urlsplit(request.url)
        simulator = urlsplit(READY["https_url"]).netloc
        request.headers["Host"] = parts.netloc
        request.url = urlunsplit((parts.scheme, simulator, parts.path, parts.query, parts.fragment))
        return super().send(request, **kwargs)


def session():
    it = requests.Session()
    it.mount("https://", ToSimulator())
    # Otherwise proxies and certificate bundles of the environment would win over what is set here.
    it.trust_env = False
    it.verify = CA
    return it


def admin(method, path, body=None):
    with requests.Session() as plain:
        plain.trust_env = False
        answer = plain.request(method, READY["http_url"] + "/__sim/" + path, json=body, timeout=30)
    answer.raise_for_status()
    return answer.json() if answer.content else None


def login():
    return Salesforce(username=USER, password=PASSWORD, security_token=TOKEN, session=session())


def new_user(salesforce, name, **more):
    profile = salesforce.query("SELECT Id FROM Profile WHERE Name = 'Standard User'")["records"][0]["Id"]
    return {
        "Username": name,
        "LastName": "Contract",
        "FirstName": "Py",
        "Email": name,
        "Alias": "pyc",
        "ProfileId": profile,
        "TimeZoneSidKey": "Europe/Paris",
        "LocaleSidKey": "en_US",
        "EmailEncodingKey": "UTF-8",
        "LanguageLocaleKey": "en_US",
        **more,
    }


def refused(error, call):
    """The error a call is refused with."""
    try:
        call()
    except error as it:
        return it
    raise AssertionError(f"{error.__name__} was expected")


CASES = []


def case(function):
    CASES.append(function)
    return function


@case
def soap_login_with_a_security_token():
    salesforce = login()
    assert salesforce.session_id.startswith("00D")
    assert salesforce.sf_instance == "login.salesforce.com"


@case
def soap_login_in_a_trusted_range_needs_no_token():
    Salesforce(username=USER, password=PASSWORD, organizationId="00D5g0000000001", session=session())


@case
def soap_login_outside_the_trusted_ranges_needs_the_token():
    admin("POST", "switches", {"source_ip": "203.0.113.7"})
    try:
        error = refused(
            SalesforceAuthenticationFailed,
            lambda: Salesforce(username=USER, password=PASSWORD, security_token="", session=session()),
        )
        assert error.code == "LOGIN_MUST_USE_SECURITY_TOKEN", error.code
        login()
    finally:
        admin("POST", "switches", {"source_ip": ""})


@case
def a_wrong_password_is_an_invalid_login():
    error = refused(
        SalesforceAuthenticationFailed,
        lambda: Salesforce(username=USER, password="wrong<&>", security_token=TOKEN, session=session()),
    )
    assert error.code == "INVALID_LOGIN", error.code
    assert error.auth_message == "Invalid username, password, security token; or user locked out."


@case
def oauth_password_login():
    it = Salesforce(username=USER, password=PASSWORD, consumer_key=KEY, consumer_secret=SECRET, session=session())
    assert it.query("SELECT Id FROM Organization")["totalSize"] == 1


@case
def oauth_errors_are_objects():
    error = refused(
        SalesforceAuthenticationFailed,
        lambda: Salesforce(username=USER, password=PASSWORD, consumer_key="no", consumer_secret="no", session=session()),
    )
    assert error.code == "invalid_client_id", error.code


@case
def jwt_bearer_login():
    it = Salesforce(username=USER, consumer_key=KEY, privatekey=APP_KEY, session=session())
    assert it.query("SELECT Id FROM User WHERE Username = '%s'" % USER)["totalSize"] == 1


@case
def client_credentials_login_at_the_domain():
    it = Salesforce(consumer_key=KEY, consumer_secret=SECRET, domain="acme.my", session=session())
    assert it.sf_instance == "acme.my.salesforce.com"
    assert it.limits()["DailyApiRequests"]["Max"] == 100000


@case
def queries_are_paged():
    salesforce = login()
    first = salesforce.query("SELECT Id, Username, Profile.UserLicense.Name FROM User")
    assert not first["done"] and len(first["records"]) == 2000
    second = salesforce.query_more(first["nextRecordsUrl"], identifier_is_url=True)
    assert len(second["records"]) == 2000
    everything = salesforce.query_all("SELECT Id FROM User")
    assert everything["done"] and len({it["Id"] for it in everything["records"]}) == everything["totalSize"] == 4501
    assert sum(1 for _ in salesforce.query_all_iter("SELECT Id FROM User WHERE IsActive = false")) == 450


@case
def values_are_escaped_by_the_library_as_the_parser_expects():
    salesforce = login()
    name = "O'Neil 50%_off\\ \"x\""
    salesforce.User.update(user_id(salesforce, "user0001@acme.example"), {"Title": name})
    soql = format_soql("SELECT Title FROM User WHERE Title = {}", name)
    assert salesforce.query(soql)["records"][0]["Title"] == name
    soql = format_soql("SELECT Title FROM User WHERE Title LIKE '%{:like}%'", "50%_off\\")
    assert salesforce.query(soql)["totalSize"] == 1
    soql = format_soql("SELECT Title FROM User WHERE Title LIKE '%{:like}%'", "50__off")
    assert salesforce.query(soql)["totalSize"] == 0


def user_id(salesforce, username):
    return salesforce.query(format_soql("SELECT Id FROM User WHERE Username = {}", username))["records"][0]["Id"]


@case
def a_user_is_made_read_and_changed():
    salesforce = login()
    made = salesforce.User.create(new_user(salesforce, "py1@contract.example", Department="R&D <Ö>"))
    assert made["success"] and made["errors"] == []
    row = salesforce.User.get(made["id"])
    assert row["Name"] == "Py Contract" and row["Department"] == "R&D <Ö>" and row["IsActive"] is True
    assert salesforce.User.update(made["id"], {"IsActive": False, "Username": "py1b@contract.example"}) == 204
    row = salesforce.query("SELECT IsActive, Username FROM User WHERE Id = '%s'" % made["id"])["records"][0]
    assert row["IsActive"] is False and row["Username"] == "py1b@contract.example"


@case
def refused_records_name_code_and_field():
    salesforce = login()
    error = refused(SalesforceMalformedRequest, lambda: salesforce.User.create(new_user(salesforce, USER)))
    assert error.content[0]["errorCode"] == "DUPLICATE_USERNAME" and error.content[0]["fields"] == ["Username"]
    error = refused(SalesforceMalformedRequest, lambda: salesforce.User.create({"LastName": "x"}))
    assert error.content[0]["errorCode"] == "REQUIRED_FIELD_MISSING"
    error = refused(SalesforceMalformedRequest, lambda: salesforce.query("SELECT Foo FROM User"))
    assert error.content[0]["errorCode"] == "INVALID_FIELD" and "ERROR at Row:1:Column:8" in error.content[0]["message"]
    refused(SalesforceResourceNotFound, lambda: salesforce.User.get("0055g000000zzzz"))
    refused(SalesforceResourceNotFound, lambda: salesforce.Account.get("0015g0000000001"))


@case
def passwords_are_set_and_used():
    salesforce = login()
    id = user_id(salesforce, "user0002@acme.example")
    salesforce.set_password(id, "Brand-New-77")
    it = Salesforce(username="user0002@acme.example", password="Brand-New-77", organizationId="x", session=session())
    assert it.session_id
    try:
        salesforce.set_password(id, "short")
    except Exception as error:
        assert "INVALID_NEW_PASSWORD" in str(error), error
    else:
        raise AssertionError("a short password was taken")


@case
def objects_are_described():
    salesforce = login()
    assert {"User", "UserRole", "Profile", "UserLicense", "UserLogin", "LoginHistory"} <= {
        it["name"] for it in salesforce.describe()["sobjects"]
    }
    fields = {it["name"]: it for it in salesforce.User.describe()["fields"]}
    assert fields["Alias"]["length"] == 8 and not fields["Alias"]["nillable"]
    assert len(fields["TimeZoneSidKey"]["picklistValues"]) == 85
    assert fields["ProfileId"]["referenceTo"] == ["Profile"]


@case
def collections_report_each_row():
    salesforce = login()
    rows = [{"attributes": {"type": "User"}, **new_user(salesforce, f"pyc{n}@contract.example")} for n in range(3)]
    rows[1]["Alias"] = "waytoolongalias"
    answer = salesforce.restful("composite/sobjects", method="POST", json={"allOrNone": False, "records": rows})
    assert [it["success"] for it in answer] == [True, False, True]
    assert answer[1]["errors"][0]["statusCode"] == "STRING_TOO_LONG" and "id" not in answer[1]
    changes = [{"attributes": {"type": "User"}, "Id": answer[n]["id"], "Title": "T"} for n in (0, 2)]
    answer = salesforce.restful("composite/sobjects", method="PATCH", json={"allOrNone": True, "records": changes})
    assert all(it["success"] for it in answer)


@case
def composite_calls_refer_to_each_other():
    salesforce = login()
    url = f"/services/data/v{salesforce.sf_version}"
    answer = salesforce.restful(
        "composite",
        method="POST",
        json={
            "compositeRequest": [
                {"method": "GET", "referenceId": "p", "url": f"{url}/query?q=SELECT+Id+FROM+Profile+LIMIT+1"},
                {"method": "GET", "referenceId": "r", "url": f"{url}/sobjects/Profile/@{{p.records[0].Id}}"},
                {"method": "GET", "referenceId": "n", "url": f"{url}/sobjects/User/0055g000000zzzz"},
            ]
        },
    )["compositeResponse"]
    assert [it["httpStatusCode"] for it in answer] == [200, 200, 404]
    assert answer[2]["body"][0]["errorCode"] == "NOT_FOUND"


@case
def freezing_goes_through_user_login():
    salesforce = login()
    id = user_id(salesforce, "user0003@acme.example")
    row = salesforce.query(f"SELECT Id, IsFrozen FROM UserLogin WHERE UserId = '{id}'")["records"][0]
    assert row["IsFrozen"] is False
    it = SFType("UserLogin", salesforce.session_id, salesforce.sf_instance, session=session())
    it.update(row["Id"], {"IsFrozen": True})
    error = refused(
        SalesforceAuthenticationFailed,
        lambda: Salesforce(
            username="user0003@acme.example", password="Welcome-0003", organizationId="x", session=session()
        ),
    )
    assert error.code == "INVALID_LOGIN"


def csv_rows(text):
    return list(csv.DictReader(io.StringIO(text)))


@case
def bulk_insert_reports_each_record():
    salesforce = login()
    rows = [new_user(salesforce, f"pyb{n}@contract.example", IsActive=False) for n in range(5)]
    rows[1]["Alias"] = "waytoolongalias"
    rows[2]["Department"] = 'Sales, "East"\nand <West>'
    told = salesforce.bulk2.User.insert(records=rows, wait=0.01)[0]
    assert (told["numberRecordsProcessed"], told["numberRecordsFailed"]) == (5, 1), told
    made = csv_rows(salesforce.bulk2.User.get_successful_records(told["job_id"]))
    failed = csv_rows(salesforce.bulk2.User.get_failed_records(told["job_id"]))
    assert [it["Username"] for it in made] != sorted(it["Username"] for it in made)
    assert all(it["sf__Created"] == "true" and it["sf__Id"].startswith("005") for it in made)
    assert failed[0]["Username"] == rows[1]["Username"] and failed[0]["sf__Id"] == ""
    code, rest = failed[0]["sf__Error"].split(":", 1)
    assert code == "STRING_TOO_LONG" and rest.endswith(":Alias --"), failed[0]
    assert salesforce.bulk2.User.get_unprocessed_records(told["job_id"]).count("\n") == 1
    id = next(it["sf__Id"] for it in made if it["Username"] == rows[2]["Username"])
    assert salesforce.User.get(id)["Department"] == rows[2]["Department"]


@case
def bulk_update_waits_for_the_job():
    salesforce = login()
    ids = [user_id(salesforce, f"user001{n}@acme.example") for n in range(1, 4)]
    admin("POST", "switches", {"bulk_polls": 3})
    try:
        changes = [{"Id": it, "Title": "Bulk", "Department": "#N/A"} for it in ids]
        told = salesforce.bulk2.User.update(records=changes, wait=0.01)[0]
    finally:
        admin("POST", "switches", {"bulk_polls": 0})
    assert (told["numberRecordsProcessed"], told["numberRecordsFailed"]) == (3, 0), told
    assert salesforce.query("SELECT Id FROM User WHERE Title = 'Bulk' AND Department = null")["totalSize"] == 3


@case
def bulk_files_are_split_into_jobs():
    salesforce = login()
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "users.csv")
        first = salesforce.query_all("SELECT Id FROM User WHERE IsActive = true LIMIT 100")["records"]
        with open(path, "w", encoding="utf-8", newline="") as file:
            rows = csv.writer(file, lineterminator="\n")
            rows.writerow(["Id", "Division"])
            rows.writerows([it["Id"], "Split"] for it in first)
        told = salesforce.bulk2.User.update(csv_file=path, batch_size=40, wait=0.01)
    assert [it["numberRecordsProcessed"] for it in told] == [40, 40, 20], told
    assert salesforce.query("SELECT COUNT() FROM User WHERE Division = 'Split'")["totalSize"] == 100


@case
def a_failed_bulk_job_is_an_error():
    salesforce = login()
    error = refused(
        SalesforceOperationError,
        lambda: salesforce.bulk2.User.update(records=[{"Id": "x", "Nothing": "x"}], wait=0.01),
    )
    assert "InvalidBatch : Field name not found : Nothing" in str(error), error


@case
def bulk_queries_are_paged():
    salesforce = login()
    soql = "SELECT Id, Username, Profile.UserLicense.Name FROM User WHERE Username LIKE 'user%'"
    pages = list(salesforce.bulk2.User.query(soql, max_records=2000, wait=0.01))
    rows = [row for page in pages for row in csv_rows(page)]
    assert len(pages) == 3 and len({it["Id"] for it in rows}) == 4500, (len(pages), len(rows))
    assert rows[0]["Profile.UserLicense.Name"] == "Salesforce"


@case
def limits_are_told_with_every_call():
    salesforce = login()
    salesforce.limits()
    assert salesforce.api_usage["api-usage"].total == 100000


@case
def an_expired_session_is_renewed_only_by_who_can_log_in():
    salesforce = login()
    bare = Salesforce(session_id=salesforce.session_id, instance=salesforce.sf_instance, session=session())
    admin("POST", "switches", {"expire_sessions": True})
    error = refused(SalesforceExpiredSession, lambda: bare.query("SELECT Id FROM User LIMIT 1"))
    assert error.content[0]["errorCode"] == "INVALID_SESSION_ID"
    assert salesforce.query("SELECT Id FROM User LIMIT 1")["totalSize"] == 1


def main():
    failed = 0
    for function in CASES:
        name = function.__name__.replace("_", " ")
        try:
            function()
        except Exception:
            failed += 1
            print(f"FAILED {name}")
            traceback.print_exc(file=sys.stdout)
        else:
            print(f"ok {name}")
    return 1 if failed else 0


sys.exit(main())

"""One piece of work done with simple-salesforce, measured from outside by `batches`.

Usage: simple_salesforce_client.py WORK MODE URL DATASET OUTPUT
Prints how many records were done. Modes are the ways the library offers: `bulk` and `collections`, or `pages`.
"""

import csv
import sys
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlsplit, urlunsplit

import requests
from requests.adapters import HTTPAdapter
from simple_salesforce import Salesforce, format_soql

WORK, MODE, URL, DATASET, OUTPUT = sys.argv[1:6]
KEY, SECRET = sys.argv[6:8]
# Names in one statement: as many as the longest URL that Salesforce takes has room for.
NAMES = 350
# Records in one call of the collections, as many as Salesforce takes.
RECORDS = 200
# Calls under way at once where there is one for each record.
AT_ONCE = 8
WAIT = 0.02


class ToSimulator(HTTPAdapter):
    """The library knows only https; the simulator is asked over plain HTTP, as everybody else in the comparison."""

    def send(self, request, **kwargs):
        parts = urlsplit(request.url)
        request.url = urlunsplit((urlsplit(URL).scheme, urlsplit(URL).netloc, parts.path, parts.query, parts.fragment))
        return super().send(request, **kwargs)


session = requests.Session()
session.mount("https://", ToSimulator(pool_maxsize=AT_ONCE))
session.trust_env = False
token = session.post(
    "https://login/services/oauth2/token",
    data={"grant_type": "client_credentials", "client_id": KEY, "client_secret": SECRET},
).json()["access_token"]
salesforce = Salesforce(instance_url="https://simulator", session_id=token, version="66.0", session=session)


def chunks(rows, size):
    return (rows[at : at + size] for at in range(0, len(rows), size))


def dataset():
    with open(DATASET, encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def ids(names):
    found = {}
    for some in chunks(names, NAMES):
        soql = format_soql("SELECT Id, Username FROM User WHERE Username IN {}", some)
        found.update((it["Username"], it["Id"]) for it in salesforce.query_all(soql)["records"])
    return found


def at_once(work, rows):
    with ThreadPoolExecutor(AT_ONCE) as pool:
        return sum(1 for _ in pool.map(work, rows))


def write(records, insert):
    if MODE == "bulk":
        method = salesforce.bulk2.User.insert if insert else salesforce.bulk2.User.update
        done = 0
        for job in method(records=records, wait=WAIT):
            succeeded = salesforce.bulk2.User.get_successful_records(job["job_id"])
            salesforce.bulk2.User.get_failed_records(job["job_id"])
            done += sum(1 for _ in csv.reader(succeeded.splitlines())) - 1
        return done
    done = 0
    for some in chunks(records, RECORDS):
        body = {"allOrNone": False, "records": [{"attributes": {"type": "User"}, **record} for record in some]}
        told = salesforce.restful("composite/sobjects", method="POST" if insert else "PATCH", json=body)
        done += sum(1 for it in told if it["success"])
    return done


def creates():
    return write(dataset(), True)


def modifies():
    rows = dataset()
    known = ids([row["Username"] for row in rows])
    for row in rows:
        row["Id"] = known[row.pop("Username")]
    return write(rows, False)


def switches():
    rows = dataset()

    def switch(row):
        found = salesforce.query(format_soql("SELECT Id FROM User WHERE Username = {}", row["Username"]))
        salesforce.User.update(found["records"][0]["Id"], {"IsActive": row["isActive"] == "true"})

    return at_once(switch, rows)


def passwords():
    rows = dataset()
    known = ids([row["Username"] for row in rows])

    def give(row):
        path = f"sobjects/User/{known[row['Username']]}/password"
        salesforce._call_salesforce("POST", salesforce.base_url + path, json={"NewPassword": row["password"]})

    return at_once(give, rows)


def export():
    soql = open(DATASET, encoding="utf-8").read().strip()
    with open(OUTPUT, "w", encoding="utf-8", newline="") as file:
        if MODE == "bulk":
            done = 0
            for page, text in enumerate(salesforce.bulk2.User.query(soql, max_records=50000, wait=WAIT)):
                head, _, rows = text.partition("\n")
                file.write(text if page == 0 else rows)
                done += sum(1 for _ in csv.reader(rows.splitlines()))
            return done
        done, writer = 0, None
        for record in salesforce.query_all_iter(soql):
            del record["attributes"]
            writer = writer or csv.writer(file)
            if done == 0:
                writer.writerow(record.keys())
            writer.writerow(record.values())
            done += 1
        return done


print({"creates": creates, "modifies": modifies, "switches": switches, "passwords": passwords, "export": export}[WORK]())

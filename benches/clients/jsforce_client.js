// One piece of work done with jsforce, measured from outside by `batches`.
//
// Usage: jsforce_client.js WORK MODE URL DATASET OUTPUT KEY SECRET
// Prints how many records were done. Modes are the ways the library offers: `bulk` and `collections`, or `pages`.

import { createWriteStream, readFileSync } from 'node:fs';
import { pipeline } from 'node:stream/promises';
import jsforce from 'jsforce';

const [WORK, MODE, URL_, DATASET, OUTPUT, KEY, SECRET] = process.argv.slice(2);
// Names in one statement: as many as the longest URL that Salesforce takes has room for.
const NAMES = 350;
// Calls under way at once where there is one for each record.
const AT_ONCE = 10;
const POLLS = { pollInterval: 20, pollTimeout: 600_000 };

const form = new URLSearchParams({ grant_type: 'client_credentials', client_id: KEY, client_secret: SECRET });
const { access_token: accessToken } = await (
  await fetch(`${URL_}/services/oauth2/token`, { method: 'POST', body: form })
).json();
const connection = new jsforce.Connection({ instanceUrl: URL_, accessToken, version: '66.0', maxRequest: AT_ONCE });

// The datasets of this comparison have no quoted cells.
function dataset() {
  const [head, ...rows] = readFileSync(DATASET, 'utf8').trim().split('\n');
  const names = head.split(',');
  return rows.map((row) => {
    const cells = row.split(',');
    return Object.fromEntries(names.map((name, at) => [name, cells[at]]));
  });
}

async function ids(names) {
  const found = new Map();
  for (let at = 0; at < names.length; at += NAMES) {
    const list = names.slice(at, at + NAMES).map((name) => `'${name}'`).join(',');
    const { records } = await connection.query(`SELECT Id, Username FROM User WHERE Username IN (${list})`);
    for (const it of records) found.set(it.Username, it.Id);
  }
  return found;
}

async function atOnce(rows, work) {
  const left = rows[Symbol.iterator]();
  await Promise.all(Array.from({ length: AT_ONCE }, async () => {
    for (const row of left) await work(row);
  }));
  return rows.length;
}

async function write(records, operation) {
  if (MODE === 'bulk') {
    const { successfulResults } = await connection.bulk2.loadAndWaitForResults({
      object: 'User', operation, input: records, ...POLLS,
    });
    return successfulResults.length;
  }
  const users = connection.sobject('User');
  const told = operation === 'insert'
    ? await users.create(records, { allowRecursive: true })
    : await users.update(records, { allowRecursive: true });
  return told.filter((it) => it.success).length;
}

const works = {
  async creates() {
    return write(dataset(), 'insert');
  },

  async modifies() {
    const rows = dataset();
    const known = await ids(rows.map((row) => row.Username));
    return write(rows.map(({ Username, ...fields }) => ({ Id: known.get(Username), ...fields })), 'update');
  },

  async switches() {
    return atOnce(dataset(), async ({ Username, isActive }) => {
      const { records } = await connection.query(`SELECT Id FROM User WHERE Username = '${Username}'`);
      await connection.sobject('User').update({ Id: records[0].Id, IsActive: isActive === 'true' });
    });
  },

  async passwords() {
    const rows = dataset();
    const known = await ids(rows.map((row) => row.Username));
    return atOnce(rows, async ({ Username, password }) => {
      await connection.requestPost(`/sobjects/User/${known.get(Username)}/password`, { NewPassword: password });
    });
  },

  async export() {
    const soql = readFileSync(DATASET, 'utf8').trim();
    if (MODE === 'bulk') {
      const records = await connection.bulk2.query(soql, POLLS);
      let done = 0;
      records.on('record', () => { done += 1; });
      await pipeline(records.stream('csv'), createWriteStream(OUTPUT));
      return done;
    }
    const file = createWriteStream(OUTPUT);
    let done = 0;
    let page = await connection.query(soql);
    for (;;) {
      for (const { attributes, ...fields } of page.records) {
        if (done === 0) file.write(`${Object.keys(fields).join(',')}\n`);
        file.write(`${Object.values(fields).map((it) => (it === null ? '' : `"${String(it).replaceAll('"', '""')}"`)).join(',')}\n`);
        done += 1;
      }
      if (page.done) break;
      page = await connection.queryMore(page.nextRecordsUrl);
    }
    await new Promise((ended) => { file.end(ended); });
    return done;
  },
};

console.log(await works[WORK]());

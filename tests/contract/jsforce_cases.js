// What jsforce does to the simulator, case by case. Started by `run`.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import jsforce from 'jsforce';

const READY = JSON.parse(readFileSync(process.env.READY, 'utf8'));
const { https_url: URL_, username: USER, password: PASSWORD, security_token: TOKEN } = READY;

async function admin(method, path, body) {
  const answer = await fetch(`${READY.http_url}/__sim/${path}`, { method, body: body && JSON.stringify(body) });
  assert.ok(answer.ok, await answer.clone().text());
  return answer.status === 204 ? undefined : answer.json();
}

async function login() {
  const connection = new jsforce.Connection({ loginUrl: URL_, version: '64.0' });
  await connection.login(USER, PASSWORD + TOKEN);
  return connection;
}

async function newUser(connection, name, more = {}) {
  const { records } = await connection.query("SELECT Id FROM Profile WHERE Name = 'Standard User'");
  return {
    Username: name,
    LastName: 'Contract',
    Email: name,
    Alias: 'jsc',
    ProfileId: records[0].Id,
    TimeZoneSidKey: 'Asia/Tokyo',
    LocaleSidKey: 'en_US',
    EmailEncodingKey: 'UTF-8',
    LanguageLocaleKey: 'en_US',
    ...more,
  };
}

async function idOf(connection, username) {
  const user = await connection.sobject('User').findOne({ Username: username }, ['Id']);
  return user.Id;
}

const cases = {
  async 'soap login'() {
    const connection = new jsforce.Connection({ loginUrl: URL_, version: '64.0' });
    const info = await connection.login(USER, PASSWORD + TOKEN);
    assert.match(info.id, /^005.{15}$/);
    assert.match(info.organizationId, /^00D.{15}$/);
    assert.equal(connection.instanceUrl, URL_);
  },

  async 'a refused soap login carries the fault'() {
    const connection = new jsforce.Connection({ loginUrl: URL_ });
    await assert.rejects(connection.login(USER, 'wrong'), /INVALID_LOGIN: Invalid username, password/);
  },

  async 'oauth password login'() {
    const connection = new jsforce.Connection({
      oauth2: { loginUrl: URL_, clientId: READY.consumer_key, clientSecret: READY.consumer_secret },
    });
    const info = await connection.login(USER, PASSWORD);
    assert.match(info.id, /^005/);
    const who = await connection.identity();
    assert.equal(who.username, USER);
  },

  async 'client credentials login'() {
    const connection = new jsforce.Connection({
      instanceUrl: URL_,
      oauth2: { loginUrl: URL_, clientId: READY.consumer_key, clientSecret: READY.consumer_secret },
    });
    await connection.authorize({ grant_type: 'client_credentials' });
    assert.equal((await connection.query('SELECT Id FROM Organization')).totalSize, 1);
  },

  async 'an expired password is not a login'() {
    const connection = await login();
    const id = await idOf(connection, 'user0004@acme.example');
    const reset = await connection.request({ method: 'DELETE', url: `/sobjects/User/${id}/password` });
    assert.equal(reset.NewPassword.length, 9);
    const state = await connection.request(`/sobjects/User/${id}/password`);
    assert.deepEqual(state, { isExpired: true });
    const other = new jsforce.Connection({ loginUrl: URL_ });
    await assert.rejects(other.login('user0004@acme.example', reset.NewPassword), /password/i);
  },

  async 'queries are paged'() {
    const connection = await login();
    const first = await connection.query('SELECT Id FROM User');
    assert.equal(first.records.length, 2000);
    assert.equal(first.done, false);
    const second = await connection.queryMore(first.nextRecordsUrl);
    assert.equal(second.records.length, 2000);
    const all = await connection.query('SELECT Id, Profile.UserLicense.Name FROM User', {
      autoFetch: true,
      maxFetch: 10000,
    });
    assert.equal(all.records.length, 4501);
    assert.equal(all.records[0].Profile.UserLicense.Name, 'Salesforce');
  },

  async 'find builds queries the parser takes'() {
    const connection = await login();
    const rows = await connection
      .sobject('User')
      .find({ Username: { $like: 'user000%' }, IsActive: true, CreatedDate: { $gte: jsforce.SfDate.YESTERDAY } }, 'Id, Username')
      .sort({ Username: -1 })
      .limit(3)
      .skip(1);
    assert.deepEqual(
      rows.map((it) => it.Username),
      ['user0008@acme.example', 'user0007@acme.example', 'user0006@acme.example'],
    );
    assert.equal(await connection.sobject('User').count({ IsActive: false }), 450);
    const some = await connection.sobject('User').find({ $or: [{ Alias: 'user0001' }, { Alias: { $in: ['user0002'] } }] });
    assert.equal(some.length, 2);
  },

  async 'a user is made, read and changed'() {
    const connection = await login();
    const users = connection.sobject('User');
    const made = await users.create(await newUser(connection, 'js1@contract.example'));
    assert.equal(made.success, true);
    const row = await users.retrieve(made.id);
    assert.equal(row.Name, 'Contract');
    assert.equal(row.IsActive, true);
    const changed = await users.update({ Id: made.id, IsActive: false });
    assert.deepEqual([changed.success, changed.id], [true, made.id]);
    assert.equal((await users.retrieve(made.id)).IsActive, false);
  },

  async 'refused records name code and field'() {
    const connection = await login();
    const user = await newUser(connection, USER);
    await assert.rejects(connection.sobject('User').create(user), (error) => {
      assert.equal(error.errorCode, 'DUPLICATE_USERNAME');
      assert.deepEqual(error.data.fields ?? error.data, ['Username']);
      return true;
    });
    await assert.rejects(connection.query('SELECT Id FROM XYZZY'), { errorCode: 'INVALID_TYPE' });
    await assert.rejects(connection.query('SELECT Id FROM User WHERE'), { errorCode: 'MALFORMED_QUERY' });
    await assert.rejects(connection.sobject('User').retrieve('0055g000000zzzz'), { errorCode: 'NOT_FOUND' });
  },

  async 'users cannot be deleted'() {
    const connection = await login();
    const id = await idOf(connection, 'user0005@acme.example');
    await assert.rejects(connection.sobject('User').destroy(id));
  },

  async 'arrays go through collections'() {
    const connection = await login();
    const users = connection.sobject('User');
    const rows = await Promise.all(['jsa', 'jsb', 'jsc'].map((it) => newUser(connection, `${it}@contract.example`)));
    rows[1].TimeZoneSidKey = 'Mars/Olympus';
    const made = await users.create(rows);
    assert.deepEqual(made.map((it) => it.success), [true, false, true]);
    assert.equal(made[1].errors[0].statusCode, 'INVALID_OR_NULL_FOR_RESTRICTED_PICKLIST');
    const changed = await users.update([
      { Id: made[0].id, Title: 'One' },
      { Id: made[2].id, Title: 'Two' },
    ]);
    assert.ok(changed.every((it) => it.success));
    const read = await users.retrieve([made[0].id, made[2].id]);
    assert.deepEqual(read.map((it) => it.Title), ['One', 'Two']);
    const undone = await users.update([{ Id: made[0].id, Title: 'Three' }, { Id: made[2].id, Alias: 'waytoolongalias' }], {
      allOrNone: true,
    });
    assert.deepEqual(undone.map((it) => it.errors[0].statusCode), ['ALL_OR_NONE_OPERATION_ROLLED_BACK', 'STRING_TOO_LONG']);
    assert.equal((await users.retrieve(made[0].id)).Title, 'One');
  },

  async 'more than two hundred rows are cut by the client'() {
    const connection = await login();
    const rows = [];
    for (let n = 0; n < 210; n += 1) rows.push(await newUser(connection, `jsmany${n}@contract.example`, { IsActive: false }));
    const made = await connection.sobject('User').create(rows, { allowRecursive: true });
    assert.equal(made.filter((it) => it.success).length, 210);
  },

  async 'passwords are set over REST and SOAP'() {
    const connection = await login();
    const id = await idOf(connection, 'user0006@acme.example');
    await connection.request({
      method: 'POST',
      url: `/sobjects/User/${id}/password`,
      body: JSON.stringify({ NewPassword: 'Rest-Password-1' }),
      headers: { 'content-type': 'application/json' },
    });
    await new jsforce.Connection({ loginUrl: URL_ }).login('user0006@acme.example', 'Rest-Password-1');
    await connection.soap.setPassword(id, 'Soap-Password-2');
    await new jsforce.Connection({ loginUrl: URL_ }).login('user0006@acme.example', 'Soap-Password-2');
    await assert.rejects(connection.soap.setPassword(id, 'short'), /INVALID_NEW_PASSWORD|at least 8/);
    const reset = await connection.soap.resetPassword(id);
    assert.equal(reset.password.length, 9);
  },

  async 'getUserInfo and getServerTimestamp answer over SOAP'() {
    const connection = await login();
    const info = await connection.soap.getUserInfo();
    assert.equal(info.userName, USER);
    const { timestamp } = await connection.soap.getServerTimestamp();
    assert.ok(Math.abs(new Date(timestamp) - Date.now()) < 60_000);
  },

  async 'objects are described'() {
    const connection = await login();
    const global = await connection.describeGlobal();
    assert.ok(global.sobjects.some((it) => it.name === 'UserLicense'));
    const user = await connection.sobject('User').describe();
    assert.equal(user.fields.find((it) => it.name === 'Username').length, 80);
    assert.equal(user.fields.find((it) => it.name === 'LanguageLocaleKey').picklistValues.length, 12);
    assert.equal(user.deletable, false);
  },

  async 'bulk jobs report each record'() {
    const connection = await login();
    const rows = await Promise.all(
      ['jsb1', 'jsb2', 'jsb3'].map((it) => newUser(connection, `${it}@contract.example`, { IsActive: false })),
    );
    rows[1].LastName = '';
    const made = await connection.bulk2.loadAndWaitForResults({
      object: 'User',
      operation: 'insert',
      input: rows,
      pollInterval: 10,
      pollTimeout: 30000,
    });
    assert.deepEqual(made.successfulResults.map((it) => it.Username).sort(), [rows[0].Username, rows[2].Username]);
    assert.ok(made.successfulResults.every((it) => it.sf__Created === 'true' && /^005.{15}$/.test(it.sf__Id)));
    assert.equal(made.failedResults.length, 1);
    assert.equal(
      made.failedResults[0].sf__Error,
      'REQUIRED_FIELD_MISSING:Required fields are missing: [LastName]:LastName --',
    );
    assert.equal(made.unprocessedRecords.length, 0);
    const changed = await connection.bulk2.loadAndWaitForResults({
      object: 'User',
      operation: 'update',
      input: made.successfulResults.map((it) => ({ Id: it.sf__Id, Title: 'Bulk, "quoted"' })),
      pollInterval: 10,
      pollTimeout: 30000,
    });
    assert.equal(changed.successfulResults.length, 2);
    assert.equal(await connection.sobject('User').count({ Title: 'Bulk, "quoted"' }), 2);
  },

  async 'a bulk job is polled, aborted and deleted'() {
    const connection = await login();
    await admin('POST', 'switches', { bulk_polls: 1000 });
    const job = connection.bulk2.createJob({ object: 'User', operation: 'update' });
    await job.open();
    await job.uploadData(`Id,Title\n${await idOf(connection, 'user0007@acme.example')},Never\n`);
    await job.close();
    await admin('POST', 'switches', { bulk_polls: 0 });
    assert.equal((await job.check()).state, 'UploadComplete');
    await job.abort();
    assert.equal((await job.check()).state, 'Aborted');
    await job.delete();
    await assert.rejects(job.check(), { errorCode: 'NOT_FOUND' });
  },

  async 'bulk queries give every record'() {
    const connection = await login();
    const records = await connection.bulk2.query(
      "SELECT Id, Username, Profile.Name FROM User WHERE Username LIKE 'user%'",
      { pollInterval: 10, pollTimeout: 30000 },
    );
    const rows = await records.toArray();
    assert.equal(new Set(rows.map((it) => it.Id)).size, 4500);
    assert.equal(rows[0]['Profile.Name'], 'Standard User');
    await assert.rejects(connection.bulk2.query('SELECT COUNT() FROM User', { pollInterval: 10, pollTimeout: 30000 }));
  },

  async 'changes of a span of time are told'() {
    const connection = await login();
    const now = Date.now();
    await admin('POST', 'switches', { advance_secs: 120 });
    const id = await idOf(connection, 'user0008@acme.example');
    await connection.sobject('User').update({ Id: id, Title: 'Told' });
    await admin('POST', 'switches', { advance_secs: 60 });
    const told = await connection.sobject('User').updated(new Date(now + 60_000), new Date(now + 600_000));
    assert.deepEqual(told.ids, [id]);
    const gone = await connection.sobject('UserRole').deleted(new Date(now - 600_000), new Date(now));
    assert.deepEqual(gone.deletedRecords, []);
  },

  async 'permission sets are given and taken away'() {
    const connection = await login();
    const [set] = await connection.sobject('PermissionSet').find({ Name: 'Report_Builder' }, ['Id']);
    const AssigneeId = await idOf(connection, 'user0009@acme.example');
    const assignments = connection.sobject('PermissionSetAssignment');
    const made = await assignments.create({ AssigneeId, PermissionSetId: set.Id });
    await assert.rejects(assignments.create({ AssigneeId, PermissionSetId: set.Id }), { errorCode: 'DUPLICATE_VALUE' });
    const deleted = await assignments.destroy([made.id]);
    assert.deepEqual(deleted.map((it) => it.success), [true]);
    assert.equal(await assignments.count(), 0);
  },

  async 'limits are told with every call'() {
    const connection = await login();
    await connection.query('SELECT Id FROM User LIMIT 1');
    assert.equal(connection.limitInfo.apiUsage.limit, 100000);
    assert.equal((await connection.limits()).DailyApiRequests.Max, 100000);
  },

  async 'an expired session is renewed by the client'() {
    const connection = await login();
    await admin('POST', 'switches', { expire_sessions: true });
    await assert.rejects(
      new jsforce.Connection({ instanceUrl: URL_, accessToken: connection.accessToken }).query('SELECT Id FROM User LIMIT 1'),
      { errorCode: 'INVALID_SESSION_ID' },
    );
    // `login` taught this connection how to log in again.
    assert.equal((await connection.query('SELECT Id FROM User LIMIT 1')).totalSize, 1);
  },

  async 'reads are repeated after a 503'() {
    const connection = await login();
    await admin('POST', 'faults', { when: { path: '/query' }, what: { respond: { status: 503 } }, times: 1 });
    assert.equal((await connection.query('SELECT Id FROM User LIMIT 1')).totalSize, 1);
  },

  async 'logout ends the session'() {
    const connection = await login();
    const token = connection.accessToken;
    await connection.logout();
    await assert.rejects(
      new jsforce.Connection({ instanceUrl: URL_, accessToken: token }).query('SELECT Id FROM User LIMIT 1'),
      { errorCode: 'INVALID_SESSION_ID' },
    );
  },
};

let failed = 0;
for (const [name, run] of Object.entries(cases)) {
  try {
    await run();
    console.log(`ok ${name}`);
  } catch (error) {
    failed += 1;
    console.log(`FAILED ${name}`);
    console.log(error.stack ?? error);
  }
}
process.exit(failed ? 1 : 0);

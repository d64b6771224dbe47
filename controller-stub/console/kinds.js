// Every kind of task: what it is called, and the fields of its form. A field is a parameter of the same name, unless what it
// holds is `sealed`, as the secret of that name. What comes of some is a file that is sealed to this page.

import { choice } from "./form.js";

const ACCOUNT = { name: "account", label: "Account", required: true, hint: "The user name in Salesforce, such as joe@example.com." };
const EMAIL = { name: "email", label: "New e-mail address", hint: "Empty: it stays as it is. Whoever reads the new address has to confirm it." };
const PASSWORD = { name: "password", label: "New password", type: "secret", autocomplete: "new-password", sealed: "password" };
const REPEAT = {
  name: "repeat_if_unknown",
  label: "Do it once more if there was no answer",
  type: "check",
  hint: "Of Salesforce's own reset, when no effect is to be seen. In the worst case the user gets two mails.",
};

export const KINDS = [
  { kind: "test_connection", number: 1, label: "Test the connection", what: "Proves that Salesforce can be reached and signed in to. Changes nothing.", fields: [] },
  { kind: "validate_user", number: 2, label: "Look a user up", what: "Tells whether there is such a user, and in which state. Changes nothing.", fields: [ACCOUNT] },
  { kind: "enable_user", number: 3, label: "Enable a user", what: "Makes the user active; one who is frozen stays so. Takes up a license.", fields: [ACCOUNT] },
  {
    kind: "disable_user",
    number: 4,
    label: "Disable a user",
    what: "Keeps the user from signing in, and frees the license.",
    fields: [
      ACCOUNT,
      choice("if_refused", "If Salesforce refuses", [
        ["fail", "the task fails and says what stands in the way"],
        ["freeze", "the user is frozen instead"],
      ]),
    ],
  },
  { kind: "freeze_user", number: 8, label: "Freeze a user", what: "Suspends the user's sign-in at once, without freeing the license.", fields: [ACCOUNT] },
  { kind: "unfreeze_user", number: 9, label: "Unfreeze a user", what: "Ends the suspension of the user's sign-in.", fields: [ACCOUNT] },
  { kind: "unlock_user", number: 10, label: "Unlock a user", what: "Lets a user sign in again who was locked by too many wrong passwords.", fields: [ACCOUNT] },
  {
    kind: "reset_password",
    number: 5,
    label: "Reset a password",
    what: "Gives the user a new password. What you type is sealed in this browser: only the agents can open it.",
    fields: [
      ACCOUNT,
      choice("source", "The new password", [
        ["given", "is the one below", "was given"],
        ["generated", "is made up by the agent, and shown here", "is made up by the agent"],
        ["service", "is left to Salesforce, which mails the user a link"],
      ]),
      { ...PASSWORD, hint: "Only if it is to be the one below.", when: (values) => values.source === "given" },
      REPEAT,
    ],
    wantsKey: (values) => values.source === "generated",
  },
  { kind: "expire_password", number: 6, label: "Expire a password", what: "Makes the user's password useless at once; Salesforce mails the user a link.", fields: [ACCOUNT, REPEAT] },
  {
    kind: "deprovision_user",
    number: 11,
    label: "Deprovision a user",
    what: "Takes the user out of use for good: renamed, with a password nobody knows, disabled.",
    fields: [ACCOUNT, { name: "new_name", label: "New user name", hint: "Empty: the old one with .deleted behind it." }, EMAIL],
  },
  {
    kind: "restore_user",
    number: 12,
    label: "Restore a user",
    what: "Puts a user back who was taken out of use.",
    fields: [
      { ...ACCOUNT, hint: "The present user name, such as joe@example.com.deleted." },
      { name: "name", label: "User name to get back", required: true },
      EMAIL,
      { ...PASSWORD, hint: "Empty: the user gets none.", when: (values) => values.password !== "" },
    ],
  },
  {
    kind: "import_batch",
    number: 7,
    label: "Import a dataset",
    what: "Creates and modifies users from a file. It is sealed in this browser: only the agents can read it. A CSV file begins with a line such as changetype,Username,Title: in changetype stands add or modify, the others are called as Salesforce calls them.",
    fields: [
      { name: "dataset", label: "Dataset", type: "file", required: true, accept: ".xml,.csv,.tsv,.jsonl,.ndjson", hint: "XML, CSV or JSON Lines, up to 64 MiB here; larger ones are submitted with postern-controller.", sealed: "dataset_key", of: ["dataset_key", "streams"] },
      choice("format", "Written as", [
        ["", "what the file's name says"],
        ["xml", "XML"],
        ["csv", "CSV"],
        ["jsonl", "JSON Lines"],
      ]),
      choice("delimiter", "Cells of a CSV file are parted by", [
        ["found_out", "what its header has most of"],
        ["comma", "commas"],
        ["semicolon", "semicolons"],
        ["tab", "tabs"],
        ["pipe", "vertical bars"],
      ], { rare: true }),
      { name: "dry_run", label: "Dry run", type: "check", hint: "Says what would be changed, entry by entry, and changes nothing." },
      { name: "all_or_none", rare: true, label: "All or none", type: "check", hint: "Sends nothing unless every entry passes the checks that can be made before." },
      { name: "bulk_threshold", rare: true, label: "In bulk from", type: "number", hint: "More entries than this to create, or to modify, go as one job in bulk. Empty: 1000." },
      { name: "account_id", rare: true, label: "Attribute with your account id", hint: "Empty: Username. Each line of the results tells its value." },
      { name: "login_id", rare: true, label: "Attribute with the login id", hint: "Empty: Username." },
      { name: "audit_key", rare: true, label: "Attribute for the audit log", hint: "Its value stands with each entry there. Empty: none." },
      { name: "attributes", label: "Rules for attributes", rare: true, type: "json", hint: 'A list such as [{"attribute": "Title", "difference": "diff_with_target", "audited": true}].' },
    ],
  },
  {
    kind: "export",
    number: 13,
    label: "Export records",
    what: "Reads records and hands them over as a file that only this page can open.",
    isSealedFile: true,
    fields: [
      { name: "object", label: "Class of records", required: true, usual: "User", hint: "As Salesforce names it, such as User." },
      choice("format", "Written as", [
        ["csv", "CSV"],
        ["jsonl", "JSON Lines"],
        ["xml", "XML"],
      ]),
      { name: "attributes", label: "Attributes", type: "lines", hint: "One a line. None: those of the schema." },
      { name: "clause", label: "Condition in SOQL", hint: "Such as IsActive = true. Empty: all records." },
      { name: "filter", rare: true, label: "Filter", type: "json", hint: "As docs/protocol.md describes it. Empty: none." },
      { name: "delta", rare: true, label: "Only what changed", type: "json", hint: 'A cursor, such as {"cursor": "nightly"}. Empty: everything.' },
    ],
  },
  {
    kind: "collect",
    number: 15,
    label: "Collect users",
    what: "Gathers everything about users, and tells who is there no longer. Only this page can open the file.",
    isSealedFile: true,
    fields: [
      { name: "name", label: "Collection", required: true, hint: "Who was seen is remembered under this name." },
      choice("user_status", "Users", [
        ["all", "all"],
        ["active", "those who may sign in"],
        ["inactive", "those who may not"],
      ]),
      { name: "logins", rare: true, label: "Sign-ins of each user", type: "number", hint: "The newest ones, at most 100. Empty: 10." },
    ],
  },
  {
    kind: "describe_schema",
    number: 14,
    label: "Describe the schema",
    what: "Says which attributes records have, and what may be done with them. Only this page can open the file.",
    isSealedFile: true,
    fields: [
      { name: "objects", label: "Classes of records", type: "lines", hint: "One a line. None: those of the schema in force." },
      { name: "add", rare: true, label: "More attributes", type: "lines", hint: "One a line, such as User.Size__c." },
      { name: "custom", rare: true, label: "Every attribute that your org made", type: "check" },
    ],
  },
];

/** Fields that every kind has. */
export const COMMON = [
  choice("origin", "On behalf of", [
    ["administrator", "an administrator"],
    ["user", "the user"],
    ["obo_user", "somebody on behalf of the user"],
    ["workflow", "a workflow"],
  ], { rare: true }),
  { name: "deadline_secs", rare: true, label: "Begin within", type: "number", hint: "Seconds from now, after which it is not begun any more. Empty: no deadline." },
  { name: "priority", rare: true, label: "Priority", type: "number", hint: "0 to 255; larger goes first. Empty: 100." },
];

export const kindOf = (name) => KINDS.find((it) => it.kind === name);

export const labelOf = (name) => kindOf(name)?.label ?? name;

/** Whether something is sealed in the browser, or to it. */
export const seals = (kind) => Boolean(kind.isSealedFile || kind.wantsKey || kind.fields.some((field) => field.sealed));

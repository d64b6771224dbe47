#compdef postern

autoload -U is-at-least

_postern() {
    typeset -A opt_args
    typeset -a _arguments_options
    local ret=1

    if is-at-least 5.2; then
        _arguments_options=(-s -S -C)
    else
        _arguments_options=(-s -C)
    fi

    local context curcontext="$curcontext" state line
    _arguments "${_arguments_options[@]}" : \
'-c+[The configuration file]:FILE:_files' \
'--config=[The configuration file]:FILE:_files' \
'-h[Print help]' \
'--help[Print help]' \
'-V[Print version]' \
'--version[Print version]' \
":: :_postern_commands" \
"*::: :->postern" \
&& ret=0
    case $state in
    (postern)
        words=($line[1] "${words[@]}")
        (( CURRENT += 1 ))
        curcontext="${curcontext%:*:*}:postern-command-$line[1]:"
        case $line[1] in
            (enroll)
_arguments "${_arguments_options[@]}" : \
'*--controller=[The controller, as \`wss\://host\:port\`; may be repeated, and all are remembered]:URL:_default' \
'--token-file=[A file with the token; without either, the token is read from the standard input]:FILE:_files' \
'-c+[The configuration file]:FILE:_files' \
'--config=[The configuration file]:FILE:_files' \
'--again[Become a new member although this agent is one already. An operator approves the new member and revokes the old one (needs the role administrator); what the agent holds and owes stays in its store]' \
'--json[Print JSON]' \
'-h[Print help (see more with '\''--help'\'')]' \
'--help[Print help (see more with '\''--help'\'')]' \
'::token -- The token. Other users of this host can see it in the process list; `--token-file` keeps it from them:_default' \
&& ret=0
;;
(doctor)
_arguments "${_arguments_options[@]}" : \
'--system=[This connected system alone, as the configuration names it]:NAME:_default' \
'--bundle=[Write what was found, with versions, the configuration and figures about the store, to this new file for whoever helps. It holds no secret, and no name of an account unless --with-names says so]:FILE:_files' \
'-c+[The configuration file]:FILE:_files' \
'--config=[The configuration file]:FILE:_files' \
'--offline[Do not leave this host]' \
'--strict[Let warnings count as failures]' \
'--json[Print JSON]' \
'(--bundle --system --offline --strict)--show-config[Print every key of the configuration, what holds for it and where that came from, and look at nothing else]' \
'--with-names[Leave names of accounts in the bundle]' \
'-h[Print help (see more with '\''--help'\'')]' \
'--help[Print help (see more with '\''--help'\'')]' \
&& ret=0
;;
(run)
_arguments "${_arguments_options[@]}" : \
'--ready-file=[Write this file once the first session is established, and remove it when the agent stops\: its existence tells a script that the agent is up]:FILE:_files' \
'--sealing-key-secs=[For tests\: for how many seconds secrets are sealed to one key]:SECONDS:_default' \
'--sealing-key-keep-secs=[For tests\: for how many seconds a key opens secrets after that]:SECONDS:_default' \
'-c+[The configuration file]:FILE:_files' \
'--config=[The configuration file]:FILE:_files' \
'-h[Print help (see more with '\''--help'\'')]' \
'--help[Print help (see more with '\''--help'\'')]' \
&& ret=0
;;
(status)
_arguments "${_arguments_options[@]}" : \
'--interval=[How often to look]:TIME:_default' \
'-c+[The configuration file]:FILE:_files' \
'--config=[The configuration file]:FILE:_files' \
'--json[Print JSON; with --watch, a line of it whenever something changed]' \
'-v[Name the accounts that tasks are about, and tell of all that went wrong lately]' \
'--verbose[Name the accounts that tasks are about, and tell of all that went wrong lately]' \
'--watch[Go on until Ctrl-C\: draw the screen anew on a terminal, elsewhere say what changed in lines]' \
'-h[Print help (see more with '\''--help'\'')]' \
'--help[Print help (see more with '\''--help'\'')]' \
&& ret=0
;;
(health)
_arguments "${_arguments_options[@]}" : \
'-c+[The configuration file]:FILE:_files' \
'--config=[The configuration file]:FILE:_files' \
'--json[Print JSON]' \
'-h[Print help (see more with '\''--help'\'')]' \
'--help[Print help (see more with '\''--help'\'')]' \
':word -- What is asked:((live\:"Its parts move and its disk takes what it writes"
ready\:"And it has what it needs to be given work"
useful\:"And it can do some now"))' \
&& ret=0
;;
(log-level)
_arguments "${_arguments_options[@]}" : \
'--system=[Of this connected system only]:NAME:_default' \
'--for=[For how long, at most a day, e.g. 2h or 30m]:TIME:_default' \
'-c+[The configuration file]:FILE:_files' \
'--config=[The configuration file]:FILE:_files' \
'--json[Print JSON]' \
'-h[Print help (see more with '\''--help'\'')]' \
'--help[Print help (see more with '\''--help'\'')]' \
':level -- error, warn, info, debug or trace; `configured` ends it:_default' \
&& ret=0
;;
(exec)
_arguments "${_arguments_options[@]}" : \
'-c+[The configuration file]:FILE:_files' \
'--config=[The configuration file]:FILE:_files' \
'-h[Print help (see more with '\''--help'\'')]' \
'--help[Print help (see more with '\''--help'\'')]' \
":: :_postern__subcmd__exec_commands" \
"*::: :->exec" \
&& ret=0

    case $state in
    (exec)
        words=($line[1] "${words[@]}")
        (( CURRENT += 1 ))
        curcontext="${curcontext%:*:*}:postern-exec-command-$line[1]:"
        case $line[1] in
            (test_connection)
_arguments "${_arguments_options[@]}" : \
'--system=[The connected system, as the configuration names it]:NAME:_default' \
'-c+[The configuration file]:FILE:_files' \
'--config=[The configuration file]:FILE:_files' \
'--json[Print JSON]' \
'-h[Print help]' \
'--help[Print help]' \
&& ret=0
;;
(validate_user)
_arguments "${_arguments_options[@]}" : \
'--account=[The account'\''s user name]:USERNAME:_default' \
'--system=[The connected system, as the configuration names it]:NAME:_default' \
'-c+[The configuration file]:FILE:_files' \
'--config=[The configuration file]:FILE:_files' \
'--json[Print JSON]' \
'-h[Print help]' \
'--help[Print help]' \
&& ret=0
;;
(enable_user)
_arguments "${_arguments_options[@]}" : \
'--account=[The account'\''s user name]:USERNAME:_default' \
'--system=[The connected system, as the configuration names it]:NAME:_default' \
'-c+[The configuration file]:FILE:_files' \
'--config=[The configuration file]:FILE:_files' \
'--json[Print JSON]' \
'-h[Print help]' \
'--help[Print help]' \
&& ret=0
;;
(disable_user)
_arguments "${_arguments_options[@]}" : \
'--account=[The account'\''s user name]:USERNAME:_default' \
'--system=[The connected system, as the configuration names it]:NAME:_default' \
'--if-refused=[What becomes of an account that the connected system refuses to disable\: fail or freeze]:WHAT:_default' \
'-c+[The configuration file]:FILE:_files' \
'--config=[The configuration file]:FILE:_files' \
'--json[Print JSON]' \
'-h[Print help]' \
'--help[Print help]' \
&& ret=0
;;
(freeze_user)
_arguments "${_arguments_options[@]}" : \
'--account=[The account'\''s user name]:USERNAME:_default' \
'--system=[The connected system, as the configuration names it]:NAME:_default' \
'-c+[The configuration file]:FILE:_files' \
'--config=[The configuration file]:FILE:_files' \
'--json[Print JSON]' \
'-h[Print help]' \
'--help[Print help]' \
&& ret=0
;;
(unfreeze_user)
_arguments "${_arguments_options[@]}" : \
'--account=[The account'\''s user name]:USERNAME:_default' \
'--system=[The connected system, as the configuration names it]:NAME:_default' \
'-c+[The configuration file]:FILE:_files' \
'--config=[The configuration file]:FILE:_files' \
'--json[Print JSON]' \
'-h[Print help]' \
'--help[Print help]' \
&& ret=0
;;
(unlock_user)
_arguments "${_arguments_options[@]}" : \
'--account=[The account'\''s user name]:USERNAME:_default' \
'--system=[The connected system, as the configuration names it]:NAME:_default' \
'-c+[The configuration file]:FILE:_files' \
'--config=[The configuration file]:FILE:_files' \
'--json[Print JSON]' \
'-h[Print help]' \
'--help[Print help]' \
&& ret=0
;;
(reset_password)
_arguments "${_arguments_options[@]}" : \
'--account=[The account'\''s user name]:USERNAME:_default' \
'--system=[The connected system, as the configuration names it]:NAME:_default' \
'--password-file=[A file with the new password, one line; \`-\` is standard input]:FILE:_files' \
'--generate=[Make a password up and write it to this file, which must not be there yet and which only you can read]:FILE:_files' \
'--temporary=[With --service\: write the temporary password that Salesforce makes up, good until the user has chosen a new one, to this file, which must not be there yet and which only you can read. Without it nobody learns that password]:FILE:_files' \
'-c+[The configuration file]:FILE:_files' \
'--config=[The configuration file]:FILE:_files' \
'--json[Print JSON]' \
'--service[Salesforce'\''s own reset\: the old password is dead, and the user gets a mail with a link to choose a new one]' \
'--repeat-if-unknown[With --service\: do it once more if there was no answer and no effect is to be seen\: in the worst case the user gets a second mail]' \
'-h[Print help]' \
'--help[Print help]' \
&& ret=0
;;
(expire_password)
_arguments "${_arguments_options[@]}" : \
'--account=[The account'\''s user name]:USERNAME:_default' \
'--system=[The connected system, as the configuration names it]:NAME:_default' \
'-c+[The configuration file]:FILE:_files' \
'--config=[The configuration file]:FILE:_files' \
'--json[Print JSON]' \
'--repeat-if-unknown[Do it once more if there was no answer and no effect is to be seen\: in the worst case the user gets a second mail]' \
'-h[Print help]' \
'--help[Print help]' \
&& ret=0
;;
(deprovision_user)
_arguments "${_arguments_options[@]}" : \
'--account=[The account'\''s user name]:USERNAME:_default' \
'--system=[The connected system, as the configuration names it]:NAME:_default' \
'--new-name=[Its new name; without it, the old one with \`.deleted\` behind it]:USERNAME:_default' \
'--email=[Its new e-mail address; without it, the old one stays]:ADDRESS:_default' \
'-c+[The configuration file]:FILE:_files' \
'--config=[The configuration file]:FILE:_files' \
'--json[Print JSON]' \
'-h[Print help (see more with '\''--help'\'')]' \
'--help[Print help (see more with '\''--help'\'')]' \
&& ret=0
;;
(restore_user)
_arguments "${_arguments_options[@]}" : \
'--account=[The account'\''s user name]:USERNAME:_default' \
'--system=[The connected system, as the configuration names it]:NAME:_default' \
'--name=[The name it gets back]:USERNAME:_default' \
'--email=[The e-mail address it gets; without it, the present one stays]:ADDRESS:_default' \
'--password-file=[A file with its new password, one line; \`-\` is standard input]:FILE:_files' \
'-c+[The configuration file]:FILE:_files' \
'--config=[The configuration file]:FILE:_files' \
'--json[Print JSON]' \
'-h[Print help]' \
'--help[Print help]' \
&& ret=0
;;
(import_batch)
_arguments "${_arguments_options[@]}" : \
'--system=[The connected system, as the configuration names it]:NAME:_default' \
'--dataset=[The dataset]:FILE:_files' \
'--format=[How it is written\: xml, csv or jsonl; without this, the file'\''s extension says it]:FORMAT:_default' \
'--delimiter=[What parts the cells of a CSV file, as it is or by its name\: comma, semicolon, tab or pipe; \`found_out\` looks at the header]:DELIMITER:_default' \
'--bulk-threshold=[More entries than this to create, or to modify, go as one job in bulk]:N:_default' \
'*--attribute=[How an attribute is treated\: \`replace\`, \`diff_with_target\`, \`add_diff_with_target\` or \`remove_diff_with_target\`, \`encrypted\`, \`audited\`; may be repeated]:NAME=WORD,…:_default' \
'--audit-key=[The attribute whose value stands with each entry in the audit log, beside the account]:NAME:_default' \
'--account-id=[The attribute whose value is the account'\''s id for you, e.g. \`Id\`, \`FederationIdentifier\` or \`EmployeeNumber\`; each line of the results tells it]:NAME:_default' \
'--login-id=[The attribute whose value the account signs in with; each line of the results tells it]:NAME:_default' \
'--dynamic-system=[Which connected system entries are for\: \`none\` (this one), \`transaction_system_name\` (the one they name in \`Transaction-SystemName\`), \`global_variable\` (the one that a variable names)]:HOW:_default' \
'--system-variable=[The variable that names the connected system]:NAME:_default' \
'*--variable=[A variable; may be repeated]:NAME=VALUE:_default' \
'--results=[Write one JSON line for each entry here; the first twenty that failed are printed in any case. The file appears when it is whole, and replaces one that is there; only you can read it]:FILE:_files' \
'--failed=[Write the entries that did not succeed here, in the form of the dataset\: mended, it can be fed back. The file must not be there yet; only you can read it]:FILE:_files' \
'-c+[The configuration file]:FILE:_files' \
'--config=[The configuration file]:FILE:_files' \
'--json[Print JSON]' \
'--dry-run[Say what would be changed, entry by entry, and change nothing]' \
'--all-or-none[Send nothing unless every entry passes the checks that can be made before]' \
'-h[Print help]' \
'--help[Print help]' \
&& ret=0
;;
(export)
_arguments "${_arguments_options[@]}" : \
'--system=[The connected system, as the configuration names it]:NAME:_default' \
'--object=[The class of records, e.g. User or Profile]:OBJECT:_default' \
'*--attributes=[The attributes wanted, with commas between them; without it those of the schema]:NAME:_default' \
'*--mandatory=[Attributes without which the export is to fail]:NAME:_default' \
'--filter=[Which records, as JSON\: \`{"attribute"\: "Title", "contains"\: "50%"}\`, joined by \`{"and"\: \[…\]}\`, \`{"or"\: \[…\]}\` and \`{"not"\: …}\`]:JSON:_default' \
'--clause=[A condition in SOQL that must hold as well]:SOQL:_default' \
'--format=[How records are written\: jsonl, csv or xml]:FORMAT:_default' \
'*--date=[How an attribute'\''s moments are written, as \`NAME=DAY\:TIME\`; DAY is iso, american, european, dotted, compact or long, TIME is none, 24h or 12h. May be repeated]:NAME=DAY:TIME:_default' \
'--delta=[Only what changed since the cursor of this name was last written to a file]:CURSOR:_default' \
'--delta-mode=[Which attributes a delta tells of a record\: \`only_changed_attributes\`, \`changed_and_mandatory_attributes\` or \`all_attributes\`]:DELTA_MODE:_default' \
'--incidental=[Attributes, separated by commas, that alone make no change; nothing at all\: every attribute makes one. Without this, those that tell of logins, looks and changes\: \`LastLoginDate\`, \`SystemModstamp\` and their like]:NAMES:_default' \
'--size-hint=[About how many records are expected; without it the org is asked]:SIZE_HINT:_default' \
'--output=[The file. It appears when it is whole, and replaces one that is there]:FILE:_files' \
'-c+[The configuration file]:FILE:_files' \
'--config=[The configuration file]:FILE:_files' \
'--json[Print JSON]' \
'--restart[Begin the cursor anew]' \
'--change-log[Tell which attributes changed and when, instead of what they are]' \
'-h[Print help]' \
'--help[Print help]' \
&& ret=0
;;
(collect)
_arguments "${_arguments_options[@]}" : \
'--system=[The connected system, as the configuration names it]:NAME:_default' \
'--name=[The collection\: who was seen is remembered under this name, so that a later run can tell who is gone]:NAME:_default' \
'--user-status=[Which users\: active, inactive or all]:STATUS:_default' \
'--logins=[How many sign-ins are told of each user, the newest ones; at most 100]:N:_default' \
'--output=[The file, JSON Lines. It appears when it is whole, and replaces one that is there]:FILE:_files' \
'-c+[The configuration file]:FILE:_files' \
'--config=[The configuration file]:FILE:_files' \
'--json[Print JSON]' \
'-h[Print help]' \
'--help[Print help]' \
&& ret=0
;;
(describe_schema)
_arguments "${_arguments_options[@]}" : \
'--system=[The connected system, as the configuration names it]:NAME:_default' \
'*--object=[A class of records; may be repeated. Without it all of the schema in force]:NAME:_default' \
'*--add=[An attribute to add, as \`User.Size__c\`; may be repeated]:OBJECT.NAME:_default' \
'--output=[The file, XML. It appears when it is whole, and replaces one that is there]:FILE:_files' \
'-c+[The configuration file]:FILE:_files' \
'--config=[The configuration file]:FILE:_files' \
'--json[Print JSON]' \
'--custom[Add every attribute that the org made]' \
'-h[Print help]' \
'--help[Print help]' \
&& ret=0
;;
        esac
    ;;
esac
;;
(schema)
_arguments "${_arguments_options[@]}" : \
'--system=[The connected system, as the configuration names it]:NAME:_default' \
'-c+[The configuration file]:FILE:_files' \
'--config=[The configuration file]:FILE:_files' \
'-h[Print help (see more with '\''--help'\'')]' \
'--help[Print help (see more with '\''--help'\'')]' \
":: :_postern__subcmd__schema_commands" \
"*::: :->schema" \
&& ret=0

    case $state in
    (schema)
        words=($line[1] "${words[@]}")
        (( CURRENT += 1 ))
        curcontext="${curcontext%:*:*}:postern-schema-command-$line[1]:"
        case $line[1] in
            (show)
_arguments "${_arguments_options[@]}" : \
'-c+[The configuration file]:FILE:_files' \
'--config=[The configuration file]:FILE:_files' \
'-h[Print help]' \
'--help[Print help]' \
&& ret=0
;;
(export)
_arguments "${_arguments_options[@]}" : \
'--output=[To this file instead of the standard output]:FILE:_files' \
'-c+[The configuration file]:FILE:_files' \
'--config=[The configuration file]:FILE:_files' \
'-h[Print help]' \
'--help[Print help]' \
&& ret=0
;;
(import)
_arguments "${_arguments_options[@]}" : \
'--from=[The XML, e.g. what \`postern exec describe_schema\` wrote]:FILE:_files' \
'-c+[The configuration file]:FILE:_files' \
'--config=[The configuration file]:FILE:_files' \
'-h[Print help]' \
'--help[Print help]' \
&& ret=0
;;
(reset)
_arguments "${_arguments_options[@]}" : \
'-c+[The configuration file]:FILE:_files' \
'--config=[The configuration file]:FILE:_files' \
'-h[Print help]' \
'--help[Print help]' \
&& ret=0
;;
        esac
    ;;
esac
;;
(cursor)
_arguments "${_arguments_options[@]}" : \
'--system=[The connected system, as the configuration names it]:NAME:_default' \
'-c+[The configuration file]:FILE:_files' \
'--config=[The configuration file]:FILE:_files' \
'-h[Print help (see more with '\''--help'\'')]' \
'--help[Print help (see more with '\''--help'\'')]' \
":: :_postern__subcmd__cursor_commands" \
"*::: :->cursor" \
&& ret=0

    case $state in
    (cursor)
        words=($line[1] "${words[@]}")
        (( CURRENT += 1 ))
        curcontext="${curcontext%:*:*}:postern-cursor-command-$line[1]:"
        case $line[1] in
            (list)
_arguments "${_arguments_options[@]}" : \
'-c+[The configuration file]:FILE:_files' \
'--config=[The configuration file]:FILE:_files' \
'--json[Print JSON]' \
'-h[Print help]' \
'--help[Print help]' \
&& ret=0
;;
(forget)
_arguments "${_arguments_options[@]}" : \
'--object=[The class of records it is of, e.g. \`User\`]:NAME:_default' \
'--name=[Its name, as the exports give it]:NAME:_default' \
'-c+[The configuration file]:FILE:_files' \
'--config=[The configuration file]:FILE:_files' \
'-h[Print help]' \
'--help[Print help]' \
&& ret=0
;;
        esac
    ;;
esac
;;
(outbox)
_arguments "${_arguments_options[@]}" : \
'-c+[The configuration file]:FILE:_files' \
'--config=[The configuration file]:FILE:_files' \
'-h[Print help]' \
'--help[Print help]' \
":: :_postern__subcmd__outbox_commands" \
"*::: :->outbox" \
&& ret=0

    case $state in
    (outbox)
        words=($line[1] "${words[@]}")
        (( CURRENT += 1 ))
        curcontext="${curcontext%:*:*}:postern-outbox-command-$line[1]:"
        case $line[1] in
            (export)
_arguments "${_arguments_options[@]}" : \
'--output=[To this new file, which only its owner may read]:FILE:_files' \
'-c+[The configuration file]:FILE:_files' \
'--config=[The configuration file]:FILE:_files' \
'--json[Print JSON]' \
'-h[Print help (see more with '\''--help'\'')]' \
'--help[Print help (see more with '\''--help'\'')]' \
&& ret=0
;;
        esac
    ;;
esac
;;
(policy)
_arguments "${_arguments_options[@]}" : \
'-c+[The configuration file]:FILE:_files' \
'--config=[The configuration file]:FILE:_files' \
'-h[Print help (see more with '\''--help'\'')]' \
'--help[Print help (see more with '\''--help'\'')]' \
":: :_postern__subcmd__policy_commands" \
"*::: :->policy" \
&& ret=0

    case $state in
    (policy)
        words=($line[1] "${words[@]}")
        (( CURRENT += 1 ))
        curcontext="${curcontext%:*:*}:postern-policy-command-$line[1]:"
        case $line[1] in
            (check)
_arguments "${_arguments_options[@]}" : \
'-c+[The configuration file]:FILE:_files' \
'--config=[The configuration file]:FILE:_files' \
'--json[Print JSON]' \
'-h[Print help (see more with '\''--help'\'')]' \
'--help[Print help (see more with '\''--help'\'')]' \
':task -- The task, as JSON:_files' \
&& ret=0
;;
        esac
    ;;
esac
;;
(audit)
_arguments "${_arguments_options[@]}" : \
'-c+[The configuration file]:FILE:_files' \
'--config=[The configuration file]:FILE:_files' \
'-h[Print help]' \
'--help[Print help]' \
":: :_postern__subcmd__audit_commands" \
"*::: :->audit" \
&& ret=0

    case $state in
    (audit)
        words=($line[1] "${words[@]}")
        (( CURRENT += 1 ))
        curcontext="${curcontext%:*:*}:postern-audit-command-$line[1]:"
        case $line[1] in
            (verify)
_arguments "${_arguments_options[@]}" : \
'--dir=[Another directory than the agent'\''s own, e.g. a copy; it is not compared with the agent'\''s store then]:DIRECTORY:_files' \
'*--head=[A head that was noted before, as it was printed; may be repeated]:NUMBER:HASH:_default' \
'--after=[The head with which the older files ended that were moved away\: the log begins with the line after it]:NUMBER:HASH:_default' \
'-c+[The configuration file]:FILE:_files' \
'--config=[The configuration file]:FILE:_files' \
'--json[Print JSON]' \
'-h[Print help (see more with '\''--help'\'')]' \
'--help[Print help (see more with '\''--help'\'')]' \
&& ret=0
;;
(show)
_arguments "${_arguments_options[@]}" : \
'--dir=[Another directory than the agent'\''s own]:DIRECTORY:_files' \
'--task=[Only of this task]:TASK:_default' \
'--account=[Only of this account, as it is or was called]:NAME:_default' \
'--since=[Only from this day (in UTC), or this moment on]:TIME:_default' \
'--after=[The head with which the older files ended that were moved away]:NUMBER:HASH:_default' \
'-c+[The configuration file]:FILE:_files' \
'--config=[The configuration file]:FILE:_files' \
'--json[Print the events as JSON, one a line]' \
'-h[Print help (see more with '\''--help'\'')]' \
'--help[Print help (see more with '\''--help'\'')]' \
&& ret=0
;;
        esac
    ;;
esac
;;
(dataset)
_arguments "${_arguments_options[@]}" : \
'-c+[The configuration file]:FILE:_files' \
'--config=[The configuration file]:FILE:_files' \
'-h[Print help]' \
'--help[Print help]' \
":: :_postern__subcmd__dataset_commands" \
"*::: :->dataset" \
&& ret=0

    case $state in
    (dataset)
        words=($line[1] "${words[@]}")
        (( CURRENT += 1 ))
        curcontext="${curcontext%:*:*}:postern-dataset-command-$line[1]:"
        case $line[1] in
            (split)
_arguments "${_arguments_options[@]}" : \
'--by=[The attribute that names the connected system, in any case]:NAME:_default' \
'--output=[The folder for the datasets, which must not be there yet. It appears when all of them are whole; only you can read it]:FOLDER:_files' \
'--format=[How the dataset is written\: xml, csv or jsonl; without this, the file'\''s extension says it]:FORMAT:_default' \
'--delimiter=[What parts the cells of a CSV file, as it is or by its name\: comma, semicolon, tab or pipe; \`found_out\` looks at the header]:DELIMITER:_default' \
'-c+[The configuration file]:FILE:_files' \
'--config=[The configuration file]:FILE:_files' \
'--json[Print JSON]' \
'-h[Print help (see more with '\''--help'\'')]' \
'--help[Print help (see more with '\''--help'\'')]' \
':file -- The dataset:_files' \
&& ret=0
;;
        esac
    ;;
esac
;;
(store)
_arguments "${_arguments_options[@]}" : \
'-c+[The configuration file]:FILE:_files' \
'--config=[The configuration file]:FILE:_files' \
'-h[Print help (see more with '\''--help'\'')]' \
'--help[Print help (see more with '\''--help'\'')]' \
":: :_postern__subcmd__store_commands" \
"*::: :->store" \
&& ret=0

    case $state in
    (store)
        words=($line[1] "${words[@]}")
        (( CURRENT += 1 ))
        curcontext="${curcontext%:*:*}:postern-store-command-$line[1]:"
        case $line[1] in
            (rotate-key)
_arguments "${_arguments_options[@]}" : \
'--new-credential=[Take the new key from this systemd credential]:NAME:_default' \
'-c+[The configuration file]:FILE:_files' \
'--config=[The configuration file]:FILE:_files' \
'-h[Print help]' \
'--help[Print help]' \
&& ret=0
;;
        esac
    ;;
esac
;;
(reset-sign-in)
_arguments "${_arguments_options[@]}" : \
'--system=[The connected system, as the configuration names it]:NAME:_default' \
'-c+[The configuration file]:FILE:_files' \
'--config=[The configuration file]:FILE:_files' \
'-h[Print help (see more with '\''--help'\'')]' \
'--help[Print help (see more with '\''--help'\'')]' \
&& ret=0
;;
        esac
    ;;
esac
}

(( $+functions[_postern_commands] )) ||
_postern_commands() {
    local commands; commands=(
'enroll:Become a member of a cluster' \
'doctor:Find out what is wrong\: configuration, state directory, clock, controller, connected systems' \
'run:Run until told to stop\: keep a session with the controller and do the tasks it hands out' \
'status:Show how the agent with this configuration is\: its membership, its session, what it holds and owes, its disk, each connected system, and what went wrong lately' \
'health:Say whether the running agent is live, ready or useful, for probes of containers' \
'log-level:Have the running agent log more, or less, for a while\: of one connected system, or of everything' \
'exec:Run one task here, without a controller, through the same connector and journal' \
'schema:Look at, keep, replace or reset the schema of a connected system\: which attributes its records have' \
'cursor:Look at, or forget, what the deltas of a connected system have handed over' \
'outbox:Take out what this agent owes the controller, when that does not hear it any more' \
'policy:Say what this agent'\''s policy makes of a task, without doing it' \
'audit:Verify or show the audit log\: what this agent changed, and whether somebody changed the log' \
'dataset:Prepare a dataset for \`import_batch\`' \
'store:Change the key that the store is encrypted with' \
'reset-sign-in:Let the agent sign in again after the guard against lock-out stopped it' \
    )
    _describe -t commands 'postern commands' commands "$@"
}
(( $+functions[_postern__subcmd__audit_commands] )) ||
_postern__subcmd__audit_commands() {
    local commands; commands=(
'verify:Say whether the log was changed since it was written' \
'show:Show what was done\: one line an effect, oldest first' \
    )
    _describe -t commands 'postern audit commands' commands "$@"
}
(( $+functions[_postern__subcmd__audit__subcmd__show_commands] )) ||
_postern__subcmd__audit__subcmd__show_commands() {
    local commands; commands=()
    _describe -t commands 'postern audit show commands' commands "$@"
}
(( $+functions[_postern__subcmd__audit__subcmd__verify_commands] )) ||
_postern__subcmd__audit__subcmd__verify_commands() {
    local commands; commands=()
    _describe -t commands 'postern audit verify commands' commands "$@"
}
(( $+functions[_postern__subcmd__cursor_commands] )) ||
_postern__subcmd__cursor_commands() {
    local commands; commands=(
'list:Show every cursor\: of what it is, until when records were handed over, and how many it remembers' \
'forget:Forget a cursor' \
    )
    _describe -t commands 'postern cursor commands' commands "$@"
}
(( $+functions[_postern__subcmd__cursor__subcmd__forget_commands] )) ||
_postern__subcmd__cursor__subcmd__forget_commands() {
    local commands; commands=()
    _describe -t commands 'postern cursor forget commands' commands "$@"
}
(( $+functions[_postern__subcmd__cursor__subcmd__list_commands] )) ||
_postern__subcmd__cursor__subcmd__list_commands() {
    local commands; commands=()
    _describe -t commands 'postern cursor list commands' commands "$@"
}
(( $+functions[_postern__subcmd__dataset_commands] )) ||
_postern__subcmd__dataset_commands() {
    local commands; commands=(
'split:Write one dataset for each connected system that entries name' \
    )
    _describe -t commands 'postern dataset commands' commands "$@"
}
(( $+functions[_postern__subcmd__dataset__subcmd__split_commands] )) ||
_postern__subcmd__dataset__subcmd__split_commands() {
    local commands; commands=()
    _describe -t commands 'postern dataset split commands' commands "$@"
}
(( $+functions[_postern__subcmd__doctor_commands] )) ||
_postern__subcmd__doctor_commands() {
    local commands; commands=()
    _describe -t commands 'postern doctor commands' commands "$@"
}
(( $+functions[_postern__subcmd__enroll_commands] )) ||
_postern__subcmd__enroll_commands() {
    local commands; commands=()
    _describe -t commands 'postern enroll commands' commands "$@"
}
(( $+functions[_postern__subcmd__exec_commands] )) ||
_postern__subcmd__exec_commands() {
    local commands; commands=(
'test_connection:Prove that the connected system can be reached and signed in to' \
'validate_user:Look an account up' \
'enable_user:Let an account sign in' \
'disable_user:Keep an account from signing in' \
'freeze_user:Suspend an account'\''s sign-in at once, without freeing its license' \
'unfreeze_user:End the suspension of an account'\''s sign-in' \
'unlock_user:Let an account sign in again that too many wrong passwords locked' \
'reset_password:Give an account a new password\: one from a file, one made up here, or Salesforce'\''s own reset' \
'expire_password:Make an account'\''s password useless at once' \
'deprovision_user:Take an account out of use for good\: rename it, give it a password nobody knows, disable it' \
'restore_user:Put an account that was taken out of use back' \
'import_batch:Create and modify accounts from a dataset' \
'export:Write records of one class to a file' \
'collect:Write everything there is to know about users to a file, and who is there no longer' \
'describe_schema:Write the schema in force, refreshed from what the org says of itself, to a file' \
    )
    _describe -t commands 'postern exec commands' commands "$@"
}
(( $+functions[_postern__subcmd__exec__subcmd__collect_commands] )) ||
_postern__subcmd__exec__subcmd__collect_commands() {
    local commands; commands=()
    _describe -t commands 'postern exec collect commands' commands "$@"
}
(( $+functions[_postern__subcmd__exec__subcmd__deprovision_user_commands] )) ||
_postern__subcmd__exec__subcmd__deprovision_user_commands() {
    local commands; commands=()
    _describe -t commands 'postern exec deprovision_user commands' commands "$@"
}
(( $+functions[_postern__subcmd__exec__subcmd__describe_schema_commands] )) ||
_postern__subcmd__exec__subcmd__describe_schema_commands() {
    local commands; commands=()
    _describe -t commands 'postern exec describe_schema commands' commands "$@"
}
(( $+functions[_postern__subcmd__exec__subcmd__disable_user_commands] )) ||
_postern__subcmd__exec__subcmd__disable_user_commands() {
    local commands; commands=()
    _describe -t commands 'postern exec disable_user commands' commands "$@"
}
(( $+functions[_postern__subcmd__exec__subcmd__enable_user_commands] )) ||
_postern__subcmd__exec__subcmd__enable_user_commands() {
    local commands; commands=()
    _describe -t commands 'postern exec enable_user commands' commands "$@"
}
(( $+functions[_postern__subcmd__exec__subcmd__expire_password_commands] )) ||
_postern__subcmd__exec__subcmd__expire_password_commands() {
    local commands; commands=()
    _describe -t commands 'postern exec expire_password commands' commands "$@"
}
(( $+functions[_postern__subcmd__exec__subcmd__export_commands] )) ||
_postern__subcmd__exec__subcmd__export_commands() {
    local commands; commands=()
    _describe -t commands 'postern exec export commands' commands "$@"
}
(( $+functions[_postern__subcmd__exec__subcmd__freeze_user_commands] )) ||
_postern__subcmd__exec__subcmd__freeze_user_commands() {
    local commands; commands=()
    _describe -t commands 'postern exec freeze_user commands' commands "$@"
}
(( $+functions[_postern__subcmd__exec__subcmd__import_batch_commands] )) ||
_postern__subcmd__exec__subcmd__import_batch_commands() {
    local commands; commands=()
    _describe -t commands 'postern exec import_batch commands' commands "$@"
}
(( $+functions[_postern__subcmd__exec__subcmd__reset_password_commands] )) ||
_postern__subcmd__exec__subcmd__reset_password_commands() {
    local commands; commands=()
    _describe -t commands 'postern exec reset_password commands' commands "$@"
}
(( $+functions[_postern__subcmd__exec__subcmd__restore_user_commands] )) ||
_postern__subcmd__exec__subcmd__restore_user_commands() {
    local commands; commands=()
    _describe -t commands 'postern exec restore_user commands' commands "$@"
}
(( $+functions[_postern__subcmd__exec__subcmd__test_connection_commands] )) ||
_postern__subcmd__exec__subcmd__test_connection_commands() {
    local commands; commands=()
    _describe -t commands 'postern exec test_connection commands' commands "$@"
}
(( $+functions[_postern__subcmd__exec__subcmd__unfreeze_user_commands] )) ||
_postern__subcmd__exec__subcmd__unfreeze_user_commands() {
    local commands; commands=()
    _describe -t commands 'postern exec unfreeze_user commands' commands "$@"
}
(( $+functions[_postern__subcmd__exec__subcmd__unlock_user_commands] )) ||
_postern__subcmd__exec__subcmd__unlock_user_commands() {
    local commands; commands=()
    _describe -t commands 'postern exec unlock_user commands' commands "$@"
}
(( $+functions[_postern__subcmd__exec__subcmd__validate_user_commands] )) ||
_postern__subcmd__exec__subcmd__validate_user_commands() {
    local commands; commands=()
    _describe -t commands 'postern exec validate_user commands' commands "$@"
}
(( $+functions[_postern__subcmd__health_commands] )) ||
_postern__subcmd__health_commands() {
    local commands; commands=()
    _describe -t commands 'postern health commands' commands "$@"
}
(( $+functions[_postern__subcmd__log-level_commands] )) ||
_postern__subcmd__log-level_commands() {
    local commands; commands=()
    _describe -t commands 'postern log-level commands' commands "$@"
}
(( $+functions[_postern__subcmd__outbox_commands] )) ||
_postern__subcmd__outbox_commands() {
    local commands; commands=(
'export:Write the outcomes that the controller has not acknowledged to a file, one to a line, as JSON' \
    )
    _describe -t commands 'postern outbox commands' commands "$@"
}
(( $+functions[_postern__subcmd__outbox__subcmd__export_commands] )) ||
_postern__subcmd__outbox__subcmd__export_commands() {
    local commands; commands=()
    _describe -t commands 'postern outbox export commands' commands "$@"
}
(( $+functions[_postern__subcmd__policy_commands] )) ||
_postern__subcmd__policy_commands() {
    local commands; commands=(
'check:Say whether a task would be let through now, and which rule refuses it if not (exit code 1)' \
    )
    _describe -t commands 'postern policy commands' commands "$@"
}
(( $+functions[_postern__subcmd__policy__subcmd__check_commands] )) ||
_postern__subcmd__policy__subcmd__check_commands() {
    local commands; commands=()
    _describe -t commands 'postern policy check commands' commands "$@"
}
(( $+functions[_postern__subcmd__reset-sign-in_commands] )) ||
_postern__subcmd__reset-sign-in_commands() {
    local commands; commands=()
    _describe -t commands 'postern reset-sign-in commands' commands "$@"
}
(( $+functions[_postern__subcmd__run_commands] )) ||
_postern__subcmd__run_commands() {
    local commands; commands=()
    _describe -t commands 'postern run commands' commands "$@"
}
(( $+functions[_postern__subcmd__schema_commands] )) ||
_postern__subcmd__schema_commands() {
    local commands; commands=(
'show:Show the schema in force' \
'export:Write the schema in force as XML' \
'import:Replace the schema\: checks this XML and writes it to the file that the settings name' \
'reset:Write the standard schema to the file that the settings name' \
    )
    _describe -t commands 'postern schema commands' commands "$@"
}
(( $+functions[_postern__subcmd__schema__subcmd__export_commands] )) ||
_postern__subcmd__schema__subcmd__export_commands() {
    local commands; commands=()
    _describe -t commands 'postern schema export commands' commands "$@"
}
(( $+functions[_postern__subcmd__schema__subcmd__import_commands] )) ||
_postern__subcmd__schema__subcmd__import_commands() {
    local commands; commands=()
    _describe -t commands 'postern schema import commands' commands "$@"
}
(( $+functions[_postern__subcmd__schema__subcmd__reset_commands] )) ||
_postern__subcmd__schema__subcmd__reset_commands() {
    local commands; commands=()
    _describe -t commands 'postern schema reset commands' commands "$@"
}
(( $+functions[_postern__subcmd__schema__subcmd__show_commands] )) ||
_postern__subcmd__schema__subcmd__show_commands() {
    local commands; commands=()
    _describe -t commands 'postern schema show commands' commands "$@"
}
(( $+functions[_postern__subcmd__status_commands] )) ||
_postern__subcmd__status_commands() {
    local commands; commands=()
    _describe -t commands 'postern status commands' commands "$@"
}
(( $+functions[_postern__subcmd__store_commands] )) ||
_postern__subcmd__store_commands() {
    local commands; commands=(
'rotate-key:Encrypt everything under a new key' \
    )
    _describe -t commands 'postern store commands' commands "$@"
}
(( $+functions[_postern__subcmd__store__subcmd__rotate-key_commands] )) ||
_postern__subcmd__store__subcmd__rotate-key_commands() {
    local commands; commands=()
    _describe -t commands 'postern store rotate-key commands' commands "$@"
}

if [ "$funcstack[1]" = "_postern" ]; then
    _postern "$@"
else
    compdef _postern postern
fi

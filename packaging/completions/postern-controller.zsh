#compdef postern-controller

autoload -U is-at-least

_postern-controller() {
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
'-h[Print help]' \
'--help[Print help]' \
'-V[Print version]' \
'--version[Print version]' \
":: :_postern-controller_commands" \
"*::: :->postern-controller" \
&& ret=0
    case $state in
    (postern-controller)
        words=($line[1] "${words[@]}")
        (( CURRENT += 1 ))
        curcontext="${curcontext%:*:*}:postern-controller-command-$line[1]:"
        case $line[1] in
            (serve)
_arguments "${_arguments_options[@]}" : \
'--data-dir=[Where everything durable is\: keys, ledger, payloads. Made if it is not there, mode 0700]:DATA_DIR:_files' \
'--store-key-credential=[The systemd credential with the key of the ledger and the payloads \[default\: the file \`store.key\` in --data-dir\]]:NAME:_default' \
'--credentials-directory=[Where systemd puts credentials]:CREDENTIALS_DIRECTORY:_files' \
'--listen=[Where agents connect to]:LISTEN:_default' \
'--api-listen=[Where the API is; loopback only]:API_LISTEN:_default' \
'*--api-name=[A host name that callers of the API may use, because a proxy passes it on; may be repeated]:NAME:_default' \
'--api-calls-per-sec=[How many calls of the API one token may make in a second, twice as many at once]:CALLS:_default' \
'--api-failures-per-min=[How many calls without a good token are told so in a minute, of one address; more are told to wait]:CALLS:_default' \
'--enrollments-per-min=[How many enrollments and recoveries of one address are told in a minute why they were refused; more are told to wait]:ATTEMPTS:_default' \
'*--public-name=[A host name or IP address that agents connect to; may be repeated \[default\: localhost, 127.0.0.1, \:\:1\]]:NAME:_default' \
'--certificate-days=[How many days a member'\''s certificate lasts, 1 to 30; members renew it at half of that]:DAYS:_default' \
'--certificate-secs=[For tests\: how many seconds it lasts]:SECONDS:_default' \
'--recovery-days=[For how many days after its certificate ran out a member may get a new one by proof of the old key, 0 to 14]:DAYS:_default' \
'--lease-ttl-secs=[How long a lease lasts, in seconds; agents'\'' \`request_timeout_secs\` must stay below two thirds of it]:LEASE_TTL_SECS:_default' \
'--settle-secs=[How long after a lease has run out a change may still appear, in seconds; only then is the task given to another]:SETTLE_SECS:_default' \
'--heartbeat-secs=[How often each side of a session asks for a sign of life, in seconds]:HEARTBEAT_SECS:_default' \
'--keep-finished-days=[How many days a finished task is kept; a task whose id is older than that is not taken in again]:DAYS:_default' \
'--keep-finished-tasks=[How many finished tasks, the newest, are kept for longer; most take about 2 KiB of disk]:TASKS:_default' \
'--max-connections=[How many connections agents may have at once, sessions and handshakes together]:CONNECTIONS:_default' \
'--max-handshakes=[How many of them may be handshakes; beyond that the oldest makes room, of the address that has most]:CONNECTIONS:_default' \
'--max-handshakes-per-address=[How many of these may come from one address\: a whole fleet may live behind one proxy]:CONNECTIONS:_default' \
'--health-listen=[Answer probes and Prometheus at this address, e.g. 127.0.0.1\:9465\: /live, /ready, /useful and /metrics. Without a token\: whoever gets there sees them]:ADDRESS:_default' \
'--otlp=[Tell of tasks as OpenTelemetry traces to the collector at this URL (OTLP over HTTP, in JSON; \`/v1/traces\` is appended)]:URL:_default' \
'--ready-file=[Write the bound addresses to this file, as JSON, once everything listens]:PATH:_files' \
'--log-format=[How logs are written]:LOG_FORMAT:((text\:"For people"
json\:"One JSON object a line"))' \
'--log-level=[What is logged, e.g. \`info\` or \`postern_controller_stub=debug\`]:LOG_LEVEL:_default' \
'--auto-approve[Enable new members without an operator comparing fingerprints; for pilots]' \
'--health-open-to-the-network[That address may be one that others than this host reach]' \
'-h[Print help (see more with '\''--help'\'')]' \
'--help[Print help (see more with '\''--help'\'')]' \
&& ret=0
;;
(token)
_arguments "${_arguments_options[@]}" : \
'--data-dir=[The data directory of a controller on this host]:DATA_DIR:_files' \
'--api-url=[The URL of the API, if not that of --data-dir]:API_URL:_default' \
'--api-token-file=[The file with your token for the API, if not the first administrator'\''s in --data-dir]:API_TOKEN_FILE:_files' \
'--json[Answer in JSON]' \
'-h[Print help]' \
'--help[Print help]' \
":: :_postern-controller__subcmd__token_commands" \
"*::: :->token" \
&& ret=0

    case $state in
    (token)
        words=($line[1] "${words[@]}")
        (( CURRENT += 1 ))
        curcontext="${curcontext%:*:*}:postern-controller-token-command-$line[1]:"
        case $line[1] in
            (create)
_arguments "${_arguments_options[@]}" : \
'--cluster=[The cluster the agent becomes a member of]:CLUSTER:_default' \
'--data-dir=[The data directory of a controller on this host]:DATA_DIR:_files' \
'--api-url=[The URL of the API, if not that of --data-dir]:API_URL:_default' \
'--api-token-file=[The file with your token for the API, if not the first administrator'\''s in --data-dir]:API_TOKEN_FILE:_files' \
'--json[Answer in JSON]' \
'-h[Print help]' \
'--help[Print help]' \
&& ret=0
;;
        esac
    ;;
esac
;;
(api-token)
_arguments "${_arguments_options[@]}" : \
'--data-dir=[The data directory of a controller on this host]:DATA_DIR:_files' \
'--api-url=[The URL of the API, if not that of --data-dir]:API_URL:_default' \
'--api-token-file=[The file with your token for the API, if not the first administrator'\''s in --data-dir]:API_TOKEN_FILE:_files' \
'--json[Answer in JSON]' \
'-h[Print help]' \
'--help[Print help]' \
":: :_postern-controller__subcmd__api-token_commands" \
"*::: :->api-token" \
&& ret=0

    case $state in
    (api-token)
        words=($line[1] "${words[@]}")
        (( CURRENT += 1 ))
        curcontext="${curcontext%:*:*}:postern-controller-api-token-command-$line[1]:"
        case $line[1] in
            (create)
_arguments "${_arguments_options[@]}" : \
'--name=[What to call it\: lower-case letters, digits, \`-\`, \`_\` and \`.\`]:NAME:_default' \
'--role=[What it is good for]:ROLE:((viewer\:"Looks\: at tasks, members, systems, never at sealed values or results"
operator\:"Submits and cancels tasks, fetches what came of them, lets members work or rest"
administrator\:"Everything\: who belongs to the controller, what it serves, and who may use its API"))' \
'--expires=[After how long it runs out, e.g. 90d, 12h or 30m \[default\: never\]]:TIME:_default' \
'--data-dir=[The data directory of a controller on this host]:DATA_DIR:_files' \
'--api-url=[The URL of the API, if not that of --data-dir]:API_URL:_default' \
'--api-token-file=[The file with your token for the API, if not the first administrator'\''s in --data-dir]:API_TOKEN_FILE:_files' \
'--json[Answer in JSON]' \
'-h[Print help (see more with '\''--help'\'')]' \
'--help[Print help (see more with '\''--help'\'')]' \
&& ret=0
;;
(list)
_arguments "${_arguments_options[@]}" : \
'--data-dir=[The data directory of a controller on this host]:DATA_DIR:_files' \
'--api-url=[The URL of the API, if not that of --data-dir]:API_URL:_default' \
'--api-token-file=[The file with your token for the API, if not the first administrator'\''s in --data-dir]:API_TOKEN_FILE:_files' \
'--json[Answer in JSON]' \
'-h[Print help]' \
'--help[Print help]' \
&& ret=0
;;
(revoke)
_arguments "${_arguments_options[@]}" : \
'--data-dir=[The data directory of a controller on this host]:DATA_DIR:_files' \
'--api-url=[The URL of the API, if not that of --data-dir]:API_URL:_default' \
'--api-token-file=[The file with your token for the API, if not the first administrator'\''s in --data-dir]:API_TOKEN_FILE:_files' \
'--json[Answer in JSON]' \
'-h[Print help]' \
'--help[Print help]' \
':token -- Its name or its id:_default' \
&& ret=0
;;
        esac
    ;;
esac
;;
(audit)
_arguments "${_arguments_options[@]}" : \
'--data-dir=[The data directory of a controller on this host]:DATA_DIR:_files' \
'--api-url=[The URL of the API, if not that of --data-dir]:API_URL:_default' \
'--api-token-file=[The file with your token for the API, if not the first administrator'\''s in --data-dir]:API_TOKEN_FILE:_files' \
'--json[Answer in JSON]' \
'-h[Print help]' \
'--help[Print help]' \
":: :_postern-controller__subcmd__audit_commands" \
"*::: :->audit" \
&& ret=0

    case $state in
    (audit)
        words=($line[1] "${words[@]}")
        (( CURRENT += 1 ))
        curcontext="${curcontext%:*:*}:postern-controller-audit-command-$line[1]:"
        case $line[1] in
            (verify)
_arguments "${_arguments_options[@]}" : \
'--dir=[The log'\''s directory, if not \`audit\` in --data-dir]:DIRECTORY:_files' \
'--after=[The head with which the older files ended that were moved away\: the log begins with the line after it]:NUMBER:HASH:_default' \
'*--head=[A head that was noted before, as it was printed; may be repeated]:NUMBER:HASH:_default' \
'--data-dir=[The data directory of a controller on this host]:DATA_DIR:_files' \
'--api-url=[The URL of the API, if not that of --data-dir]:API_URL:_default' \
'--api-token-file=[The file with your token for the API, if not the first administrator'\''s in --data-dir]:API_TOKEN_FILE:_files' \
'--json[Answer in JSON]' \
'-h[Print help (see more with '\''--help'\'')]' \
'--help[Print help (see more with '\''--help'\'')]' \
&& ret=0
;;
(show)
_arguments "${_arguments_options[@]}" : \
'--dir=[The log'\''s directory, if not \`audit\` in --data-dir]:DIRECTORY:_files' \
'--after=[The head with which the older files ended that were moved away\: the log begins with the line after it]:NUMBER:HASH:_default' \
'--since=[Only from this day (in UTC), or this moment on]:TIME:_default' \
'--by=[What was done by the token of this name, or by \`controller\` itself]:NAME:_default' \
'--on=[What was done to this]:NAME|ID:_default' \
'--act=[Acts of this name alone, e.g. member.revoke, or of this kind, e.g. member]:ACT:_default' \
'--data-dir=[The data directory of a controller on this host]:DATA_DIR:_files' \
'--api-url=[The URL of the API, if not that of --data-dir]:API_URL:_default' \
'--api-token-file=[The file with your token for the API, if not the first administrator'\''s in --data-dir]:API_TOKEN_FILE:_files' \
'--json[Answer in JSON]' \
'-h[Print help]' \
'--help[Print help]' \
&& ret=0
;;
        esac
    ;;
esac
;;
(cluster)
_arguments "${_arguments_options[@]}" : \
'--data-dir=[The data directory of a controller on this host]:DATA_DIR:_files' \
'--api-url=[The URL of the API, if not that of --data-dir]:API_URL:_default' \
'--api-token-file=[The file with your token for the API, if not the first administrator'\''s in --data-dir]:API_TOKEN_FILE:_files' \
'--json[Answer in JSON]' \
'-h[Print help]' \
'--help[Print help]' \
":: :_postern-controller__subcmd__cluster_commands" \
"*::: :->cluster" \
&& ret=0

    case $state in
    (cluster)
        words=($line[1] "${words[@]}")
        (( CURRENT += 1 ))
        curcontext="${curcontext%:*:*}:postern-controller-cluster-command-$line[1]:"
        case $line[1] in
            (create)
_arguments "${_arguments_options[@]}" : \
'--data-dir=[The data directory of a controller on this host]:DATA_DIR:_files' \
'--api-url=[The URL of the API, if not that of --data-dir]:API_URL:_default' \
'--api-token-file=[The file with your token for the API, if not the first administrator'\''s in --data-dir]:API_TOKEN_FILE:_files' \
'--json[Answer in JSON]' \
'-h[Print help]' \
'--help[Print help]' \
':name -- Its name\: lower-case letters, digits, `-`, `_` and `.`:_default' \
&& ret=0
;;
(list)
_arguments "${_arguments_options[@]}" : \
'--data-dir=[The data directory of a controller on this host]:DATA_DIR:_files' \
'--api-url=[The URL of the API, if not that of --data-dir]:API_URL:_default' \
'--api-token-file=[The file with your token for the API, if not the first administrator'\''s in --data-dir]:API_TOKEN_FILE:_files' \
'--json[Answer in JSON]' \
'-h[Print help]' \
'--help[Print help]' \
&& ret=0
;;
        esac
    ;;
esac
;;
(member)
_arguments "${_arguments_options[@]}" : \
'--data-dir=[The data directory of a controller on this host]:DATA_DIR:_files' \
'--api-url=[The URL of the API, if not that of --data-dir]:API_URL:_default' \
'--api-token-file=[The file with your token for the API, if not the first administrator'\''s in --data-dir]:API_TOKEN_FILE:_files' \
'--json[Answer in JSON]' \
'-h[Print help]' \
'--help[Print help]' \
":: :_postern-controller__subcmd__member_commands" \
"*::: :->member" \
&& ret=0

    case $state in
    (member)
        words=($line[1] "${words[@]}")
        (( CURRENT += 1 ))
        curcontext="${curcontext%:*:*}:postern-controller-member-command-$line[1]:"
        case $line[1] in
            (list)
_arguments "${_arguments_options[@]}" : \
'--cluster=[Of this cluster only]:CLUSTER:_default' \
'--data-dir=[The data directory of a controller on this host]:DATA_DIR:_files' \
'--api-url=[The URL of the API, if not that of --data-dir]:API_URL:_default' \
'--api-token-file=[The file with your token for the API, if not the first administrator'\''s in --data-dir]:API_TOKEN_FILE:_files' \
'--json[Answer in JSON]' \
'-h[Print help]' \
'--help[Print help]' \
&& ret=0
;;
(show)
_arguments "${_arguments_options[@]}" : \
'--data-dir=[The data directory of a controller on this host]:DATA_DIR:_files' \
'--api-url=[The URL of the API, if not that of --data-dir]:API_URL:_default' \
'--api-token-file=[The file with your token for the API, if not the first administrator'\''s in --data-dir]:API_TOKEN_FILE:_files' \
'--json[Answer in JSON]' \
'-h[Print help]' \
'--help[Print help]' \
':member -- The member:_default' \
&& ret=0
;;
(approve)
_arguments "${_arguments_options[@]}" : \
'--data-dir=[The data directory of a controller on this host]:DATA_DIR:_files' \
'--api-url=[The URL of the API, if not that of --data-dir]:API_URL:_default' \
'--api-token-file=[The file with your token for the API, if not the first administrator'\''s in --data-dir]:API_TOKEN_FILE:_files' \
'--json[Answer in JSON]' \
'-h[Print help]' \
'--help[Print help]' \
':member -- The member:_default' \
&& ret=0
;;
(enable)
_arguments "${_arguments_options[@]}" : \
'--data-dir=[The data directory of a controller on this host]:DATA_DIR:_files' \
'--api-url=[The URL of the API, if not that of --data-dir]:API_URL:_default' \
'--api-token-file=[The file with your token for the API, if not the first administrator'\''s in --data-dir]:API_TOKEN_FILE:_files' \
'--json[Answer in JSON]' \
'-h[Print help]' \
'--help[Print help]' \
':member -- The member:_default' \
&& ret=0
;;
(disable)
_arguments "${_arguments_options[@]}" : \
'--data-dir=[The data directory of a controller on this host]:DATA_DIR:_files' \
'--api-url=[The URL of the API, if not that of --data-dir]:API_URL:_default' \
'--api-token-file=[The file with your token for the API, if not the first administrator'\''s in --data-dir]:API_TOKEN_FILE:_files' \
'--hard[Do not wait for what it holds]' \
'--json[Answer in JSON]' \
'-h[Print help]' \
'--help[Print help]' \
':member -- The member:_default' \
&& ret=0
;;
(drain)
_arguments "${_arguments_options[@]}" : \
'--data-dir=[The data directory of a controller on this host]:DATA_DIR:_files' \
'--api-url=[The URL of the API, if not that of --data-dir]:API_URL:_default' \
'--api-token-file=[The file with your token for the API, if not the first administrator'\''s in --data-dir]:API_TOKEN_FILE:_files' \
'--json[Answer in JSON]' \
'-h[Print help]' \
'--help[Print help]' \
':member -- The member:_default' \
&& ret=0
;;
(revoke)
_arguments "${_arguments_options[@]}" : \
'--data-dir=[The data directory of a controller on this host]:DATA_DIR:_files' \
'--api-url=[The URL of the API, if not that of --data-dir]:API_URL:_default' \
'--api-token-file=[The file with your token for the API, if not the first administrator'\''s in --data-dir]:API_TOKEN_FILE:_files' \
'--json[Answer in JSON]' \
'-h[Print help]' \
'--help[Print help]' \
':member -- The member:_default' \
&& ret=0
;;
(remove)
_arguments "${_arguments_options[@]}" : \
'--data-dir=[The data directory of a controller on this host]:DATA_DIR:_files' \
'--api-url=[The URL of the API, if not that of --data-dir]:API_URL:_default' \
'--api-token-file=[The file with your token for the API, if not the first administrator'\''s in --data-dir]:API_TOKEN_FILE:_files' \
'--json[Answer in JSON]' \
'-h[Print help]' \
'--help[Print help]' \
':member -- The member:_default' \
&& ret=0
;;
        esac
    ;;
esac
;;
(system)
_arguments "${_arguments_options[@]}" : \
'--data-dir=[The data directory of a controller on this host]:DATA_DIR:_files' \
'--api-url=[The URL of the API, if not that of --data-dir]:API_URL:_default' \
'--api-token-file=[The file with your token for the API, if not the first administrator'\''s in --data-dir]:API_TOKEN_FILE:_files' \
'--json[Answer in JSON]' \
'-h[Print help]' \
'--help[Print help]' \
":: :_postern-controller__subcmd__system_commands" \
"*::: :->system" \
&& ret=0

    case $state in
    (system)
        words=($line[1] "${words[@]}")
        (( CURRENT += 1 ))
        curcontext="${curcontext%:*:*}:postern-controller-system-command-$line[1]:"
        case $line[1] in
            (add)
_arguments "${_arguments_options[@]}" : \
'--with=[\`server\`, or the cluster whose members work on it]:CLUSTER|server:_default' \
'--type=[Its type\: what the agents'\'' configuration calls \`connector\`]:CONNECTOR:_default' \
'--display-name=[Its name for people]:DISPLAY_NAME:_default' \
'--description=[What it is]:DESCRIPTION:_default' \
'--locale=[Its language \[default\: en\]]:LOCALE:_default' \
'--password-reset-by=[Who may have passwords reset, besides administrators \[default\: obo_user_only\]]:PASSWORD_RESET_BY:(obo_user_only users_and_obo_user external)' \
'--provisioning-option=[Whether workflows may use it \[default\: automated\]]:PROVISIONING_OPTION:(automated administrative)' \
'--hpam=[Whether its accounts are managed as privileged ones \[default\: false\]]:true|false:(true false)' \
'--transfer-of-accounts=[Whether its accounts can be transferred \[default\: false\]]:true|false:(true false)' \
'*--owner=[Somebody who owns it; may be repeated]:WHO:_default' \
'*--category=[What it is filed under; may be repeated]:NAME:_default' \
'--data-dir=[The data directory of a controller on this host]:DATA_DIR:_files' \
'--api-url=[The URL of the API, if not that of --data-dir]:API_URL:_default' \
'--api-token-file=[The file with your token for the API, if not the first administrator'\''s in --data-dir]:API_TOKEN_FILE:_files' \
'--json[Answer in JSON]' \
'-h[Print help]' \
'--help[Print help]' \
':name -- Its name:_default' \
&& ret=0
;;
(edit)
_arguments "${_arguments_options[@]}" : \
'--display-name=[Its name for people]:DISPLAY_NAME:_default' \
'--description=[What it is]:DESCRIPTION:_default' \
'--locale=[Its language \[default\: en\]]:LOCALE:_default' \
'--password-reset-by=[Who may have passwords reset, besides administrators \[default\: obo_user_only\]]:PASSWORD_RESET_BY:(obo_user_only users_and_obo_user external)' \
'--provisioning-option=[Whether workflows may use it \[default\: automated\]]:PROVISIONING_OPTION:(automated administrative)' \
'--hpam=[Whether its accounts are managed as privileged ones \[default\: false\]]:true|false:(true false)' \
'--transfer-of-accounts=[Whether its accounts can be transferred \[default\: false\]]:true|false:(true false)' \
'*--owner=[Somebody who owns it; may be repeated]:WHO:_default' \
'*--category=[What it is filed under; may be repeated]:NAME:_default' \
'--in=[The language of --display-name and --description, if not the system'\''s own]:LOCALE:_default' \
'*--remove-owner=[Take an owner away; may be repeated]:WHO:_default' \
'*--remove-category=[Take it out of a category; may be repeated]:NAME:_default' \
'--data-dir=[The data directory of a controller on this host]:DATA_DIR:_files' \
'--api-url=[The URL of the API, if not that of --data-dir]:API_URL:_default' \
'--api-token-file=[The file with your token for the API, if not the first administrator'\''s in --data-dir]:API_TOKEN_FILE:_files' \
'--json[Answer in JSON]' \
'-h[Print help]' \
'--help[Print help]' \
':name -- The system:_default' \
&& ret=0
;;
(list)
_arguments "${_arguments_options[@]}" : \
'--data-dir=[The data directory of a controller on this host]:DATA_DIR:_files' \
'--api-url=[The URL of the API, if not that of --data-dir]:API_URL:_default' \
'--api-token-file=[The file with your token for the API, if not the first administrator'\''s in --data-dir]:API_TOKEN_FILE:_files' \
'--json[Answer in JSON]' \
'-h[Print help]' \
'--help[Print help]' \
&& ret=0
;;
(show)
_arguments "${_arguments_options[@]}" : \
'--data-dir=[The data directory of a controller on this host]:DATA_DIR:_files' \
'--api-url=[The URL of the API, if not that of --data-dir]:API_URL:_default' \
'--api-token-file=[The file with your token for the API, if not the first administrator'\''s in --data-dir]:API_TOKEN_FILE:_files' \
'--json[Answer in JSON]' \
'-h[Print help]' \
'--help[Print help]' \
':name -- The system:_default' \
&& ret=0
;;
(associate)
_arguments "${_arguments_options[@]}" : \
'--with=[\`server\`, or the cluster whose members work on it]:CLUSTER|server:_default' \
'--data-dir=[The data directory of a controller on this host]:DATA_DIR:_files' \
'--api-url=[The URL of the API, if not that of --data-dir]:API_URL:_default' \
'--api-token-file=[The file with your token for the API, if not the first administrator'\''s in --data-dir]:API_TOKEN_FILE:_files' \
'--json[Answer in JSON]' \
'-h[Print help]' \
'--help[Print help]' \
':name -- The system:_default' \
&& ret=0
;;
(log-level)
_arguments "${_arguments_options[@]}" : \
'--for=[For how long, at most a day, e.g. 2h or 30m]:TIME:_default' \
'--data-dir=[The data directory of a controller on this host]:DATA_DIR:_files' \
'--api-url=[The URL of the API, if not that of --data-dir]:API_URL:_default' \
'--api-token-file=[The file with your token for the API, if not the first administrator'\''s in --data-dir]:API_TOKEN_FILE:_files' \
'--json[Answer in JSON]' \
'-h[Print help]' \
'--help[Print help]' \
':name -- The system:_default' \
':level -- error, warn, info, debug or trace; `configured` ends it:_default' \
&& ret=0
;;
(remove)
_arguments "${_arguments_options[@]}" : \
'--data-dir=[The data directory of a controller on this host]:DATA_DIR:_files' \
'--api-url=[The URL of the API, if not that of --data-dir]:API_URL:_default' \
'--api-token-file=[The file with your token for the API, if not the first administrator'\''s in --data-dir]:API_TOKEN_FILE:_files' \
'--json[Answer in JSON]' \
'-h[Print help]' \
'--help[Print help]' \
':name -- The system:_default' \
&& ret=0
;;
        esac
    ;;
esac
;;
(task)
_arguments "${_arguments_options[@]}" : \
'--data-dir=[The data directory of a controller on this host]:DATA_DIR:_files' \
'--api-url=[The URL of the API, if not that of --data-dir]:API_URL:_default' \
'--api-token-file=[The file with your token for the API, if not the first administrator'\''s in --data-dir]:API_TOKEN_FILE:_files' \
'--json[Answer in JSON]' \
'-h[Print help]' \
'--help[Print help]' \
":: :_postern-controller__subcmd__task_commands" \
"*::: :->task" \
&& ret=0

    case $state in
    (task)
        words=($line[1] "${words[@]}")
        (( CURRENT += 1 ))
        curcontext="${curcontext%:*:*}:postern-controller-task-command-$line[1]:"
        case $line[1] in
            (submit)
_arguments "${_arguments_options[@]}" : \
'--system=[The connected system]:SYSTEM:_default' \
'--account=[The account, for every kind but test_connection, import_batch, export, describe_schema and collect]:ACCOUNT:_default' \
'--if-refused=[disable_user\: what becomes of an account that the connected system refuses to disable \[default\: fail\]]:fail|freeze:_default' \
'--new-name=[deprovision_user\: its new name \[default\: the old one with \`.deleted\` behind it\]]:NEW_NAME:_default' \
'--name=[restore_user\: the name it gets back]:NAME:_default' \
'--email=[deprovision_user, restore_user\: its new e-mail address \[default\: it stays\]]:EMAIL:_default' \
'(--generate)--password-file=[reset_password, restore_user\: a file with the new password, one line; \`-\` is standard input]:PASSWORD_FILE:_files' \
'(--async --timeout-secs)--output-password=[Write a password that was made up to this file, mode 0600, which is made before anything is submitted]:OUTPUT_PASSWORD:_files' \
'--dataset=[import_batch\: the dataset]:DATASET:_files' \
'--format=[import_batch\: how the dataset is written, xml, csv or jsonl; without this, the file'\''s extension says it]:FORMAT:_default' \
'--delimiter=[import_batch\: what parts the cells of a CSV file, as it is or by its name\: comma, semicolon, tab or pipe; \`found_out\` looks at the header]:DELIMITER:_default' \
'--bulk-threshold=[import_batch\: more entries than this to create, or to modify, go as one job in bulk]:BULK_THRESHOLD:_default' \
'*--attribute=[import_batch\: how an attribute is treated, NAME=WORD,… with \`replace\`, \`diff_with_target\`, \`add_diff_with_target\`, \`remove_diff_with_target\`, \`encrypted\`, \`audited\`; may be repeated]:ATTRIBUTES:_default' \
'--audit-key=[import_batch\: the attribute whose value stands with each entry in the audit log]:AUDIT_KEY:_default' \
'--account-id=[import_batch\: the attribute whose value is the account'\''s id for you; each line of the results tells it]:ACCOUNT_ID:_default' \
'--login-id=[import_batch\: the attribute whose value the account signs in with; each line of the results tells it]:LOGIN_ID:_default' \
'--dynamic-system=[import_batch\: which connected system entries are for, \`none\`, \`transaction_system_name\` or \`global_variable\`]:DYNAMIC_SYSTEM:_default' \
'--system-variable=[import_batch\: the variable that names the connected system]:SYSTEM_VARIABLE:_default' \
'*--variable=[import_batch\: a variable, NAME=VALUE; may be repeated]:VARIABLES:_default' \
'--params=[export, describe_schema, collect\: the parameters as JSON, e.g. {"object"\: "User", "format"\: "csv"}]:PARAMS:_default' \
'(--async)--output=[export, describe_schema, collect\: the file; it appears when it is whole, mode 0600]:OUTPUT:_files' \
'--result-key=[export, describe_schema, collect\: keep the key that opens what comes of the task in this new file, mode 0600, for \`task results --key\`]:RESULT_KEY:_files' \
'--origin=[Who is behind the task\: it is refused if the connected system does not take it from there]:ORIGIN:(administrator user obo_user workflow)' \
'--deadline-secs=[The task must not be begun later than this from now]:DEADLINE_SECS:_default' \
'--priority=[Larger goes first, 0 to 255]:PRIORITY:_default' \
'--timeout-secs=[Give up waiting after so long; the task goes on]:TIMEOUT_SECS:_default' \
'--sign-with=[Sign the task with the key in this file, for agents that take signed tasks only; \`task signing-key\` makes one]:KEYFILE:_files' \
'(--generate --output-password --show-password --output --async --timeout-secs)--write=[Write the task, sealed and signed as it would be submitted, to this new file, mode 0600, and submit nothing\: for \`postern policy check\` on an agent'\''s host, and for \`task send\`]:FILE:_files' \
'--id=[The task'\''s id, so that a repeated submission is the same task; made up if not given]:ID:_default' \
'--data-dir=[The data directory of a controller on this host]:DATA_DIR:_files' \
'--api-url=[The URL of the API, if not that of --data-dir]:API_URL:_default' \
'--api-token-file=[The file with your token for the API, if not the first administrator'\''s in --data-dir]:API_TOKEN_FILE:_files' \
'(--async --timeout-secs)--generate[reset_password\: the agent makes a password up and seals it to this process]' \
'(--generate --password-file)--service[reset_password\: the connected system'\''s own reset, which mails the user a link; the temporary password it makes up is dropped unless --output-password or --show-password is given]' \
'--repeat-if-unknown[reset_password --service, expire_password\: do it once more if there was no answer and no effect is to be seen; in the worst case the user gets a second mail]' \
'(--async)--show-password[Show a password that was made up on the terminal]' \
'--dry-run[import_batch\: say what would be changed, entry by entry, and change nothing]' \
'--all-or-none[import_batch\: send nothing unless every entry passes the checks that can be made before]' \
'--async[Do not wait for the outcome]' \
'--json[Answer in JSON]' \
'-h[Print help]' \
'--help[Print help]' \
':kind -- What to do, one of the kinds below:_default' \
&& ret=0
;;
(send)
_arguments "${_arguments_options[@]}" : \
'(--async)--timeout-secs=[Give up waiting after so long; the task goes on]:TIMEOUT_SECS:_default' \
'--data-dir=[The data directory of a controller on this host]:DATA_DIR:_files' \
'--api-url=[The URL of the API, if not that of --data-dir]:API_URL:_default' \
'--api-token-file=[The file with your token for the API, if not the first administrator'\''s in --data-dir]:API_TOKEN_FILE:_files' \
'--async[Do not wait for the outcome]' \
'--json[Answer in JSON]' \
'-h[Print help]' \
'--help[Print help]' \
':file -- The file:_files' \
&& ret=0
;;
(signing-key)
_arguments "${_arguments_options[@]}" : \
'--data-dir=[The data directory of a controller on this host]:DATA_DIR:_files' \
'--api-url=[The URL of the API, if not that of --data-dir]:API_URL:_default' \
'--api-token-file=[The file with your token for the API, if not the first administrator'\''s in --data-dir]:API_TOKEN_FILE:_files' \
'--json[Answer in JSON]' \
'-h[Print help]' \
'--help[Print help]' \
':file -- The file:_files' \
&& ret=0
;;
(show)
_arguments "${_arguments_options[@]}" : \
'--data-dir=[The data directory of a controller on this host]:DATA_DIR:_files' \
'--api-url=[The URL of the API, if not that of --data-dir]:API_URL:_default' \
'--api-token-file=[The file with your token for the API, if not the first administrator'\''s in --data-dir]:API_TOKEN_FILE:_files' \
'--json[Answer in JSON]' \
'-h[Print help]' \
'--help[Print help]' \
':task -- The task:_default' \
&& ret=0
;;
(list)
_arguments "${_arguments_options[@]}" : \
'--system=[About this system only]:SYSTEM:_default' \
'--state=[In this state only]:STATE:(queued needs_reseal leased accepted started in_doubt finished)' \
'--limit=[At most so many]:LIMIT:_default' \
'--data-dir=[The data directory of a controller on this host]:DATA_DIR:_files' \
'--api-url=[The URL of the API, if not that of --data-dir]:API_URL:_default' \
'--api-token-file=[The file with your token for the API, if not the first administrator'\''s in --data-dir]:API_TOKEN_FILE:_files' \
'--json[Answer in JSON]' \
'-h[Print help]' \
'--help[Print help]' \
&& ret=0
;;
(wait)
_arguments "${_arguments_options[@]}" : \
'--timeout-secs=[Give up waiting after so long; the task goes on]:TIMEOUT_SECS:_default' \
'--data-dir=[The data directory of a controller on this host]:DATA_DIR:_files' \
'--api-url=[The URL of the API, if not that of --data-dir]:API_URL:_default' \
'--api-token-file=[The file with your token for the API, if not the first administrator'\''s in --data-dir]:API_TOKEN_FILE:_files' \
'--json[Answer in JSON]' \
'-h[Print help]' \
'--help[Print help]' \
':task -- The task:_default' \
&& ret=0
;;
(cancel)
_arguments "${_arguments_options[@]}" : \
'--data-dir=[The data directory of a controller on this host]:DATA_DIR:_files' \
'--api-url=[The URL of the API, if not that of --data-dir]:API_URL:_default' \
'--api-token-file=[The file with your token for the API, if not the first administrator'\''s in --data-dir]:API_TOKEN_FILE:_files' \
'--json[Answer in JSON]' \
'-h[Print help]' \
'--help[Print help]' \
':task -- The task:_default' \
&& ret=0
;;
(reseal)
_arguments "${_arguments_options[@]}" : \
'--password-file=[A file with the password, one line; \`-\` is standard input]:PASSWORD_FILE:_files' \
'--sign-with=[Sign the task as it is now, with the key in this file\: the signature it had is of what was sealed before]:KEYFILE:_files' \
'--data-dir=[The data directory of a controller on this host]:DATA_DIR:_files' \
'--api-url=[The URL of the API, if not that of --data-dir]:API_URL:_default' \
'--api-token-file=[The file with your token for the API, if not the first administrator'\''s in --data-dir]:API_TOKEN_FILE:_files' \
'--json[Answer in JSON]' \
'-h[Print help (see more with '\''--help'\'')]' \
'--help[Print help (see more with '\''--help'\'')]' \
':task -- The task:_default' \
&& ret=0
;;
(results)
_arguments "${_arguments_options[@]}" : \
'--output=[Write to this file instead of standard output]:OUTPUT:_files' \
'--failed=[Write the entries that did not succeed to this new file, in the form of the dataset\: mended, it can be submitted again]:FAILED:_files' \
'--dataset=[The dataset that was submitted, unchanged]:DATASET:_files' \
'--key=[The key that \`task submit --result-key\` kept]:KEY:_files' \
'--data-dir=[The data directory of a controller on this host]:DATA_DIR:_files' \
'--api-url=[The URL of the API, if not that of --data-dir]:API_URL:_default' \
'--api-token-file=[The file with your token for the API, if not the first administrator'\''s in --data-dir]:API_TOKEN_FILE:_files' \
'--json[Answer in JSON]' \
'-h[Print help]' \
'--help[Print help]' \
':task -- The task:_default' \
&& ret=0
;;
        esac
    ;;
esac
;;
(outbox)
_arguments "${_arguments_options[@]}" : \
'--data-dir=[The data directory of a controller on this host]:DATA_DIR:_files' \
'--api-url=[The URL of the API, if not that of --data-dir]:API_URL:_default' \
'--api-token-file=[The file with your token for the API, if not the first administrator'\''s in --data-dir]:API_TOKEN_FILE:_files' \
'--json[Answer in JSON]' \
'-h[Print help]' \
'--help[Print help]' \
":: :_postern-controller__subcmd__outbox_commands" \
"*::: :->outbox" \
&& ret=0

    case $state in
    (outbox)
        words=($line[1] "${words[@]}")
        (( CURRENT += 1 ))
        curcontext="${curcontext%:*:*}:postern-controller-outbox-command-$line[1]:"
        case $line[1] in
            (import)
_arguments "${_arguments_options[@]}" : \
'--data-dir=[The data directory of a controller on this host]:DATA_DIR:_files' \
'--api-url=[The URL of the API, if not that of --data-dir]:API_URL:_default' \
'--api-token-file=[The file with your token for the API, if not the first administrator'\''s in --data-dir]:API_TOKEN_FILE:_files' \
'--json[Answer in JSON]' \
'-h[Print help]' \
'--help[Print help]' \
':file -- The file:_files' \
&& ret=0
;;
        esac
    ;;
esac
;;
(ca)
_arguments "${_arguments_options[@]}" : \
'--data-dir=[The data directory of a controller on this host]:DATA_DIR:_files' \
'--api-url=[The URL of the API, if not that of --data-dir]:API_URL:_default' \
'--api-token-file=[The file with your token for the API, if not the first administrator'\''s in --data-dir]:API_TOKEN_FILE:_files' \
'--json[Answer in JSON]' \
'-h[Print help]' \
'--help[Print help]' \
":: :_postern-controller__subcmd__ca_commands" \
"*::: :->ca" \
&& ret=0

    case $state in
    (ca)
        words=($line[1] "${words[@]}")
        (( CURRENT += 1 ))
        curcontext="${curcontext%:*:*}:postern-controller-ca-command-$line[1]:"
        case $line[1] in
            (status)
_arguments "${_arguments_options[@]}" : \
'--data-dir=[The data directory of a controller on this host]:DATA_DIR:_files' \
'--api-url=[The URL of the API, if not that of --data-dir]:API_URL:_default' \
'--api-token-file=[The file with your token for the API, if not the first administrator'\''s in --data-dir]:API_TOKEN_FILE:_files' \
'--json[Answer in JSON]' \
'-h[Print help]' \
'--help[Print help]' \
&& ret=0
;;
(rotate)
_arguments "${_arguments_options[@]}" : \
'--data-dir=[The data directory of a controller on this host]:DATA_DIR:_files' \
'--api-url=[The URL of the API, if not that of --data-dir]:API_URL:_default' \
'--api-token-file=[The file with your token for the API, if not the first administrator'\''s in --data-dir]:API_TOKEN_FILE:_files' \
'--json[Answer in JSON]' \
'-h[Print help]' \
'--help[Print help]' \
":: :_postern-controller__subcmd__ca__subcmd__rotate_commands" \
"*::: :->rotate" \
&& ret=0

    case $state in
    (rotate)
        words=($line[1] "${words[@]}")
        (( CURRENT += 1 ))
        curcontext="${curcontext%:*:*}:postern-controller-ca-rotate-command-$line[1]:"
        case $line[1] in
            (begin)
_arguments "${_arguments_options[@]}" : \
'--root=[Not a new root but one that was kept, by the number in \`ca status\`]:NUMBER:_default' \
'--data-dir=[The data directory of a controller on this host]:DATA_DIR:_files' \
'--api-url=[The URL of the API, if not that of --data-dir]:API_URL:_default' \
'--api-token-file=[The file with your token for the API, if not the first administrator'\''s in --data-dir]:API_TOKEN_FILE:_files' \
'--json[Answer in JSON]' \
'-h[Print help]' \
'--help[Print help]' \
&& ret=0
;;
(switch)
_arguments "${_arguments_options[@]}" : \
'--data-dir=[The data directory of a controller on this host]:DATA_DIR:_files' \
'--api-url=[The URL of the API, if not that of --data-dir]:API_URL:_default' \
'--api-token-file=[The file with your token for the API, if not the first administrator'\''s in --data-dir]:API_TOKEN_FILE:_files' \
'--force[Even if a member does not trust the new root yet\: it cannot connect until \`back\`, or until it is enrolled again]' \
'--json[Answer in JSON]' \
'-h[Print help]' \
'--help[Print help]' \
&& ret=0
;;
(finish)
_arguments "${_arguments_options[@]}" : \
'--data-dir=[The data directory of a controller on this host]:DATA_DIR:_files' \
'--api-url=[The URL of the API, if not that of --data-dir]:API_URL:_default' \
'--api-token-file=[The file with your token for the API, if not the first administrator'\''s in --data-dir]:API_TOKEN_FILE:_files' \
'--force[Even if a member has a certificate of the old root\: it gets another by proof of its key if it trusts the new root, and has to be enrolled again if not]' \
'--json[Answer in JSON]' \
'-h[Print help]' \
'--help[Print help]' \
&& ret=0
;;
(back)
_arguments "${_arguments_options[@]}" : \
'--data-dir=[The data directory of a controller on this host]:DATA_DIR:_files' \
'--api-url=[The URL of the API, if not that of --data-dir]:API_URL:_default' \
'--api-token-file=[The file with your token for the API, if not the first administrator'\''s in --data-dir]:API_TOKEN_FILE:_files' \
'--force[Even if a member is shut out by it, as with \`switch\` and \`finish\`]' \
'--json[Answer in JSON]' \
'-h[Print help]' \
'--help[Print help]' \
&& ret=0
;;
        esac
    ;;
esac
;;
        esac
    ;;
esac
;;
(store)
_arguments "${_arguments_options[@]}" : \
'-h[Print help]' \
'--help[Print help]' \
":: :_postern-controller__subcmd__store_commands" \
"*::: :->store" \
&& ret=0

    case $state in
    (store)
        words=($line[1] "${words[@]}")
        (( CURRENT += 1 ))
        curcontext="${curcontext%:*:*}:postern-controller-store-command-$line[1]:"
        case $line[1] in
            (rotate-key)
_arguments "${_arguments_options[@]}" : \
'--data-dir=[The data directory]:DATA_DIR:_files' \
'--store-key-credential=[The systemd credential with the key of the ledger and the payloads \[default\: the file \`store.key\` in --data-dir\]]:NAME:_default' \
'--credentials-directory=[Where systemd puts credentials]:CREDENTIALS_DIRECTORY:_files' \
'--new-credential=[Take the new key from this systemd credential, which \`serve\` is to name from then on]:NAME:_default' \
'-h[Print help]' \
'--help[Print help]' \
&& ret=0
;;
        esac
    ;;
esac
;;
(status)
_arguments "${_arguments_options[@]}" : \
'--interval=[How often to look]:TIME:_default' \
'--data-dir=[The data directory of a controller on this host]:DATA_DIR:_files' \
'--api-url=[The URL of the API, if not that of --data-dir]:API_URL:_default' \
'--api-token-file=[The file with your token for the API, if not the first administrator'\''s in --data-dir]:API_TOKEN_FILE:_files' \
'--watch[Go on, and say it again when it changed, until Ctrl-C]' \
'--json[Answer in JSON]' \
'-h[Print help]' \
'--help[Print help]' \
&& ret=0
;;
        esac
    ;;
esac
}

(( $+functions[_postern-controller_commands] )) ||
_postern-controller_commands() {
    local commands; commands=(
'serve:Run the controller until SIGTERM or SIGINT' \
'token:Make enrollment tokens' \
'api-token:Make, list and revoke tokens for the API' \
'audit:Verify or show the audit log\: who did what, and whether somebody changed the log' \
'cluster:Make and list clusters' \
'member:Approve, enable, disable, remove and list members' \
'system:Add connected systems and say who works on them' \
'task:Submit tasks and see what came of them' \
'outbox:Hand in what a member owes that was revoked' \
'ca:Show the roots of the certificates, and replace one by another' \
'store:Change the key that the ledger and the payloads are encrypted with; the controller must not be running' \
'status:Say how the controller is' \
    )
    _describe -t commands 'postern-controller commands' commands "$@"
}
(( $+functions[_postern-controller__subcmd__api-token_commands] )) ||
_postern-controller__subcmd__api-token_commands() {
    local commands; commands=(
'create:Make a token for somebody who uses the API; it is shown this once' \
'list:List the tokens, without their secrets' \
'revoke:Take a token back, at once\: what it still waits for ends too' \
    )
    _describe -t commands 'postern-controller api-token commands' commands "$@"
}
(( $+functions[_postern-controller__subcmd__api-token__subcmd__create_commands] )) ||
_postern-controller__subcmd__api-token__subcmd__create_commands() {
    local commands; commands=()
    _describe -t commands 'postern-controller api-token create commands' commands "$@"
}
(( $+functions[_postern-controller__subcmd__api-token__subcmd__list_commands] )) ||
_postern-controller__subcmd__api-token__subcmd__list_commands() {
    local commands; commands=()
    _describe -t commands 'postern-controller api-token list commands' commands "$@"
}
(( $+functions[_postern-controller__subcmd__api-token__subcmd__revoke_commands] )) ||
_postern-controller__subcmd__api-token__subcmd__revoke_commands() {
    local commands; commands=()
    _describe -t commands 'postern-controller api-token revoke commands' commands "$@"
}
(( $+functions[_postern-controller__subcmd__audit_commands] )) ||
_postern-controller__subcmd__audit_commands() {
    local commands; commands=(
'verify:Say whether the log was changed since it was written' \
'show:Show the lines' \
    )
    _describe -t commands 'postern-controller audit commands' commands "$@"
}
(( $+functions[_postern-controller__subcmd__audit__subcmd__show_commands] )) ||
_postern-controller__subcmd__audit__subcmd__show_commands() {
    local commands; commands=()
    _describe -t commands 'postern-controller audit show commands' commands "$@"
}
(( $+functions[_postern-controller__subcmd__audit__subcmd__verify_commands] )) ||
_postern-controller__subcmd__audit__subcmd__verify_commands() {
    local commands; commands=()
    _describe -t commands 'postern-controller audit verify commands' commands "$@"
}
(( $+functions[_postern-controller__subcmd__ca_commands] )) ||
_postern-controller__subcmd__ca_commands() {
    local commands; commands=(
'status:Show the roots, what each member has of them, and which step is next' \
'rotate:Replace the root by another, one step after the other, with members at work' \
    )
    _describe -t commands 'postern-controller ca commands' commands "$@"
}
(( $+functions[_postern-controller__subcmd__ca__subcmd__rotate_commands] )) ||
_postern-controller__subcmd__ca__subcmd__rotate_commands() {
    local commands; commands=(
'begin:Make a new root, and have members trust it beside the one there is' \
'switch:Let the new root sign\: new certificates, the listener'\''s own, tokens; members renew theirs within minutes' \
'finish:Trust the new root alone' \
'back:Undo the last step' \
    )
    _describe -t commands 'postern-controller ca rotate commands' commands "$@"
}
(( $+functions[_postern-controller__subcmd__ca__subcmd__rotate__subcmd__back_commands] )) ||
_postern-controller__subcmd__ca__subcmd__rotate__subcmd__back_commands() {
    local commands; commands=()
    _describe -t commands 'postern-controller ca rotate back commands' commands "$@"
}
(( $+functions[_postern-controller__subcmd__ca__subcmd__rotate__subcmd__begin_commands] )) ||
_postern-controller__subcmd__ca__subcmd__rotate__subcmd__begin_commands() {
    local commands; commands=()
    _describe -t commands 'postern-controller ca rotate begin commands' commands "$@"
}
(( $+functions[_postern-controller__subcmd__ca__subcmd__rotate__subcmd__finish_commands] )) ||
_postern-controller__subcmd__ca__subcmd__rotate__subcmd__finish_commands() {
    local commands; commands=()
    _describe -t commands 'postern-controller ca rotate finish commands' commands "$@"
}
(( $+functions[_postern-controller__subcmd__ca__subcmd__rotate__subcmd__switch_commands] )) ||
_postern-controller__subcmd__ca__subcmd__rotate__subcmd__switch_commands() {
    local commands; commands=()
    _describe -t commands 'postern-controller ca rotate switch commands' commands "$@"
}
(( $+functions[_postern-controller__subcmd__ca__subcmd__status_commands] )) ||
_postern-controller__subcmd__ca__subcmd__status_commands() {
    local commands; commands=()
    _describe -t commands 'postern-controller ca status commands' commands "$@"
}
(( $+functions[_postern-controller__subcmd__cluster_commands] )) ||
_postern-controller__subcmd__cluster_commands() {
    local commands; commands=(
'create:Make a cluster' \
'list:List the clusters' \
    )
    _describe -t commands 'postern-controller cluster commands' commands "$@"
}
(( $+functions[_postern-controller__subcmd__cluster__subcmd__create_commands] )) ||
_postern-controller__subcmd__cluster__subcmd__create_commands() {
    local commands; commands=()
    _describe -t commands 'postern-controller cluster create commands' commands "$@"
}
(( $+functions[_postern-controller__subcmd__cluster__subcmd__list_commands] )) ||
_postern-controller__subcmd__cluster__subcmd__list_commands() {
    local commands; commands=()
    _describe -t commands 'postern-controller cluster list commands' commands "$@"
}
(( $+functions[_postern-controller__subcmd__member_commands] )) ||
_postern-controller__subcmd__member_commands() {
    local commands; commands=(
'list:List the members' \
'show:Show one member' \
'approve:Let a new member work; compare the fingerprint with the one \`postern enroll\` printed first' \
'enable:Let a disabled or draining member work again' \
'disable:Let a member finish what it holds, then disable it; --hard\: at once' \
'drain:Give a member nothing new' \
'revoke:Throw a member out for good' \
'remove:Remove a member that is pending or revoked and holds no task' \
    )
    _describe -t commands 'postern-controller member commands' commands "$@"
}
(( $+functions[_postern-controller__subcmd__member__subcmd__approve_commands] )) ||
_postern-controller__subcmd__member__subcmd__approve_commands() {
    local commands; commands=()
    _describe -t commands 'postern-controller member approve commands' commands "$@"
}
(( $+functions[_postern-controller__subcmd__member__subcmd__disable_commands] )) ||
_postern-controller__subcmd__member__subcmd__disable_commands() {
    local commands; commands=()
    _describe -t commands 'postern-controller member disable commands' commands "$@"
}
(( $+functions[_postern-controller__subcmd__member__subcmd__drain_commands] )) ||
_postern-controller__subcmd__member__subcmd__drain_commands() {
    local commands; commands=()
    _describe -t commands 'postern-controller member drain commands' commands "$@"
}
(( $+functions[_postern-controller__subcmd__member__subcmd__enable_commands] )) ||
_postern-controller__subcmd__member__subcmd__enable_commands() {
    local commands; commands=()
    _describe -t commands 'postern-controller member enable commands' commands "$@"
}
(( $+functions[_postern-controller__subcmd__member__subcmd__list_commands] )) ||
_postern-controller__subcmd__member__subcmd__list_commands() {
    local commands; commands=()
    _describe -t commands 'postern-controller member list commands' commands "$@"
}
(( $+functions[_postern-controller__subcmd__member__subcmd__remove_commands] )) ||
_postern-controller__subcmd__member__subcmd__remove_commands() {
    local commands; commands=()
    _describe -t commands 'postern-controller member remove commands' commands "$@"
}
(( $+functions[_postern-controller__subcmd__member__subcmd__revoke_commands] )) ||
_postern-controller__subcmd__member__subcmd__revoke_commands() {
    local commands; commands=()
    _describe -t commands 'postern-controller member revoke commands' commands "$@"
}
(( $+functions[_postern-controller__subcmd__member__subcmd__show_commands] )) ||
_postern-controller__subcmd__member__subcmd__show_commands() {
    local commands; commands=()
    _describe -t commands 'postern-controller member show commands' commands "$@"
}
(( $+functions[_postern-controller__subcmd__outbox_commands] )) ||
_postern-controller__subcmd__outbox_commands() {
    local commands; commands=(
'import:Hand in the reports that \`postern outbox export\` wrote' \
    )
    _describe -t commands 'postern-controller outbox commands' commands "$@"
}
(( $+functions[_postern-controller__subcmd__outbox__subcmd__import_commands] )) ||
_postern-controller__subcmd__outbox__subcmd__import_commands() {
    local commands; commands=()
    _describe -t commands 'postern-controller outbox import commands' commands "$@"
}
(( $+functions[_postern-controller__subcmd__serve_commands] )) ||
_postern-controller__subcmd__serve_commands() {
    local commands; commands=()
    _describe -t commands 'postern-controller serve commands' commands "$@"
}
(( $+functions[_postern-controller__subcmd__status_commands] )) ||
_postern-controller__subcmd__status_commands() {
    local commands; commands=()
    _describe -t commands 'postern-controller status commands' commands "$@"
}
(( $+functions[_postern-controller__subcmd__store_commands] )) ||
_postern-controller__subcmd__store_commands() {
    local commands; commands=(
'rotate-key:Encrypt everything under a new key; killed at any moment, the store is that of the old key or of the new' \
    )
    _describe -t commands 'postern-controller store commands' commands "$@"
}
(( $+functions[_postern-controller__subcmd__store__subcmd__rotate-key_commands] )) ||
_postern-controller__subcmd__store__subcmd__rotate-key_commands() {
    local commands; commands=()
    _describe -t commands 'postern-controller store rotate-key commands' commands "$@"
}
(( $+functions[_postern-controller__subcmd__system_commands] )) ||
_postern-controller__subcmd__system_commands() {
    local commands; commands=(
'add:Add a connected system' \
'edit:Change what is known of a connected system; what is not named stays' \
'list:List the connected systems' \
'show:Show one connected system' \
'associate:Say who works on a connected system from now on' \
'log-level:Have members log more, or less, of a connected system for a while' \
'remove:Take a connected system away; its tasks have to be finished' \
    )
    _describe -t commands 'postern-controller system commands' commands "$@"
}
(( $+functions[_postern-controller__subcmd__system__subcmd__add_commands] )) ||
_postern-controller__subcmd__system__subcmd__add_commands() {
    local commands; commands=()
    _describe -t commands 'postern-controller system add commands' commands "$@"
}
(( $+functions[_postern-controller__subcmd__system__subcmd__associate_commands] )) ||
_postern-controller__subcmd__system__subcmd__associate_commands() {
    local commands; commands=()
    _describe -t commands 'postern-controller system associate commands' commands "$@"
}
(( $+functions[_postern-controller__subcmd__system__subcmd__edit_commands] )) ||
_postern-controller__subcmd__system__subcmd__edit_commands() {
    local commands; commands=()
    _describe -t commands 'postern-controller system edit commands' commands "$@"
}
(( $+functions[_postern-controller__subcmd__system__subcmd__list_commands] )) ||
_postern-controller__subcmd__system__subcmd__list_commands() {
    local commands; commands=()
    _describe -t commands 'postern-controller system list commands' commands "$@"
}
(( $+functions[_postern-controller__subcmd__system__subcmd__log-level_commands] )) ||
_postern-controller__subcmd__system__subcmd__log-level_commands() {
    local commands; commands=()
    _describe -t commands 'postern-controller system log-level commands' commands "$@"
}
(( $+functions[_postern-controller__subcmd__system__subcmd__remove_commands] )) ||
_postern-controller__subcmd__system__subcmd__remove_commands() {
    local commands; commands=()
    _describe -t commands 'postern-controller system remove commands' commands "$@"
}
(( $+functions[_postern-controller__subcmd__system__subcmd__show_commands] )) ||
_postern-controller__subcmd__system__subcmd__show_commands() {
    local commands; commands=()
    _describe -t commands 'postern-controller system show commands' commands "$@"
}
(( $+functions[_postern-controller__subcmd__task_commands] )) ||
_postern-controller__subcmd__task_commands() {
    local commands; commands=(
'submit:Submit a task; secrets are sealed here, to the keys of the cluster'\''s members' \
'send:Submit a task that \`task submit --write\` wrote; more than once is no more than once' \
'signing-key:Make a key that signs tasks in this new file, mode 0600, and print the public half, which agents list in \`accepted_signers\`' \
'show:Show one task' \
'list:List tasks, the newest first' \
'wait:Wait until a task is finished; exits like \`task submit\`' \
'cancel:Cancel a task, as far as it has not begun' \
'reseal:Seal the password of a task again that no member can open, to the keys that the members have now' \
'results:Download what came of a batch, entry by entry, or what came of an export, opened with its key' \
    )
    _describe -t commands 'postern-controller task commands' commands "$@"
}
(( $+functions[_postern-controller__subcmd__task__subcmd__cancel_commands] )) ||
_postern-controller__subcmd__task__subcmd__cancel_commands() {
    local commands; commands=()
    _describe -t commands 'postern-controller task cancel commands' commands "$@"
}
(( $+functions[_postern-controller__subcmd__task__subcmd__list_commands] )) ||
_postern-controller__subcmd__task__subcmd__list_commands() {
    local commands; commands=()
    _describe -t commands 'postern-controller task list commands' commands "$@"
}
(( $+functions[_postern-controller__subcmd__task__subcmd__reseal_commands] )) ||
_postern-controller__subcmd__task__subcmd__reseal_commands() {
    local commands; commands=()
    _describe -t commands 'postern-controller task reseal commands' commands "$@"
}
(( $+functions[_postern-controller__subcmd__task__subcmd__results_commands] )) ||
_postern-controller__subcmd__task__subcmd__results_commands() {
    local commands; commands=()
    _describe -t commands 'postern-controller task results commands' commands "$@"
}
(( $+functions[_postern-controller__subcmd__task__subcmd__send_commands] )) ||
_postern-controller__subcmd__task__subcmd__send_commands() {
    local commands; commands=()
    _describe -t commands 'postern-controller task send commands' commands "$@"
}
(( $+functions[_postern-controller__subcmd__task__subcmd__show_commands] )) ||
_postern-controller__subcmd__task__subcmd__show_commands() {
    local commands; commands=()
    _describe -t commands 'postern-controller task show commands' commands "$@"
}
(( $+functions[_postern-controller__subcmd__task__subcmd__signing-key_commands] )) ||
_postern-controller__subcmd__task__subcmd__signing-key_commands() {
    local commands; commands=()
    _describe -t commands 'postern-controller task signing-key commands' commands "$@"
}
(( $+functions[_postern-controller__subcmd__task__subcmd__submit_commands] )) ||
_postern-controller__subcmd__task__subcmd__submit_commands() {
    local commands; commands=()
    _describe -t commands 'postern-controller task submit commands' commands "$@"
}
(( $+functions[_postern-controller__subcmd__task__subcmd__wait_commands] )) ||
_postern-controller__subcmd__task__subcmd__wait_commands() {
    local commands; commands=()
    _describe -t commands 'postern-controller task wait commands' commands "$@"
}
(( $+functions[_postern-controller__subcmd__token_commands] )) ||
_postern-controller__subcmd__token_commands() {
    local commands; commands=(
'create:Make a token that lets one agent enroll within 15 minutes; it is shown this once' \
    )
    _describe -t commands 'postern-controller token commands' commands "$@"
}
(( $+functions[_postern-controller__subcmd__token__subcmd__create_commands] )) ||
_postern-controller__subcmd__token__subcmd__create_commands() {
    local commands; commands=()
    _describe -t commands 'postern-controller token create commands' commands "$@"
}

if [ "$funcstack[1]" = "_postern-controller" ]; then
    _postern-controller "$@"
else
    compdef _postern-controller postern-controller
fi

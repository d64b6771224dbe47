# Print an optspec for argparse to handle cmd's options that are independent of any subcommand.
function __fish_postern_controller_global_optspecs
    string join \n h/help V/version
end

function __fish_postern_controller_needs_command
    # Figure out if the current invocation already has a command.
    set -l cmd (commandline -opc)
    set -e cmd[1]
    argparse -s (__fish_postern_controller_global_optspecs) -- $cmd 2>/dev/null
    or return
    if set -q argv[1]
        # Also print the command, so this can be used to figure out what it is.
        echo $argv[1]
        return 1
    end
    return 0
end

function __fish_postern_controller_using_subcommand
    set -l cmd (__fish_postern_controller_needs_command)
    test -z "$cmd"
    and return 1
    contains -- $cmd[1] $argv
end

complete -c postern-controller -n "__fish_postern_controller_needs_command" -s h -l help -d 'Print help'
complete -c postern-controller -n "__fish_postern_controller_needs_command" -s V -l version -d 'Print version'
complete -c postern-controller -n "__fish_postern_controller_needs_command" -f -a "serve" -d 'Run the controller until SIGTERM or SIGINT'
complete -c postern-controller -n "__fish_postern_controller_needs_command" -f -a "token" -d 'Make enrollment tokens'
complete -c postern-controller -n "__fish_postern_controller_needs_command" -f -a "api-token" -d 'Make, list and revoke tokens for the API'
complete -c postern-controller -n "__fish_postern_controller_needs_command" -f -a "audit" -d 'Verify or show the audit log: who did what, and whether somebody changed the log'
complete -c postern-controller -n "__fish_postern_controller_needs_command" -f -a "cluster" -d 'Make and list clusters'
complete -c postern-controller -n "__fish_postern_controller_needs_command" -f -a "member" -d 'Approve, enable, disable, remove and list members'
complete -c postern-controller -n "__fish_postern_controller_needs_command" -f -a "system" -d 'Add connected systems and say who works on them'
complete -c postern-controller -n "__fish_postern_controller_needs_command" -f -a "task" -d 'Submit tasks and see what came of them'
complete -c postern-controller -n "__fish_postern_controller_needs_command" -f -a "outbox" -d 'Hand in what a member owes that was revoked'
complete -c postern-controller -n "__fish_postern_controller_needs_command" -f -a "ca" -d 'Show the roots of the certificates, and replace one by another'
complete -c postern-controller -n "__fish_postern_controller_needs_command" -f -a "store" -d 'Change the key that the ledger and the payloads are encrypted with; the controller must not be running'
complete -c postern-controller -n "__fish_postern_controller_needs_command" -f -a "status" -d 'Say how the controller is'
complete -c postern-controller -n "__fish_postern_controller_using_subcommand serve" -l data-dir -d 'Where everything durable is: keys, ledger, payloads. Made if it is not there, mode 0700' -r -F
complete -c postern-controller -n "__fish_postern_controller_using_subcommand serve" -l store-key-credential -d 'The systemd credential with the key of the ledger and the payloads [default: the file `store.key` in --data-dir]' -r
complete -c postern-controller -n "__fish_postern_controller_using_subcommand serve" -l credentials-directory -d 'Where systemd puts credentials' -r -F
complete -c postern-controller -n "__fish_postern_controller_using_subcommand serve" -l listen -d 'Where agents connect to' -r
complete -c postern-controller -n "__fish_postern_controller_using_subcommand serve" -l api-listen -d 'Where the API is; loopback only' -r
complete -c postern-controller -n "__fish_postern_controller_using_subcommand serve" -l api-name -d 'A host name that callers of the API may use, because a proxy passes it on; may be repeated' -r
complete -c postern-controller -n "__fish_postern_controller_using_subcommand serve" -l api-calls-per-sec -d 'How many calls of the API one token may make in a second, twice as many at once' -r
complete -c postern-controller -n "__fish_postern_controller_using_subcommand serve" -l api-failures-per-min -d 'How many calls without a good token are told so in a minute, of one address; more are told to wait' -r
complete -c postern-controller -n "__fish_postern_controller_using_subcommand serve" -l enrollments-per-min -d 'How many enrollments and recoveries of one address are told in a minute why they were refused; more are told to wait' -r
complete -c postern-controller -n "__fish_postern_controller_using_subcommand serve" -l public-name -d 'A host name or IP address that agents connect to; may be repeated [default: localhost, 127.0.0.1, ::1]' -r
complete -c postern-controller -n "__fish_postern_controller_using_subcommand serve" -l certificate-days -d 'How many days a member\'s certificate lasts, 1 to 30; members renew it at half of that' -r
complete -c postern-controller -n "__fish_postern_controller_using_subcommand serve" -l certificate-secs -d 'For tests: how many seconds it lasts' -r
complete -c postern-controller -n "__fish_postern_controller_using_subcommand serve" -l recovery-days -d 'For how many days after its certificate ran out a member may get a new one by proof of the old key, 0 to 14' -r
complete -c postern-controller -n "__fish_postern_controller_using_subcommand serve" -l lease-ttl-secs -d 'How long a lease lasts, in seconds; agents\' `request_timeout_secs` must stay below two thirds of it' -r
complete -c postern-controller -n "__fish_postern_controller_using_subcommand serve" -l settle-secs -d 'How long after a lease has run out a change may still appear, in seconds; only then is the task given to another' -r
complete -c postern-controller -n "__fish_postern_controller_using_subcommand serve" -l heartbeat-secs -d 'How often each side of a session asks for a sign of life, in seconds' -r
complete -c postern-controller -n "__fish_postern_controller_using_subcommand serve" -l keep-finished-days -d 'How many days a finished task is kept; a task whose id is older than that is not taken in again' -r
complete -c postern-controller -n "__fish_postern_controller_using_subcommand serve" -l keep-finished-tasks -d 'How many finished tasks, the newest, are kept for longer; most take about 2 KiB of disk' -r
complete -c postern-controller -n "__fish_postern_controller_using_subcommand serve" -l max-connections -d 'How many connections agents may have at once, sessions and handshakes together' -r
complete -c postern-controller -n "__fish_postern_controller_using_subcommand serve" -l max-handshakes -d 'How many of them may be handshakes; beyond that the oldest makes room, of the address that has most' -r
complete -c postern-controller -n "__fish_postern_controller_using_subcommand serve" -l max-handshakes-per-address -d 'How many of these may come from one address: a whole fleet may live behind one proxy' -r
complete -c postern-controller -n "__fish_postern_controller_using_subcommand serve" -l health-listen -d 'Answer probes and Prometheus at this address, e.g. 127.0.0.1:9465: /live, /ready, /useful and /metrics. Without a token: whoever gets there sees them' -r
complete -c postern-controller -n "__fish_postern_controller_using_subcommand serve" -l otlp -d 'Tell of tasks as OpenTelemetry traces to the collector at this URL (OTLP over HTTP, in JSON; `/v1/traces` is appended)' -r
complete -c postern-controller -n "__fish_postern_controller_using_subcommand serve" -l ready-file -d 'Write the bound addresses to this file, as JSON, once everything listens' -r -F
complete -c postern-controller -n "__fish_postern_controller_using_subcommand serve" -l log-format -d 'How logs are written' -r -f -a "text\t'For people'
json\t'One JSON object a line'"
complete -c postern-controller -n "__fish_postern_controller_using_subcommand serve" -l log-level -d 'What is logged, e.g. `info` or `postern_controller_stub=debug`' -r
complete -c postern-controller -n "__fish_postern_controller_using_subcommand serve" -l auto-approve -d 'Enable new members without an operator comparing fingerprints; for pilots'
complete -c postern-controller -n "__fish_postern_controller_using_subcommand serve" -l health-open-to-the-network -d 'That address may be one that others than this host reach'
complete -c postern-controller -n "__fish_postern_controller_using_subcommand serve" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c postern-controller -n "__fish_postern_controller_using_subcommand token; and not __fish_seen_subcommand_from create" -l data-dir -d 'The data directory of a controller on this host' -r -F
complete -c postern-controller -n "__fish_postern_controller_using_subcommand token; and not __fish_seen_subcommand_from create" -l api-url -d 'The URL of the API, if not that of --data-dir' -r
complete -c postern-controller -n "__fish_postern_controller_using_subcommand token; and not __fish_seen_subcommand_from create" -l api-token-file -d 'The file with your token for the API, if not the first administrator\'s in --data-dir' -r -F
complete -c postern-controller -n "__fish_postern_controller_using_subcommand token; and not __fish_seen_subcommand_from create" -l json -d 'Answer in JSON'
complete -c postern-controller -n "__fish_postern_controller_using_subcommand token; and not __fish_seen_subcommand_from create" -s h -l help -d 'Print help'
complete -c postern-controller -n "__fish_postern_controller_using_subcommand token; and not __fish_seen_subcommand_from create" -f -a "create" -d 'Make a token that lets one agent enroll within 15 minutes; it is shown this once'
complete -c postern-controller -n "__fish_postern_controller_using_subcommand token; and __fish_seen_subcommand_from create" -l cluster -d 'The cluster the agent becomes a member of' -r
complete -c postern-controller -n "__fish_postern_controller_using_subcommand token; and __fish_seen_subcommand_from create" -l data-dir -d 'The data directory of a controller on this host' -r -F
complete -c postern-controller -n "__fish_postern_controller_using_subcommand token; and __fish_seen_subcommand_from create" -l api-url -d 'The URL of the API, if not that of --data-dir' -r
complete -c postern-controller -n "__fish_postern_controller_using_subcommand token; and __fish_seen_subcommand_from create" -l api-token-file -d 'The file with your token for the API, if not the first administrator\'s in --data-dir' -r -F
complete -c postern-controller -n "__fish_postern_controller_using_subcommand token; and __fish_seen_subcommand_from create" -l json -d 'Answer in JSON'
complete -c postern-controller -n "__fish_postern_controller_using_subcommand token; and __fish_seen_subcommand_from create" -s h -l help -d 'Print help'
complete -c postern-controller -n "__fish_postern_controller_using_subcommand api-token; and not __fish_seen_subcommand_from create list revoke" -l data-dir -d 'The data directory of a controller on this host' -r -F
complete -c postern-controller -n "__fish_postern_controller_using_subcommand api-token; and not __fish_seen_subcommand_from create list revoke" -l api-url -d 'The URL of the API, if not that of --data-dir' -r
complete -c postern-controller -n "__fish_postern_controller_using_subcommand api-token; and not __fish_seen_subcommand_from create list revoke" -l api-token-file -d 'The file with your token for the API, if not the first administrator\'s in --data-dir' -r -F
complete -c postern-controller -n "__fish_postern_controller_using_subcommand api-token; and not __fish_seen_subcommand_from create list revoke" -l json -d 'Answer in JSON'
complete -c postern-controller -n "__fish_postern_controller_using_subcommand api-token; and not __fish_seen_subcommand_from create list revoke" -s h -l help -d 'Print help'
complete -c postern-controller -n "__fish_postern_controller_using_subcommand api-token; and not __fish_seen_subcommand_from create list revoke" -f -a "create" -d 'Make a token for somebody who uses the API; it is shown this once'
complete -c postern-controller -n "__fish_postern_controller_using_subcommand api-token; and not __fish_seen_subcommand_from create list revoke" -f -a "list" -d 'List the tokens, without their secrets'
complete -c postern-controller -n "__fish_postern_controller_using_subcommand api-token; and not __fish_seen_subcommand_from create list revoke" -f -a "revoke" -d 'Take a token back, at once: what it still waits for ends too'
complete -c postern-controller -n "__fish_postern_controller_using_subcommand api-token; and __fish_seen_subcommand_from create" -l name -d 'What to call it: lower-case letters, digits, `-`, `_` and `.`' -r
complete -c postern-controller -n "__fish_postern_controller_using_subcommand api-token; and __fish_seen_subcommand_from create" -l role -d 'What it is good for' -r -f -a "viewer\t'Looks: at tasks, members, systems, never at sealed values or results'
operator\t'Submits and cancels tasks, fetches what came of them, lets members work or rest'
administrator\t'Everything: who belongs to the controller, what it serves, and who may use its API'"
complete -c postern-controller -n "__fish_postern_controller_using_subcommand api-token; and __fish_seen_subcommand_from create" -l expires -d 'After how long it runs out, e.g. 90d, 12h or 30m [default: never]' -r
complete -c postern-controller -n "__fish_postern_controller_using_subcommand api-token; and __fish_seen_subcommand_from create" -l data-dir -d 'The data directory of a controller on this host' -r -F
complete -c postern-controller -n "__fish_postern_controller_using_subcommand api-token; and __fish_seen_subcommand_from create" -l api-url -d 'The URL of the API, if not that of --data-dir' -r
complete -c postern-controller -n "__fish_postern_controller_using_subcommand api-token; and __fish_seen_subcommand_from create" -l api-token-file -d 'The file with your token for the API, if not the first administrator\'s in --data-dir' -r -F
complete -c postern-controller -n "__fish_postern_controller_using_subcommand api-token; and __fish_seen_subcommand_from create" -l json -d 'Answer in JSON'
complete -c postern-controller -n "__fish_postern_controller_using_subcommand api-token; and __fish_seen_subcommand_from create" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c postern-controller -n "__fish_postern_controller_using_subcommand api-token; and __fish_seen_subcommand_from list" -l data-dir -d 'The data directory of a controller on this host' -r -F
complete -c postern-controller -n "__fish_postern_controller_using_subcommand api-token; and __fish_seen_subcommand_from list" -l api-url -d 'The URL of the API, if not that of --data-dir' -r
complete -c postern-controller -n "__fish_postern_controller_using_subcommand api-token; and __fish_seen_subcommand_from list" -l api-token-file -d 'The file with your token for the API, if not the first administrator\'s in --data-dir' -r -F
complete -c postern-controller -n "__fish_postern_controller_using_subcommand api-token; and __fish_seen_subcommand_from list" -l json -d 'Answer in JSON'
complete -c postern-controller -n "__fish_postern_controller_using_subcommand api-token; and __fish_seen_subcommand_from list" -s h -l help -d 'Print help'
complete -c postern-controller -n "__fish_postern_controller_using_subcommand api-token; and __fish_seen_subcommand_from revoke" -l data-dir -d 'The data directory of a controller on this host' -r -F
complete -c postern-controller -n "__fish_postern_controller_using_subcommand api-token; and __fish_seen_subcommand_from revoke" -l api-url -d 'The URL of the API, if not that of --data-dir' -r
complete -c postern-controller -n "__fish_postern_controller_using_subcommand api-token; and __fish_seen_subcommand_from revoke" -l api-token-file -d 'The file with your token for the API, if not the first administrator\'s in --data-dir' -r -F
complete -c postern-controller -n "__fish_postern_controller_using_subcommand api-token; and __fish_seen_subcommand_from revoke" -l json -d 'Answer in JSON'
complete -c postern-controller -n "__fish_postern_controller_using_subcommand api-token; and __fish_seen_subcommand_from revoke" -s h -l help -d 'Print help'
complete -c postern-controller -n "__fish_postern_controller_using_subcommand audit; and not __fish_seen_subcommand_from verify show" -l data-dir -d 'The data directory of a controller on this host' -r -F
complete -c postern-controller -n "__fish_postern_controller_using_subcommand audit; and not __fish_seen_subcommand_from verify show" -l api-url -d 'The URL of the API, if not that of --data-dir' -r
complete -c postern-controller -n "__fish_postern_controller_using_subcommand audit; and not __fish_seen_subcommand_from verify show" -l api-token-file -d 'The file with your token for the API, if not the first administrator\'s in --data-dir' -r -F
complete -c postern-controller -n "__fish_postern_controller_using_subcommand audit; and not __fish_seen_subcommand_from verify show" -l json -d 'Answer in JSON'
complete -c postern-controller -n "__fish_postern_controller_using_subcommand audit; and not __fish_seen_subcommand_from verify show" -s h -l help -d 'Print help'
complete -c postern-controller -n "__fish_postern_controller_using_subcommand audit; and not __fish_seen_subcommand_from verify show" -f -a "verify" -d 'Say whether the log was changed since it was written'
complete -c postern-controller -n "__fish_postern_controller_using_subcommand audit; and not __fish_seen_subcommand_from verify show" -f -a "show" -d 'Show the lines'
complete -c postern-controller -n "__fish_postern_controller_using_subcommand audit; and __fish_seen_subcommand_from verify" -l dir -d 'The log\'s directory, if not `audit` in --data-dir' -r -F
complete -c postern-controller -n "__fish_postern_controller_using_subcommand audit; and __fish_seen_subcommand_from verify" -l after -d 'The head with which the older files ended that were moved away: the log begins with the line after it' -r
complete -c postern-controller -n "__fish_postern_controller_using_subcommand audit; and __fish_seen_subcommand_from verify" -l head -d 'A head that was noted before, as it was printed; may be repeated' -r
complete -c postern-controller -n "__fish_postern_controller_using_subcommand audit; and __fish_seen_subcommand_from verify" -l data-dir -d 'The data directory of a controller on this host' -r -F
complete -c postern-controller -n "__fish_postern_controller_using_subcommand audit; and __fish_seen_subcommand_from verify" -l api-url -d 'The URL of the API, if not that of --data-dir' -r
complete -c postern-controller -n "__fish_postern_controller_using_subcommand audit; and __fish_seen_subcommand_from verify" -l api-token-file -d 'The file with your token for the API, if not the first administrator\'s in --data-dir' -r -F
complete -c postern-controller -n "__fish_postern_controller_using_subcommand audit; and __fish_seen_subcommand_from verify" -l json -d 'Answer in JSON'
complete -c postern-controller -n "__fish_postern_controller_using_subcommand audit; and __fish_seen_subcommand_from verify" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c postern-controller -n "__fish_postern_controller_using_subcommand audit; and __fish_seen_subcommand_from show" -l dir -d 'The log\'s directory, if not `audit` in --data-dir' -r -F
complete -c postern-controller -n "__fish_postern_controller_using_subcommand audit; and __fish_seen_subcommand_from show" -l after -d 'The head with which the older files ended that were moved away: the log begins with the line after it' -r
complete -c postern-controller -n "__fish_postern_controller_using_subcommand audit; and __fish_seen_subcommand_from show" -l since -d 'Only from this day (in UTC), or this moment on' -r
complete -c postern-controller -n "__fish_postern_controller_using_subcommand audit; and __fish_seen_subcommand_from show" -l by -d 'What was done by the token of this name, or by `controller` itself' -r
complete -c postern-controller -n "__fish_postern_controller_using_subcommand audit; and __fish_seen_subcommand_from show" -l on -d 'What was done to this' -r
complete -c postern-controller -n "__fish_postern_controller_using_subcommand audit; and __fish_seen_subcommand_from show" -l act -d 'Acts of this name alone, e.g. member.revoke, or of this kind, e.g. member' -r
complete -c postern-controller -n "__fish_postern_controller_using_subcommand audit; and __fish_seen_subcommand_from show" -l data-dir -d 'The data directory of a controller on this host' -r -F
complete -c postern-controller -n "__fish_postern_controller_using_subcommand audit; and __fish_seen_subcommand_from show" -l api-url -d 'The URL of the API, if not that of --data-dir' -r
complete -c postern-controller -n "__fish_postern_controller_using_subcommand audit; and __fish_seen_subcommand_from show" -l api-token-file -d 'The file with your token for the API, if not the first administrator\'s in --data-dir' -r -F
complete -c postern-controller -n "__fish_postern_controller_using_subcommand audit; and __fish_seen_subcommand_from show" -l json -d 'Answer in JSON'
complete -c postern-controller -n "__fish_postern_controller_using_subcommand audit; and __fish_seen_subcommand_from show" -s h -l help -d 'Print help'
complete -c postern-controller -n "__fish_postern_controller_using_subcommand cluster; and not __fish_seen_subcommand_from create list" -l data-dir -d 'The data directory of a controller on this host' -r -F
complete -c postern-controller -n "__fish_postern_controller_using_subcommand cluster; and not __fish_seen_subcommand_from create list" -l api-url -d 'The URL of the API, if not that of --data-dir' -r
complete -c postern-controller -n "__fish_postern_controller_using_subcommand cluster; and not __fish_seen_subcommand_from create list" -l api-token-file -d 'The file with your token for the API, if not the first administrator\'s in --data-dir' -r -F
complete -c postern-controller -n "__fish_postern_controller_using_subcommand cluster; and not __fish_seen_subcommand_from create list" -l json -d 'Answer in JSON'
complete -c postern-controller -n "__fish_postern_controller_using_subcommand cluster; and not __fish_seen_subcommand_from create list" -s h -l help -d 'Print help'
complete -c postern-controller -n "__fish_postern_controller_using_subcommand cluster; and not __fish_seen_subcommand_from create list" -f -a "create" -d 'Make a cluster'
complete -c postern-controller -n "__fish_postern_controller_using_subcommand cluster; and not __fish_seen_subcommand_from create list" -f -a "list" -d 'List the clusters'
complete -c postern-controller -n "__fish_postern_controller_using_subcommand cluster; and __fish_seen_subcommand_from create" -l data-dir -d 'The data directory of a controller on this host' -r -F
complete -c postern-controller -n "__fish_postern_controller_using_subcommand cluster; and __fish_seen_subcommand_from create" -l api-url -d 'The URL of the API, if not that of --data-dir' -r
complete -c postern-controller -n "__fish_postern_controller_using_subcommand cluster; and __fish_seen_subcommand_from create" -l api-token-file -d 'The file with your token for the API, if not the first administrator\'s in --data-dir' -r -F
complete -c postern-controller -n "__fish_postern_controller_using_subcommand cluster; and __fish_seen_subcommand_from create" -l json -d 'Answer in JSON'
complete -c postern-controller -n "__fish_postern_controller_using_subcommand cluster; and __fish_seen_subcommand_from create" -s h -l help -d 'Print help'
complete -c postern-controller -n "__fish_postern_controller_using_subcommand cluster; and __fish_seen_subcommand_from list" -l data-dir -d 'The data directory of a controller on this host' -r -F
complete -c postern-controller -n "__fish_postern_controller_using_subcommand cluster; and __fish_seen_subcommand_from list" -l api-url -d 'The URL of the API, if not that of --data-dir' -r
complete -c postern-controller -n "__fish_postern_controller_using_subcommand cluster; and __fish_seen_subcommand_from list" -l api-token-file -d 'The file with your token for the API, if not the first administrator\'s in --data-dir' -r -F
complete -c postern-controller -n "__fish_postern_controller_using_subcommand cluster; and __fish_seen_subcommand_from list" -l json -d 'Answer in JSON'
complete -c postern-controller -n "__fish_postern_controller_using_subcommand cluster; and __fish_seen_subcommand_from list" -s h -l help -d 'Print help'
complete -c postern-controller -n "__fish_postern_controller_using_subcommand member; and not __fish_seen_subcommand_from list show approve enable disable drain revoke remove" -l data-dir -d 'The data directory of a controller on this host' -r -F
complete -c postern-controller -n "__fish_postern_controller_using_subcommand member; and not __fish_seen_subcommand_from list show approve enable disable drain revoke remove" -l api-url -d 'The URL of the API, if not that of --data-dir' -r
complete -c postern-controller -n "__fish_postern_controller_using_subcommand member; and not __fish_seen_subcommand_from list show approve enable disable drain revoke remove" -l api-token-file -d 'The file with your token for the API, if not the first administrator\'s in --data-dir' -r -F
complete -c postern-controller -n "__fish_postern_controller_using_subcommand member; and not __fish_seen_subcommand_from list show approve enable disable drain revoke remove" -l json -d 'Answer in JSON'
complete -c postern-controller -n "__fish_postern_controller_using_subcommand member; and not __fish_seen_subcommand_from list show approve enable disable drain revoke remove" -s h -l help -d 'Print help'
complete -c postern-controller -n "__fish_postern_controller_using_subcommand member; and not __fish_seen_subcommand_from list show approve enable disable drain revoke remove" -f -a "list" -d 'List the members'
complete -c postern-controller -n "__fish_postern_controller_using_subcommand member; and not __fish_seen_subcommand_from list show approve enable disable drain revoke remove" -f -a "show" -d 'Show one member'
complete -c postern-controller -n "__fish_postern_controller_using_subcommand member; and not __fish_seen_subcommand_from list show approve enable disable drain revoke remove" -f -a "approve" -d 'Let a new member work; compare the fingerprint with the one `postern enroll` printed first'
complete -c postern-controller -n "__fish_postern_controller_using_subcommand member; and not __fish_seen_subcommand_from list show approve enable disable drain revoke remove" -f -a "enable" -d 'Let a disabled or draining member work again'
complete -c postern-controller -n "__fish_postern_controller_using_subcommand member; and not __fish_seen_subcommand_from list show approve enable disable drain revoke remove" -f -a "disable" -d 'Let a member finish what it holds, then disable it; --hard: at once'
complete -c postern-controller -n "__fish_postern_controller_using_subcommand member; and not __fish_seen_subcommand_from list show approve enable disable drain revoke remove" -f -a "drain" -d 'Give a member nothing new'
complete -c postern-controller -n "__fish_postern_controller_using_subcommand member; and not __fish_seen_subcommand_from list show approve enable disable drain revoke remove" -f -a "revoke" -d 'Throw a member out for good'
complete -c postern-controller -n "__fish_postern_controller_using_subcommand member; and not __fish_seen_subcommand_from list show approve enable disable drain revoke remove" -f -a "remove" -d 'Remove a member that is pending or revoked and holds no task'
complete -c postern-controller -n "__fish_postern_controller_using_subcommand member; and __fish_seen_subcommand_from list" -l cluster -d 'Of this cluster only' -r
complete -c postern-controller -n "__fish_postern_controller_using_subcommand member; and __fish_seen_subcommand_from list" -l data-dir -d 'The data directory of a controller on this host' -r -F
complete -c postern-controller -n "__fish_postern_controller_using_subcommand member; and __fish_seen_subcommand_from list" -l api-url -d 'The URL of the API, if not that of --data-dir' -r
complete -c postern-controller -n "__fish_postern_controller_using_subcommand member; and __fish_seen_subcommand_from list" -l api-token-file -d 'The file with your token for the API, if not the first administrator\'s in --data-dir' -r -F
complete -c postern-controller -n "__fish_postern_controller_using_subcommand member; and __fish_seen_subcommand_from list" -l json -d 'Answer in JSON'
complete -c postern-controller -n "__fish_postern_controller_using_subcommand member; and __fish_seen_subcommand_from list" -s h -l help -d 'Print help'
complete -c postern-controller -n "__fish_postern_controller_using_subcommand member; and __fish_seen_subcommand_from show" -l data-dir -d 'The data directory of a controller on this host' -r -F
complete -c postern-controller -n "__fish_postern_controller_using_subcommand member; and __fish_seen_subcommand_from show" -l api-url -d 'The URL of the API, if not that of --data-dir' -r
complete -c postern-controller -n "__fish_postern_controller_using_subcommand member; and __fish_seen_subcommand_from show" -l api-token-file -d 'The file with your token for the API, if not the first administrator\'s in --data-dir' -r -F
complete -c postern-controller -n "__fish_postern_controller_using_subcommand member; and __fish_seen_subcommand_from show" -l json -d 'Answer in JSON'
complete -c postern-controller -n "__fish_postern_controller_using_subcommand member; and __fish_seen_subcommand_from show" -s h -l help -d 'Print help'
complete -c postern-controller -n "__fish_postern_controller_using_subcommand member; and __fish_seen_subcommand_from approve" -l data-dir -d 'The data directory of a controller on this host' -r -F
complete -c postern-controller -n "__fish_postern_controller_using_subcommand member; and __fish_seen_subcommand_from approve" -l api-url -d 'The URL of the API, if not that of --data-dir' -r
complete -c postern-controller -n "__fish_postern_controller_using_subcommand member; and __fish_seen_subcommand_from approve" -l api-token-file -d 'The file with your token for the API, if not the first administrator\'s in --data-dir' -r -F
complete -c postern-controller -n "__fish_postern_controller_using_subcommand member; and __fish_seen_subcommand_from approve" -l json -d 'Answer in JSON'
complete -c postern-controller -n "__fish_postern_controller_using_subcommand member; and __fish_seen_subcommand_from approve" -s h -l help -d 'Print help'
complete -c postern-controller -n "__fish_postern_controller_using_subcommand member; and __fish_seen_subcommand_from enable" -l data-dir -d 'The data directory of a controller on this host' -r -F
complete -c postern-controller -n "__fish_postern_controller_using_subcommand member; and __fish_seen_subcommand_from enable" -l api-url -d 'The URL of the API, if not that of --data-dir' -r
complete -c postern-controller -n "__fish_postern_controller_using_subcommand member; and __fish_seen_subcommand_from enable" -l api-token-file -d 'The file with your token for the API, if not the first administrator\'s in --data-dir' -r -F
complete -c postern-controller -n "__fish_postern_controller_using_subcommand member; and __fish_seen_subcommand_from enable" -l json -d 'Answer in JSON'
complete -c postern-controller -n "__fish_postern_controller_using_subcommand member; and __fish_seen_subcommand_from enable" -s h -l help -d 'Print help'
complete -c postern-controller -n "__fish_postern_controller_using_subcommand member; and __fish_seen_subcommand_from disable" -l data-dir -d 'The data directory of a controller on this host' -r -F
complete -c postern-controller -n "__fish_postern_controller_using_subcommand member; and __fish_seen_subcommand_from disable" -l api-url -d 'The URL of the API, if not that of --data-dir' -r
complete -c postern-controller -n "__fish_postern_controller_using_subcommand member; and __fish_seen_subcommand_from disable" -l api-token-file -d 'The file with your token for the API, if not the first administrator\'s in --data-dir' -r -F
complete -c postern-controller -n "__fish_postern_controller_using_subcommand member; and __fish_seen_subcommand_from disable" -l hard -d 'Do not wait for what it holds'
complete -c postern-controller -n "__fish_postern_controller_using_subcommand member; and __fish_seen_subcommand_from disable" -l json -d 'Answer in JSON'
complete -c postern-controller -n "__fish_postern_controller_using_subcommand member; and __fish_seen_subcommand_from disable" -s h -l help -d 'Print help'
complete -c postern-controller -n "__fish_postern_controller_using_subcommand member; and __fish_seen_subcommand_from drain" -l data-dir -d 'The data directory of a controller on this host' -r -F
complete -c postern-controller -n "__fish_postern_controller_using_subcommand member; and __fish_seen_subcommand_from drain" -l api-url -d 'The URL of the API, if not that of --data-dir' -r
complete -c postern-controller -n "__fish_postern_controller_using_subcommand member; and __fish_seen_subcommand_from drain" -l api-token-file -d 'The file with your token for the API, if not the first administrator\'s in --data-dir' -r -F
complete -c postern-controller -n "__fish_postern_controller_using_subcommand member; and __fish_seen_subcommand_from drain" -l json -d 'Answer in JSON'
complete -c postern-controller -n "__fish_postern_controller_using_subcommand member; and __fish_seen_subcommand_from drain" -s h -l help -d 'Print help'
complete -c postern-controller -n "__fish_postern_controller_using_subcommand member; and __fish_seen_subcommand_from revoke" -l data-dir -d 'The data directory of a controller on this host' -r -F
complete -c postern-controller -n "__fish_postern_controller_using_subcommand member; and __fish_seen_subcommand_from revoke" -l api-url -d 'The URL of the API, if not that of --data-dir' -r
complete -c postern-controller -n "__fish_postern_controller_using_subcommand member; and __fish_seen_subcommand_from revoke" -l api-token-file -d 'The file with your token for the API, if not the first administrator\'s in --data-dir' -r -F
complete -c postern-controller -n "__fish_postern_controller_using_subcommand member; and __fish_seen_subcommand_from revoke" -l json -d 'Answer in JSON'
complete -c postern-controller -n "__fish_postern_controller_using_subcommand member; and __fish_seen_subcommand_from revoke" -s h -l help -d 'Print help'
complete -c postern-controller -n "__fish_postern_controller_using_subcommand member; and __fish_seen_subcommand_from remove" -l data-dir -d 'The data directory of a controller on this host' -r -F
complete -c postern-controller -n "__fish_postern_controller_using_subcommand member; and __fish_seen_subcommand_from remove" -l api-url -d 'The URL of the API, if not that of --data-dir' -r
complete -c postern-controller -n "__fish_postern_controller_using_subcommand member; and __fish_seen_subcommand_from remove" -l api-token-file -d 'The file with your token for the API, if not the first administrator\'s in --data-dir' -r -F
complete -c postern-controller -n "__fish_postern_controller_using_subcommand member; and __fish_seen_subcommand_from remove" -l json -d 'Answer in JSON'
complete -c postern-controller -n "__fish_postern_controller_using_subcommand member; and __fish_seen_subcommand_from remove" -s h -l help -d 'Print help'
complete -c postern-controller -n "__fish_postern_controller_using_subcommand system; and not __fish_seen_subcommand_from add edit list show associate log-level remove" -l data-dir -d 'The data directory of a controller on this host' -r -F
complete -c postern-controller -n "__fish_postern_controller_using_subcommand system; and not __fish_seen_subcommand_from add edit list show associate log-level remove" -l api-url -d 'The URL of the API, if not that of --data-dir' -r
complete -c postern-controller -n "__fish_postern_controller_using_subcommand system; and not __fish_seen_subcommand_from add edit list show associate log-level remove" -l api-token-file -d 'The file with your token for the API, if not the first administrator\'s in --data-dir' -r -F
complete -c postern-controller -n "__fish_postern_controller_using_subcommand system; and not __fish_seen_subcommand_from add edit list show associate log-level remove" -l json -d 'Answer in JSON'
complete -c postern-controller -n "__fish_postern_controller_using_subcommand system; and not __fish_seen_subcommand_from add edit list show associate log-level remove" -s h -l help -d 'Print help'
complete -c postern-controller -n "__fish_postern_controller_using_subcommand system; and not __fish_seen_subcommand_from add edit list show associate log-level remove" -f -a "add" -d 'Add a connected system'
complete -c postern-controller -n "__fish_postern_controller_using_subcommand system; and not __fish_seen_subcommand_from add edit list show associate log-level remove" -f -a "edit" -d 'Change what is known of a connected system; what is not named stays'
complete -c postern-controller -n "__fish_postern_controller_using_subcommand system; and not __fish_seen_subcommand_from add edit list show associate log-level remove" -f -a "list" -d 'List the connected systems'
complete -c postern-controller -n "__fish_postern_controller_using_subcommand system; and not __fish_seen_subcommand_from add edit list show associate log-level remove" -f -a "show" -d 'Show one connected system'
complete -c postern-controller -n "__fish_postern_controller_using_subcommand system; and not __fish_seen_subcommand_from add edit list show associate log-level remove" -f -a "associate" -d 'Say who works on a connected system from now on'
complete -c postern-controller -n "__fish_postern_controller_using_subcommand system; and not __fish_seen_subcommand_from add edit list show associate log-level remove" -f -a "log-level" -d 'Have members log more, or less, of a connected system for a while'
complete -c postern-controller -n "__fish_postern_controller_using_subcommand system; and not __fish_seen_subcommand_from add edit list show associate log-level remove" -f -a "remove" -d 'Take a connected system away; its tasks have to be finished'
complete -c postern-controller -n "__fish_postern_controller_using_subcommand system; and __fish_seen_subcommand_from add" -l with -d '`server`, or the cluster whose members work on it' -r
complete -c postern-controller -n "__fish_postern_controller_using_subcommand system; and __fish_seen_subcommand_from add" -l type -d 'Its type: what the agents\' configuration calls `connector`' -r
complete -c postern-controller -n "__fish_postern_controller_using_subcommand system; and __fish_seen_subcommand_from add" -l display-name -d 'Its name for people' -r
complete -c postern-controller -n "__fish_postern_controller_using_subcommand system; and __fish_seen_subcommand_from add" -l description -d 'What it is' -r
complete -c postern-controller -n "__fish_postern_controller_using_subcommand system; and __fish_seen_subcommand_from add" -l locale -d 'Its language [default: en]' -r
complete -c postern-controller -n "__fish_postern_controller_using_subcommand system; and __fish_seen_subcommand_from add" -l password-reset-by -d 'Who may have passwords reset, besides administrators [default: obo_user_only]' -r -f -a "obo_user_only\t''
users_and_obo_user\t''
external\t''"
complete -c postern-controller -n "__fish_postern_controller_using_subcommand system; and __fish_seen_subcommand_from add" -l provisioning-option -d 'Whether workflows may use it [default: automated]' -r -f -a "automated\t''
administrative\t''"
complete -c postern-controller -n "__fish_postern_controller_using_subcommand system; and __fish_seen_subcommand_from add" -l hpam -d 'Whether its accounts are managed as privileged ones [default: false]' -r -f -a "true\t''
false\t''"
complete -c postern-controller -n "__fish_postern_controller_using_subcommand system; and __fish_seen_subcommand_from add" -l transfer-of-accounts -d 'Whether its accounts can be transferred [default: false]' -r -f -a "true\t''
false\t''"
complete -c postern-controller -n "__fish_postern_controller_using_subcommand system; and __fish_seen_subcommand_from add" -l owner -d 'Somebody who owns it; may be repeated' -r
complete -c postern-controller -n "__fish_postern_controller_using_subcommand system; and __fish_seen_subcommand_from add" -l category -d 'What it is filed under; may be repeated' -r
complete -c postern-controller -n "__fish_postern_controller_using_subcommand system; and __fish_seen_subcommand_from add" -l data-dir -d 'The data directory of a controller on this host' -r -F
complete -c postern-controller -n "__fish_postern_controller_using_subcommand system; and __fish_seen_subcommand_from add" -l api-url -d 'The URL of the API, if not that of --data-dir' -r
complete -c postern-controller -n "__fish_postern_controller_using_subcommand system; and __fish_seen_subcommand_from add" -l api-token-file -d 'The file with your token for the API, if not the first administrator\'s in --data-dir' -r -F
complete -c postern-controller -n "__fish_postern_controller_using_subcommand system; and __fish_seen_subcommand_from add" -l json -d 'Answer in JSON'
complete -c postern-controller -n "__fish_postern_controller_using_subcommand system; and __fish_seen_subcommand_from add" -s h -l help -d 'Print help'
complete -c postern-controller -n "__fish_postern_controller_using_subcommand system; and __fish_seen_subcommand_from edit" -l display-name -d 'Its name for people' -r
complete -c postern-controller -n "__fish_postern_controller_using_subcommand system; and __fish_seen_subcommand_from edit" -l description -d 'What it is' -r
complete -c postern-controller -n "__fish_postern_controller_using_subcommand system; and __fish_seen_subcommand_from edit" -l locale -d 'Its language [default: en]' -r
complete -c postern-controller -n "__fish_postern_controller_using_subcommand system; and __fish_seen_subcommand_from edit" -l password-reset-by -d 'Who may have passwords reset, besides administrators [default: obo_user_only]' -r -f -a "obo_user_only\t''
users_and_obo_user\t''
external\t''"
complete -c postern-controller -n "__fish_postern_controller_using_subcommand system; and __fish_seen_subcommand_from edit" -l provisioning-option -d 'Whether workflows may use it [default: automated]' -r -f -a "automated\t''
administrative\t''"
complete -c postern-controller -n "__fish_postern_controller_using_subcommand system; and __fish_seen_subcommand_from edit" -l hpam -d 'Whether its accounts are managed as privileged ones [default: false]' -r -f -a "true\t''
false\t''"
complete -c postern-controller -n "__fish_postern_controller_using_subcommand system; and __fish_seen_subcommand_from edit" -l transfer-of-accounts -d 'Whether its accounts can be transferred [default: false]' -r -f -a "true\t''
false\t''"
complete -c postern-controller -n "__fish_postern_controller_using_subcommand system; and __fish_seen_subcommand_from edit" -l owner -d 'Somebody who owns it; may be repeated' -r
complete -c postern-controller -n "__fish_postern_controller_using_subcommand system; and __fish_seen_subcommand_from edit" -l category -d 'What it is filed under; may be repeated' -r
complete -c postern-controller -n "__fish_postern_controller_using_subcommand system; and __fish_seen_subcommand_from edit" -l in -d 'The language of --display-name and --description, if not the system\'s own' -r
complete -c postern-controller -n "__fish_postern_controller_using_subcommand system; and __fish_seen_subcommand_from edit" -l remove-owner -d 'Take an owner away; may be repeated' -r
complete -c postern-controller -n "__fish_postern_controller_using_subcommand system; and __fish_seen_subcommand_from edit" -l remove-category -d 'Take it out of a category; may be repeated' -r
complete -c postern-controller -n "__fish_postern_controller_using_subcommand system; and __fish_seen_subcommand_from edit" -l data-dir -d 'The data directory of a controller on this host' -r -F
complete -c postern-controller -n "__fish_postern_controller_using_subcommand system; and __fish_seen_subcommand_from edit" -l api-url -d 'The URL of the API, if not that of --data-dir' -r
complete -c postern-controller -n "__fish_postern_controller_using_subcommand system; and __fish_seen_subcommand_from edit" -l api-token-file -d 'The file with your token for the API, if not the first administrator\'s in --data-dir' -r -F
complete -c postern-controller -n "__fish_postern_controller_using_subcommand system; and __fish_seen_subcommand_from edit" -l json -d 'Answer in JSON'
complete -c postern-controller -n "__fish_postern_controller_using_subcommand system; and __fish_seen_subcommand_from edit" -s h -l help -d 'Print help'
complete -c postern-controller -n "__fish_postern_controller_using_subcommand system; and __fish_seen_subcommand_from list" -l data-dir -d 'The data directory of a controller on this host' -r -F
complete -c postern-controller -n "__fish_postern_controller_using_subcommand system; and __fish_seen_subcommand_from list" -l api-url -d 'The URL of the API, if not that of --data-dir' -r
complete -c postern-controller -n "__fish_postern_controller_using_subcommand system; and __fish_seen_subcommand_from list" -l api-token-file -d 'The file with your token for the API, if not the first administrator\'s in --data-dir' -r -F
complete -c postern-controller -n "__fish_postern_controller_using_subcommand system; and __fish_seen_subcommand_from list" -l json -d 'Answer in JSON'
complete -c postern-controller -n "__fish_postern_controller_using_subcommand system; and __fish_seen_subcommand_from list" -s h -l help -d 'Print help'
complete -c postern-controller -n "__fish_postern_controller_using_subcommand system; and __fish_seen_subcommand_from show" -l data-dir -d 'The data directory of a controller on this host' -r -F
complete -c postern-controller -n "__fish_postern_controller_using_subcommand system; and __fish_seen_subcommand_from show" -l api-url -d 'The URL of the API, if not that of --data-dir' -r
complete -c postern-controller -n "__fish_postern_controller_using_subcommand system; and __fish_seen_subcommand_from show" -l api-token-file -d 'The file with your token for the API, if not the first administrator\'s in --data-dir' -r -F
complete -c postern-controller -n "__fish_postern_controller_using_subcommand system; and __fish_seen_subcommand_from show" -l json -d 'Answer in JSON'
complete -c postern-controller -n "__fish_postern_controller_using_subcommand system; and __fish_seen_subcommand_from show" -s h -l help -d 'Print help'
complete -c postern-controller -n "__fish_postern_controller_using_subcommand system; and __fish_seen_subcommand_from associate" -l with -d '`server`, or the cluster whose members work on it' -r
complete -c postern-controller -n "__fish_postern_controller_using_subcommand system; and __fish_seen_subcommand_from associate" -l data-dir -d 'The data directory of a controller on this host' -r -F
complete -c postern-controller -n "__fish_postern_controller_using_subcommand system; and __fish_seen_subcommand_from associate" -l api-url -d 'The URL of the API, if not that of --data-dir' -r
complete -c postern-controller -n "__fish_postern_controller_using_subcommand system; and __fish_seen_subcommand_from associate" -l api-token-file -d 'The file with your token for the API, if not the first administrator\'s in --data-dir' -r -F
complete -c postern-controller -n "__fish_postern_controller_using_subcommand system; and __fish_seen_subcommand_from associate" -l json -d 'Answer in JSON'
complete -c postern-controller -n "__fish_postern_controller_using_subcommand system; and __fish_seen_subcommand_from associate" -s h -l help -d 'Print help'
complete -c postern-controller -n "__fish_postern_controller_using_subcommand system; and __fish_seen_subcommand_from log-level" -l for -d 'For how long, at most a day, e.g. 2h or 30m' -r
complete -c postern-controller -n "__fish_postern_controller_using_subcommand system; and __fish_seen_subcommand_from log-level" -l data-dir -d 'The data directory of a controller on this host' -r -F
complete -c postern-controller -n "__fish_postern_controller_using_subcommand system; and __fish_seen_subcommand_from log-level" -l api-url -d 'The URL of the API, if not that of --data-dir' -r
complete -c postern-controller -n "__fish_postern_controller_using_subcommand system; and __fish_seen_subcommand_from log-level" -l api-token-file -d 'The file with your token for the API, if not the first administrator\'s in --data-dir' -r -F
complete -c postern-controller -n "__fish_postern_controller_using_subcommand system; and __fish_seen_subcommand_from log-level" -l json -d 'Answer in JSON'
complete -c postern-controller -n "__fish_postern_controller_using_subcommand system; and __fish_seen_subcommand_from log-level" -s h -l help -d 'Print help'
complete -c postern-controller -n "__fish_postern_controller_using_subcommand system; and __fish_seen_subcommand_from remove" -l data-dir -d 'The data directory of a controller on this host' -r -F
complete -c postern-controller -n "__fish_postern_controller_using_subcommand system; and __fish_seen_subcommand_from remove" -l api-url -d 'The URL of the API, if not that of --data-dir' -r
complete -c postern-controller -n "__fish_postern_controller_using_subcommand system; and __fish_seen_subcommand_from remove" -l api-token-file -d 'The file with your token for the API, if not the first administrator\'s in --data-dir' -r -F
complete -c postern-controller -n "__fish_postern_controller_using_subcommand system; and __fish_seen_subcommand_from remove" -l json -d 'Answer in JSON'
complete -c postern-controller -n "__fish_postern_controller_using_subcommand system; and __fish_seen_subcommand_from remove" -s h -l help -d 'Print help'
complete -c postern-controller -n "__fish_postern_controller_using_subcommand task; and not __fish_seen_subcommand_from submit send signing-key show list wait cancel reseal results" -l data-dir -d 'The data directory of a controller on this host' -r -F
complete -c postern-controller -n "__fish_postern_controller_using_subcommand task; and not __fish_seen_subcommand_from submit send signing-key show list wait cancel reseal results" -l api-url -d 'The URL of the API, if not that of --data-dir' -r
complete -c postern-controller -n "__fish_postern_controller_using_subcommand task; and not __fish_seen_subcommand_from submit send signing-key show list wait cancel reseal results" -l api-token-file -d 'The file with your token for the API, if not the first administrator\'s in --data-dir' -r -F
complete -c postern-controller -n "__fish_postern_controller_using_subcommand task; and not __fish_seen_subcommand_from submit send signing-key show list wait cancel reseal results" -l json -d 'Answer in JSON'
complete -c postern-controller -n "__fish_postern_controller_using_subcommand task; and not __fish_seen_subcommand_from submit send signing-key show list wait cancel reseal results" -s h -l help -d 'Print help'
complete -c postern-controller -n "__fish_postern_controller_using_subcommand task; and not __fish_seen_subcommand_from submit send signing-key show list wait cancel reseal results" -f -a "submit" -d 'Submit a task; secrets are sealed here, to the keys of the cluster\'s members'
complete -c postern-controller -n "__fish_postern_controller_using_subcommand task; and not __fish_seen_subcommand_from submit send signing-key show list wait cancel reseal results" -f -a "send" -d 'Submit a task that `task submit --write` wrote; more than once is no more than once'
complete -c postern-controller -n "__fish_postern_controller_using_subcommand task; and not __fish_seen_subcommand_from submit send signing-key show list wait cancel reseal results" -f -a "signing-key" -d 'Make a key that signs tasks in this new file, mode 0600, and print the public half, which agents list in `accepted_signers`'
complete -c postern-controller -n "__fish_postern_controller_using_subcommand task; and not __fish_seen_subcommand_from submit send signing-key show list wait cancel reseal results" -f -a "show" -d 'Show one task'
complete -c postern-controller -n "__fish_postern_controller_using_subcommand task; and not __fish_seen_subcommand_from submit send signing-key show list wait cancel reseal results" -f -a "list" -d 'List tasks, the newest first'
complete -c postern-controller -n "__fish_postern_controller_using_subcommand task; and not __fish_seen_subcommand_from submit send signing-key show list wait cancel reseal results" -f -a "wait" -d 'Wait until a task is finished; exits like `task submit`'
complete -c postern-controller -n "__fish_postern_controller_using_subcommand task; and not __fish_seen_subcommand_from submit send signing-key show list wait cancel reseal results" -f -a "cancel" -d 'Cancel a task, as far as it has not begun'
complete -c postern-controller -n "__fish_postern_controller_using_subcommand task; and not __fish_seen_subcommand_from submit send signing-key show list wait cancel reseal results" -f -a "reseal" -d 'Seal the password of a task again that no member can open, to the keys that the members have now'
complete -c postern-controller -n "__fish_postern_controller_using_subcommand task; and not __fish_seen_subcommand_from submit send signing-key show list wait cancel reseal results" -f -a "results" -d 'Download what came of a batch, entry by entry, or what came of an export, opened with its key'
complete -c postern-controller -n "__fish_postern_controller_using_subcommand task; and __fish_seen_subcommand_from submit" -l system -d 'The connected system' -r
complete -c postern-controller -n "__fish_postern_controller_using_subcommand task; and __fish_seen_subcommand_from submit" -l account -d 'The account, for every kind but test_connection, import_batch, export, describe_schema and collect' -r
complete -c postern-controller -n "__fish_postern_controller_using_subcommand task; and __fish_seen_subcommand_from submit" -l if-refused -d 'disable_user: what becomes of an account that the connected system refuses to disable [default: fail]' -r
complete -c postern-controller -n "__fish_postern_controller_using_subcommand task; and __fish_seen_subcommand_from submit" -l new-name -d 'deprovision_user: its new name [default: the old one with `.deleted` behind it]' -r
complete -c postern-controller -n "__fish_postern_controller_using_subcommand task; and __fish_seen_subcommand_from submit" -l name -d 'restore_user: the name it gets back' -r
complete -c postern-controller -n "__fish_postern_controller_using_subcommand task; and __fish_seen_subcommand_from submit" -l email -d 'deprovision_user, restore_user: its new e-mail address [default: it stays]' -r
complete -c postern-controller -n "__fish_postern_controller_using_subcommand task; and __fish_seen_subcommand_from submit" -l password-file -d 'reset_password, restore_user: a file with the new password, one line; `-` is standard input' -r -F
complete -c postern-controller -n "__fish_postern_controller_using_subcommand task; and __fish_seen_subcommand_from submit" -l output-password -d 'Write a password that was made up to this file, mode 0600, which is made before anything is submitted' -r -F
complete -c postern-controller -n "__fish_postern_controller_using_subcommand task; and __fish_seen_subcommand_from submit" -l dataset -d 'import_batch: the dataset' -r -F
complete -c postern-controller -n "__fish_postern_controller_using_subcommand task; and __fish_seen_subcommand_from submit" -l format -d 'import_batch: how the dataset is written, xml, csv or jsonl; without this, the file\'s extension says it' -r
complete -c postern-controller -n "__fish_postern_controller_using_subcommand task; and __fish_seen_subcommand_from submit" -l delimiter -d 'import_batch: what parts the cells of a CSV file, as it is or by its name: comma, semicolon, tab or pipe; `found_out` looks at the header' -r
complete -c postern-controller -n "__fish_postern_controller_using_subcommand task; and __fish_seen_subcommand_from submit" -l bulk-threshold -d 'import_batch: more entries than this to create, or to modify, go as one job in bulk' -r
complete -c postern-controller -n "__fish_postern_controller_using_subcommand task; and __fish_seen_subcommand_from submit" -l attribute -d 'import_batch: how an attribute is treated, NAME=WORD,… with `replace`, `diff_with_target`, `add_diff_with_target`, `remove_diff_with_target`, `encrypted`, `audited`; may be repeated' -r
complete -c postern-controller -n "__fish_postern_controller_using_subcommand task; and __fish_seen_subcommand_from submit" -l audit-key -d 'import_batch: the attribute whose value stands with each entry in the audit log' -r
complete -c postern-controller -n "__fish_postern_controller_using_subcommand task; and __fish_seen_subcommand_from submit" -l account-id -d 'import_batch: the attribute whose value is the account\'s id for you; each line of the results tells it' -r
complete -c postern-controller -n "__fish_postern_controller_using_subcommand task; and __fish_seen_subcommand_from submit" -l login-id -d 'import_batch: the attribute whose value the account signs in with; each line of the results tells it' -r
complete -c postern-controller -n "__fish_postern_controller_using_subcommand task; and __fish_seen_subcommand_from submit" -l dynamic-system -d 'import_batch: which connected system entries are for, `none`, `transaction_system_name` or `global_variable`' -r
complete -c postern-controller -n "__fish_postern_controller_using_subcommand task; and __fish_seen_subcommand_from submit" -l system-variable -d 'import_batch: the variable that names the connected system' -r
complete -c postern-controller -n "__fish_postern_controller_using_subcommand task; and __fish_seen_subcommand_from submit" -l variable -d 'import_batch: a variable, NAME=VALUE; may be repeated' -r
complete -c postern-controller -n "__fish_postern_controller_using_subcommand task; and __fish_seen_subcommand_from submit" -l params -d 'export, describe_schema, collect: the parameters as JSON, e.g. {"object": "User", "format": "csv"}' -r
complete -c postern-controller -n "__fish_postern_controller_using_subcommand task; and __fish_seen_subcommand_from submit" -l output -d 'export, describe_schema, collect: the file; it appears when it is whole, mode 0600' -r -F
complete -c postern-controller -n "__fish_postern_controller_using_subcommand task; and __fish_seen_subcommand_from submit" -l result-key -d 'export, describe_schema, collect: keep the key that opens what comes of the task in this new file, mode 0600, for `task results --key`' -r -F
complete -c postern-controller -n "__fish_postern_controller_using_subcommand task; and __fish_seen_subcommand_from submit" -l origin -d 'Who is behind the task: it is refused if the connected system does not take it from there' -r -f -a "administrator\t''
user\t''
obo_user\t''
workflow\t''"
complete -c postern-controller -n "__fish_postern_controller_using_subcommand task; and __fish_seen_subcommand_from submit" -l deadline-secs -d 'The task must not be begun later than this from now' -r
complete -c postern-controller -n "__fish_postern_controller_using_subcommand task; and __fish_seen_subcommand_from submit" -l priority -d 'Larger goes first, 0 to 255' -r
complete -c postern-controller -n "__fish_postern_controller_using_subcommand task; and __fish_seen_subcommand_from submit" -l timeout-secs -d 'Give up waiting after so long; the task goes on' -r
complete -c postern-controller -n "__fish_postern_controller_using_subcommand task; and __fish_seen_subcommand_from submit" -l sign-with -d 'Sign the task with the key in this file, for agents that take signed tasks only; `task signing-key` makes one' -r -F
complete -c postern-controller -n "__fish_postern_controller_using_subcommand task; and __fish_seen_subcommand_from submit" -l write -d 'Write the task, sealed and signed as it would be submitted, to this new file, mode 0600, and submit nothing: for `postern policy check` on an agent\'s host, and for `task send`' -r -F
complete -c postern-controller -n "__fish_postern_controller_using_subcommand task; and __fish_seen_subcommand_from submit" -l id -d 'The task\'s id, so that a repeated submission is the same task; made up if not given' -r
complete -c postern-controller -n "__fish_postern_controller_using_subcommand task; and __fish_seen_subcommand_from submit" -l data-dir -d 'The data directory of a controller on this host' -r -F
complete -c postern-controller -n "__fish_postern_controller_using_subcommand task; and __fish_seen_subcommand_from submit" -l api-url -d 'The URL of the API, if not that of --data-dir' -r
complete -c postern-controller -n "__fish_postern_controller_using_subcommand task; and __fish_seen_subcommand_from submit" -l api-token-file -d 'The file with your token for the API, if not the first administrator\'s in --data-dir' -r -F
complete -c postern-controller -n "__fish_postern_controller_using_subcommand task; and __fish_seen_subcommand_from submit" -l generate -d 'reset_password: the agent makes a password up and seals it to this process'
complete -c postern-controller -n "__fish_postern_controller_using_subcommand task; and __fish_seen_subcommand_from submit" -l service -d 'reset_password: the connected system\'s own reset, which mails the user a link; the temporary password it makes up is dropped unless --output-password or --show-password is given'
complete -c postern-controller -n "__fish_postern_controller_using_subcommand task; and __fish_seen_subcommand_from submit" -l repeat-if-unknown -d 'reset_password --service, expire_password: do it once more if there was no answer and no effect is to be seen; in the worst case the user gets a second mail'
complete -c postern-controller -n "__fish_postern_controller_using_subcommand task; and __fish_seen_subcommand_from submit" -l show-password -d 'Show a password that was made up on the terminal'
complete -c postern-controller -n "__fish_postern_controller_using_subcommand task; and __fish_seen_subcommand_from submit" -l dry-run -d 'import_batch: say what would be changed, entry by entry, and change nothing'
complete -c postern-controller -n "__fish_postern_controller_using_subcommand task; and __fish_seen_subcommand_from submit" -l all-or-none -d 'import_batch: send nothing unless every entry passes the checks that can be made before'
complete -c postern-controller -n "__fish_postern_controller_using_subcommand task; and __fish_seen_subcommand_from submit" -l async -d 'Do not wait for the outcome'
complete -c postern-controller -n "__fish_postern_controller_using_subcommand task; and __fish_seen_subcommand_from submit" -l json -d 'Answer in JSON'
complete -c postern-controller -n "__fish_postern_controller_using_subcommand task; and __fish_seen_subcommand_from submit" -s h -l help -d 'Print help'
complete -c postern-controller -n "__fish_postern_controller_using_subcommand task; and __fish_seen_subcommand_from send" -l timeout-secs -d 'Give up waiting after so long; the task goes on' -r
complete -c postern-controller -n "__fish_postern_controller_using_subcommand task; and __fish_seen_subcommand_from send" -l data-dir -d 'The data directory of a controller on this host' -r -F
complete -c postern-controller -n "__fish_postern_controller_using_subcommand task; and __fish_seen_subcommand_from send" -l api-url -d 'The URL of the API, if not that of --data-dir' -r
complete -c postern-controller -n "__fish_postern_controller_using_subcommand task; and __fish_seen_subcommand_from send" -l api-token-file -d 'The file with your token for the API, if not the first administrator\'s in --data-dir' -r -F
complete -c postern-controller -n "__fish_postern_controller_using_subcommand task; and __fish_seen_subcommand_from send" -l async -d 'Do not wait for the outcome'
complete -c postern-controller -n "__fish_postern_controller_using_subcommand task; and __fish_seen_subcommand_from send" -l json -d 'Answer in JSON'
complete -c postern-controller -n "__fish_postern_controller_using_subcommand task; and __fish_seen_subcommand_from send" -s h -l help -d 'Print help'
complete -c postern-controller -n "__fish_postern_controller_using_subcommand task; and __fish_seen_subcommand_from signing-key" -l data-dir -d 'The data directory of a controller on this host' -r -F
complete -c postern-controller -n "__fish_postern_controller_using_subcommand task; and __fish_seen_subcommand_from signing-key" -l api-url -d 'The URL of the API, if not that of --data-dir' -r
complete -c postern-controller -n "__fish_postern_controller_using_subcommand task; and __fish_seen_subcommand_from signing-key" -l api-token-file -d 'The file with your token for the API, if not the first administrator\'s in --data-dir' -r -F
complete -c postern-controller -n "__fish_postern_controller_using_subcommand task; and __fish_seen_subcommand_from signing-key" -l json -d 'Answer in JSON'
complete -c postern-controller -n "__fish_postern_controller_using_subcommand task; and __fish_seen_subcommand_from signing-key" -s h -l help -d 'Print help'
complete -c postern-controller -n "__fish_postern_controller_using_subcommand task; and __fish_seen_subcommand_from show" -l data-dir -d 'The data directory of a controller on this host' -r -F
complete -c postern-controller -n "__fish_postern_controller_using_subcommand task; and __fish_seen_subcommand_from show" -l api-url -d 'The URL of the API, if not that of --data-dir' -r
complete -c postern-controller -n "__fish_postern_controller_using_subcommand task; and __fish_seen_subcommand_from show" -l api-token-file -d 'The file with your token for the API, if not the first administrator\'s in --data-dir' -r -F
complete -c postern-controller -n "__fish_postern_controller_using_subcommand task; and __fish_seen_subcommand_from show" -l json -d 'Answer in JSON'
complete -c postern-controller -n "__fish_postern_controller_using_subcommand task; and __fish_seen_subcommand_from show" -s h -l help -d 'Print help'
complete -c postern-controller -n "__fish_postern_controller_using_subcommand task; and __fish_seen_subcommand_from list" -l system -d 'About this system only' -r
complete -c postern-controller -n "__fish_postern_controller_using_subcommand task; and __fish_seen_subcommand_from list" -l state -d 'In this state only' -r -f -a "queued\t''
needs_reseal\t''
leased\t''
accepted\t''
started\t''
in_doubt\t''
finished\t''"
complete -c postern-controller -n "__fish_postern_controller_using_subcommand task; and __fish_seen_subcommand_from list" -l limit -d 'At most so many' -r
complete -c postern-controller -n "__fish_postern_controller_using_subcommand task; and __fish_seen_subcommand_from list" -l data-dir -d 'The data directory of a controller on this host' -r -F
complete -c postern-controller -n "__fish_postern_controller_using_subcommand task; and __fish_seen_subcommand_from list" -l api-url -d 'The URL of the API, if not that of --data-dir' -r
complete -c postern-controller -n "__fish_postern_controller_using_subcommand task; and __fish_seen_subcommand_from list" -l api-token-file -d 'The file with your token for the API, if not the first administrator\'s in --data-dir' -r -F
complete -c postern-controller -n "__fish_postern_controller_using_subcommand task; and __fish_seen_subcommand_from list" -l json -d 'Answer in JSON'
complete -c postern-controller -n "__fish_postern_controller_using_subcommand task; and __fish_seen_subcommand_from list" -s h -l help -d 'Print help'
complete -c postern-controller -n "__fish_postern_controller_using_subcommand task; and __fish_seen_subcommand_from wait" -l timeout-secs -d 'Give up waiting after so long; the task goes on' -r
complete -c postern-controller -n "__fish_postern_controller_using_subcommand task; and __fish_seen_subcommand_from wait" -l data-dir -d 'The data directory of a controller on this host' -r -F
complete -c postern-controller -n "__fish_postern_controller_using_subcommand task; and __fish_seen_subcommand_from wait" -l api-url -d 'The URL of the API, if not that of --data-dir' -r
complete -c postern-controller -n "__fish_postern_controller_using_subcommand task; and __fish_seen_subcommand_from wait" -l api-token-file -d 'The file with your token for the API, if not the first administrator\'s in --data-dir' -r -F
complete -c postern-controller -n "__fish_postern_controller_using_subcommand task; and __fish_seen_subcommand_from wait" -l json -d 'Answer in JSON'
complete -c postern-controller -n "__fish_postern_controller_using_subcommand task; and __fish_seen_subcommand_from wait" -s h -l help -d 'Print help'
complete -c postern-controller -n "__fish_postern_controller_using_subcommand task; and __fish_seen_subcommand_from cancel" -l data-dir -d 'The data directory of a controller on this host' -r -F
complete -c postern-controller -n "__fish_postern_controller_using_subcommand task; and __fish_seen_subcommand_from cancel" -l api-url -d 'The URL of the API, if not that of --data-dir' -r
complete -c postern-controller -n "__fish_postern_controller_using_subcommand task; and __fish_seen_subcommand_from cancel" -l api-token-file -d 'The file with your token for the API, if not the first administrator\'s in --data-dir' -r -F
complete -c postern-controller -n "__fish_postern_controller_using_subcommand task; and __fish_seen_subcommand_from cancel" -l json -d 'Answer in JSON'
complete -c postern-controller -n "__fish_postern_controller_using_subcommand task; and __fish_seen_subcommand_from cancel" -s h -l help -d 'Print help'
complete -c postern-controller -n "__fish_postern_controller_using_subcommand task; and __fish_seen_subcommand_from reseal" -l password-file -d 'A file with the password, one line; `-` is standard input' -r -F
complete -c postern-controller -n "__fish_postern_controller_using_subcommand task; and __fish_seen_subcommand_from reseal" -l sign-with -d 'Sign the task as it is now, with the key in this file: the signature it had is of what was sealed before' -r -F
complete -c postern-controller -n "__fish_postern_controller_using_subcommand task; and __fish_seen_subcommand_from reseal" -l data-dir -d 'The data directory of a controller on this host' -r -F
complete -c postern-controller -n "__fish_postern_controller_using_subcommand task; and __fish_seen_subcommand_from reseal" -l api-url -d 'The URL of the API, if not that of --data-dir' -r
complete -c postern-controller -n "__fish_postern_controller_using_subcommand task; and __fish_seen_subcommand_from reseal" -l api-token-file -d 'The file with your token for the API, if not the first administrator\'s in --data-dir' -r -F
complete -c postern-controller -n "__fish_postern_controller_using_subcommand task; and __fish_seen_subcommand_from reseal" -l json -d 'Answer in JSON'
complete -c postern-controller -n "__fish_postern_controller_using_subcommand task; and __fish_seen_subcommand_from reseal" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c postern-controller -n "__fish_postern_controller_using_subcommand task; and __fish_seen_subcommand_from results" -l output -d 'Write to this file instead of standard output' -r -F
complete -c postern-controller -n "__fish_postern_controller_using_subcommand task; and __fish_seen_subcommand_from results" -l failed -d 'Write the entries that did not succeed to this new file, in the form of the dataset: mended, it can be submitted again' -r -F
complete -c postern-controller -n "__fish_postern_controller_using_subcommand task; and __fish_seen_subcommand_from results" -l dataset -d 'The dataset that was submitted, unchanged' -r -F
complete -c postern-controller -n "__fish_postern_controller_using_subcommand task; and __fish_seen_subcommand_from results" -l key -d 'The key that `task submit --result-key` kept' -r -F
complete -c postern-controller -n "__fish_postern_controller_using_subcommand task; and __fish_seen_subcommand_from results" -l data-dir -d 'The data directory of a controller on this host' -r -F
complete -c postern-controller -n "__fish_postern_controller_using_subcommand task; and __fish_seen_subcommand_from results" -l api-url -d 'The URL of the API, if not that of --data-dir' -r
complete -c postern-controller -n "__fish_postern_controller_using_subcommand task; and __fish_seen_subcommand_from results" -l api-token-file -d 'The file with your token for the API, if not the first administrator\'s in --data-dir' -r -F
complete -c postern-controller -n "__fish_postern_controller_using_subcommand task; and __fish_seen_subcommand_from results" -l json -d 'Answer in JSON'
complete -c postern-controller -n "__fish_postern_controller_using_subcommand task; and __fish_seen_subcommand_from results" -s h -l help -d 'Print help'
complete -c postern-controller -n "__fish_postern_controller_using_subcommand outbox; and not __fish_seen_subcommand_from import" -l data-dir -d 'The data directory of a controller on this host' -r -F
complete -c postern-controller -n "__fish_postern_controller_using_subcommand outbox; and not __fish_seen_subcommand_from import" -l api-url -d 'The URL of the API, if not that of --data-dir' -r
complete -c postern-controller -n "__fish_postern_controller_using_subcommand outbox; and not __fish_seen_subcommand_from import" -l api-token-file -d 'The file with your token for the API, if not the first administrator\'s in --data-dir' -r -F
complete -c postern-controller -n "__fish_postern_controller_using_subcommand outbox; and not __fish_seen_subcommand_from import" -l json -d 'Answer in JSON'
complete -c postern-controller -n "__fish_postern_controller_using_subcommand outbox; and not __fish_seen_subcommand_from import" -s h -l help -d 'Print help'
complete -c postern-controller -n "__fish_postern_controller_using_subcommand outbox; and not __fish_seen_subcommand_from import" -f -a "import" -d 'Hand in the reports that `postern outbox export` wrote'
complete -c postern-controller -n "__fish_postern_controller_using_subcommand outbox; and __fish_seen_subcommand_from import" -l data-dir -d 'The data directory of a controller on this host' -r -F
complete -c postern-controller -n "__fish_postern_controller_using_subcommand outbox; and __fish_seen_subcommand_from import" -l api-url -d 'The URL of the API, if not that of --data-dir' -r
complete -c postern-controller -n "__fish_postern_controller_using_subcommand outbox; and __fish_seen_subcommand_from import" -l api-token-file -d 'The file with your token for the API, if not the first administrator\'s in --data-dir' -r -F
complete -c postern-controller -n "__fish_postern_controller_using_subcommand outbox; and __fish_seen_subcommand_from import" -l json -d 'Answer in JSON'
complete -c postern-controller -n "__fish_postern_controller_using_subcommand outbox; and __fish_seen_subcommand_from import" -s h -l help -d 'Print help'
complete -c postern-controller -n "__fish_postern_controller_using_subcommand ca; and not __fish_seen_subcommand_from status rotate" -l data-dir -d 'The data directory of a controller on this host' -r -F
complete -c postern-controller -n "__fish_postern_controller_using_subcommand ca; and not __fish_seen_subcommand_from status rotate" -l api-url -d 'The URL of the API, if not that of --data-dir' -r
complete -c postern-controller -n "__fish_postern_controller_using_subcommand ca; and not __fish_seen_subcommand_from status rotate" -l api-token-file -d 'The file with your token for the API, if not the first administrator\'s in --data-dir' -r -F
complete -c postern-controller -n "__fish_postern_controller_using_subcommand ca; and not __fish_seen_subcommand_from status rotate" -l json -d 'Answer in JSON'
complete -c postern-controller -n "__fish_postern_controller_using_subcommand ca; and not __fish_seen_subcommand_from status rotate" -s h -l help -d 'Print help'
complete -c postern-controller -n "__fish_postern_controller_using_subcommand ca; and not __fish_seen_subcommand_from status rotate" -f -a "status" -d 'Show the roots, what each member has of them, and which step is next'
complete -c postern-controller -n "__fish_postern_controller_using_subcommand ca; and not __fish_seen_subcommand_from status rotate" -f -a "rotate" -d 'Replace the root by another, one step after the other, with members at work'
complete -c postern-controller -n "__fish_postern_controller_using_subcommand ca; and __fish_seen_subcommand_from status" -l data-dir -d 'The data directory of a controller on this host' -r -F
complete -c postern-controller -n "__fish_postern_controller_using_subcommand ca; and __fish_seen_subcommand_from status" -l api-url -d 'The URL of the API, if not that of --data-dir' -r
complete -c postern-controller -n "__fish_postern_controller_using_subcommand ca; and __fish_seen_subcommand_from status" -l api-token-file -d 'The file with your token for the API, if not the first administrator\'s in --data-dir' -r -F
complete -c postern-controller -n "__fish_postern_controller_using_subcommand ca; and __fish_seen_subcommand_from status" -l json -d 'Answer in JSON'
complete -c postern-controller -n "__fish_postern_controller_using_subcommand ca; and __fish_seen_subcommand_from status" -s h -l help -d 'Print help'
complete -c postern-controller -n "__fish_postern_controller_using_subcommand ca; and __fish_seen_subcommand_from rotate" -l data-dir -d 'The data directory of a controller on this host' -r -F
complete -c postern-controller -n "__fish_postern_controller_using_subcommand ca; and __fish_seen_subcommand_from rotate" -l api-url -d 'The URL of the API, if not that of --data-dir' -r
complete -c postern-controller -n "__fish_postern_controller_using_subcommand ca; and __fish_seen_subcommand_from rotate" -l api-token-file -d 'The file with your token for the API, if not the first administrator\'s in --data-dir' -r -F
complete -c postern-controller -n "__fish_postern_controller_using_subcommand ca; and __fish_seen_subcommand_from rotate" -l json -d 'Answer in JSON'
complete -c postern-controller -n "__fish_postern_controller_using_subcommand ca; and __fish_seen_subcommand_from rotate" -s h -l help -d 'Print help'
complete -c postern-controller -n "__fish_postern_controller_using_subcommand ca; and __fish_seen_subcommand_from rotate" -f -a "begin" -d 'Make a new root, and have members trust it beside the one there is'
complete -c postern-controller -n "__fish_postern_controller_using_subcommand ca; and __fish_seen_subcommand_from rotate" -f -a "switch" -d 'Let the new root sign: new certificates, the listener\'s own, tokens; members renew theirs within minutes'
complete -c postern-controller -n "__fish_postern_controller_using_subcommand ca; and __fish_seen_subcommand_from rotate" -f -a "finish" -d 'Trust the new root alone'
complete -c postern-controller -n "__fish_postern_controller_using_subcommand ca; and __fish_seen_subcommand_from rotate" -f -a "back" -d 'Undo the last step'
complete -c postern-controller -n "__fish_postern_controller_using_subcommand store; and not __fish_seen_subcommand_from rotate-key" -s h -l help -d 'Print help'
complete -c postern-controller -n "__fish_postern_controller_using_subcommand store; and not __fish_seen_subcommand_from rotate-key" -f -a "rotate-key" -d 'Encrypt everything under a new key; killed at any moment, the store is that of the old key or of the new'
complete -c postern-controller -n "__fish_postern_controller_using_subcommand store; and __fish_seen_subcommand_from rotate-key" -l data-dir -d 'The data directory' -r -F
complete -c postern-controller -n "__fish_postern_controller_using_subcommand store; and __fish_seen_subcommand_from rotate-key" -l store-key-credential -d 'The systemd credential with the key of the ledger and the payloads [default: the file `store.key` in --data-dir]' -r
complete -c postern-controller -n "__fish_postern_controller_using_subcommand store; and __fish_seen_subcommand_from rotate-key" -l credentials-directory -d 'Where systemd puts credentials' -r -F
complete -c postern-controller -n "__fish_postern_controller_using_subcommand store; and __fish_seen_subcommand_from rotate-key" -l new-credential -d 'Take the new key from this systemd credential, which `serve` is to name from then on' -r
complete -c postern-controller -n "__fish_postern_controller_using_subcommand store; and __fish_seen_subcommand_from rotate-key" -s h -l help -d 'Print help'
complete -c postern-controller -n "__fish_postern_controller_using_subcommand status" -l interval -d 'How often to look' -r
complete -c postern-controller -n "__fish_postern_controller_using_subcommand status" -l data-dir -d 'The data directory of a controller on this host' -r -F
complete -c postern-controller -n "__fish_postern_controller_using_subcommand status" -l api-url -d 'The URL of the API, if not that of --data-dir' -r
complete -c postern-controller -n "__fish_postern_controller_using_subcommand status" -l api-token-file -d 'The file with your token for the API, if not the first administrator\'s in --data-dir' -r -F
complete -c postern-controller -n "__fish_postern_controller_using_subcommand status" -l watch -d 'Go on, and say it again when it changed, until Ctrl-C'
complete -c postern-controller -n "__fish_postern_controller_using_subcommand status" -l json -d 'Answer in JSON'
complete -c postern-controller -n "__fish_postern_controller_using_subcommand status" -s h -l help -d 'Print help'

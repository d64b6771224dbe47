# Print an optspec for argparse to handle cmd's options that are independent of any subcommand.
function __fish_postern_global_optspecs
    string join \n c/config= h/help V/version
end

function __fish_postern_needs_command
    # Figure out if the current invocation already has a command.
    set -l cmd (commandline -opc)
    set -e cmd[1]
    argparse -s (__fish_postern_global_optspecs) -- $cmd 2>/dev/null
    or return
    if set -q argv[1]
        # Also print the command, so this can be used to figure out what it is.
        echo $argv[1]
        return 1
    end
    return 0
end

function __fish_postern_using_subcommand
    set -l cmd (__fish_postern_needs_command)
    test -z "$cmd"
    and return 1
    contains -- $cmd[1] $argv
end

complete -c postern -n "__fish_postern_needs_command" -s c -l config -d 'The configuration file' -r -F
complete -c postern -n "__fish_postern_needs_command" -s h -l help -d 'Print help'
complete -c postern -n "__fish_postern_needs_command" -s V -l version -d 'Print version'
complete -c postern -n "__fish_postern_needs_command" -f -a "enroll" -d 'Become a member of a cluster'
complete -c postern -n "__fish_postern_needs_command" -f -a "doctor" -d 'Find out what is wrong: configuration, state directory, clock, controller, connected systems'
complete -c postern -n "__fish_postern_needs_command" -f -a "run" -d 'Run until told to stop: keep a session with the controller and do the tasks it hands out'
complete -c postern -n "__fish_postern_needs_command" -f -a "status" -d 'Show how the agent with this configuration is: its membership, its session, what it holds and owes, its disk, each connected system, and what went wrong lately'
complete -c postern -n "__fish_postern_needs_command" -f -a "health" -d 'Say whether the running agent is live, ready or useful, for probes of containers'
complete -c postern -n "__fish_postern_needs_command" -f -a "log-level" -d 'Have the running agent log more, or less, for a while: of one connected system, or of everything'
complete -c postern -n "__fish_postern_needs_command" -f -a "exec" -d 'Run one task here, without a controller, through the same connector and journal'
complete -c postern -n "__fish_postern_needs_command" -f -a "schema" -d 'Look at, keep, replace or reset the schema of a connected system: which attributes its records have'
complete -c postern -n "__fish_postern_needs_command" -f -a "cursor" -d 'Look at, or forget, what the deltas of a connected system have handed over'
complete -c postern -n "__fish_postern_needs_command" -f -a "outbox" -d 'Take out what this agent owes the controller, when that does not hear it any more'
complete -c postern -n "__fish_postern_needs_command" -f -a "policy" -d 'Say what this agent\'s policy makes of a task, without doing it'
complete -c postern -n "__fish_postern_needs_command" -f -a "audit" -d 'Verify or show the audit log: what this agent changed, and whether somebody changed the log'
complete -c postern -n "__fish_postern_needs_command" -f -a "dataset" -d 'Prepare a dataset for `import_batch`'
complete -c postern -n "__fish_postern_needs_command" -f -a "store" -d 'Change the key that the store is encrypted with'
complete -c postern -n "__fish_postern_needs_command" -f -a "reset-sign-in" -d 'Let the agent sign in again after the guard against lock-out stopped it'
complete -c postern -n "__fish_postern_using_subcommand enroll" -l controller -d 'The controller, as `wss://host:port`; may be repeated, and all are remembered' -r
complete -c postern -n "__fish_postern_using_subcommand enroll" -l token-file -d 'A file with the token; without either, the token is read from the standard input' -r -F
complete -c postern -n "__fish_postern_using_subcommand enroll" -s c -l config -d 'The configuration file' -r -F
complete -c postern -n "__fish_postern_using_subcommand enroll" -l again -d 'Become a new member although this agent is one already. An operator approves the new member and revokes the old one (needs the role administrator); what the agent holds and owes stays in its store'
complete -c postern -n "__fish_postern_using_subcommand enroll" -l json -d 'Print JSON'
complete -c postern -n "__fish_postern_using_subcommand enroll" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c postern -n "__fish_postern_using_subcommand doctor" -l system -d 'This connected system alone, as the configuration names it' -r
complete -c postern -n "__fish_postern_using_subcommand doctor" -l bundle -d 'Write what was found, with versions, the configuration and figures about the store, to this new file for whoever helps. It holds no secret, and no name of an account unless --with-names says so' -r -F
complete -c postern -n "__fish_postern_using_subcommand doctor" -s c -l config -d 'The configuration file' -r -F
complete -c postern -n "__fish_postern_using_subcommand doctor" -l offline -d 'Do not leave this host'
complete -c postern -n "__fish_postern_using_subcommand doctor" -l strict -d 'Let warnings count as failures'
complete -c postern -n "__fish_postern_using_subcommand doctor" -l json -d 'Print JSON'
complete -c postern -n "__fish_postern_using_subcommand doctor" -l show-config -d 'Print every key of the configuration, what holds for it and where that came from, and look at nothing else'
complete -c postern -n "__fish_postern_using_subcommand doctor" -l with-names -d 'Leave names of accounts in the bundle'
complete -c postern -n "__fish_postern_using_subcommand doctor" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c postern -n "__fish_postern_using_subcommand run" -l ready-file -d 'Write this file once the first session is established, and remove it when the agent stops: its existence tells a script that the agent is up' -r -F
complete -c postern -n "__fish_postern_using_subcommand run" -l sealing-key-secs -d 'For tests: for how many seconds secrets are sealed to one key' -r
complete -c postern -n "__fish_postern_using_subcommand run" -l sealing-key-keep-secs -d 'For tests: for how many seconds a key opens secrets after that' -r
complete -c postern -n "__fish_postern_using_subcommand run" -s c -l config -d 'The configuration file' -r -F
complete -c postern -n "__fish_postern_using_subcommand run" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c postern -n "__fish_postern_using_subcommand status" -l interval -d 'How often to look' -r
complete -c postern -n "__fish_postern_using_subcommand status" -s c -l config -d 'The configuration file' -r -F
complete -c postern -n "__fish_postern_using_subcommand status" -l json -d 'Print JSON; with --watch, a line of it whenever something changed'
complete -c postern -n "__fish_postern_using_subcommand status" -s v -l verbose -d 'Name the accounts that tasks are about, and tell of all that went wrong lately'
complete -c postern -n "__fish_postern_using_subcommand status" -l watch -d 'Go on until Ctrl-C: draw the screen anew on a terminal, elsewhere say what changed in lines'
complete -c postern -n "__fish_postern_using_subcommand status" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c postern -n "__fish_postern_using_subcommand health" -s c -l config -d 'The configuration file' -r -F
complete -c postern -n "__fish_postern_using_subcommand health" -l json -d 'Print JSON'
complete -c postern -n "__fish_postern_using_subcommand health" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c postern -n "__fish_postern_using_subcommand log-level" -l system -d 'Of this connected system only' -r
complete -c postern -n "__fish_postern_using_subcommand log-level" -l for -d 'For how long, at most a day, e.g. 2h or 30m' -r
complete -c postern -n "__fish_postern_using_subcommand log-level" -s c -l config -d 'The configuration file' -r -F
complete -c postern -n "__fish_postern_using_subcommand log-level" -l json -d 'Print JSON'
complete -c postern -n "__fish_postern_using_subcommand log-level" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c postern -n "__fish_postern_using_subcommand exec; and not __fish_seen_subcommand_from test_connection validate_user enable_user disable_user freeze_user unfreeze_user unlock_user reset_password expire_password deprovision_user restore_user import_batch export collect describe_schema" -s c -l config -d 'The configuration file' -r -F
complete -c postern -n "__fish_postern_using_subcommand exec; and not __fish_seen_subcommand_from test_connection validate_user enable_user disable_user freeze_user unfreeze_user unlock_user reset_password expire_password deprovision_user restore_user import_batch export collect describe_schema" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c postern -n "__fish_postern_using_subcommand exec; and not __fish_seen_subcommand_from test_connection validate_user enable_user disable_user freeze_user unfreeze_user unlock_user reset_password expire_password deprovision_user restore_user import_batch export collect describe_schema" -f -a "test_connection" -d 'Prove that the connected system can be reached and signed in to'
complete -c postern -n "__fish_postern_using_subcommand exec; and not __fish_seen_subcommand_from test_connection validate_user enable_user disable_user freeze_user unfreeze_user unlock_user reset_password expire_password deprovision_user restore_user import_batch export collect describe_schema" -f -a "validate_user" -d 'Look an account up'
complete -c postern -n "__fish_postern_using_subcommand exec; and not __fish_seen_subcommand_from test_connection validate_user enable_user disable_user freeze_user unfreeze_user unlock_user reset_password expire_password deprovision_user restore_user import_batch export collect describe_schema" -f -a "enable_user" -d 'Let an account sign in'
complete -c postern -n "__fish_postern_using_subcommand exec; and not __fish_seen_subcommand_from test_connection validate_user enable_user disable_user freeze_user unfreeze_user unlock_user reset_password expire_password deprovision_user restore_user import_batch export collect describe_schema" -f -a "disable_user" -d 'Keep an account from signing in'
complete -c postern -n "__fish_postern_using_subcommand exec; and not __fish_seen_subcommand_from test_connection validate_user enable_user disable_user freeze_user unfreeze_user unlock_user reset_password expire_password deprovision_user restore_user import_batch export collect describe_schema" -f -a "freeze_user" -d 'Suspend an account\'s sign-in at once, without freeing its license'
complete -c postern -n "__fish_postern_using_subcommand exec; and not __fish_seen_subcommand_from test_connection validate_user enable_user disable_user freeze_user unfreeze_user unlock_user reset_password expire_password deprovision_user restore_user import_batch export collect describe_schema" -f -a "unfreeze_user" -d 'End the suspension of an account\'s sign-in'
complete -c postern -n "__fish_postern_using_subcommand exec; and not __fish_seen_subcommand_from test_connection validate_user enable_user disable_user freeze_user unfreeze_user unlock_user reset_password expire_password deprovision_user restore_user import_batch export collect describe_schema" -f -a "unlock_user" -d 'Let an account sign in again that too many wrong passwords locked'
complete -c postern -n "__fish_postern_using_subcommand exec; and not __fish_seen_subcommand_from test_connection validate_user enable_user disable_user freeze_user unfreeze_user unlock_user reset_password expire_password deprovision_user restore_user import_batch export collect describe_schema" -f -a "reset_password" -d 'Give an account a new password: one from a file, one made up here, or Salesforce\'s own reset'
complete -c postern -n "__fish_postern_using_subcommand exec; and not __fish_seen_subcommand_from test_connection validate_user enable_user disable_user freeze_user unfreeze_user unlock_user reset_password expire_password deprovision_user restore_user import_batch export collect describe_schema" -f -a "expire_password" -d 'Make an account\'s password useless at once'
complete -c postern -n "__fish_postern_using_subcommand exec; and not __fish_seen_subcommand_from test_connection validate_user enable_user disable_user freeze_user unfreeze_user unlock_user reset_password expire_password deprovision_user restore_user import_batch export collect describe_schema" -f -a "deprovision_user" -d 'Take an account out of use for good: rename it, give it a password nobody knows, disable it'
complete -c postern -n "__fish_postern_using_subcommand exec; and not __fish_seen_subcommand_from test_connection validate_user enable_user disable_user freeze_user unfreeze_user unlock_user reset_password expire_password deprovision_user restore_user import_batch export collect describe_schema" -f -a "restore_user" -d 'Put an account that was taken out of use back'
complete -c postern -n "__fish_postern_using_subcommand exec; and not __fish_seen_subcommand_from test_connection validate_user enable_user disable_user freeze_user unfreeze_user unlock_user reset_password expire_password deprovision_user restore_user import_batch export collect describe_schema" -f -a "import_batch" -d 'Create and modify accounts from a dataset'
complete -c postern -n "__fish_postern_using_subcommand exec; and not __fish_seen_subcommand_from test_connection validate_user enable_user disable_user freeze_user unfreeze_user unlock_user reset_password expire_password deprovision_user restore_user import_batch export collect describe_schema" -f -a "export" -d 'Write records of one class to a file'
complete -c postern -n "__fish_postern_using_subcommand exec; and not __fish_seen_subcommand_from test_connection validate_user enable_user disable_user freeze_user unfreeze_user unlock_user reset_password expire_password deprovision_user restore_user import_batch export collect describe_schema" -f -a "collect" -d 'Write everything there is to know about users to a file, and who is there no longer'
complete -c postern -n "__fish_postern_using_subcommand exec; and not __fish_seen_subcommand_from test_connection validate_user enable_user disable_user freeze_user unfreeze_user unlock_user reset_password expire_password deprovision_user restore_user import_batch export collect describe_schema" -f -a "describe_schema" -d 'Write the schema in force, refreshed from what the org says of itself, to a file'
complete -c postern -n "__fish_postern_using_subcommand exec; and __fish_seen_subcommand_from test_connection" -l system -d 'The connected system, as the configuration names it' -r
complete -c postern -n "__fish_postern_using_subcommand exec; and __fish_seen_subcommand_from test_connection" -s c -l config -d 'The configuration file' -r -F
complete -c postern -n "__fish_postern_using_subcommand exec; and __fish_seen_subcommand_from test_connection" -l json -d 'Print JSON'
complete -c postern -n "__fish_postern_using_subcommand exec; and __fish_seen_subcommand_from test_connection" -s h -l help -d 'Print help'
complete -c postern -n "__fish_postern_using_subcommand exec; and __fish_seen_subcommand_from validate_user" -l account -d 'The account\'s user name' -r
complete -c postern -n "__fish_postern_using_subcommand exec; and __fish_seen_subcommand_from validate_user" -l system -d 'The connected system, as the configuration names it' -r
complete -c postern -n "__fish_postern_using_subcommand exec; and __fish_seen_subcommand_from validate_user" -s c -l config -d 'The configuration file' -r -F
complete -c postern -n "__fish_postern_using_subcommand exec; and __fish_seen_subcommand_from validate_user" -l json -d 'Print JSON'
complete -c postern -n "__fish_postern_using_subcommand exec; and __fish_seen_subcommand_from validate_user" -s h -l help -d 'Print help'
complete -c postern -n "__fish_postern_using_subcommand exec; and __fish_seen_subcommand_from enable_user" -l account -d 'The account\'s user name' -r
complete -c postern -n "__fish_postern_using_subcommand exec; and __fish_seen_subcommand_from enable_user" -l system -d 'The connected system, as the configuration names it' -r
complete -c postern -n "__fish_postern_using_subcommand exec; and __fish_seen_subcommand_from enable_user" -s c -l config -d 'The configuration file' -r -F
complete -c postern -n "__fish_postern_using_subcommand exec; and __fish_seen_subcommand_from enable_user" -l json -d 'Print JSON'
complete -c postern -n "__fish_postern_using_subcommand exec; and __fish_seen_subcommand_from enable_user" -s h -l help -d 'Print help'
complete -c postern -n "__fish_postern_using_subcommand exec; and __fish_seen_subcommand_from disable_user" -l account -d 'The account\'s user name' -r
complete -c postern -n "__fish_postern_using_subcommand exec; and __fish_seen_subcommand_from disable_user" -l system -d 'The connected system, as the configuration names it' -r
complete -c postern -n "__fish_postern_using_subcommand exec; and __fish_seen_subcommand_from disable_user" -l if-refused -d 'What becomes of an account that the connected system refuses to disable: fail or freeze' -r
complete -c postern -n "__fish_postern_using_subcommand exec; and __fish_seen_subcommand_from disable_user" -s c -l config -d 'The configuration file' -r -F
complete -c postern -n "__fish_postern_using_subcommand exec; and __fish_seen_subcommand_from disable_user" -l json -d 'Print JSON'
complete -c postern -n "__fish_postern_using_subcommand exec; and __fish_seen_subcommand_from disable_user" -s h -l help -d 'Print help'
complete -c postern -n "__fish_postern_using_subcommand exec; and __fish_seen_subcommand_from freeze_user" -l account -d 'The account\'s user name' -r
complete -c postern -n "__fish_postern_using_subcommand exec; and __fish_seen_subcommand_from freeze_user" -l system -d 'The connected system, as the configuration names it' -r
complete -c postern -n "__fish_postern_using_subcommand exec; and __fish_seen_subcommand_from freeze_user" -s c -l config -d 'The configuration file' -r -F
complete -c postern -n "__fish_postern_using_subcommand exec; and __fish_seen_subcommand_from freeze_user" -l json -d 'Print JSON'
complete -c postern -n "__fish_postern_using_subcommand exec; and __fish_seen_subcommand_from freeze_user" -s h -l help -d 'Print help'
complete -c postern -n "__fish_postern_using_subcommand exec; and __fish_seen_subcommand_from unfreeze_user" -l account -d 'The account\'s user name' -r
complete -c postern -n "__fish_postern_using_subcommand exec; and __fish_seen_subcommand_from unfreeze_user" -l system -d 'The connected system, as the configuration names it' -r
complete -c postern -n "__fish_postern_using_subcommand exec; and __fish_seen_subcommand_from unfreeze_user" -s c -l config -d 'The configuration file' -r -F
complete -c postern -n "__fish_postern_using_subcommand exec; and __fish_seen_subcommand_from unfreeze_user" -l json -d 'Print JSON'
complete -c postern -n "__fish_postern_using_subcommand exec; and __fish_seen_subcommand_from unfreeze_user" -s h -l help -d 'Print help'
complete -c postern -n "__fish_postern_using_subcommand exec; and __fish_seen_subcommand_from unlock_user" -l account -d 'The account\'s user name' -r
complete -c postern -n "__fish_postern_using_subcommand exec; and __fish_seen_subcommand_from unlock_user" -l system -d 'The connected system, as the configuration names it' -r
complete -c postern -n "__fish_postern_using_subcommand exec; and __fish_seen_subcommand_from unlock_user" -s c -l config -d 'The configuration file' -r -F
complete -c postern -n "__fish_postern_using_subcommand exec; and __fish_seen_subcommand_from unlock_user" -l json -d 'Print JSON'
complete -c postern -n "__fish_postern_using_subcommand exec; and __fish_seen_subcommand_from unlock_user" -s h -l help -d 'Print help'
complete -c postern -n "__fish_postern_using_subcommand exec; and __fish_seen_subcommand_from reset_password" -l account -d 'The account\'s user name' -r
complete -c postern -n "__fish_postern_using_subcommand exec; and __fish_seen_subcommand_from reset_password" -l system -d 'The connected system, as the configuration names it' -r
complete -c postern -n "__fish_postern_using_subcommand exec; and __fish_seen_subcommand_from reset_password" -l password-file -d 'A file with the new password, one line; `-` is standard input' -r -F
complete -c postern -n "__fish_postern_using_subcommand exec; and __fish_seen_subcommand_from reset_password" -l generate -d 'Make a password up and write it to this file, which must not be there yet and which only you can read' -r -F
complete -c postern -n "__fish_postern_using_subcommand exec; and __fish_seen_subcommand_from reset_password" -l temporary -d 'With --service: write the temporary password that Salesforce makes up, good until the user has chosen a new one, to this file, which must not be there yet and which only you can read. Without it nobody learns that password' -r -F
complete -c postern -n "__fish_postern_using_subcommand exec; and __fish_seen_subcommand_from reset_password" -s c -l config -d 'The configuration file' -r -F
complete -c postern -n "__fish_postern_using_subcommand exec; and __fish_seen_subcommand_from reset_password" -l json -d 'Print JSON'
complete -c postern -n "__fish_postern_using_subcommand exec; and __fish_seen_subcommand_from reset_password" -l service -d 'Salesforce\'s own reset: the old password is dead, and the user gets a mail with a link to choose a new one'
complete -c postern -n "__fish_postern_using_subcommand exec; and __fish_seen_subcommand_from reset_password" -l repeat-if-unknown -d 'With --service: do it once more if there was no answer and no effect is to be seen: in the worst case the user gets a second mail'
complete -c postern -n "__fish_postern_using_subcommand exec; and __fish_seen_subcommand_from reset_password" -s h -l help -d 'Print help'
complete -c postern -n "__fish_postern_using_subcommand exec; and __fish_seen_subcommand_from expire_password" -l account -d 'The account\'s user name' -r
complete -c postern -n "__fish_postern_using_subcommand exec; and __fish_seen_subcommand_from expire_password" -l system -d 'The connected system, as the configuration names it' -r
complete -c postern -n "__fish_postern_using_subcommand exec; and __fish_seen_subcommand_from expire_password" -s c -l config -d 'The configuration file' -r -F
complete -c postern -n "__fish_postern_using_subcommand exec; and __fish_seen_subcommand_from expire_password" -l json -d 'Print JSON'
complete -c postern -n "__fish_postern_using_subcommand exec; and __fish_seen_subcommand_from expire_password" -l repeat-if-unknown -d 'Do it once more if there was no answer and no effect is to be seen: in the worst case the user gets a second mail'
complete -c postern -n "__fish_postern_using_subcommand exec; and __fish_seen_subcommand_from expire_password" -s h -l help -d 'Print help'
complete -c postern -n "__fish_postern_using_subcommand exec; and __fish_seen_subcommand_from deprovision_user" -l account -d 'The account\'s user name' -r
complete -c postern -n "__fish_postern_using_subcommand exec; and __fish_seen_subcommand_from deprovision_user" -l system -d 'The connected system, as the configuration names it' -r
complete -c postern -n "__fish_postern_using_subcommand exec; and __fish_seen_subcommand_from deprovision_user" -l new-name -d 'Its new name; without it, the old one with `.deleted` behind it' -r
complete -c postern -n "__fish_postern_using_subcommand exec; and __fish_seen_subcommand_from deprovision_user" -l email -d 'Its new e-mail address; without it, the old one stays' -r
complete -c postern -n "__fish_postern_using_subcommand exec; and __fish_seen_subcommand_from deprovision_user" -s c -l config -d 'The configuration file' -r -F
complete -c postern -n "__fish_postern_using_subcommand exec; and __fish_seen_subcommand_from deprovision_user" -l json -d 'Print JSON'
complete -c postern -n "__fish_postern_using_subcommand exec; and __fish_seen_subcommand_from deprovision_user" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c postern -n "__fish_postern_using_subcommand exec; and __fish_seen_subcommand_from restore_user" -l account -d 'The account\'s user name' -r
complete -c postern -n "__fish_postern_using_subcommand exec; and __fish_seen_subcommand_from restore_user" -l system -d 'The connected system, as the configuration names it' -r
complete -c postern -n "__fish_postern_using_subcommand exec; and __fish_seen_subcommand_from restore_user" -l name -d 'The name it gets back' -r
complete -c postern -n "__fish_postern_using_subcommand exec; and __fish_seen_subcommand_from restore_user" -l email -d 'The e-mail address it gets; without it, the present one stays' -r
complete -c postern -n "__fish_postern_using_subcommand exec; and __fish_seen_subcommand_from restore_user" -l password-file -d 'A file with its new password, one line; `-` is standard input' -r -F
complete -c postern -n "__fish_postern_using_subcommand exec; and __fish_seen_subcommand_from restore_user" -s c -l config -d 'The configuration file' -r -F
complete -c postern -n "__fish_postern_using_subcommand exec; and __fish_seen_subcommand_from restore_user" -l json -d 'Print JSON'
complete -c postern -n "__fish_postern_using_subcommand exec; and __fish_seen_subcommand_from restore_user" -s h -l help -d 'Print help'
complete -c postern -n "__fish_postern_using_subcommand exec; and __fish_seen_subcommand_from import_batch" -l system -d 'The connected system, as the configuration names it' -r
complete -c postern -n "__fish_postern_using_subcommand exec; and __fish_seen_subcommand_from import_batch" -l dataset -d 'The dataset' -r -F
complete -c postern -n "__fish_postern_using_subcommand exec; and __fish_seen_subcommand_from import_batch" -l format -d 'How it is written: xml, csv or jsonl; without this, the file\'s extension says it' -r
complete -c postern -n "__fish_postern_using_subcommand exec; and __fish_seen_subcommand_from import_batch" -l delimiter -d 'What parts the cells of a CSV file, as it is or by its name: comma, semicolon, tab or pipe; `found_out` looks at the header' -r
complete -c postern -n "__fish_postern_using_subcommand exec; and __fish_seen_subcommand_from import_batch" -l bulk-threshold -d 'More entries than this to create, or to modify, go as one job in bulk' -r
complete -c postern -n "__fish_postern_using_subcommand exec; and __fish_seen_subcommand_from import_batch" -l attribute -d 'How an attribute is treated: `replace`, `diff_with_target`, `add_diff_with_target` or `remove_diff_with_target`, `encrypted`, `audited`; may be repeated' -r
complete -c postern -n "__fish_postern_using_subcommand exec; and __fish_seen_subcommand_from import_batch" -l audit-key -d 'The attribute whose value stands with each entry in the audit log, beside the account' -r
complete -c postern -n "__fish_postern_using_subcommand exec; and __fish_seen_subcommand_from import_batch" -l account-id -d 'The attribute whose value is the account\'s id for you, e.g. `Id`, `FederationIdentifier` or `EmployeeNumber`; each line of the results tells it' -r
complete -c postern -n "__fish_postern_using_subcommand exec; and __fish_seen_subcommand_from import_batch" -l login-id -d 'The attribute whose value the account signs in with; each line of the results tells it' -r
complete -c postern -n "__fish_postern_using_subcommand exec; and __fish_seen_subcommand_from import_batch" -l dynamic-system -d 'Which connected system entries are for: `none` (this one), `transaction_system_name` (the one they name in `Transaction-SystemName`), `global_variable` (the one that a variable names)' -r
complete -c postern -n "__fish_postern_using_subcommand exec; and __fish_seen_subcommand_from import_batch" -l system-variable -d 'The variable that names the connected system' -r
complete -c postern -n "__fish_postern_using_subcommand exec; and __fish_seen_subcommand_from import_batch" -l variable -d 'A variable; may be repeated' -r
complete -c postern -n "__fish_postern_using_subcommand exec; and __fish_seen_subcommand_from import_batch" -l results -d 'Write one JSON line for each entry here; the first twenty that failed are printed in any case. The file appears when it is whole, and replaces one that is there; only you can read it' -r -F
complete -c postern -n "__fish_postern_using_subcommand exec; and __fish_seen_subcommand_from import_batch" -l failed -d 'Write the entries that did not succeed here, in the form of the dataset: mended, it can be fed back. The file must not be there yet; only you can read it' -r -F
complete -c postern -n "__fish_postern_using_subcommand exec; and __fish_seen_subcommand_from import_batch" -s c -l config -d 'The configuration file' -r -F
complete -c postern -n "__fish_postern_using_subcommand exec; and __fish_seen_subcommand_from import_batch" -l json -d 'Print JSON'
complete -c postern -n "__fish_postern_using_subcommand exec; and __fish_seen_subcommand_from import_batch" -l dry-run -d 'Say what would be changed, entry by entry, and change nothing'
complete -c postern -n "__fish_postern_using_subcommand exec; and __fish_seen_subcommand_from import_batch" -l all-or-none -d 'Send nothing unless every entry passes the checks that can be made before'
complete -c postern -n "__fish_postern_using_subcommand exec; and __fish_seen_subcommand_from import_batch" -s h -l help -d 'Print help'
complete -c postern -n "__fish_postern_using_subcommand exec; and __fish_seen_subcommand_from export" -l system -d 'The connected system, as the configuration names it' -r
complete -c postern -n "__fish_postern_using_subcommand exec; and __fish_seen_subcommand_from export" -l object -d 'The class of records, e.g. User or Profile' -r
complete -c postern -n "__fish_postern_using_subcommand exec; and __fish_seen_subcommand_from export" -l attributes -d 'The attributes wanted, with commas between them; without it those of the schema' -r
complete -c postern -n "__fish_postern_using_subcommand exec; and __fish_seen_subcommand_from export" -l mandatory -d 'Attributes without which the export is to fail' -r
complete -c postern -n "__fish_postern_using_subcommand exec; and __fish_seen_subcommand_from export" -l filter -d 'Which records, as JSON: `{"attribute": "Title", "contains": "50%"}`, joined by `{"and": […]}`, `{"or": […]}` and `{"not": …}`' -r
complete -c postern -n "__fish_postern_using_subcommand exec; and __fish_seen_subcommand_from export" -l clause -d 'A condition in SOQL that must hold as well' -r
complete -c postern -n "__fish_postern_using_subcommand exec; and __fish_seen_subcommand_from export" -l format -d 'How records are written: jsonl, csv or xml' -r
complete -c postern -n "__fish_postern_using_subcommand exec; and __fish_seen_subcommand_from export" -l date -d 'How an attribute\'s moments are written, as `NAME=DAY:TIME`; DAY is iso, american, european, dotted, compact or long, TIME is none, 24h or 12h. May be repeated' -r
complete -c postern -n "__fish_postern_using_subcommand exec; and __fish_seen_subcommand_from export" -l delta -d 'Only what changed since the cursor of this name was last written to a file' -r
complete -c postern -n "__fish_postern_using_subcommand exec; and __fish_seen_subcommand_from export" -l delta-mode -d 'Which attributes a delta tells of a record: `only_changed_attributes`, `changed_and_mandatory_attributes` or `all_attributes`' -r
complete -c postern -n "__fish_postern_using_subcommand exec; and __fish_seen_subcommand_from export" -l incidental -d 'Attributes, separated by commas, that alone make no change; nothing at all: every attribute makes one. Without this, those that tell of logins, looks and changes: `LastLoginDate`, `SystemModstamp` and their like' -r
complete -c postern -n "__fish_postern_using_subcommand exec; and __fish_seen_subcommand_from export" -l size-hint -d 'About how many records are expected; without it the org is asked' -r
complete -c postern -n "__fish_postern_using_subcommand exec; and __fish_seen_subcommand_from export" -l output -d 'The file. It appears when it is whole, and replaces one that is there' -r -F
complete -c postern -n "__fish_postern_using_subcommand exec; and __fish_seen_subcommand_from export" -s c -l config -d 'The configuration file' -r -F
complete -c postern -n "__fish_postern_using_subcommand exec; and __fish_seen_subcommand_from export" -l json -d 'Print JSON'
complete -c postern -n "__fish_postern_using_subcommand exec; and __fish_seen_subcommand_from export" -l restart -d 'Begin the cursor anew'
complete -c postern -n "__fish_postern_using_subcommand exec; and __fish_seen_subcommand_from export" -l change-log -d 'Tell which attributes changed and when, instead of what they are'
complete -c postern -n "__fish_postern_using_subcommand exec; and __fish_seen_subcommand_from export" -s h -l help -d 'Print help'
complete -c postern -n "__fish_postern_using_subcommand exec; and __fish_seen_subcommand_from collect" -l system -d 'The connected system, as the configuration names it' -r
complete -c postern -n "__fish_postern_using_subcommand exec; and __fish_seen_subcommand_from collect" -l name -d 'The collection: who was seen is remembered under this name, so that a later run can tell who is gone' -r
complete -c postern -n "__fish_postern_using_subcommand exec; and __fish_seen_subcommand_from collect" -l user-status -d 'Which users: active, inactive or all' -r
complete -c postern -n "__fish_postern_using_subcommand exec; and __fish_seen_subcommand_from collect" -l logins -d 'How many sign-ins are told of each user, the newest ones; at most 100' -r
complete -c postern -n "__fish_postern_using_subcommand exec; and __fish_seen_subcommand_from collect" -l output -d 'The file, JSON Lines. It appears when it is whole, and replaces one that is there' -r -F
complete -c postern -n "__fish_postern_using_subcommand exec; and __fish_seen_subcommand_from collect" -s c -l config -d 'The configuration file' -r -F
complete -c postern -n "__fish_postern_using_subcommand exec; and __fish_seen_subcommand_from collect" -l json -d 'Print JSON'
complete -c postern -n "__fish_postern_using_subcommand exec; and __fish_seen_subcommand_from collect" -s h -l help -d 'Print help'
complete -c postern -n "__fish_postern_using_subcommand exec; and __fish_seen_subcommand_from describe_schema" -l system -d 'The connected system, as the configuration names it' -r
complete -c postern -n "__fish_postern_using_subcommand exec; and __fish_seen_subcommand_from describe_schema" -l object -d 'A class of records; may be repeated. Without it all of the schema in force' -r
complete -c postern -n "__fish_postern_using_subcommand exec; and __fish_seen_subcommand_from describe_schema" -l add -d 'An attribute to add, as `User.Size__c`; may be repeated' -r
complete -c postern -n "__fish_postern_using_subcommand exec; and __fish_seen_subcommand_from describe_schema" -l output -d 'The file, XML. It appears when it is whole, and replaces one that is there' -r -F
complete -c postern -n "__fish_postern_using_subcommand exec; and __fish_seen_subcommand_from describe_schema" -s c -l config -d 'The configuration file' -r -F
complete -c postern -n "__fish_postern_using_subcommand exec; and __fish_seen_subcommand_from describe_schema" -l json -d 'Print JSON'
complete -c postern -n "__fish_postern_using_subcommand exec; and __fish_seen_subcommand_from describe_schema" -l custom -d 'Add every attribute that the org made'
complete -c postern -n "__fish_postern_using_subcommand exec; and __fish_seen_subcommand_from describe_schema" -s h -l help -d 'Print help'
complete -c postern -n "__fish_postern_using_subcommand schema; and not __fish_seen_subcommand_from show export import reset" -l system -d 'The connected system, as the configuration names it' -r
complete -c postern -n "__fish_postern_using_subcommand schema; and not __fish_seen_subcommand_from show export import reset" -s c -l config -d 'The configuration file' -r -F
complete -c postern -n "__fish_postern_using_subcommand schema; and not __fish_seen_subcommand_from show export import reset" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c postern -n "__fish_postern_using_subcommand schema; and not __fish_seen_subcommand_from show export import reset" -f -a "show" -d 'Show the schema in force'
complete -c postern -n "__fish_postern_using_subcommand schema; and not __fish_seen_subcommand_from show export import reset" -f -a "export" -d 'Write the schema in force as XML'
complete -c postern -n "__fish_postern_using_subcommand schema; and not __fish_seen_subcommand_from show export import reset" -f -a "import" -d 'Replace the schema: checks this XML and writes it to the file that the settings name'
complete -c postern -n "__fish_postern_using_subcommand schema; and not __fish_seen_subcommand_from show export import reset" -f -a "reset" -d 'Write the standard schema to the file that the settings name'
complete -c postern -n "__fish_postern_using_subcommand schema; and __fish_seen_subcommand_from show" -s c -l config -d 'The configuration file' -r -F
complete -c postern -n "__fish_postern_using_subcommand schema; and __fish_seen_subcommand_from show" -s h -l help -d 'Print help'
complete -c postern -n "__fish_postern_using_subcommand schema; and __fish_seen_subcommand_from export" -l output -d 'To this file instead of the standard output' -r -F
complete -c postern -n "__fish_postern_using_subcommand schema; and __fish_seen_subcommand_from export" -s c -l config -d 'The configuration file' -r -F
complete -c postern -n "__fish_postern_using_subcommand schema; and __fish_seen_subcommand_from export" -s h -l help -d 'Print help'
complete -c postern -n "__fish_postern_using_subcommand schema; and __fish_seen_subcommand_from import" -l from -d 'The XML, e.g. what `postern exec describe_schema` wrote' -r -F
complete -c postern -n "__fish_postern_using_subcommand schema; and __fish_seen_subcommand_from import" -s c -l config -d 'The configuration file' -r -F
complete -c postern -n "__fish_postern_using_subcommand schema; and __fish_seen_subcommand_from import" -s h -l help -d 'Print help'
complete -c postern -n "__fish_postern_using_subcommand schema; and __fish_seen_subcommand_from reset" -s c -l config -d 'The configuration file' -r -F
complete -c postern -n "__fish_postern_using_subcommand schema; and __fish_seen_subcommand_from reset" -s h -l help -d 'Print help'
complete -c postern -n "__fish_postern_using_subcommand cursor; and not __fish_seen_subcommand_from list forget" -l system -d 'The connected system, as the configuration names it' -r
complete -c postern -n "__fish_postern_using_subcommand cursor; and not __fish_seen_subcommand_from list forget" -s c -l config -d 'The configuration file' -r -F
complete -c postern -n "__fish_postern_using_subcommand cursor; and not __fish_seen_subcommand_from list forget" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c postern -n "__fish_postern_using_subcommand cursor; and not __fish_seen_subcommand_from list forget" -f -a "list" -d 'Show every cursor: of what it is, until when records were handed over, and how many it remembers'
complete -c postern -n "__fish_postern_using_subcommand cursor; and not __fish_seen_subcommand_from list forget" -f -a "forget" -d 'Forget a cursor'
complete -c postern -n "__fish_postern_using_subcommand cursor; and __fish_seen_subcommand_from list" -s c -l config -d 'The configuration file' -r -F
complete -c postern -n "__fish_postern_using_subcommand cursor; and __fish_seen_subcommand_from list" -l json -d 'Print JSON'
complete -c postern -n "__fish_postern_using_subcommand cursor; and __fish_seen_subcommand_from list" -s h -l help -d 'Print help'
complete -c postern -n "__fish_postern_using_subcommand cursor; and __fish_seen_subcommand_from forget" -l object -d 'The class of records it is of, e.g. `User`' -r
complete -c postern -n "__fish_postern_using_subcommand cursor; and __fish_seen_subcommand_from forget" -l name -d 'Its name, as the exports give it' -r
complete -c postern -n "__fish_postern_using_subcommand cursor; and __fish_seen_subcommand_from forget" -s c -l config -d 'The configuration file' -r -F
complete -c postern -n "__fish_postern_using_subcommand cursor; and __fish_seen_subcommand_from forget" -s h -l help -d 'Print help'
complete -c postern -n "__fish_postern_using_subcommand outbox; and not __fish_seen_subcommand_from export" -s c -l config -d 'The configuration file' -r -F
complete -c postern -n "__fish_postern_using_subcommand outbox; and not __fish_seen_subcommand_from export" -s h -l help -d 'Print help'
complete -c postern -n "__fish_postern_using_subcommand outbox; and not __fish_seen_subcommand_from export" -f -a "export" -d 'Write the outcomes that the controller has not acknowledged to a file, one to a line, as JSON'
complete -c postern -n "__fish_postern_using_subcommand outbox; and __fish_seen_subcommand_from export" -l output -d 'To this new file, which only its owner may read' -r -F
complete -c postern -n "__fish_postern_using_subcommand outbox; and __fish_seen_subcommand_from export" -s c -l config -d 'The configuration file' -r -F
complete -c postern -n "__fish_postern_using_subcommand outbox; and __fish_seen_subcommand_from export" -l json -d 'Print JSON'
complete -c postern -n "__fish_postern_using_subcommand outbox; and __fish_seen_subcommand_from export" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c postern -n "__fish_postern_using_subcommand policy; and not __fish_seen_subcommand_from check" -s c -l config -d 'The configuration file' -r -F
complete -c postern -n "__fish_postern_using_subcommand policy; and not __fish_seen_subcommand_from check" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c postern -n "__fish_postern_using_subcommand policy; and not __fish_seen_subcommand_from check" -f -a "check" -d 'Say whether a task would be let through now, and which rule refuses it if not (exit code 1)'
complete -c postern -n "__fish_postern_using_subcommand policy; and __fish_seen_subcommand_from check" -s c -l config -d 'The configuration file' -r -F
complete -c postern -n "__fish_postern_using_subcommand policy; and __fish_seen_subcommand_from check" -l json -d 'Print JSON'
complete -c postern -n "__fish_postern_using_subcommand policy; and __fish_seen_subcommand_from check" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c postern -n "__fish_postern_using_subcommand audit; and not __fish_seen_subcommand_from verify show" -s c -l config -d 'The configuration file' -r -F
complete -c postern -n "__fish_postern_using_subcommand audit; and not __fish_seen_subcommand_from verify show" -s h -l help -d 'Print help'
complete -c postern -n "__fish_postern_using_subcommand audit; and not __fish_seen_subcommand_from verify show" -f -a "verify" -d 'Say whether the log was changed since it was written'
complete -c postern -n "__fish_postern_using_subcommand audit; and not __fish_seen_subcommand_from verify show" -f -a "show" -d 'Show what was done: one line an effect, oldest first'
complete -c postern -n "__fish_postern_using_subcommand audit; and __fish_seen_subcommand_from verify" -l dir -d 'Another directory than the agent\'s own, e.g. a copy; it is not compared with the agent\'s store then' -r -F
complete -c postern -n "__fish_postern_using_subcommand audit; and __fish_seen_subcommand_from verify" -l head -d 'A head that was noted before, as it was printed; may be repeated' -r
complete -c postern -n "__fish_postern_using_subcommand audit; and __fish_seen_subcommand_from verify" -l after -d 'The head with which the older files ended that were moved away: the log begins with the line after it' -r
complete -c postern -n "__fish_postern_using_subcommand audit; and __fish_seen_subcommand_from verify" -s c -l config -d 'The configuration file' -r -F
complete -c postern -n "__fish_postern_using_subcommand audit; and __fish_seen_subcommand_from verify" -l json -d 'Print JSON'
complete -c postern -n "__fish_postern_using_subcommand audit; and __fish_seen_subcommand_from verify" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c postern -n "__fish_postern_using_subcommand audit; and __fish_seen_subcommand_from show" -l dir -d 'Another directory than the agent\'s own' -r -F
complete -c postern -n "__fish_postern_using_subcommand audit; and __fish_seen_subcommand_from show" -l task -d 'Only of this task' -r
complete -c postern -n "__fish_postern_using_subcommand audit; and __fish_seen_subcommand_from show" -l account -d 'Only of this account, as it is or was called' -r
complete -c postern -n "__fish_postern_using_subcommand audit; and __fish_seen_subcommand_from show" -l since -d 'Only from this day (in UTC), or this moment on' -r
complete -c postern -n "__fish_postern_using_subcommand audit; and __fish_seen_subcommand_from show" -l after -d 'The head with which the older files ended that were moved away' -r
complete -c postern -n "__fish_postern_using_subcommand audit; and __fish_seen_subcommand_from show" -s c -l config -d 'The configuration file' -r -F
complete -c postern -n "__fish_postern_using_subcommand audit; and __fish_seen_subcommand_from show" -l json -d 'Print the events as JSON, one a line'
complete -c postern -n "__fish_postern_using_subcommand audit; and __fish_seen_subcommand_from show" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c postern -n "__fish_postern_using_subcommand dataset; and not __fish_seen_subcommand_from split" -s c -l config -d 'The configuration file' -r -F
complete -c postern -n "__fish_postern_using_subcommand dataset; and not __fish_seen_subcommand_from split" -s h -l help -d 'Print help'
complete -c postern -n "__fish_postern_using_subcommand dataset; and not __fish_seen_subcommand_from split" -f -a "split" -d 'Write one dataset for each connected system that entries name'
complete -c postern -n "__fish_postern_using_subcommand dataset; and __fish_seen_subcommand_from split" -l by -d 'The attribute that names the connected system, in any case' -r
complete -c postern -n "__fish_postern_using_subcommand dataset; and __fish_seen_subcommand_from split" -l output -d 'The folder for the datasets, which must not be there yet. It appears when all of them are whole; only you can read it' -r -F
complete -c postern -n "__fish_postern_using_subcommand dataset; and __fish_seen_subcommand_from split" -l format -d 'How the dataset is written: xml, csv or jsonl; without this, the file\'s extension says it' -r
complete -c postern -n "__fish_postern_using_subcommand dataset; and __fish_seen_subcommand_from split" -l delimiter -d 'What parts the cells of a CSV file, as it is or by its name: comma, semicolon, tab or pipe; `found_out` looks at the header' -r
complete -c postern -n "__fish_postern_using_subcommand dataset; and __fish_seen_subcommand_from split" -s c -l config -d 'The configuration file' -r -F
complete -c postern -n "__fish_postern_using_subcommand dataset; and __fish_seen_subcommand_from split" -l json -d 'Print JSON'
complete -c postern -n "__fish_postern_using_subcommand dataset; and __fish_seen_subcommand_from split" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c postern -n "__fish_postern_using_subcommand store; and not __fish_seen_subcommand_from rotate-key" -s c -l config -d 'The configuration file' -r -F
complete -c postern -n "__fish_postern_using_subcommand store; and not __fish_seen_subcommand_from rotate-key" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c postern -n "__fish_postern_using_subcommand store; and not __fish_seen_subcommand_from rotate-key" -f -a "rotate-key" -d 'Encrypt everything under a new key'
complete -c postern -n "__fish_postern_using_subcommand store; and __fish_seen_subcommand_from rotate-key" -l new-credential -d 'Take the new key from this systemd credential' -r
complete -c postern -n "__fish_postern_using_subcommand store; and __fish_seen_subcommand_from rotate-key" -s c -l config -d 'The configuration file' -r -F
complete -c postern -n "__fish_postern_using_subcommand store; and __fish_seen_subcommand_from rotate-key" -s h -l help -d 'Print help'
complete -c postern -n "__fish_postern_using_subcommand reset-sign-in" -l system -d 'The connected system, as the configuration names it' -r
complete -c postern -n "__fish_postern_using_subcommand reset-sign-in" -s c -l config -d 'The configuration file' -r -F
complete -c postern -n "__fish_postern_using_subcommand reset-sign-in" -s h -l help -d 'Print help (see more with \'--help\')'

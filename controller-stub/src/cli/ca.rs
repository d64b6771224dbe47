//! The authority on the command line: its roots, and how one takes the place of another.

use clap::Subcommand;

/// The authority.
#[derive(Debug, Subcommand)]
pub enum CaCommand {
    /// Show the roots, what each member has of them, and which step is next
    #[command(after_help = "Example:\n  postern-controller ca status --json")]
    Status,
    /// Replace the root by another, one step after the other, with members at work
    #[command(after_help = "\
Example, each as soon as `ca status` waits for nobody any more:
  postern-controller ca rotate begin
  postern-controller ca rotate switch
  postern-controller ca rotate finish

Between the steps members go on working. `ca rotate back --from PHASE` undoes the last step; after `finish` the way back is a new
rotation to the root that was kept: `ca rotate begin --root 1`.")]
    Rotate {
        /// The step.
        #[command(subcommand)]
        step: Rotate,
    },
}

/// The steps of a rotation.
#[derive(Debug, Subcommand)]
pub enum Rotate {
    /// Make a new root, and have members trust it beside the one there is
    #[command(after_help = "Example:\n  postern-controller ca rotate begin")]
    Begin {
        /// Not a new root but one that was kept, by the number in `ca status`
        #[arg(long, value_name = "NUMBER")]
        root: Option<u32>,
    },
    /// Let the new root sign: new certificates, the listener's own, tokens; members renew theirs within minutes
    #[command(after_help = "\
Example:
  postern-controller ca rotate switch

Tokens that were made before and not used yet name the old root: make new ones.")]
    Switch {
        /// Even if a member does not trust the new root yet: it cannot connect until `back`, or until it is enrolled again
        #[arg(long)]
        force: bool,
    },
    /// Trust the new root alone
    #[command(after_help = "Example:\n  postern-controller ca rotate finish")]
    Finish {
        /// Even if a member has a certificate of the old root: it gets another by proof of its key if it trusts the new
        /// root, and has to be enrolled again if not
        #[arg(long)]
        force: bool,
    },
    /// Undo the last step
    #[command(after_help = "\
Example:
  postern-controller ca rotate back --from switched

Without `--from`, one that is asked for again because its answer was lost undoes the step before, too.")]
    Back {
        /// Only if the rotation is still in this phase of `ca status`
        #[arg(long, value_name = "PHASE", value_parser = ["begun", "switched"])]
        from: Option<String>,
        /// Even if a member is shut out by it, as with `switch` and `finish`
        #[arg(long)]
        force: bool,
    },
}

//! Members on the command line: look at them, let them in, let them rest, throw them out.

use clap::{Args, Subcommand};
use postern_protocol::{ClusterName, MemberId};

/// Members.
#[derive(Debug, Subcommand)]
pub enum MemberCommand {
    /// List the members
    #[command(after_help = "Example:\n  postern-controller member list --cluster pilot")]
    List {
        /// Of this cluster only
        #[arg(long)]
        cluster: Option<ClusterName>,
    },
    /// Show one member: its session, what it holds and owes, each connected system, its certificate, its last trouble
    #[command(after_help = "Example:\n  postern-controller member show mbr_0195d8a0...")]
    Show {
        /// The member
        member: MemberId,
    },
    /// Let a new member work, whose fingerprint is the one that `postern enroll` printed
    #[command(after_help = "\
Examples:
  postern-controller member approve mbr_0195d8a0... --fingerprint 9f2c…
  postern-controller member approve mbr_0195d8a0...

Give the fingerprint that `postern enroll` printed, or `postern status` shows, on the member's host: whoever has another is not
let in. Without it the member's is shown, and you are asked whether it is that one.")]
    Approve {
        /// The member
        member: MemberId,
        /// The fingerprint that its host shows
        #[arg(long)]
        fingerprint: Option<String>,
    },
    /// Accept a certificate of a member that is newer than the one on record: this controller was put back from a copy
    #[command(after_help = "\
Examples:
  postern-controller member accept mbr_0195d8a0... --fingerprint 9f2c…
  postern-controller member accept --all --cluster pilot

Whoever was revoked or disabled since the copy was made is to be so again before. The fingerprint is the one that `postern
status` shows on the member's host. --all shows what would be accepted and asks; it leaves out members of which more than one
certificate is in use, because somebody may have a copy of them. The agents come back by themselves within a minute.")]
    Accept(Accept),
    /// Let a disabled or draining member work again
    #[command(
        after_help = "Example:\n  postern-controller member enable mbr_0195d8a0...\n\nOf one that was disabled because its state directory was copied, stop the copy first: the store that comes next is taken\nfor the right one."
    )]
    Enable {
        /// The member
        member: MemberId,
    },
    /// Let a member finish what it holds, then disable it; --hard: at once
    #[command(
        after_help = "Example:\n  postern-controller member disable mbr_0195d8a0... --hard\n\nWith --hard no further change is begun; what the member has not begun goes to others at once. What they all\nrefuse for good fails a lease and a settle time later (210 s)."
    )]
    Disable {
        /// The member
        member: MemberId,
        /// Do not wait for what it holds
        #[arg(long)]
        hard: bool,
    },
    /// Give a member nothing new: what it has begun it finishes, the rest goes to others
    #[command(
        after_help = "Example:\n  postern-controller member drain mbr_0195d8a0...\n\nFor a host that needs a rest. `member show` tells when it holds nothing more, `member enable` ends it; `member disable`\ndoes the same and then disables it. What all others refuse for good fails a lease and a settle time later (210 s)."
    )]
    Drain {
        /// The member
        member: MemberId,
    },
    /// Throw a member out for good: its session ends, and no certificate of it is of use any more
    #[command(
        after_help = "Example:\n  postern-controller member revoke mbr_0195d8a0...\n\nIts agent can only come back as another member, with a new token (`postern enroll --again --controller URL`). What it\nhas not told yet is taken out with `postern outbox export` there, and handed in with `postern-controller outbox import` here."
    )]
    Revoke {
        /// The member
        member: MemberId,
    },
    /// Remove a member that is pending or revoked and holds no task
    ///
    /// What its agent still owes cannot be handed in any more (`outbox import`): nobody else vouches for it.
    #[command(after_help = "Example:\n  postern-controller member remove mbr_0195d8a0...")]
    Remove {
        /// The member
        member: MemberId,
    },
}

/// Which certificates are accepted.
#[derive(Debug, Args)]
pub struct Accept {
    /// The member
    #[arg(required_unless_present = "all")]
    pub member: Option<MemberId>,
    /// The fingerprint of the certificate, as `postern status` shows it on the member's host
    #[arg(long, required_unless_present = "all")]
    pub fingerprint: Option<String>,
    /// All that wait, after a look at them
    #[arg(long, conflicts_with_all = ["member", "fingerprint"])]
    pub all: bool,
    /// Of this cluster only
    #[arg(long, requires = "all")]
    pub cluster: Option<ClusterName>,
    /// Do not ask
    #[arg(long, requires = "all")]
    pub yes: bool,
}

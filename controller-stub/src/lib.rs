//! The reference controller: certificate authority, clusters, members, tasks.

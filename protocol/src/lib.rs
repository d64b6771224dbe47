//! What controller and agent say to each other, and when: frames, task kinds, sealing, session state machines. No I/O.

//! End-to-end tests, the test lab and the demo.

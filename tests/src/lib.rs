//! Kit of the end-to-end tests: fleets of real processes on loopback, and waiting for what should become true.

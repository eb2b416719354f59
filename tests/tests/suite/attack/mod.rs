//! The attacker's suite, one test for each rule of the gate and the envelope, against real processes: each attack is
//! refused, counted by name where there is one, costs bounded memory, and the fleet goes on.

mod answers;
mod frames;
mod handshake;
mod kit;
mod messages;
mod names;
mod operator;
mod stopped;

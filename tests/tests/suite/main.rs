//! The end-to-end tests, as one program.

mod house;
mod readme;
mod road;

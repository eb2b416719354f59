//! The end-to-end tests, as one program.

mod examples;
mod house;
mod interrupt;
mod lab;
mod readme;
mod road;
mod scripts;

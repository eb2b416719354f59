//! The command line: one file per command. A command reads its flags, makes its calls through the client, and hands what
//! came of it to the report.

mod agents;
mod agents_check;
mod ask;
mod audit;
mod broker;
mod call;
mod check;
mod commit;
mod completions;
mod config;
mod dry_run;
mod facts;
mod failure;
mod find;
mod flags;
mod fleet;
mod help;
mod interrupts;
mod inventory;
mod knowledge;
mod lab;
mod matching;
mod params;
mod ping;
mod pki;
mod policy;
mod preparing;
mod project;
mod refuse;
mod root;
mod script;
mod script_output;
mod target;
mod trust;

pub use root::run;

//! The files of users, and which of them a snapshot leaves out. Knows no repository.

pub mod rules;

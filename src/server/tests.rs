//! Over real sockets: a real server on port 0, and an engine that does as it is told.

mod answers;
mod fake;
mod lifecycle;
mod requests;
mod tls;

//! By what is tested: the item's own things, the form of bodies, which evidence and when, trees and checkpoints.

mod binding;
mod bodies;
mod evidence;
mod proofs;
